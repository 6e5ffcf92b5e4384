"""Inputs and outputs of a batch, checked before any work is done."""

from __future__ import annotations

import glob
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.cli.terminal import one_line
from pellucid.errors import UsageError
from pellucid.imaging.formats import (
    BY_SUFFIX,
    OTHER_SUFFIXES,
    WRITABLE_SUFFIXES,
    format_of,
    result_names,
)

STREAM = "-"
_GLOB = "*?["
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One picture: `source` None is standard input, `target` None standard output."""

    source: Path | None
    target: Path | None

    def __str__(self) -> str:
        return STREAM if self.source is None else str(self.source)


def find(inputs: Sequence[str], skip: Path | None = None) -> list[tuple[Path | None, Path]]:
    """Pictures and their names in an output folder; None stands for standard input.

    An input is a file, a pattern such as `*.jpg`, or a folder, which is searched for the suffixes
    of known formats in all its depth (its tree becomes part of the names; hidden files, and what
    lies in the folder `skip`, are left out; other files are named in a warning). A folder that
    cannot be searched is an answer, too, so that reading it fails. A file named twice is found
    once.

    Raises:
        UsageError: an input does not exist, or there is no picture in it.
    """
    if not inputs:
        raise UsageError("no input: name pictures, folders, patterns, or - for standard input")
    found: dict[str, tuple[Path | None, Path]] = {}
    for text in inputs:
        if text == STREAM:
            found[STREAM] = None, Path("stdin")
            continue
        try:
            pictures = list(_expand(text, skip))
            if not pictures and not _home(text).is_dir():
                raise UsageError(f"{text}: no file has a name of this pattern")
            if not pictures:
                raise UsageError(f"{text}: no picture in it (looking for {' '.join(BY_SUFFIX)})")
            for source, name in pictures:
                found.setdefault(os.path.abspath(source), (source, name))
        except (OSError, ValueError, RuntimeError) as error:  # e.g. too long a name, or a NUL in it
            reason = getattr(error, "strerror", None) or error
            raise UsageError(f"{text[:200]}: cannot be an input ({reason})") from error
    if STREAM in found and len(found) > 1:
        raise UsageError("standard input (-) cannot be mixed with other inputs")
    return list(found.values())


def _expand(text: str, skip: Path | None) -> Iterator[tuple[Path, Path]]:
    if not text:
        raise UsageError("an input is an empty text; name a picture or a folder")
    path = _home(text)
    if path.is_dir():
        yield from _walk(path, skip)
    elif path.exists() or path.is_symlink():
        yield path, Path(path.name)
    elif any(c in text for c in _GLOB):
        for match in map(Path, sorted(glob.glob(_pattern(path), recursive=True))):
            inside = skip is not None and skip.resolve() in match.resolve().parents
            if not match.is_dir() and not inside:
                yield match, Path(match.name)
    else:
        raise UsageError(f"{text}: there is no such file or folder")


def _home(text: str) -> Path:
    """Expand `~/` alone; other names may begin with ~."""
    path = Path(text)
    return path.expanduser() if path.parts[:1] == ("~",) and not path.exists() else path


def _pattern(path: Path) -> str:
    """Pattern for `glob`, with the names of existing folders taken literally."""
    done: Path | None = Path(path.anchor)
    parts = []
    for part in path.parts[1 if path.anchor else 0 :]:
        done = done / part if done is not None and (done / part).exists() else None
        parts.append(part if done is None else glob.escape(part))
    return str(Path(path.anchor, *parts))


def _walk(folder: Path, skip: Path | None) -> Iterator[tuple[Path, Path]]:
    seen = {folder.resolve()}  # links may lead to one folder twice
    if skip is not None:
        seen.add(skip.resolve())
    unreadable, others = [], []
    for here, folders, files in os.walk(folder, onerror=unreadable.append, followlinks=True):
        there = Path(here).resolve()
        visible, folders[:] = sorted(f for f in folders if f[0] != "."), []
        for name in visible:
            place = Path(here, name).resolve()
            if there.is_relative_to(place):
                link = one_line(str(Path(here, name)))
                log.warning("left out %s: a link to a folder that it lies in", link)
            elif place not in seen:
                seen.add(place)
                folders.append(name)
        for file in sorted(f for f in files if f[0] != "."):
            path = Path(here, file)
            if format_of(path) is not None:
                yield path, path.relative_to(folder)
            else:
                others.append(str(path))
    for error in unreadable:
        path = Path(error.filename)
        if path == folder:
            raise error
        yield path, path.relative_to(folder)
    if others:
        more = ", ..." if len(others) > 3 else ""
        plural = "s that are" if len(others) > 1 else " that is"
        log.warning(
            "left out %d file%s no picture to be read: %s%s",
            *(len(others), plural, ", ".join(map(one_line, others[:3])), more),
        )


def plan(
    inputs: Sequence[str],
    output: str | None,
    suffix: str | None = None,
    beside: Sequence[str] = (),
) -> list[Job]:
    """Jobs of a command line.

    Args:
        inputs: see `find`.
        output: a file (its suffix is a picture's and there is one input file), a folder, `-`
            for standard output; None is the folder `restored`, or standard output for standard
            input.
        suffix: such as ".png", for results in a folder; None keeps each input's.
        beside: what the names of the files beside a result end with, after its own.

    Raises:
        UsageError: nothing to do, an input would be overwritten, two results would have one name,
            or several results would go into one file.
    """
    refuse_empty(output)
    if output == STREAM or (output is None and list(inputs) == [STREAM]):
        found = find(inputs)
        if len(found) > 1:
            raise UsageError(f"{len(found)} pictures cannot all go to standard output (-o -)")
        return [Job(found[0][0], None)]
    try:
        return _plan_files(inputs, _home(output or "restored"), suffix, beside)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{output or 'restored'}: cannot be the output ({reason})") from error


def _plan_files(
    inputs: Sequence[str], folder: Path, suffix: str | None, beside: Sequence[str]
) -> list[Job]:
    is_picture = format_of(folder) is not None or folder.suffix.lower() in OTHER_SUFFIXES
    into_file = is_picture and not folder.is_dir()
    refuse_place(folder)
    found = find(inputs, skip=None if into_file else folder.resolve())
    if into_file:
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} pictures cannot all go into {folder}; name a folder with -o"
            )
        jobs = [Job(found[0][0], folder)]
    else:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file without a picture's suffix; name another output")
        names = result_names([name for _, name in found], suffix)
        jobs = [Job(source, folder / name) for (source, _), name in zip(found, names, strict=True)]
    _refuse_unwritable(jobs)
    _refuse_collisions(jobs, beside)
    return jobs


def refuse_empty(output: str | None) -> None:
    """`UsageError` for an output without a name, such as a variable that was not set."""
    if output == "":
        raise UsageError("the output (-o) is an empty text; name a file or a folder")


def refuse_place(output: Path) -> None:
    """`UsageError` if no file can be at a place or below it."""
    nearest = next(p for p in (output, *output.absolute().parents) if os.path.lexists(p))
    if nearest.is_symlink() and not nearest.exists():
        raise UsageError(f"{nearest} is a link that leads nowhere; name another output")
    if nearest != output and not nearest.is_dir():
        raise UsageError(
            f"{nearest} is a file, no folder, so nothing can be in it; name another output"
        )
    folder = nearest if nearest.is_dir() else nearest.parent
    if not os.access(folder, os.W_OK | os.X_OK):  # else each picture would fail after the work
        raise UsageError(f"{_short(folder)}: no permission to write into this folder; name another")


def _short(path: Path) -> Path:
    """From the working folder, if the path is in it."""
    here = Path.cwd()
    return path.relative_to(here) if here in path.parents else path


def _refuse_unwritable(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.target and job.target.suffix.lower() not in WRITABLE_SUFFIXES:
            raise UsageError(
                f"{job.target}: cannot write {job.target.suffix} files; "
                f"choose one of {' '.join(WRITABLE_SUFFIXES)}"
            )


def _refuse_collisions(jobs: Sequence[Job], beside: Sequence[str]) -> None:
    claims: dict[str, list[Job]] = defaultdict(list)
    files = [(job, Path(f"{job.target}{ending}")) for job in jobs for ending in ("", *beside)]
    for job, path in files:
        claims[os.path.normcase(os.path.abspath(path))].append(job)
    for name, same in claims.items():
        if len(same) > 1:
            raise UsageError(
                f"{same[0]} and {same[1]} would both become {os.path.relpath(name)}; "
                "restore them into different folders"
            )
    sources = {_resolved(job.source): job.source for job in jobs if job.source is not None}
    for _, path in files:
        overwritten = sources.get(_resolved(path))
        if overwritten is not None:
            raise UsageError(
                f"{path} would overwrite the input {overwritten}; choose another output (-o)"
            )


def _resolved(path: Path) -> str:
    return os.path.realpath(path)  # which does not mind a link that leads back to itself


def refuse_existing(targets: Sequence[Path]) -> None:
    """`UsageError` if any of the files exists; names some of them."""
    existing = [str(target) for target in targets if os.path.lexists(target)]
    if existing:
        more = f" and {len(existing) - 3} more" if len(existing) > 3 else ""
        verb = "exists" if len(existing) == 1 else "exist"
        raise UsageError(
            f"{', '.join(existing[:3])}{more} {verb} already: add --skip-existing to continue a "
            "run that was stopped, or --overwrite to replace them"
        )
