"""The project's own small networks, trained from photographs alone: the weights in the package.

The data: `data.root` and `data.validation`, folders of clean photographs
(`scripts/fetch_photos.py`).
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.networks.resunet import ResUNetConfig
from pellucid.recipes.lite_towers import LITE
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.tasks.controller import ControllerOptions
from pellucid.training.tasks.diffusion import DiffusionOptions
from pellucid.training.tasks.restore import RestoreOptions

PHOTOS = DataConfig(root="data/photos/train", validation="data/photos/held_out", crop=128)


def lite_controller() -> TrainConfig:
    """Controller on the small towers; the clean picture's embedding stands in for captions."""
    return TrainConfig(
        recipe="lite_controller",
        task=ControllerOptions(
            model=LITE,
            clip="runs/lite-clip-base.safetensors",
            tokenizer="src/pellucid/weights/lite-tokenizer.json",
            captions=False,
            content_l1=1.0,
        ),
        data=replace(PHOTOS, clean=1 / 11, chains=0.0),
        optimizer=OptimizerConfig(
            lr=5e-4, lr_min=1e-6, warmup=100, betas=(0.9, 0.98), weight_decay=0.05, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.99),
        steps=4_000,
        batch_size=128,
        precision="bf16",
        output="runs/lite-controller",
        save_every=250,
        validate_every=250,
        validation_samples=352,
    )


def lite_unguided() -> TrainConfig:
    """The restorer's first part: no guidance yet, so it can be trained beside the towers."""
    return TrainConfig(
        recipe="lite_unguided",
        task=RestoreOptions(network=ResUNetConfig(context_dim=LITE.embed_dim), loss="l1"),
        data=PHOTOS,
        optimizer=OptimizerConfig(lr=4e-4, lr_min=1e-5, warmup=200, clip_norm=0.5),
        ema=EMAConfig(decay=0.999),
        steps=40_000,
        batch_size=8,
        precision="bf16",
        output="runs/lite-unguided",
        save_every=500,
        validate_every=1000,
        validation_samples=110,
        log_every=100,
    )


def lite_restore() -> TrainConfig:
    """The restorer for CPUs: a deterministic ResUNet guided by the small DA-CLIP."""
    unguided = lite_unguided()
    return replace(
        unguided,
        recipe="lite_restore",
        task=replace(
            unguided.task,
            tower="runs/lite-controller/weights.safetensors",
            context_dropout=0.1,
        ),
        optimizer=replace(unguided.optimizer, lr_min=1e-6),
        init_from="runs/lite-unguided/weights.safetensors",
        output="runs/lite-restore",
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
            context_dropout=0.1,
            predicts="x0",
            loss="l1",
        ),
        init_from="runs/lite-restore/weights.safetensors",
        init_strict=False,
        output="runs/lite-sde",
    )
