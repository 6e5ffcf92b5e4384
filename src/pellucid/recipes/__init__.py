"""Experiments, published ones and our own, as functions that return a complete config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pellucid.errors import UsageError, look_up
from pellucid.recipes import ablation, daclip, lite, perceive, weather
from pellucid.training.config import TrainConfig

RECIPES: dict[str, Callable[[], TrainConfig]] = {
    recipe.__name__: recipe
    for recipe in (
        daclip.daclip_controller,
        daclip.daclip_unified,
        daclip.daclip_specific,
        daclip.daclip_nafnet,
        daclip.daclip_wild,
        daclip.daclip_wild_controller,
        lite.lite_naming,
        lite.lite_controller,
        lite.lite_words,
        lite.lite_named,
        lite.lite_restore,
        lite.lite_stage1,
        lite.lite_stage2,
        lite.lite_stage3,
        lite.lite_detail,
        lite.lite_detail_light,
        lite.lite_noise,
        lite.lite_noise_wide,
        lite.lite_noise_more,
        lite.lite_noise_long,
        lite.lite_noise_dense,
        lite.lite_jpeg,
        lite.lite_kernel,
        lite.lite_wiener,
        lite.lite_wiener_noise,
        lite.lite_overlay,
        lite.lite_overlay_light,
        lite.lite_overlay_more,
        lite.lite_overlay_long,
        lite.lite_overlay_last,
        lite.lite_overlay_plain,
        lite.lite_overlay_mixed,
        lite.lite_overlay_rain,
        lite.lite_light,
        lite.lite_sde,
        lite.lite_own,
        perceive.perceive_medium,
        perceive.perceive_prompts,
        perceive.perceive_3task,
        perceive.perceive_5task,
        perceive.perceive_single,
        perceive.perceive_lite_medium,
        perceive.perceive_lite_prompts,
        perceive.perceive_lite,
        weather.weather_allweather,
        weather.weather_lite,
        weather.weather_lite_more,
        weather.weather_lite_mixed,
    )
}


STAGES: dict[str, tuple[str, ...]] = {
    "lite": ("lite_stage1", "lite_stage2", "lite_stage3"),
    "lite_blur": ("lite_kernel", "lite_wiener", "lite_wiener_noise"),
}
"""Trainings in several runs: each starts from the weights of the one before."""


def recipe(name: str) -> TrainConfig:
    """Return the config of a recipe.

    Raises:
        UsageError: there is no recipe of this name.
    """
    if name.startswith(ablation.PREFIX):
        return ablation.single(name)
    if name not in RECIPES and Path(name, "config.yaml").is_file():
        raise UsageError(f"{name} is a run; to train it again or on, name {name}/config.yaml")
    return look_up(RECIPES, name, "recipe")()
