"""CONTRIBUTING.md's table of rooms says what may import what; the source keeps to it."""

import ast
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "pellucid"
ENTRANCES = {"__init__", "__main__"}  # they only open the rooms: `pellucid.load`, `python -m`


class Room(NamedTuple):
    floor: int
    beside: frozenset[str]  # rooms on its own floor that it may import


def rooms() -> dict[str, Room]:
    """The rows `| floor | rooms | rooms beside that they use | what they hold |` of the table."""
    table = {}
    for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or not cells[0].isdigit():
            continue
        names, beside = (re.findall(r"`(\w+)(?:/|\.py)`", cell) for cell in cells[1:3])
        table |= {name: Room(int(cells[0]), frozenset(beside)) for name in names}
    return table


@cache
def imports(path: Path, package: Path = PACKAGE) -> list[tuple[int, str]]:
    """Line and room of every import of the package in a file, inside functions as well."""
    found = []
    here = path.relative_to(package.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*here[: len(here) - node.level], node.module or ""]).strip(".")
            start = base if node.level else node.module
            names = [f"{start}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, *inside = name.split(".")
            if top == "pellucid" and inside and inside[0] != "__version__":
                found.append((node.lineno, inside[0]))
    return found


def broken(package: Path, table: dict[str, Room]) -> list[str]:
    faults = []
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).with_suffix("").parts[0]
        for line, other in imports(path, package) if room not in ENTRANCES else ():
            if other == room or other in table[room].beside:
                continue
            if table[other].floor >= table[room].floor:
                faults.append(f"{path.relative_to(package)}:{line}: {room} imports {other}")
    return faults


def test_the_table_lists_every_room():
    found = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py"}
    found |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert set(rooms()) == found - ENTRANCES


def test_rooms_import_only_what_lies_below_or_is_listed_beside():
    assert broken(PACKAGE, rooms()) == []


def test_every_import_listed_beside_is_needed():
    table = rooms()
    for name, room in table.items():
        folder = PACKAGE / name
        files = folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]
        used = {other for path in files for _, other in imports(path)}
        assert room.beside <= used, name
        assert all(table[other].floor == room.floor for other in room.beside), name


def test_upward_and_sideways_imports_are_found(tmp_path):
    package = tmp_path / "pellucid"
    for room, text in {
        "low": "def f():\n    from pellucid.high.far import g\n",
        "beside": "import pellucid.low\n",
        "high": "from pellucid import low\nfrom .near import h\nfrom ..low import f\n",
    }.items():
        (package / room).mkdir(parents=True)
        (package / room / "a.py").write_text(text)
    table = {name: Room(floor, frozenset()) for name, floor in (("low", 1), ("beside", 1))}
    table["high"] = Room(2, frozenset())
    assert broken(package, table) == [
        "beside/a.py:1: beside imports low",
        "low/a.py:2: low imports high",
    ]
    table["beside"] = Room(1, frozenset({"low"}))
    assert len(broken(package, table)) == 1
