"""CLIP for adverse weather (Tan et al., TIP 2024): an independent implementation of the idea.

The paper's own settings are not known to us; all numbers are [ours].
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.degradations import CLASSES
from pellucid.networks.prior import PriorConfig
from pellucid.networks.weather import WeatherConfig
from pellucid.recipes.lite import LITE, SIZES, WINDOWS, lite_stage3
from pellucid.training.config import DataConfig, EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.tasks.weather import WeatherOptions


def weather_allweather() -> TrainConfig:
    """SAR encoder, CLIP-SRD and CWP on Allweather, every weather as often as the others.

    The data: a folder of `input`, `gt` (TransWeather's), or <type>/{LQ,GT}. Teacher and prior: the
    official RN50.pt.
    """
    return TrainConfig(
        recipe="weather_allweather",
        task=WeatherOptions(semantics="RN50.pt"),
        data=DataConfig(kind="pairs", root="data/allweather", crop=256, view=224),
        optimizer=OptimizerConfig(
            lr=2e-4, lr_min=1e-6, betas=(0.9, 0.999), weight_decay=1e-4, clip_norm=1.0
        ),
        ema=EMAConfig(decay=0.999),
        steps=300_000,
        batch_size=16,
        precision="auto",
        workers=8,
        output="runs/weather-allweather",
        save_every=5_000,
        validate_every=10_000,
        log_every=100,
    )


def weather_lite() -> TrainConfig:
    """The same for CPUs, from `lite-overlay`: rain, snow, haze, drops, several at once, clean.

    DA-CLIP's embedding of the damage is the prior's sample; in training it is that of the true
    words, some missing, some wrong. The teacher with the best map in
    `benchmarks/sar_auroc.py --teachers` is used: the pictures themselves.
    Data: `pellucid data windows --words rainy snowy hazy raindrop`.
    """
    third = lite_stage3()
    return replace(
        third,
        recipe="weather_lite",
        task=WeatherOptions(
            network=WeatherConfig(
                host="residual",
                widths=SIZES.widths,
                encoder_blocks=SIZES.encoder_blocks,
                middle_blocks=SIZES.middle_blocks,
                decoder_blocks=SIZES.decoder_blocks,
                sar="decoder",
                prior=PriorConfig(sample_dim=LITE.embed_dim, tokens=16, width=128),
                context_dim=LITE.embed_dim,
                words=len(CLASSES),
            ),
            words=third.task.words,
            tokenizer=third.task.tokenizer,
            context_dropout=0.1,
            wrong_words=0.05,
            always_told=("hazy",),
            loss="psnr40",
            teacher="pixels",
            direction=0.0,
            srd=1.0,
        ),
        data=replace(WINDOWS, root="data/windows/weather", crop=96),
        optimizer=replace(third.optimizer, lr=1e-3, adamw_lr=7.5e-4),
        init_from="runs/lite-overlay-last/weights.safetensors",
        init_strict=False,
        steps=2_400,
        output="runs/weather-lite",
    )


def weather_lite_more() -> TrainConfig:
    """Second part of `lite-weather`: other windows, and the map counts five times as much.

    Data: as that of the first part, with `--seed 61`.
    """
    first = weather_lite()
    return replace(
        first,
        recipe="weather_lite_more",
        task=replace(first.task, srd=5.0),
        data=replace(first.data, root="data/windows/weather-2"),
        optimizer=replace(first.optimizer, lr=8e-4, adamw_lr=6e-4),
        seed=1,
        steps=1_800,
        init_from="runs/weather-lite/weights.safetensors",
        output="runs/weather-lite-more",
    )


def weather_lite_mixed() -> TrainConfig:
    """Third part of `lite-weather`, from the mean of the first two: by SOAP, on larger windows.

    Half of the scenes are photographs as they are, and haze is drawn as often as all else.
    Data: `pellucid data windows --seed 83 --side 224 --plain 0.5 --count 11264 --words hazy hazy
    hazy rainy snowy raindrop`. The mean: `pellucid average runs/weather-lite/weights.safetensors
    runs/weather-lite-more/weights.safetensors --output
    runs/weather-lite-both/weights.safetensors`.
    """
    second = weather_lite_more()
    return replace(
        second,
        recipe="weather_lite_mixed",
        data=replace(second.data, root="data/windows/weather-mixed", crop=192, symmetries=2),
        optimizer=replace(second.optimizer, name="soap", lr=2e-3, betas=(0.95, 0.95)),
        seed=6,
        steps=2_400,
        batch_size=8,
        init_from="runs/weather-lite-both/weights.safetensors",
        output="runs/weather-lite-mixed",
    )
