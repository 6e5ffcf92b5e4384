"""The official table of captions: `filepath<TAB>title`, the title "caption: degradation"."""

from __future__ import annotations

import csv
import os
from io import StringIO
from pathlib import Path

from pellucid.errors import UsageError

HEADER = ("filepath", "title")


def read_captions(table: str | Path) -> list[tuple[str, str, str]]:
    """Rows as (path as written, caption, degradation).

    The title is cut at the last `": "`, so a caption may hold one; the official reader fails on
    it.

    Raises:
        UsageError: no such file, another header, or a row without two parts (with its line).
    """
    try:
        with open(table, encoding="utf-8", newline="") as file:
            lines = csv.reader(file, delimiter="\t")
            header = tuple(next(lines, ()))
            if header != HEADER:
                raise UsageError(
                    f"{table}: the first line must be 'filepath<TAB>title', not {header}"
                )
            rows = []
            for fields in lines:
                path, title = fields if len(fields) == 2 else ("", "")
                caption, separator, word = title.rpartition(": ")
                if not (path and separator and word.strip()):
                    raise UsageError(
                        f"{table}, line {lines.line_num}: expected 'path<TAB>caption: degradation'"
                    )
                rows.append((path, caption, word.strip()))
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{table}: cannot be read as a table of captions ({reason})") from error


class CaptionWriter:
    """Append rows to a new or existing table; each row is written whole or not at all.

    Attributes:
        done: paths that the table had when it was opened. A last line that was cut off by a crash
            is removed and not among them.
    """

    def __init__(self, table: str | Path):
        self.table = Path(table)
        self.done: set[str] = set()
        if self.table.exists():
            text = self.table.read_bytes()
            whole = text.rfind(b"\n") + 1
            if whole != len(text):
                os.truncate(self.table, whole)
            if whole:
                self.done = {path for path, _, _ in read_captions(self.table)}
                return
        self.table.parent.mkdir(parents=True, exist_ok=True)
        self._append([HEADER])

    def append(self, rows: list[tuple[str, str, str]]) -> None:
        """Add (path, caption, degradation); line breaks and tabs in captions become blanks."""
        self._append(
            [(path, f"{' '.join(caption.split())}: {word}") for path, caption, word in rows]
        )

    def _append(self, rows: list[tuple[str, ...]]) -> None:
        text = StringIO(newline="")
        csv.writer(text, delimiter="\t", lineterminator="\n").writerows(rows)
        with open(self.table, "ab", buffering=0) as file:  # one write: no half of a row in between
            file.write(text.getvalue().encode())
            os.fsync(file.fileno())
