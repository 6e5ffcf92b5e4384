"""The project's own small networks, trained from photographs alone: the weights in the package.

The data: `data.root` and `data.validation`, folders of clean photographs
(`scripts/fetch_photos.py`).
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.degradations import CLASSES
from pellucid.networks.resunet import ResUNetConfig
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.tasks.controller import ControllerOptions
from pellucid.training.tasks.diffusion import DiffusionOptions
from pellucid.training.tasks.restore import RestoreOptions
from pellucid.vision_language.clip import CLIPConfig, TextConfig, VisionConfig

LITE = CLIPConfig(
    embed_dim=256,
    vision=VisionConfig(image_size=64, patch_size=8, width=192, layers=4, heads=3),
    text=TextConfig(context_length=32, vocab_size=4000, width=128, heads=4, layers=4),
    views="windows",
)
WINDOWS = DataConfig(
    root="data/windows/train", validation="data/windows/held-out", kind="windows", crop=128
)
PHOTOS = DataConfig(root="data/photos/train", validation="data/photos/held_out", crop=128)


def lite_naming() -> TrainConfig:
    """First part of the controller's training: the degradation embedding alone, half the cost."""
    return TrainConfig(
        recipe="lite_naming",
        task=ControllerOptions(
            model=LITE,
            clip="runs/lite-clip-base.safetensors",
            tokenizer="lite",
            captions=False,
            content=False,
        ),
        data=replace(PHOTOS, crop=64, twins=True, rare=0.4),
        optimizer=OptimizerConfig(
            lr=6e-4, lr_min=1e-6, warmup=80, betas=(0.9, 0.98), weight_decay=0.05, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.98),
        steps=8_000,
        batch_size=33,
        precision="auto",
        output="runs/lite-naming",
        save_every=250,
        validate_every=250,
        validation_samples=330,
    )


def lite_controller() -> TrainConfig:
    """Controller on the small towers; embeddings of clean pictures replace captions."""
    naming = lite_naming()
    return replace(
        naming,
        recipe="lite_controller",
        task=replace(naming.task, content=True, content_l1=0.5),
        data=replace(PHOTOS, chains=0.1, rare=0.4),
        batch_size=32,
        optimizer=replace(naming.optimizer, lr=4e-4),
        steps=4_000,
        init_from="runs/lite-naming/weights.safetensors",
        output="runs/lite-controller",
    )


def lite_named() -> TrainConfig:
    """First part of the restorer's training: guided by the true words, without the towers.

    The controller is trained to give the same embeddings. In a short trial without guidance the
    network learned only some denoising; with the words it also learned to brighten and derain.
    """
    return TrainConfig(
        recipe="lite_named",
        task=RestoreOptions(
            network=ResUNetConfig(context_dim=LITE.embed_dim, words=len(CLASSES)),
            words="runs/lite-clip-base.safetensors",
            tokenizer="lite",
            loss="psnr40",
        ),
        data=replace(PHOTOS, crop=64, chains=0.1),
        optimizer=OptimizerConfig(lr=8e-4, lr_min=1e-5, warmup=100, clip_norm=0.5),
        ema=EMAConfig(decay=0.999),
        steps=40_000,
        batch_size=8,
        precision="auto",
        output="runs/lite-named",
        save_every=500,
        validate_every=500,
        validation_samples=110,
        log_every=50,
    )


def lite_restore() -> TrainConfig:
    """The restorer for CPUs: a deterministic ResUNet guided by the small DA-CLIP."""
    named = lite_named()
    return replace(
        named,
        recipe="lite_restore",
        task=replace(
            named.task,
            tower="runs/lite-controller/weights.safetensors",
            words="",
            context_dropout=0.1,
        ),
        data=replace(named.data, crop=128, rare=0.3),
        optimizer=replace(named.optimizer, lr=3e-4, lr_min=1e-6),
        init_from="runs/lite-named/weights.safetensors",
        output="runs/lite-restore",
    )


def lite_wide() -> TrainConfig:
    """`lite` trained on with the wide generators, told the true words or none or wrong ones.

    Data: windows made by `pellucid data windows`. Costs 153 GFLOP a megapixel.
    """
    return TrainConfig(
        recipe="lite_wide",
        task=RestoreOptions(
            network=ResUNetConfig(
                encoder_blocks=(1, 1, 2),
                middle_blocks=3,
                context_dim=LITE.embed_dim,
                words=len(CLASSES),
            ),
            words="lite",
            tokenizer="lite",
            context_dropout=0.7,
            wrong_words=0.05,
            loss="psnr40",
        ),
        data=WINDOWS,
        optimizer=OptimizerConfig(
            name="muon",
            lr=8e-4,
            adamw_lr=5e-4,
            lr_min=0.0,
            schedule="linear",
            warmup=60,
            clip_norm=1.0,
        ),
        ema=EMAConfig(decay=0.998),
        steps=3_000,
        batch_size=8,
        precision="auto",
        init_from="lite",
        init_strict=False,
        output="runs/lite-wide",
        save_every=250,
        validate_every=750,
        validation_samples=160,
        log_every=50,
    )


def lite_guided() -> TrainConfig:
    """`lite_wide` trained on with the controller's guidance, right or wrong, as in use."""
    wide = lite_wide()
    return replace(
        wide,
        recipe="lite_guided",
        task=replace(wide.task, tower="lite", words="", context_dropout=0.2, wrong_words=0.0),
        optimizer=replace(wide.optimizer, name="adamw", lr=2e-4),
        steps=600,
        init_from="runs/lite-wide/weights.safetensors",
        init_strict=True,
        output="runs/lite-guided",
    )


def lite_sde() -> TrainConfig:
    """The diffusion version: predicts the clean picture at all times of the SDE, from `lite`."""
    restore = lite_restore()
    return replace(
        restore,
        recipe="lite_sde",
        task=DiffusionOptions(
            network=restore.task.network,
            tower=restore.task.tower,
            tokenizer=restore.task.tokenizer,
            context_dropout=0.1,
            predicts="x0",
            loss="l1",
            own_estimates=0.5,
        ),
        init_from="runs/lite-restore/weights.safetensors",
        init_strict=False,
        output="runs/lite-sde",
    )
