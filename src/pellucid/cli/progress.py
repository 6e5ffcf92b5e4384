"""Progress of a batch on standard error: a bar, a line a picture, a table of failures."""

from __future__ import annotations

import os
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from pellucid.cli.batch import STREAM
from pellucid.cli.terminal import one_line, plain
from pellucid.plural import counted

UNPRINTABLE = "stopped, since standard output cannot be written (--skip-existing continues)"
ENDINGS = {KeyboardInterrupt: "interrupted", OSError: UNPRINTABLE}  # of a batch before its end


class Status:
    """Count finished and failed pictures; a context manager with a progress bar."""

    def __init__(self, total: int, quiet: bool):
        self.total, self.quiet = total, quiet
        self.finished: list[str] = []
        self.failures: list[tuple[str, str]] = []
        self.console = Console(stderr=True, soft_wrap=True)
        self.bar = Progress(
            TextColumn("{task.fields[done]}/{task.total}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=quiet or not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=total, done=0)

    def __enter__(self) -> Status:
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, *_: Any) -> None:
        self.bar.stop()
        for ending, said in ENDINGS.items():
            if kind is not None and issubclass(kind, ending):
                self._list_failures()
                of = counted(self.total, "picture")
                self._say(f"{said}: {len(self.finished)} of {of} done")
                for target in self.finished:
                    self._say(f"  {one_line(target)}")

    def progress(self, share: float) -> None:
        """Show the share of the current picture that is done."""
        done = len(self.finished) + len(self.failures)
        self.bar.update(self.task, completed=done + share, done=done)

    def done(self, source: str, target: str, record: dict[str, Any]) -> None:
        """A picture was written."""
        self.finished.append(target)
        self.progress(0)
        if not self.quiet:
            said = f"{_found(record)}, {record['model']}, {record['seconds']:.1f} s"
            if record.get("decision", "kept") != "kept":
                said += f"; {record['decision']}: {record['reason']}"
            self._say(f"{one_line(source)} -> {one_line(target)}  ({said})")
            for note in record["notes"]:
                self._say(f"  note: {note}")

    def failed(self, source: str, error: BaseException) -> None:
        """A picture could not be restored."""
        said = getattr(error, "strerror", None) or str(error)
        reason = said.removeprefix(f"{source}: ") or type(error).__name__
        self.failures.append((one_line(source), one_line(reason)))
        self.progress(0)

    def summary(self, skipped: int = 0) -> int:
        """Print the failures; return the exit status."""
        self.bar.stop()
        for target in list(self.finished):
            if target != STREAM and not os.path.lexists(target):
                self.finished.remove(target)
                self.failures.append((one_line(target), "was written, and is no longer there"))
        self._list_failures()
        if not self.quiet and (self.total > 1 or skipped or self.failures):
            counts = [f"{len(self.finished)} restored"]
            counts += [f"{len(self.failures)} failed"] if self.failures else []
            counts += [f"{skipped} existed already"] if skipped else []
            self._say(", ".join(counts))
        return 1 if self.failures else 0

    def _list_failures(self) -> None:
        if self.failures and not self.console.is_terminal:  # a table would cut names and sentences
            self._say("not restored:")
            for source, reason in self.failures:
                self._say(f"  {source}: {reason}")
        elif self.failures:
            table = Table("picture", "reason", title="not restored")
            table.title_justify = "left"
            for row in self.failures:
                table.add_row(*map(escape, row))
            Console(stderr=True).print(table)

    def _say(self, text: str) -> None:
        # plain text: names of files may contain brackets, which rich would take for markup
        self.console.print(plain(text), markup=False, highlight=False)


def _found(record: dict[str, Any]) -> str:
    shares = record["probabilities"]
    if shares is None:
        return "restored"
    if not record["words"]:
        word = next(iter(shares))
        return f"{word} {shares[word]:.0%}"
    return ", ".join(_with_share(word, shares.get(word, 0.0)) for word in record["words"])


def _with_share(word: str, share: float) -> str:
    """A person may name a word that the model does not find."""
    return f"{word} {share:.0%}" if share >= 0.005 else word
