"""The tables of the papers: the commands that make each, and what they need.

`pellucid reproduce` checks, prints and runs them; `docs/reproduce.md` says what has been run.
"""

from __future__ import annotations

import shlex
from typing import NamedTuple

from pellucid.degradations import WEATHER
from pellucid.recipes import recipe
from pellucid.recipes.ablation import METHODS, PREFIX, START, Ablation

SEEDS = len(Ablation.seeds)


class Table(NamedTuple):
    """A row. `{data}`, `{weights}` in commands are the folders of the command line.

    `train`: the commands up to the weights; `evaluate`: those that measure them; `official`: the
    same for the published weights. `recipes`: that are trained, with their published number of
    processes (of an ablation, seeds). `data`: folder of the training data below DATA, `words` what
    must be in it. `tests`: protocol and columns. `files`: needed in WEIGHTS. `photos`: folders of
    clean photographs below DATA, of which a small network is trained instead.
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
    photos: tuple[str, ...] = ()


def _evaluated(run: str, protocol: str, *columns: str, preset: str = "") -> str:
    chosen = f" --columns {shlex.join(columns)}" if columns else ""
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
_NO_CONTENT, _NO_DEGRADATION = (
    f" --task.network.no-use-{name}-context" for name in ("image", "degradation")
)
_EMBEDDINGS = {  # run: flags
    "daclip-unified": "",
    "daclip-without-content": _NO_CONTENT,
    "daclip-without-degradation": _NO_DEGRADATION,
    "daclip-without-both": f'{_NO_CONTENT}{_NO_DEGRADATION} --task.tower ""',
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


def _small(
    name: str,
    table: str,
    method: str,
    hosts: tuple[str, ...],
    leave_out: str = "",
    columns: str = "",
) -> Table:
    """An ablation on small networks and photographs of one's own: `recipes.ablation`."""
    trained, found = [], []
    for host in hosts:
        without = f" --leave-out {leave_out}" if leave_out else ""
        trained.append(f"train {PREFIX}{method} --host {host}{without} --data.root {{data}}/train")
        folder = f"runs/{PREFIX}{method}/{host}" + (f"-without-{leave_out}" if leave_out else "")
        chosen = f" --columns {columns}" if columns else ""
        found.append(f"report {folder} --data {{data}}/held_out{chosen}")
    # Where no released weights fit or know too much, all variants go on from a common start.
    begun = {host: [START] if leave_out or host != "resunet" else [] for host in hosts}
    listed = ((host, name) for host in hosts for name in (*begun[host], *METHODS[method][1]))
    recipes = {f"{PREFIX}{method}/{host}/{name}": SEEDS for host, name in listed}
    return Table(
        *(name, table, tuple(trained), tuple(found), (), recipes, "train", ()),
        ("pellucid-bench", ()),
        photos=("train", "held_out"),
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
            "daclip-ablation",
            "DA-CLIP, what its two embeddings add",
            tuple(
                f"train daclip_unified --data.root {{data}}/train{flags} --output runs/{run}"
                for run, flags in _EMBEDDINGS.items()
            ),
            tuple(_evaluated(run, "daclip-universal", preset="paper") for run in _EMBEDDINGS),
            (),
            {"daclip_unified": len(_EMBEDDINGS)},
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
        _small("perceive-ablation", "Perceive-IR, what each part adds", "perceive", ("resunet",)),
        _small(
            *("perceive-unseen", "Perceive-IR, an unseen degradation", "perceive", ("resunet",)),
            *("snowy", "snowy@0.5"),
        ),
        _small(
            *("perceive-hosts", "Perceive-IR, its parts on other networks", "perceive"),
            ("nafnet", "irsde-unet"),
        ),
        _small(
            *("weather-ablation", "CLIP for adverse weather, what each part adds", "weather"),
            ("resunet",),
            columns=" ".join((*(f"{word}@0.5" for word in WEATHER), "hazy+rainy@0.5")),
        ),
    )
}


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
