"""Recipes of the two towers of `lite`, a small dual encoder of our own in the CLIP classes, and of
the reader of instructions.

The towers are distilled apart, from TinyViT-5M (pictures) and all-MiniLM-L6-v2 (text): pictures and
captions are not aligned, so these are not CLIP weights. See `laboratory.distill`.
"""

from __future__ import annotations

from laboratory.distill import DistillOptions
from laboratory.reading import ReadingOptions
from pellucid.recipes.lite import LITE
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig


def lite_image_tower() -> TrainConfig:
    """1.9 M parameters, 64-px views; about 9 minutes on one idle CPU core."""
    return TrainConfig(
        recipe="lite_image_tower",
        task=DistillOptions(tower="image", clip=LITE),
        data=DataConfig(root="data/teachers/crops", crop=64),
        optimizer=OptimizerConfig(
            lr=1e-3, lr_min=1e-5, warmup=50, betas=(0.9, 0.98), weight_decay=0.05, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.995),
        steps=2500,
        batch_size=64,
        precision="auto",
        workers=0,
        output="runs/lite-image-tower",
        save_every=200,
        validate_every=200,
        validation_samples=400,
    )


def lite_text_tower() -> TrainConfig:
    """1.3 M parameters; about 17 minutes on one idle CPU core."""
    return TrainConfig(
        recipe="lite_text_tower",
        task=DistillOptions(tower="text", clip=LITE),
        data=DataConfig(root="data/teachers/phrases"),
        optimizer=OptimizerConfig(
            lr=2e-3, lr_min=1e-5, warmup=100, betas=(0.9, 0.98), weight_decay=0.02, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.995),
        steps=2000,
        batch_size=256,
        workers=0,
        output="runs/lite-text-tower",
        save_every=500,
        validate_every=500,
        validation_samples=400,
    )


def lite_instructions() -> TrainConfig:
    """Over the text tower of `lite`; about 3 minutes on one idle CPU core."""
    return TrainConfig(
        recipe="lite_instructions",
        task=ReadingOptions(),
        optimizer=OptimizerConfig(
            lr=4e-3, lr_min=1e-5, warmup=20, betas=(0.9, 0.98), weight_decay=0.02, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.98),
        steps=2500,
        batch_size=48,
        workers=0,
        output="runs/lite-instructions",
        save_every=100,
        validate_every=2500,
        validation_samples=100,
    )


RECIPES = {
    recipe.__name__: recipe for recipe in (lite_image_tower, lite_text_tower, lite_instructions)
}
