"""The experiments of Perceive-IR (IEEE TIP 2026), and small ones (ours).

Where each value comes from:

* [code] the official repository, whose networks differ from the paper's figures;
* [readme] its README;
* [figure] the paper's figures;
* [ours] our choice, because the value is not published or the official one has a known fault.

What the paper itself says of crops, batches and steps is not known to us. `batch_size` is a
process's. The data: the official tree, `data.root` its `train`, or folders TYPE/LQ and TYPE/GT;
`noisy` has clean pictures alone. Those smaller than the crop are reflected [ours]; [code] enlarges
them. Validation is on held-out training pictures [ours]: the official code chooses checkpoints on
crops of the test sets.
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.degradations import CLASSES
from pellucid.networks.guided import GuidedResUNetConfig
from pellucid.networks.perceive_ir import PerceiveIRConfig
from pellucid.networks.restormer import RestormerMediumConfig
from pellucid.networks.resunet import ResUNetConfig
from pellucid.recipes.lite import LITE, PHOTOS, SIZES, WINDOWS, lite_stage3
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.tasks.perceive import PerceiveOptions
from pellucid.training.tasks.prompts import PromptsOptions
from pellucid.training.tasks.restore import RestoreOptions
from pellucid.vision_language.hub import DINOV2_BASE

THREE = ("noisy", "hazy", "rainy")
FIVE = (*THREE, "motion-blurry", "low-light")
LITE_TASKS = (*THREE, "low-light")  # small networks hardly deblur: mediocre and terrible look alike
SIGMAS = (15.0, 25.0, 50.0)
# Its comments give other repetitions as the paper's: noise 3, haze 1, rain 120, blur 5, dark 200.
ADAMW = OptimizerConfig(  # [code], weight decay on all parameters, too
    lr=2e-4, lr_min=1e-6, betas=(0.9, 0.999), weight_decay=1e-4, decay_all=True
)
NO_AVERAGE = EMAConfig(decay=0)


def perceive_medium() -> TrainConfig:
    """Perceive-IR, before stage 1: a mediocre network of one fold; run it with --data.fold 0 and 1.

    The number of processes is not recorded.
    """
    return TrainConfig(
        recipe="perceive_medium",
        task=RestoreOptions(network=RestormerMediumConfig(), loss="l1"),  # [code]
        data=DataConfig(
            kind="pairs",
            crop=128,  # [code]
            words=FIVE,
            ratios=(3, 1, 120, 50, 40),  # [code]
            noise=SIGMAS,  # [code] one sigma for each picture; [ours] drawn anew each time
            symmetries=4,  # [code]
            fold=0,
        ),
        optimizer=replace(ADAMW, weight_decay=0.01),  # [code], PyTorch's default
        ema=NO_AVERAGE,  # [code]
        steps=20_000,  # [readme]; 25 000 in the options file
        batch_size=4,  # [code]
        precision="bf16",  # [code]
        workers=8,  # [ours]
        output="runs/perceive-medium-0",
    )


def perceive_prompts() -> TrainConfig:
    """Perceive-IR, stage 1: quality prompts for CLIP ViT-B/32, from triplets of all five tasks."""
    return TrainConfig(
        recipe="perceive_prompts",
        task=PromptsOptions(),  # [code] OpenAI's ViT-B/32: give the file with --task.clip
        # crop and symmetries [code], rest [ours]
        data=DataConfig(kind="triplets", crop=224, symmetries=2, held_out=0.05),
        optimizer=replace(ADAMW, lr=4e-5, weight_decay=0.01),  # [code]
        ema=NO_AVERAGE,  # [code]
        steps=100_000,  # [code]
        batch_size=32,  # [readme]
        workers=8,  # [ours]
        output="runs/perceive-prompts",
        save_every=5_000,
        validate_every=5_000,
        validation_samples=200,
    )


def perceive_3task() -> TrainConfig:
    """Perceive-IR, stage 2, noise, haze and rain in one network; 4 processes [code].

    It needs --task.clip and, for the proxies of L_dpl, the files of other networks
    (--task.proxies).
    """
    return TrainConfig(
        recipe="perceive_3task",
        task=PerceiveOptions(
            network=PerceiveIRConfig(),  # [code]
            semantics=DINOV2_BASE,  # [code]
            contrastive=0.1,  # [code] [figure]
            quality=0.05,  # [code] [figure]
            perceptual=0.1,  # [code] [figure]
            temperature=1.0,  # [code], which makes L_clip weak: 100 is that of the training
            prompts="runs/perceive-prompts/weights.safetensors",
            epoch=25_733,  # [code]
            probe=72,  # [code] 24 a task, chosen evenly by difficulty; [ours] as they come
        ),
        data=DataConfig(
            kind="pairs",
            crop=256,  # [code]
            words=THREE,
            ratios=(12, 1, 360),  # [code]
            noise=SIGMAS,  # [code]
            symmetries=4,  # [code]
            positives=True,  # [code]
            held_out=0.02,  # [ours]; of the 200 rainy pictures 1 % holds out none
        ),
        optimizer=ADAMW,  # [code]
        ema=NO_AVERAGE,  # [code]
        steps=500_000,  # [code]
        batch_size=2,  # [code]
        precision="bf16",  # [code]
        workers=8,  # [ours]
        output="runs/perceive-3task",
        save_every=10_000,  # [code]
        validate_every=5_000,  # [code]
        validation_samples=100,  # [ours]
    )


def perceive_5task() -> TrainConfig:
    """Perceive-IR, stage 2, also blur and low light; 2 processes [code]."""
    three = perceive_3task()
    return replace(
        three,
        recipe="perceive_5task",
        task=replace(three.task, epoch=84_214, probe=120),  # [code]
        data=replace(three.data, words=FIVE, ratios=(12, 1, 360, 30, 140)),  # [code]
        output="runs/perceive-5task",
    )


def perceive_single(word: str = "rainy") -> TrainConfig:
    """Perceive-IR for one task. No options of these experiments are published.

    All is as in `perceive_3task` [ours], but one task has no negatives: L_cl is left out.
    """
    three = perceive_3task()
    return replace(
        three,
        recipe="perceive_single",
        task=replace(three.task, contrastive=0.0),
        data=replace(three.data, words=(word,), ratios=(), positives=False),
        output=f"runs/perceive-{word}",
    )


def perceive_lite_medium() -> TrainConfig:
    """Small: a mediocre ResUNet of one fold of the photographs; run it with --data.fold 0 and 1.

    The true words guide it, so no tower that saw the photographs is involved.
    """
    return TrainConfig(
        recipe="perceive_lite_medium",
        task=RestoreOptions(
            network=ResUNetConfig(context_dim=LITE.embed_dim, words=len(CLASSES)),
            words="lite",
            tokenizer="lite",
        ),
        data=replace(PHOTOS, crop=64, words=LITE_TASKS, chains=0.0, fold=0),
        optimizer=OptimizerConfig(lr=8e-4, lr_min=1e-5, warmup=100, clip_norm=0.5),
        ema=EMAConfig(decay=0.99),
        steps=1_500,
        batch_size=8,
        precision="auto",
        output="runs/perceive-lite-medium-0",
        save_every=250,
        validate_every=500,
        validation_samples=66,
    )


def perceive_lite_prompts() -> TrainConfig:
    """Small: quality prompts for the tower of `lite`, and a controller that reads the pictures.

    The triplets: `pellucid data generate` with --window, then `pellucid data triplets`.
    """
    return TrainConfig(
        recipe="perceive_lite_prompts",
        task=PromptsOptions(clip="lite", tokenizer="lite", controller=True),
        data=DataConfig(
            kind="triplets",
            root="data/triplets/train",
            validation="data/triplets/held_out",
            crop=64,
            words=LITE_TASKS,
        ),
        optimizer=OptimizerConfig(lr=5e-4, lr_min=1e-6, warmup=20, betas=(0.9, 0.98)),
        ema=EMAConfig(decay=0.98),
        steps=1_500,
        batch_size=8,
        precision="auto",
        output="runs/perceive-lite-prompts",
        save_every=100,
        validate_every=250,
        validation_samples=200,
    )


def perceive_lite() -> TrainConfig:
    """Small: `lite` with adapters, trained further with Perceive-IR's losses; no proxies.

    Guided as `lite` is: true words, some missing, some wrong.
    """
    third = lite_stage3()
    return replace(
        third,
        recipe="perceive_lite",
        task=PerceiveOptions(
            network=GuidedResUNetConfig(**vars(SIZES)),
            words=third.task.words,
            tokenizer=third.task.tokenizer,
            context_dropout=third.task.context_dropout,
            wrong_words=third.task.wrong_words,
            always_told=third.task.always_told,
            semantics="lite",
            prompts="lite",
            clip="lite",
            temperature=10.0,
            bounded=True,  # the official data has no clean or lightly damaged pictures
        ),
        data=replace(WINDOWS, crop=96, positives=True),
        optimizer=replace(third.optimizer, lr=5e-4, adamw_lr=4e-4),
        steps=1_200,
        init_from="lite",
        init_strict=False,
        output="runs/lite-perceive",
    )
