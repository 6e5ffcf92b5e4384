"""`pellucid gate`: test quality prompts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from pellucid.cli.parse import Flag, parse

EXAMPLES = """
examples:
  pellucid gate runs/perceive-lite-prompts/weights.safetensors data/triplets/held_out
  pellucid gate quality_prompts_100000.pth triplets/ --clip ViT-B-32.pt
"""


@dataclass
class Gate:
    """Test whether quality prompts separate terrible, mediocre and excellent pictures."""

    prompts: Annotated[Positional[Path], arg(metavar="PROMPTS")]
    """File of quality prompts."""
    triplets: Annotated[Positional[Path], arg(metavar="TRIPLETS")]
    """Folder that `pellucid data triplets` made of held-out pictures."""
    clip: str = "lite"
    """The CLIP that the prompts were learned with: a file, or a model whose tower is taken."""
    words: tuple[str, ...] = ()
    """Tasks to judge; all if not given."""
    json: Flag = False
    """Print JSON."""


def main(argv: Sequence[str]) -> int:
    """Run the command; returns 0 if the prompts are accepted, else 1."""
    args = parse(Gate, argv, "gate", EXAMPLES)
    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from pellucid import zoo
    from pellucid.checkpoints.load import load_clip, load_prompts
    from pellucid.evaluation.gate import BOUNDS, judge
    from pellucid.vision_language.prompts import QualityPerceiver

    clip = load_clip(zoo.resolve(args.clip).tower if args.clip in zoo.MODELS else args.clip)
    perceiver = QualityPerceiver(clip, load_prompts(args.prompts, clip))
    progress = Console(stderr=True)
    verdict = judge(
        perceiver,
        args.triplets,
        lambda items, title: track(items, title, console=progress, transient=True),
        args.words,
    )
    if args.json:
        row = {"accepted": verdict.accepted, **verdict._asdict(), "missed": verdict.missed()}
        print(json.dumps(row, indent=1))
        return int(not verdict.accepted)
    table = Table("task", "triplets", *BOUNDS, box=None)
    for task, shares in verdict.tasks.items():
        count = str(verdict.counts[task])
        table.add_row(task, count, *(f"{shares[name]:.3f}" for name in BOUNDS))
    total = str(sum(verdict.counts.values()))
    table.add_row("all", total, *(f"{verdict.overall[name]:.3f}" for name in BOUNDS), style="bold")
    Console().print(table)
    print("accepted" if verdict.accepted else "refused: " + "; ".join(verdict.missed()))
    return int(not verdict.accepted)
