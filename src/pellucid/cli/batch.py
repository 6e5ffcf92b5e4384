"""Which files to restore and where each result goes, decided before any work is done."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pellucid.errors import UsageError
from pellucid.imaging.formats import BY_SUFFIX, WRITABLE_SUFFIXES, format_of

STREAM = "-"
_GLOB = "*?["


@dataclass(frozen=True)
class Job:
    """One picture: ``source`` None is standard input, ``target`` None standard output."""

    source: Path | None
    target: Path | None

    def __str__(self) -> str:
        return STREAM if self.source is None else str(self.source)


def find(inputs: Sequence[str], skip: Path | None = None) -> list[tuple[Path | None, Path]]:
    """Pictures and their names in an output folder; None stands for standard input.

    An input is a file, a pattern such as ``*.jpg``, or a folder, which is searched for the suffixes
    of known formats in all its depth (its tree becomes part of the names; hidden files, and what
    lies in the folder ``skip``, are left out). A file named twice is found once.

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
        pictures = list(_expand(text, skip))
        if not pictures:
            raise UsageError(f"{text}: no picture in it (looking for {' '.join(BY_SUFFIX)})")
        for source, name in pictures:
            found.setdefault(os.path.abspath(source), (source, name))
    if STREAM in found and len(found) > 1:
        raise UsageError("standard input (-) cannot be mixed with other inputs")
    return list(found.values())


def _expand(text: str, skip: Path | None) -> Iterator[tuple[Path, Path]]:
    path = Path(text).expanduser()
    if path.is_dir():
        yield from _walk(path, skip)
    elif path.exists():
        yield path, Path(path.name)
    elif any(c in text for c in _GLOB):
        for match in map(Path, sorted(glob.glob(str(path), recursive=True))):
            inside = skip is not None and skip.resolve() in match.resolve().parents
            if not match.is_dir() and not inside:
                yield match, Path(match.name)
    else:
        raise UsageError(f"{text}: there is no such file or folder")


def _walk(folder: Path, skip: Path | None) -> Iterator[tuple[Path, Path]]:
    skipped = skip.resolve() if skip is not None else None
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(
            f for f in folders if f[0] != "." and Path(here, f).resolve() != skipped
        )
        for file in sorted(files):
            path = Path(here, file)
            if file[0] != "." and format_of(path) is not None:
                yield path, path.relative_to(folder)


def plan(inputs: Sequence[str], output: str | None, suffix: str | None = None) -> list[Job]:
    """Jobs of a command line.

    Args:
        inputs: see :func:`find`.
        output: a file (its suffix is a picture's and there is one input file), a folder, ``-``
            for standard output; None is the folder ``restored``, or standard output for standard
            input.
        suffix: such as ".png", for results in a folder; None keeps each input's.

    Raises:
        UsageError: nothing to do, an input would be overwritten, two results would have one name,
            or several results would go into one file.
    """
    if output == STREAM or (output is None and list(inputs) == [STREAM]):
        found = find(inputs)
        if len(found) > 1:
            raise UsageError(f"{len(found)} pictures cannot all go to standard output (-o -)")
        return [Job(found[0][0], None)]
    folder = Path(output or "restored").expanduser()
    into_file = format_of(folder) is not None and not folder.is_dir()
    found = find(inputs, skip=None if into_file else folder)
    if into_file:
        if len(found) > 1:
            raise UsageError(
                f"{len(found)} pictures cannot all go into {folder}; name a folder with -o"
            )
        jobs = [Job(found[0][0], folder)]
    else:
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} is a file without a picture's suffix; name another output")
        jobs = [Job(source, folder / _renamed(name, suffix)) for source, name in found]
    _refuse_unwritable(jobs)
    _refuse_collisions(jobs)
    return jobs


def _renamed(name: Path, suffix: str | None) -> Path:
    if suffix is not None:
        return name.with_suffix(suffix)
    return name if name.suffix.lower() in WRITABLE_SUFFIXES else name.with_suffix(".png")


def _refuse_unwritable(jobs: Sequence[Job]) -> None:
    for job in jobs:
        if job.target.suffix.lower() not in WRITABLE_SUFFIXES:
            raise UsageError(
                f"{job.target}: cannot write {job.target.suffix} files; "
                f"choose one of {' '.join(WRITABLE_SUFFIXES)}"
            )


def _refuse_collisions(jobs: Sequence[Job]) -> None:
    claims: dict[str, list[Job]] = defaultdict(list)
    for job in jobs:
        claims[os.path.normcase(os.path.abspath(job.target))].append(job)
    for same in claims.values():
        if len(same) > 1:
            raise UsageError(
                f"{same[0]} and {same[1]} would both become {same[0].target}; "
                "restore them into different folders"
            )
    sources = {job.source.resolve(): job.source for job in jobs if job.source is not None}
    for job in jobs:
        overwritten = sources.get(job.target.resolve())
        if overwritten is not None:
            raise UsageError(
                f"{job.target} would overwrite the input {overwritten}; choose another output (-o)"
            )


def refuse_existing(targets: Sequence[Path]) -> None:
    """``UsageError`` if any of the files exists; names some of them."""
    existing = [str(target) for target in targets if target.exists()]
    if existing:
        more = f" and {len(existing) - 3} more" if len(existing) > 3 else ""
        raise UsageError(
            f"{', '.join(existing[:3])}{more} exist already: add --skip-existing to go on where a "
            "run stopped, or --overwrite to make them anew"
        )
