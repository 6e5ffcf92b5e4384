"""`pellucid train RECIPE [--name value ...]`: flags made from the recipe's own dataclasses."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from pellucid.checkpoints import tinyvit
from pellucid.checkpoints.metric_weights import FETCH
from pellucid.errors import UsageError
from pellucid.recipes import RECIPES, STAGES, ablation, recipe
from pellucid.training.config import TrainConfig, read_yaml, updated
from pellucid.training.tasks.perceive import has_vgg

USAGE = """\
usage: pellucid train RECIPE [--name value ...]
       pellucid train RUN/config.yaml [--name value ...]
       pellucid train ablation/METHOD [--host NAME] [--variants NAME ...] [--name value ...]

`pellucid train RECIPE --help` lists what can be set. A run whose output folder holds a checkpoint
resumes from it (--no-resume starts over). Several processes: accelerate launch -m pellucid train
RECIPE ...

recipes:"""

# Flags that no two stages can share.
ONE_STAGE = ("--output", "--init-from", "--steps")


def main(argv: Sequence[str]) -> int:
    """Run a training from command-line arguments (without `train`); returns the exit status.

    A run that ended early (Ctrl-C, SIGTERM, `max_minutes`) has saved itself and returns 0.

    Raises:
        UsageError: unknown recipe, unreadable config, missing data.
        SystemExit: `--help`, or a flag that does not exist (status 2).
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE)
        for name, function in RECIPES.items():
            print(f"  {name:24}{(function.__doc__ or '').strip().splitlines()[0]}")
        for name, stages in STAGES.items():
            print(f"  {name:24}In turn: {', '.join(stages)}; a stage that is done is not repeated.")
        for name, (_, variants) in ablation.METHODS.items():
            listed = ", ".join(variants)
            print(f"  {ablation.PREFIX + name:24}In turn, each with every seed: {listed}.")
        return 0 if argv else 2
    name, *flags = argv
    if name.removeprefix(ablation.PREFIX) in ablation.METHODS:
        return ablated(name, flags)
    if any(flag.startswith(ONE_STAGE) for flag in flags if name in STAGES):
        raise UsageError(f"{name} is {len(STAGES[name])} runs; set {', '.join(ONE_STAGE)} for one")
    for stage in STAGES.get(name, (name,)):
        if not _train([stage, *flags]):
            break
    return 0


def ablated(name: str, argv: Sequence[str]) -> int:
    """Train the runs of an ablation that are not done; returns the exit status.

    Raises:
        UsageError: an unknown name, or a flag that its runs cannot share.
    """
    asked, flags = tyro.cli(
        ablation.Ablation,
        args=list(argv),
        prog=f"pellucid train {name}",
        description=f"{ablation.Ablation.__doc__} See also `pellucid train {name}/HOST/VARIANT "
        f"--help`. Variants: {', '.join(ablation.METHODS[name.removeprefix(ablation.PREFIX)][1])}.",
        return_unknown_args=True,
    )
    for flag in flags:
        if flag.split("=")[0] in ablation.ONE_RUN:
            raise UsageError(f"{name} is several runs; {flag} is for one: {name}/HOST/VARIANT")
    runs = []
    for config in ablation.runs(name.removeprefix(ablation.PREFIX), asked):
        given, resume = overridden(config, flags)
        if config.recipe.endswith(f"/{ablation.START}"):
            given = replace(given, steps=config.steps, optimizer=config.optimizer)
        if missing := _missing(given.task):  # before the first run
            raise UsageError(f"{Path(given.output).name} needs {missing}")
        runs.append((given, resume))
    for given, resume in runs:
        if not _run(given, resume):
            return 0
    folder = Path(runs[0][0].output).parent
    Console().print(f"the table: pellucid report {folder}", highlight=False, soft_wrap=True)
    return 0


def _missing(task: Any) -> str:
    """What a variant needs and this machine lacks, and what to do; empty if it has all."""
    if getattr(task, "perceptual", 0) and not has_vgg():
        return f"weights of VGG: run {FETCH}, or name the --variants without L_dpl"
    if getattr(task, "teacher", "") == "tinyvit" and not Path(task.onnx).is_file():
        return f"{task.onnx}: run {tinyvit.FETCH}, or name the other --variants"
    return ""


def _train(argv: Sequence[str]) -> bool:
    """Do one run; returns whether it is finished."""
    return _run(*parse(argv))


def _run(config: TrainConfig, resume: bool) -> bool:
    from pellucid.training.start import run  # needs the extra `train`, which help does not

    result = run(config, resume)
    note = "" if result.stopped == "finished" else "; the same command goes on from there"
    Console().print(
        f"{result.stopped} at step {result.step} of {config.steps}, in {config.output}{note}",
        highlight=False,
        soft_wrap=True,
    )
    for change in result.changes:
        Console().print(f"it went on {change}", highlight=False, soft_wrap=True, markup=False)
    return result.stopped == "finished"


def parse(argv: Sequence[str]) -> tuple[TrainConfig, bool]:
    """Parse a recipe's name or saved config and the flags: (config, resume)."""
    name, *flags = argv
    base = from_values(read_yaml(name)) if name.endswith((".yaml", ".yml")) else recipe(name)
    return overridden(base, flags, name)


def overridden(base: TrainConfig, flags: Sequence[str], name: str = "") -> tuple[TrainConfig, bool]:
    """A config with the flags of the command line put in: (config, resume)."""
    text = inspect.getdoc(RECIPES.get(base.recipe) or ablation.single) or ""
    arguments = tyro.cli(
        Arguments,
        default=Arguments(base),
        args=list(flags),
        prog=f"pellucid train {name or base.recipe}",
        description=text.partition("Raises:")[0].strip(),
        config=(tyro.conf.AvoidSubcommands,),
    )
    return arguments.config, arguments.resume


@dataclass(frozen=True)
class Arguments:
    """Options of the command line: the whole config, and whether to resume."""

    config: Annotated[Any, tyro.conf.arg(name="")]
    resume: bool = True
    """Resume from the newest checkpoint in the output folder."""


def from_values(values: dict) -> TrainConfig:
    """Config from the values of `config.yaml`; the types are those of its recipe."""
    return updated(recipe(str(values.get("recipe", ""))), values)
