"""Config of a training run: nested frozen dataclasses, saved as YAML beside its checkpoints.

A recipe (`pellucid.recipes`) is a function that returns a complete `TrainConfig`; the command line
is generated from the same dataclasses.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import tyro
import yaml
from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from pellucid.errors import UsageError
from pellucid.training.writing import write_text


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, Muon or SOAP, with a schedule that moves every step.

    Muon trains the inner kernels; AdamW trains the rest, at `adamw_lr`, on the same schedule. SOAP
    (Vyas et al. 2025) is AdamW in the eigenbases of a kernel's gradients; its paper has both
    `betas` at 0.95.
    Weight decay applies to matrices and kernels, not to other tensors or `logit_scale`, unless
    `decay_all` is set.
    """

    name: Literal["adamw", "muon", "soap"] = "adamw"
    """AdamW or SOAP for all, or Muon for the inner kernels."""
    lr: float = 3e-4
    """Peak learning rate."""
    adamw_lr: float = 1e-3
    """With Muon: peak rate of stem, head, biases and matrices of vectors, which AdamW trains."""
    lr_min: float = 1e-6
    """Learning rate at the last step."""
    schedule: Literal["cosine", "linear"] = "cosine"
    """How the rate falls from its peak to `lr_min`."""
    warmup: int = 0
    """Steps of linear warm-up from lr / warmup to lr."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of the running means of the gradient and of its square."""
    eps: float = 1e-8
    """Added to the root of the mean square, against division by zero."""
    weight_decay: float = 0.0
    """Weight decay, times the learning rate at each step."""
    decay_all: bool = False
    """Weight decay also for biases, norms and other vectors, as plain AdamW."""
    clip_norm: float = 0.0
    """Largest gradient norm; 0 = no clipping."""


@dataclass(frozen=True)
class EMAConfig:
    """Moving average of the weights; validation and exported weights use it.

    After `after` steps, every `every` steps: `average = d * average + (1 - d) * weights` with
    `d = min(decay, 1 - (1 + n) ** -power)`, n = steps since `after`; before that, a plain copy.
    """

    decay: float = 0.999
    """0 = no average: validation and export use the trained weights."""
    every: int = 1
    """Steps between two updates of the average."""
    after: int = 0
    """Steps during which the average is a plain copy."""
    power: float = 2 / 3
    """How fast `d` nears `decay`: larger is faster."""


@dataclass(frozen=True)
class DataConfig:
    """Source of the pictures and augmentation."""

    root: str = ""
    """Folder of the training data."""
    validation: str = ""
    """Folder of held-out data of the same kind (shards: of `pairs`, `captions`); empty = none."""
    kind: Literal[
        "generated",
        "windows",
        "wild",
        "pairs",
        "captions",
        "triplets",
        "shards",
        "captioned-shards",
    ] = "generated"
    """`generated`: clean photographs, damaged on the fly; `windows`: damaged windows made ahead by
    `pellucid data windows`; `wild`: clean photographs, damaged on the fly by the second-order
    mixture of wild-IR; `pairs`: folders TYPE/LQ and TYPE/GT, every type as often as every other;
    `captions`: a table of such pictures with captions (`root` is the table); `triplets`: what
    `pellucid data triplets` makes; `shards`, `captioned-shards`: what `pellucid data shards` makes
    of pairs and of captions (`root` is a folder or URI)."""
    crop: int = 128
    """Side of the square training crop, in pixels."""
    view: int = 0
    """Pairs: side of a thumbnail of the whole damaged picture beside each crop; 0 = none."""
    words: tuple[str, ...] = ()
    """Degradations to train on; empty = all (pairs: all types that are there; windows: those with
    no other word)."""
    clean: float = 1 / 11
    """Generated and windows: share of clean samples, so that the network leaves good pictures
    unchanged."""
    chains: float = 0.15
    """Generated: share of samples with two degradations."""
    by: Literal["photo", "pixels"] = "pixels"
    """Generated: photographs are drawn with equal chances, or in proportion to their pixels."""
    shrink: float = 0.5
    """Generated: windows are cut up to 1 / shrink times larger and reduced; 1 = never."""
    rare: float = 0.0
    """Generated: share of windows with scenes of a rarer kind, grainy or blown out."""
    grey: float = 0.0
    """Generated: share of grey pictures, whose noise is the same in the three channels."""
    turns: bool = True
    """Mirror, turn and transpose."""
    symmetries: Literal[2, 4, 8] = 8
    """Pairs, triplets and windows, `turns`: 8: all of the square; 4: left-right, up-down; 2:
    left-right."""
    ratios: tuple[float, ...] = ()
    """Pairs: how often the pictures of each of `words` are repeated; empty = types are balanced."""
    noise: tuple[float, ...] = ()
    """Pairs: noise, in grey levels, for types that have clean pictures alone."""
    fold: Literal[0, 1] | None = None
    """Leave out this half of the pictures (of all but captions), so that the network can render it
    for triplets."""
    held_out: float = 0.0
    """Generated, wild, pairs and triplets, without `validation`: validate on this share of the
    pictures in `root` instead."""
    positives: bool = False
    """Samples have a second crop of the damaged picture, for a contrastive loss."""
    lanes: int = 64
    """Shards: how many are read at a time, by all processes together."""
    draws: int = 1024
    """Shards: samples drawn from one, before the next."""
    twins: bool = False
    """Generated: show every window with each class in turn instead of random damage."""


@dataclass(frozen=True)
class TrainConfig:
    """A whole run. `task`: network and objective, see `pellucid.training.tasks`."""

    recipe: tyro.conf.Suppress[str] = ""
    """Name in `pellucid.recipes.RECIPES`."""
    task: Any = None
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    ema: EMAConfig = field(default_factory=EMAConfig)
    seed: int = 0
    """Decides initial weights, samples and noise: the same seed gives the same run."""
    steps: int = 10_000
    """Updates of the weights in all."""
    batch_size: int = 16
    """Of a micro-batch of a process; a contrastive loss sees one micro-batch of all processes."""
    accumulation: int = 1
    """Micro-batches a step: the step's batch is batch_size * accumulation * processes."""
    precision: Literal["auto", "no", "bf16"] = "no"
    """`bf16`: autocast; `no`: float32; `auto`: bf16 where the hardware is faster in it."""
    workers: int = 1
    """Processes that load samples; 0 = the training process itself."""
    output: str = "runs/default"
    """Folder of the run: checkpoints, logs, weights."""
    init_from: str = ""
    """Weights bundle, or a model in `pellucid.zoo`, to start from; empty = random weights."""
    init_strict: bool = True
    """False: parameters that `init_from` lacks keep their initial values; see `training.start`."""
    save_every: int = 1000
    """Steps between two checkpoints."""
    keep: int = 2
    """Newest checkpoints kept on disk."""
    validate_every: int = 1000
    """Steps between two validations."""
    validation_samples: int = 64
    """Pictures that a validation measures, the first of the data."""
    log_every: int = 50
    """Steps between two lines of the log, which hold means over them."""
    max_minutes: float = 0.0
    """Stop with a checkpoint after this much wall time; 0 = no limit."""


def check(config: TrainConfig) -> None:
    """Check every number of a run before anything is built.

    Raises:
        UsageError: one is out of its range; says which, and the range.
    """
    for name, value in _leaves(dataclasses.asdict(config)):
        last = name.rsplit(".", 1)[-1]
        low, high = RANGES.get(name) or RANGES.get(last) or (0, math.inf)
        if not isinstance(value, int | float) or isinstance(value, bool):
            continue
        if not (low <= value <= high and math.isfinite(value)):
            above = "above 0" if 0 < low < 1e-6 else f"at least {low:g}"
            limit = f"from {low} to {high}" if high < math.inf else above
            raise UsageError(f"--{name.replace('_', '-')} {value} must be {limit}")


RANGES: dict[str, tuple[float, float]] = {  # others: a finite number, not negative
    **dict.fromkeys(("steps", "batch_size", "accumulation", "save_every", "keep"), (1, math.inf)),
    **dict.fromkeys(("validate_every", "validation_samples", "log_every"), (1, math.inf)),
    **dict.fromkeys(("data.lanes", "data.draws"), (1, math.inf)),
    **dict.fromkeys(("widths", "width", "dim", "nf", "heads", "optimizer.lr"), (1e-12, math.inf)),
    **dict.fromkeys(("optimizer.adamw_lr", "optimizer.eps"), (1e-16, math.inf)),
    **dict.fromkeys(("betas", "decay", "clean", "chains", "rare", "grey", "held_out"), (0, 1)),
    **dict.fromkeys(("context_dropout", "wrong_words"), (0, 1)),
    "ema.every": (1, math.inf),
    "seed": (0, 2**63 - 1),
    "workers": (0, 256),
    "data.crop": (16, 4096),
    "data.shrink": (0.05, 1),
}


def _leaves(values: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Values that are not containers, by dotted name."""
    if isinstance(values, dict):
        for key, value in values.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _leaves(value, name)
    else:
        yield name, values


def to_dict(config: Any) -> dict:
    """Return a config as plain dicts, lists and scalars (what YAML and JSON hold)."""
    return _plain(dataclasses.asdict(config))


def updated(config: Any, values: dict) -> Any:
    """Return `config` with the nested `values` put in; types follow the values replaced.

    Raises:
        UsageError: a name that the config does not have, or a value of another type.
    """
    changes = {}
    types = get_type_hints(type(config))
    names = {f.name for f in dataclasses.fields(config)}
    for name, value in values.items():
        if name not in names:
            known = ", ".join(sorted(names))
            raise UsageError(f"{type(config).__name__} has no {name!r}; it has: {known}")
        current = getattr(config, name)
        if dataclasses.is_dataclass(current) and isinstance(value, dict):
            value = updated(current, value)
        elif isinstance(value, list):
            value = _tuples(value)
        elif isinstance(current, float) and isinstance(value, int | str):
            with suppress(ValueError):
                value = float(value)  # YAML 1.1 reads 1e-4 as text
        kind = type(current) if dataclasses.is_dataclass(current) else types[name]
        try:
            check_type(value, kind, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        except TypeCheckError as error:
            wanted = str(kind).removeprefix("typing.") if get_args(kind) else kind.__name__
            raise UsageError(
                f"{type(config).__name__}: {name} is {value!r}, but must be {wanted}"
            ) from error
        changes[name] = value
    return dataclasses.replace(config, **changes)


def save_yaml(config: TrainConfig, path: str | Path) -> None:
    """Write the config as YAML, whole or not at all."""
    write_text(Path(path), yaml.safe_dump(to_dict(config), sort_keys=False))


def read_yaml(path: str | Path) -> dict:
    """Read what `save_yaml` wrote; put it into its recipe's config with `updated`."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read the config {path}: {reason}") from error
    if not isinstance(values, dict):
        raise UsageError(f"{path} holds no settings; expected what `pellucid train` saves")
    return values


def check_resumable(config: TrainConfig, path: str | Path, before: int, now: int) -> list[str]:
    """Compare a config with the saved one of the run that it is to resume.

    Returns:
        flags of what differs and may, but for steps, the output and how samples are shared out.

    Seed, training data and samples a step must be the same: they decide which samples a step gets.
    So must the network and the kind of optimiser.
    How a step's samples are shared out over micro-batches and processes may change, as may steps,
    learning rate and other options.

    Args:
        config: of now.
        path: the saved config.
        before: processes that the run had.
        now: processes that it has.

    Raises:
        UsageError: one of them differs.
    """
    if not Path(path).exists():
        return []
    held, given = read_yaml(path), to_dict(config)
    run = Path(path).parent
    other = "give the same, another --output, or --no-resume"
    try:
        chosen, taken = _samples(held) | _sizes(held), _step(held, before)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged, so which samples the run took is not known: name another "
            "--output, or start over with --no-resume"
        ) from error
    for name, value in (_samples(given) | _sizes(given)).items():
        if name in chosen and chosen[name] != value:
            raise UsageError(
                f"--{name.replace('_', '-')} is {value}, but the run in {run} has "
                f"{chosen[name]}: {other}"
            )
    if taken != _step(given, now):
        raise UsageError(
            f"a step takes {_step(given, now)} samples (--batch-size {config.batch_size} times "
            f"--accumulation {config.accumulation} times the number of processes, {now}), but "
            f"the run in {run} takes {taken}: {other}"
        )
    old, new = _options(held), _options(given)
    return [f"--{name.replace('_', '-')}" for name in new if name in old and old[name] != new[name]]


def _options(values: dict, prefix: str = "") -> dict[str, Any]:
    """A saved config by dotted name, without the options in which parts of a run may differ."""
    found = {}
    for name, value in values.items():
        if isinstance(value, dict):
            found |= _options(value, f"{prefix}{name}.")
        elif prefix or name not in ("steps", "output", "batch_size", "accumulation"):
            found[prefix + name] = value
    return found


def _step(values: dict, processes: int) -> int:
    """Samples a step, by a saved config."""
    return int(values["batch_size"]) * int(values["accumulation"]) * processes


def _samples(values: dict) -> dict:
    """The options of a saved config that decide what the samples are, by dotted name."""
    data = {f"data.{k}": v for k, v in values.get("data", {}).items() if k != "validation"}
    return {"seed": values["seed"]} | data


def _sizes(values: dict) -> dict:
    """The options that decide what a checkpoint's network and optimiser are, by dotted name."""
    network = (values.get("task") or {}).get("network")
    sizes = _options(network, "task.network.") if isinstance(network, dict) else {}
    name = (values.get("optimizer") or {}).get("name")
    return sizes if name is None else sizes | {"optimizer.name": name}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
