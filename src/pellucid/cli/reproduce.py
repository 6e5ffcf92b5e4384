"""`pellucid reproduce`: the commands that make a table of a paper, and what they need."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from tyro.conf import Positional, arg

from pellucid.cli import FAILED, OK
from pellucid.cli.parse import Flag, parse
from pellucid.errors import UsageError, look_up

if TYPE_CHECKING:
    from pellucid.data.benchmarks import Benchmark

EXAMPLES = """
examples:
  pellucid reproduce                                        the tables
  pellucid reproduce daclip-unified --data universal --dry-run
  pellucid reproduce perceive-3task --data AiOIR --official  the published weights, no training
A run that was stopped continues: the same command passes over what is finished.
"""
RATE = 50e12  # operations a second that the hours are counted with


class Table(NamedTuple):
    """A row. `{data}`, `{weights}` in commands are the folders of the command line.

    `train`: the commands up to the weights; `evaluate`: those that measure them; `official`: the
    same for the published weights. `recipes`: that are trained, with their published number of
    processes. `data`: folder of the training data below DATA, `words` what must be in it. `tests`:
    protocol and columns. `files`: needed in WEIGHTS.
    """

    name: str
    table: str
    train: tuple[str, ...]
    evaluate: tuple[str, ...]
    official: tuple[str, ...]
    recipes: dict[str, int]
    data: str
    words: tuple[str, ...]
    tests: tuple[str, tuple[str, ...]]
    files: tuple[str, ...] = ()


def _evaluated(run: str, protocol: str, *columns: str, preset: str = "") -> str:
    chosen = f" --columns {' '.join(columns)}" if columns else ""
    paper = f" --preset {preset}" if preset else ""
    return (
        f"evaluate runs/{run}/weights.safetensors --protocol {protocol} --data {{data}}"
        f"{chosen}{paper} --out evaluations/{run}"
    )


_FIVE = ("noisy", "hazy", "rainy", "motion-blurry", "low-light")
_FOUR = ("rainy", "low-light", "hazy", "motion-blurry")
_TEN = (
    *("motion-blurry", "hazy", "jpeg-compressed", "low-light", "noisy", "raindrop", "rainy"),
    *("shadowed", "snowy", "uncompleted"),
)
_SINGLE = {  # word: columns of perceive-ir-3task or -5task
    "rainy": ("perceive-ir-3task", "Rain100L"),
    "hazy": ("perceive-ir-3task", "SOTS-outdoor"),
    "noisy": ("perceive-ir-3task", "CBSD68-s*"),
    "motion-blurry": ("perceive-ir-5task", "GoPro"),
}
_STAGE1 = (
    *(
        f"train perceive_medium --data.root {{data}}/train --data.fold {fold} "
        f"--output runs/perceive-medium-{fold}"
        for fold in (0, 1)
    ),
    "data triplets {data}/train runs/triplets --medium runs/perceive-medium-0/weights.safetensors "
    "runs/perceive-medium-1/weights.safetensors --noise 15 25 50",
    "train perceive_prompts --data.root runs/triplets --task.clip {weights}/ViT-B-32.pt",
)
_STAGE1_RECIPES = {"perceive_medium": 2, "perceive_prompts": 1}  # two folds, one process each


def _perceive(tasks: int, processes: int) -> Table:
    name, protocol = f"perceive-{tasks}task", f"perceive-ir-{tasks}task"
    recipe = name.replace("-", "_")
    return Table(
        name,
        f"Perceive-IR, {tasks} tasks in one network",
        (
            *_STAGE1,
            f"train {recipe} --data.root {{data}}/train --task.clip {{weights}}/ViT-B-32.pt",
        ),
        (_evaluated(name, protocol),),
        (f"evaluate {protocol} --protocol {protocol} --data {{data}}",),
        {**_STAGE1_RECIPES, recipe: processes},
        "train",
        _FIVE,
        (protocol, ()),
        ("ViT-B-32.pt",),
    )


TABLES = {
    row.name: row
    for row in (
        Table(
            "daclip-specific",
            "DA-CLIP, table 2: one network a degradation",
            tuple(
                f"train daclip_specific --data.root {{data}}/train --data.words {word} "
                f"--output runs/daclip-{word}"
                for word in _FOUR
            ),
            tuple(
                _evaluated(f"daclip-{word}", "daclip-universal", word, preset="paper")
                for word in _FOUR
            ),
            (),
            {"daclip_specific": 4},
            "train",
            _FOUR,
            ("daclip-universal", _FOUR),
        ),
        Table(
            "daclip-unified",
            "DA-CLIP, table 3: ten degradations in one network",
            ("train daclip_unified --data.root {data}/train",),
            (_evaluated("daclip-unified", "daclip-universal", preset="paper"),),
            ("evaluate daclip --protocol daclip-universal --data {data} --preset paper",),
            {"daclip_unified": 1},
            "train",
            _TEN,
            ("daclip-universal", ()),
        ),
        Table(
            "daclip-nafnet",
            "DA-CLIP, table 3: NAFNet + DA-CLIP",
            ("train daclip_nafnet --data.root {data}/train",),
            (_evaluated("daclip-nafnet", "daclip-universal"),),
            (),
            {"daclip_nafnet": 1},
            "train",
            _TEN,
            ("daclip-universal", ()),
        ),
        Table(
            "daclip-naming",
            "DA-CLIP, accuracy of the degradation classifier",
            (),
            (),
            ("evaluate daclip --protocol sets --data {data}/val --ways blind --preset fast",),
            {},
            "val",
            _TEN,
            ("daclip-universal", ()),
        ),
        _perceive(3, 4),
        _perceive(5, 2),
        Table(
            "perceive-single",
            "Perceive-IR, one network a task",
            (
                *_STAGE1,
                *(
                    f"train perceive_single --data.root {{data}}/train --data.words {word} "
                    f"--task.clip {{weights}}/ViT-B-32.pt --output runs/perceive-{word}"
                    for word in _SINGLE
                ),
            ),
            tuple(_evaluated(f"perceive-{word}", *where) for word, where in _SINGLE.items()),
            (),
            {**_STAGE1_RECIPES, "perceive_single": 4 * len(_SINGLE)},
            "train",
            _FIVE,
            ("perceive-ir-5task", ("CBSD68-s*", "SOTS-outdoor", "Rain100L", "GoPro")),
            ("ViT-B-32.pt",),
        ),
        Table(
            "weather",
            "CLIP for adverse weather: Snow100K, Outdoor-Rain, RainDrop",
            (
                "train weather_allweather --data.root {data}/train/allweather "
                "--task.semantics {weights}/RN50.pt",
            ),
            (_evaluated("weather-allweather", "allweather-y"),),
            (),
            {"weather_allweather": 1},
            "train/allweather",
            ("rainy", "raindrop", "snowy"),
            ("allweather-y", ()),
            ("RN50.pt",),
        ),
    )
}


@dataclass
class Reproduce:
    """Make a table of a paper: train, evaluate. --dry-run checks what is there and prints the plan;
    docs/reproduce.md says what has been run by anyone here."""

    table: Annotated[
        Positional[str | None], arg(metavar="TABLE", help_behavior_hint="(default: list them)")
    ] = None
    """Name of the table."""
    data: Annotated[Path, arg(aliases=["-d"], metavar="DIR")] = Path("data")
    """Folder of the official data: it holds train/, and test/ or val/."""
    weights: Annotated[Path, arg(metavar="DIR")] = Path("weights")
    """Folder of the files that are got by hand, such as OpenAI's ViT-B-32.pt."""
    official: Flag = False
    """Measure the published weights; train nothing."""
    dry_run: Flag = False
    """Check data and weights, print the commands and their cost, run nothing."""


class Check(NamedTuple):
    """What was looked for, and whether it is there."""

    there: bool
    what: str


def main(argv: Sequence[str]) -> int:
    """Run the command: 0, or 1 if something is missing or a step failed."""
    args = parse(Reproduce, argv, "reproduce", EXAMPLES)
    if args.table is None:
        for row in TABLES.values():
            print(f"  {row.name:<16} {row.table}")
        return OK
    row = look_up(TABLES, args.table, "table")
    commands = row.official if args.official else (*row.train, *row.evaluate)
    if not commands:
        what = "no published weights make it" if args.official else "only --official makes it"
        raise UsageError(f"{row.name}: {what}")
    lines = [c.format(data=shlex.quote(str(args.data)), weights=args.weights) for c in commands]
    checks = list(checked(row, args))
    missing = [check for check in checks if not check.there]
    if args.dry_run or missing:
        print(f"{row.name}: {row.table}")
        for check in checks:
            print(f"  {'there  ' if check.there else 'MISSING'}  {check.what}")
        if not args.official:
            print(*(f"  {line}" for line in cost(row)), sep="\n")
        print("plan:", *(f"  pellucid {line}" for line in lines), sep="\n")
        return FAILED if missing else OK
    for line in lines:
        print(f"pellucid {line}", file=sys.stderr)
        status = subprocess.run([sys.executable, "-m", "pellucid", *shlex.split(line)]).returncode
        if status:
            return status
    return OK


def checked(row: Table, args: Reproduce) -> Iterator[Check]:
    """The data and files that a table needs; opens no picture."""
    from pellucid.evaluation.protocols import protocol

    if not args.official or not row.train:
        yield from _training(args.data / row.data, row.words)
    name, columns = row.tests
    for benchmark in dict.fromkeys(column.benchmark for column in protocol(name).chosen(columns)):
        yield _test_set(benchmark, args.data)
    if args.official:
        yield from _published(row.official[0].split()[1])
        return
    for file in row.files:
        yield Check((args.weights / file).is_file(), f"{args.weights / file}")
    if any(name.startswith("daclip") for name in row.recipes):
        yield from _published("daclip", network=False)


def _training(folder: Path, words: Sequence[str]) -> Iterator[Check]:
    from pellucid.data.layouts import find_sets

    counts: dict[str, int] = {}
    for one in find_sets(folder) if folder.is_dir() else ():
        found = one.match()
        for word, pairs in one.by_word(found.pairs).items():
            clean = len(found.alone) if one.inputs is None else 0
            counts[word] = counts.get(word, 0) + len(pairs) + clean
    for word in words:
        yield Check(counts.get(word, 0) > 0, f"{folder}: {counts.get(word, 0)} of {word}")


def _test_set(benchmark: Benchmark, root: Path) -> Check:
    try:
        found, alone = benchmark.match(root)
    except UsageError as error:
        return Check(False, str(error).partition(": ")[2])
    complete = len(found) == benchmark.count and not alone
    return Check(complete, f"{benchmark.name}: {len(found)} of {benchmark.count} cases")


def _published(model: str, network: bool = True) -> Iterator[Check]:
    """Files of a model of the zoo; those on the hub are fetched on first use."""
    from pellucid import zoo

    entry = zoo.entry(model)
    for file in (entry.network, entry.tower) if network else (entry.tower,):
        if isinstance(file, zoo.ManualFile):
            how = f"get {' or '.join(file.originals)} from {file.url} by hand and convert it"
            yield Check(file.path.exists(), f"{file.path} ({how})")
        elif names := zoo.published_names(file):
            kept = zoo.cache_folder() / f"{Path(names[0]).stem}.safetensors"
            yield Check(True, f"{kept}" if kept.exists() else f"{names[0]}: fetched on first use")


def cost(row: Table) -> Iterator[str]:
    """Lines about the cost of a table's trainings, counted and not measured."""
    total = 0.0
    for name, processes in row.recipes.items():
        operations = training_operations(name) * processes
        total += operations
        if operations:
            yield f"train {name}: {operations:.1e} operations"
    yield (
        f"about {total / RATE / 3600:.0f} GPU hours at {RATE:.0e} operations a second; counted, "
        "not measured: three passes of the networks; towers, proxies and losses come on top"
    )


def training_operations(name: str) -> float:
    """Additions and multiplications of a recipe's training in one process: steps x samples x three
    passes of its network (forward once, backward twice), counted on tensors without values.

    0 for a recipe that trains no restoration network.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    from pellucid.networks.contract import Guidance
    from pellucid.networks.table import network_of
    from pellucid.recipes import recipe
    from pellucid.training.tasks.diffusion import DiffusionOptions

    config = recipe(name)
    sizes = getattr(config.task, "network", None)
    if sizes is None:
        return 0.0
    diffusion = isinstance(config.task, DiffusionOptions)
    with FakeTensorMode(), torch.no_grad():
        network = network_of(sizes, diffusion).eval()
        image = torch.zeros(1, 3, config.data.crop, config.data.crop)
        prior = getattr(sizes, "prior", None)
        length = getattr(sizes, "context_dim", 0) or (prior.sample_dim if prior else 512)
        embedding = torch.zeros(1, length)
        semantics = torch.zeros(1, 4, getattr(sizes, "semantic_dim", 0) or length)
        with FlopCounterMode(display=False) as counter:
            condition = network.condition(
                image, Guidance(embedding, embedding, semantics=semantics)
            )
            state = (image, image, torch.ones(1)) if diffusion else (image,)
            network(*state, condition)
    samples = config.steps * config.batch_size * config.accumulation
    return 3.0 * counter.get_total_flops() * samples
