"""Errors that are shown to people: what was wrong, with which file, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TypeVar

Row = TypeVar("Row")


class PellucidError(Exception):
    """Base of every error that the command line prints without a traceback."""


class ImageError(PellucidError):
    """An image could not be read or written: truncated, too large, or in an unknown format."""


class CheckpointError(PellucidError):
    """A weights file is missing, unsafe, damaged, or does not fit the network."""


class UsageError(PellucidError):
    """The caller asked for something contradictory or unknown (exit status 2)."""


def look_up(table: Mapping[str, Row], name: str, what: str) -> Row:
    """The row of a table, or a `UsageError` that names the nearest and all there are."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    hint = f"; did you mean {near[0]}?" if near else "."
    raise UsageError(f"unknown {what} {name!r}{hint} Known: {', '.join(table)}")
