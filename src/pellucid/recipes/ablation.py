"""Ablations: what each part of a method adds, every run equal in all else (ours).

`pellucid train ablation/perceive` trains the variants below one after the other; `pellucid report`
scores them and prints the table. A single variant is a recipe of its own, called
`ablation/METHOD/HOST/VARIANT`.

Perceive-IR, on `perceive_lite`: `l1`, the pixel loss alone; `quality`, L_clip; `perceptual`, L_dpl;
`sgm`, semantic guidance (adapters, `networks.guided`); `sgm+contrastive`, and L_cl, which teaches
the encoder that SGM listens to; `all`.

CLIP for adverse weather, on `weather_lite`: `base`, no part; `sar`, the SAR encoder without a
teacher; `srd`, taught by soft targets, `srd-hard`, by hard ones, `plain`, features alone; `cwp`,
the weather prior, of which `cwp-sample` and `cwp-learned` have one half; `full`, all parts, and
with other teachers.

A host with weights of its own, `resunet` (`lite`), is trained on from them. Others, and all with a
degradation left out, start from random weights trained by the first variant (`start`). Data, batch
and optimizer are of the ablation, not of the recipes of shipped weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from pellucid.degradations import WEATHER, WORDS
from pellucid.errors import UsageError, look_up
from pellucid.networks.guided import (
    GuidedNAFNetConfig,
    GuidedResUNetConfig,
    GuidedUNetConfig,
)
from pellucid.networks.irsde_unet import UNetConfig
from pellucid.networks.nafnet import NAFNetConfig
from pellucid.networks.resunet import ResUNetConfig
from pellucid.recipes.lite import LITE, PHOTOS, SIZES
from pellucid.recipes.perceive import perceive_lite
from pellucid.recipes.weather import weather_lite
from pellucid.training.config import EMAConfig, OptimizerConfig, TrainConfig

PREFIX = "ablation/"
START = "start"  # the run that others of its seed start from
ONE_RUN = ("--output", "--init-from", "--seed")  # flags that no two runs can share

_LOSSES = ("contrastive", "quality", "perceptual")
_PERCEIVE: dict[str, tuple[bool, tuple[str, ...]]] = {  # adapters, and the losses beside L1
    "l1": (False, ()),
    "quality": (False, ("quality",)),
    "perceptual": (False, ("perceptual",)),
    "sgm": (True, ()),
    "sgm+contrastive": (True, ("contrastive",)),
    "all": (True, _LOSSES),
}
_FULL = {"sar": True, "target": "soft", "prior": "both"}
WEATHER_VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "sar": {"sar": True},
    "srd": {"sar": True, "target": "soft"},
    "srd-hard": {"sar": True, "target": "hard"},
    "plain": {"sar": True, "target": "plain"},
    "cwp-sample": {"prior": "sample"},
    "cwp-learned": {"prior": "learned"},
    "cwp": {"prior": "both"},
    "full": _FULL,
    "full-tinyvit": _FULL | {"teacher": "tinyvit"},
    "full-random": _FULL | {"teacher": "random"},
}
_NAF = {"width": 16, "encoder_blocks": (1, 1, 2), "middle_blocks": 2, "decoder_blocks": (1, 1, 1)}
_UNET = {"nf": 32, "ch_mult": (1, 2, 4)}
_D = LITE.embed_dim
_HOSTS: dict[str, tuple[Any, Any]] = {  # plain, and with adapters
    "resunet": (SIZES, GuidedResUNetConfig(**vars(SIZES))),
    "nafnet": (
        NAFNetConfig(context_dim=_D, **_NAF),
        GuidedNAFNetConfig(context_dim=_D, **_NAF),
    ),
    "irsde-unet": (UNetConfig(context_dim=_D, **_UNET), GuidedUNetConfig(context_dim=_D, **_UNET)),
}
_GUIDED: dict[str, Any] = {  # as in use: by the tower
    "tower": "lite",
    "words": "",
    "context_dropout": 0.0,
    "wrong_words": 0.0,
    "always_told": (),
}
_OPTIMIZER = OptimizerConfig(lr=3e-4, lr_min=1e-6, warmup=100, clip_norm=0.5)


@dataclass(frozen=True)
class Ablation:
    """The runs of an ablation: variants, seeds, host. Other flags are those of its runs."""

    host: str = "resunet"
    """Network that carries the parts: resunet, nafnet or irsde-unet (weather: resunet, nafnet)."""
    variants: tuple[str, ...] = ()
    """Empty = all of them."""
    seeds: tuple[int, ...] = (0, 1)
    """One run each, for every variant."""
    leave_out: str = ""
    """A degradation that training never meets (perceive); test on it alone with `pellucid report
    --columns WORD@0.5`. Quality prompts (--task.prompts) may know it unless trained without."""
    warm_up: int = 2000
    """Steps of the common start, where there is one."""
    output: str = "runs/ablation"
    """Folder of all runs: OUTPUT/METHOD/HOST/VARIANT-SEED."""


def perceive(host: str, variant: str) -> TrainConfig:
    """One variant of the ablation of Perceive-IR.

    Raises:
        UsageError: there is no such host or variant.
    """
    plain, guided = look_up(_HOSTS, host, "host of ablation/perceive")
    adapters, losses = look_up(_PERCEIVE, variant, "variant of ablation/perceive")
    lite = perceive_lite()
    off = {loss: 0.0 for loss in _LOSSES if loss not in losses}
    task = replace(
        lite.task,
        network=guided if adapters else plain,
        semantics="lite" if adapters else "",
        **_GUIDED,
        **off,
    )
    positives = "contrastive" in losses
    data = replace(PHOTOS, crop=64, validation="", chains=0.1, positives=positives)
    return _trained(replace(lite, task=task, data=data, steps=4_000, batch_size=4), host)


def weather(host: str, variant: str) -> TrainConfig:
    """One variant of the ablation of CLIP for adverse weather.

    Raises:
        UsageError: there is no such host or variant.
    """
    names = {"resunet": "residual", "nafnet": "naf"}
    kind = look_up(names, host, "host of ablation/weather")
    parts = look_up(WEATHER_VARIANTS, variant, "variant of ablation/weather")
    lite = weather_lite()
    both = lite.task.network.prior
    priors = {
        "none": None,
        "sample": replace(both, tokens=0),
        "learned": replace(both, sample_dim=0),
        "both": both,
    }
    task = replace(
        lite.task,
        network=replace(
            lite.task.network,
            host=kind,
            sar=lite.task.network.sar if parts.get("sar") else "none",
            prior=priors[parts.get("prior", "none")],
            words=0,
        ),
        target=parts.get("target", "none"),
        teacher=parts.get("teacher", lite.task.teacher),
        loss="charbonnier",
        **_GUIDED,
    )
    data = replace(PHOTOS, validation="", words=WEATHER, clean=0.1, chains=0.2)
    return _trained(replace(lite, task=task, data=data, steps=10_000, batch_size=8), host)


def _trained(config: TrainConfig, host: str) -> TrainConfig:
    return replace(
        config,
        optimizer=_OPTIMIZER,
        ema=EMAConfig(decay=0.999),
        init_from="lite" if host == "resunet" else "",
        init_strict=False,
    )


METHODS: dict[str, tuple[Callable[[str, str], TrainConfig], tuple[str, ...]]] = {
    "perceive": (perceive, tuple(_PERCEIVE)),
    "weather": (weather, tuple(WEATHER_VARIANTS)),
}


def single(name: str) -> TrainConfig:
    """One run of an ablation: `ablation/METHOD/HOST/VARIANT`.

    Raises:
        UsageError: there is none of this name.
    """
    method, host, variant = [*name.removeprefix(PREFIX).split("/"), "", "", ""][:3]
    make, variants = look_up(METHODS, method, "ablation")
    started = variants[0] if variant == START else variant
    output = f"runs/{PREFIX}{method}/{host}/{variant}-0"
    config = replace(make(host, started), recipe=name, output=output)
    if variant != START:
        return config
    optimizer = replace(config.optimizer, lr=8e-4)
    return replace(config, steps=Ablation.warm_up, optimizer=optimizer)


def runs(method: str, asked: Ablation) -> Iterator[TrainConfig]:
    """The runs of an ablation in the order in which they must be trained: seed by seed.

    Raises:
        UsageError: an unknown name, or one that this ablation does not have.
    """
    _, known = look_up(METHODS, method, "ablation")
    if asked.leave_out:
        look_up(dict.fromkeys(WORDS), asked.leave_out, "degradation in --leave-out")
        if method != "perceive":
            raise UsageError("--leave-out is for ablation/perceive: the prior's tower knows it all")
    folder = f"{asked.output}/{method}/{asked.host}"
    folder += f"-without-{asked.leave_out}" if asked.leave_out else ""
    for seed in asked.seeds:
        begun = False
        for variant in asked.variants or known:
            config = _one(method, variant, seed, folder, asked)
            if not config.init_from:
                if not begun:
                    start = _one(method, START, seed, folder, asked)
                    yield replace(start, steps=asked.warm_up)
                begun = True
                init_from = f"{folder}/{START}-{seed}/weights.safetensors"
                config = replace(config, init_from=init_from, init_strict=False)
            yield config


def _one(method: str, variant: str, seed: int, folder: str, asked: Ablation) -> TrainConfig:
    config = single(f"{PREFIX}{method}/{asked.host}/{variant}")
    if asked.leave_out:
        # Released weights and the controller know all words, so nothing starts from them.
        words = tuple(word for word in WORDS if word != asked.leave_out)
        config = replace(
            config,
            task=replace(config.task, tower="", network=_unguided(config.task.network)),
            data=replace(config.data, words=words),
            init_from="",
        )
    return replace(config, seed=seed, output=f"{folder}/{variant}-{seed}")


def _unguided(network: Any) -> Any:
    if isinstance(network, ResUNetConfig):
        return replace(network, words=0)
    return replace(network, use_degradation_context=False, use_image_context=False)
