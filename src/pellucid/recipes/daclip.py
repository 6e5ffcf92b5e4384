"""The experiments of DA-CLIP (ICLR 2024) and of its successor for pictures from the wild.

Where each value comes from:

* [code] the official repository's scripts and options files;
* [readme] its README;
* [paper] known as the paper's, but not checked against its text;
* [ours] our choice, because the value is not published or the official one has a known fault.

`batch_size` is a process's. The published batches need the number of processes named in the
function.
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.degradations import WORDS
from pellucid.degradations.wild_pipeline import TEXTS
from pellucid.networks.irsde_unet import UNIVERSAL, WILD
from pellucid.networks.nafnet import NAFNetConfig
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.tasks.controller import ControllerOptions
from pellucid.training.tasks.diffusion import DiffusionOptions
from pellucid.training.tasks.restore import RestoreOptions
from pellucid.vision_language.clip import VIT_B_32, VIT_L_14

NO_AVERAGE = EMAConfig(decay=0)
# ema-pytorch 0.2.3 with beta 0.995 and update_every 10 [code]; the rest are its defaults
IRSDE_AVERAGE = EMAConfig(decay=0.995, every=10, after=100)


def daclip_controller() -> TrainConfig:
    """DA-CLIP, stage 1: controller on ViT-B/32 for ten degradations; 4 processes.

    The data: a table of captions (`data.root`), the crop that CLIP sees is nearly the whole
    picture.
    """
    return TrainConfig(
        recipe="daclip_controller",
        task=ControllerOptions(
            model=VIT_B_32,  # from LAION's laion2b_s34b_b79k [code]; give the file with --task.clip
            captions=True,  # BLIP's, of the clean picture [code]
            official_negatives=False,  # [ours]; True is the official loss with its floor of 6.5
        ),
        data=DataConfig(kind="captions", crop=224),
        optimizer=OptimizerConfig(
            lr=3e-5,  # [readme], 4 GPUs; 2e-5 on one
            lr_min=0.0,  # [code]
            warmup=100,  # [code]
            betas=(0.9, 0.98),  # [code], open_clip's for ViT
            eps=1e-6,  # [code]
            weight_decay=0.05,  # [code]
        ),
        ema=NO_AVERAGE,  # [code]
        steps=800,  # 50 epochs [readme] of 16 steps: 52,801 pictures [paper] in batches of 3136
        batch_size=784,  # [readme] 784 x 4
        precision="bf16",  # [ours]; [code] fp16 with loss scaling
        workers=8,  # [code]
        output="runs/daclip-controller",
        save_every=100,
        validate_every=100,
        validation_samples=256,
    )


def daclip_unified() -> TrainConfig:
    """DA-CLIP + IR-SDE for ten degradations in one network (the paper's table 3); 1 process.

    The data: folders TYPE/LQ and TYPE/GT, each type as often as every other [code].
    """
    return TrainConfig(
        recipe="daclip_unified",
        task=DiffusionOptions(
            network=UNIVERSAL,  # [code]
            tower="daclip",  # the official ViT-B/32, frozen [code]
            predicts="epsilon",  # [code]
            loss="matching",  # [code]
            preset="balanced",  # [ours], validation only; [code] 100 steps
        ),
        data=DataConfig(kind="pairs", crop=256, words=WORDS),  # crop [code]
        optimizer=OptimizerConfig(
            lr=2e-4,  # [code]
            lr_min=1e-6,  # [code]
            betas=(0.9, 0.99),  # [code]
            weight_decay=0.0,  # [code]
        ),
        ema=IRSDE_AVERAGE,
        steps=700_000,  # [code]
        batch_size=16,  # [code]
        precision="no",  # [code] float32 throughout
        workers=8,  # [ours]
        output="runs/daclip-unified",
        save_every=5_000,  # [ours]
        validate_every=10_000,  # [ours]
        validation_samples=100,  # [ours]
        log_every=100,  # [ours]
    )


def daclip_specific(word: str = "rainy") -> TrainConfig:
    """DA-CLIP + IR-SDE for one degradation (the paper's table 2).

    There: rainy, low-light, hazy and motion-blurry.

    No options files of these experiments are published: everything but `words` is that of
    `daclip_unified` [ours].
    """
    unified = daclip_unified()
    return replace(
        unified,
        recipe="daclip_specific",
        data=replace(unified.data, words=(word,)),
        output=f"runs/daclip-{word}",
    )


def daclip_nafnet() -> TrainConfig:
    """DA-CLIP + NAFNet, its deterministic variant: an L1 loss [paper], all tasks in one network.

    No options file of it is published: data, learning rate and batch are those of `daclip_unified`
    [ours]; the sizes are those of NAFNet's GoPro network of width 32 [ours].
    """
    unified = daclip_unified()
    return replace(
        unified,
        recipe="daclip_nafnet",
        task=RestoreOptions(network=NAFNetConfig(), tower="daclip", loss="l1"),
        optimizer=replace(unified.optimizer, betas=(0.9, 0.9)),  # [ours], as NAFNet's own code
        steps=400_000,  # [ours], as NAFNet's own code
        output="runs/daclip-nafnet",
    )


def daclip_wild() -> TrainConfig:
    """Wild-IR (arXiv 2404.09732): one network for mixed, unknown degradations; 1 process.

    The data: clean photographs (LSDIR, sharpened [code]), damaged on the fly. The degradation
    embedding is not used [code].
    """
    unified = daclip_unified()
    return replace(
        unified,
        recipe="daclip_wild",
        task=replace(unified.task, network=WILD, tower="daclip-wild"),  # [code]
        data=DataConfig(kind="wild", crop=256, shrink=1.0, by="photo"),  # [code]
        steps=500_000,  # [code]
        output="runs/daclip-wild",
    )


def daclip_wild_controller() -> TrainConfig:
    """The controller of wild-IR, on ViT-L/14. Its training code was never published.

    Known: clean LSDIR photographs damaged by the wild mixture, words such as "blur, noise" in one
    text, and an L1 distance that draws the content embedding to that of the clean picture [paper].
    All numbers are those of `daclip_controller` on one GPU or [ours].
    """
    stage1 = daclip_controller()
    return replace(
        stage1,
        recipe="daclip_wild_controller",
        task=ControllerOptions(
            model=VIT_L_14,
            captions=False,  # [ours]; the paper used BLIP's captions
            content_l1=1.0,  # [ours]
            words=TEXTS,  # [code]
        ),
        data=DataConfig(kind="wild", crop=224, shrink=1.0, by="photo"),
        optimizer=replace(stage1.optimizer, lr=2e-5),
        steps=50_000,  # [ours]; the paper: 3 to 4 days on one A100
        batch_size=128,  # [ours]
        output="runs/daclip-wild-controller",
        save_every=1000,
        validate_every=2000,
    )
