"""`pellucid models`: the table of weights."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import Positional, arg

from pellucid import zoo
from pellucid.cli.parse import Flag, parse
from pellucid.vision_language.hub import DINOV2_BASE

CHOICE = "one of these for each picture, by its damage"
EXAMPLES = """
examples:
  pellucid models              all of them
  pellucid models auto         which of them restores what, by default
  pellucid models daclip       one: its files, where they are from, and how to use them from disk
"""


@dataclass
class Models:
    """List the models with purpose, origin and licence."""

    name: Annotated[
        Positional[str | None], arg(metavar="NAME", help_behavior_hint="(default: all)")
    ] = None
    """A model, to see all that is known of it."""
    json: Flag = False
    """Print JSON."""


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    args = parse(Models, argv, "models", EXAMPLES)
    if args.name == zoo.AUTO:
        _show_auto(args.json)
        return 0
    entries = list(zoo.MODELS.values()) if args.name is None else [zoo.entry(args.name)]
    rows = [_row(entry) for entry in entries]
    if args.json:
        print(json.dumps(rows if args.name is None else rows[0], indent=2))
    elif args.name is None:
        _show_all(rows)
    else:
        _show_one(rows[0])
    return 0


def _row(entry: zoo.ModelEntry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "summary": entry.summary,
        "licence": entry.licence,
        "paper": entry.paper,
        "recipe": entry.recipe,
        "offline": entry.shipped,
        "by_hand": isinstance(entry.network, zoo.ManualFile),
        "files": {part: _file(getattr(entry, part)) for part in ("network", "tower")},
        "semantics": DINOV2_BASE if isinstance(entry.network, zoo.ManualFile) else "",
        "from_disk": _from_disk(entry),
    }


def _from_disk(entry: zoo.ModelEntry) -> list[str]:
    """Commands for published files that are on this machine; empty for what is in the package."""
    network, tower = (zoo.published_names(file) for file in (entry.network, entry.tower))
    if not network:
        return []
    restore = f"pellucid restore photo.jpg --model {network[0]}"
    if isinstance(entry.network, zoo.ManualFile):
        convert = f"pellucid convert {network[0]} {entry.network.path}"
        return [f"{restore} --semantics dinov2-base", convert]
    target = f"{network[0].rpartition('.')[0]}.safetensors"
    return [f"{restore} --tower {tower[0]}", f"pellucid convert {network[0]} {target}"]


def _file(file: zoo.WeightFile) -> dict[str, Any]:
    remote = not isinstance(file, zoo.ShippedFile)
    return {
        "name": " or ".join(zoo.published_names(file)) or file.name,
        "from": file.url if remote else str(file.path),
        "bytes": file.size
        if remote
        else (file.path.stat().st_size if file.path.exists() else None),
        "sha256": file.sha256,
        "licence": file.licence,
    }


def _show_all(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "what it does", "licence", "from", box=None)
    table.add_row(zoo.AUTO, f"the default: {CHOICE}", "", "")
    for row in rows:
        origin = "in this package" if row["offline"] else "fetched on first use"
        origin = "by hand: pellucid models NAME" if row["by_hand"] else origin
        table.add_row(row["name"], row["summary"], row["licence"], origin)
    Console().print(table)


def _show_auto(as_json: bool) -> None:
    chosen = {e.name: e.summary.partition(";")[0] for e in zoo.MODELS.values() if e.covers}
    chosen[zoo.DEFAULT] = "everything else"
    if as_json:
        print(json.dumps({"name": zoo.AUTO, "summary": CHOICE, "chooses": chosen}, indent=2))
        return
    print(f"{zoo.AUTO}: {CHOICE}")
    for name, what in chosen.items():
        print(f"  {name:<14}{what}")


def _show_one(row: dict[str, Any]) -> None:
    print(f"{row['name']}: {row['summary']}")
    for name in ("licence", "paper", "recipe"):
        if row[name]:
            print(f"  {name:<10}{row[name]}")
    for part, file in row["files"].items():
        size = f", {file['bytes'] / 1e6:.1f} MB" if file["bytes"] else ""
        print(f"  {part:<10}{file['name']}{size}")
        print(f"  {'':<10}{file['from']}")
        if file["sha256"]:
            print(f"  {'':<10}sha256 {file['sha256']}")
    if row["from_disk"]:
        if name := row["semantics"]:
            page = f"https://huggingface.co/{name}"
            print(f"  {'semantics':<10}{name}: fetched on first use; or config.json and")
            print(f"  {'':<10}model.safetensors of {page}, in a folder dinov2-base")
        how = "get the file by hand" if row["by_hand"] else "both are fetched on first use"
        print(f"  {how}; with the files on disk:")
        print(*(f"    {line}" for line in row["from_disk"]), sep="\n")
