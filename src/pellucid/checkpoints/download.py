"""Download, verify and convert official weights on first use.

A checkpoint of the authors is a pickle that carries the optimizer's moments. It is downloaded once,
its size and sha256 are checked before anything in it is read, and what stays on disk is a
safetensors bundle of the weights alone (985 MB instead of 1.7 GB for ViT-B/32).
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from pellucid.errors import CheckpointError
from pellucid.vision_language.hub import endpoint


@dataclass(frozen=True)
class RemoteFile:
    """One file on the Hugging Face Hub. Unknown `size` (bytes) and `sha256` are not checked."""

    repo: str
    name: str
    size: int | None = None
    sha256: str | None = None
    licence: str = ""
    paper: str = ""
    revision: str = "main"

    @property
    def url(self) -> str:
        """Address of its page; `HF_ENDPOINT` is respected."""
        return f"{endpoint()}/{self.repo}/resolve/{self.revision}/{self.name}"


def cache_folder() -> Path:
    """Where weights are kept: `PELLUCID_CACHE`, else `pellucid` in the user's cache folder."""
    if folder := os.environ.get("PELLUCID_CACHE"):
        return Path(folder).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "pellucid"


def fetch(file: RemoteFile) -> Path:
    """Return the bundle of an official checkpoint, downloaded and converted on first use.

    A file that was put into `<cache>/incoming` by hand is used instead of a download, and left
    there. Two processes may ask at once: one works, the other waits.

    Raises:
        CheckpointError: no network, a download that failed, a file of the wrong size or sha256, or
            one that is not what it should be. The message says how to get the file by hand.
    """
    cache = cache_folder()
    target = cache / f"{Path(file.name).stem}.safetensors"
    if _is_current(target, file):
        return target
    from filelock import FileLock

    by_hand = cache / "incoming" / file.name
    by_hand.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f".{file.name}.lock"):
        if _is_current(target, file):  # another process was faster
            return target
        if by_hand.exists():
            _convert(file, by_hand, target)
        else:
            published, path = _download(file, by_hand)
            _convert(published, path, target, disposable=True)
            shutil.rmtree(path.parent)
    return target


def _is_current(target: Path, file: RemoteFile) -> bool:
    """Whether the bundle is there and was made from the file that is asked for."""
    if not target.exists():
        return False
    from pellucid.checkpoints.bundle import read_meta

    source = read_meta(target).get("source", {})
    return file.sha256 in (None, source.get("sha256"))


def _download(file: RemoteFile, by_hand: Path) -> tuple[RemoteFile, Path]:
    """Download into a separate folder that is kept after an interruption; see `_announced`."""
    from huggingface_hub import hf_hub_download

    folder = cache_folder() / f".download-{file.name}"
    try:
        file = _announced(file)
        path = hf_hub_download(
            file.repo, file.name, revision=file.revision, local_dir=folder, endpoint=endpoint()
        )
    except CheckpointError:
        raise
    except Exception as error:  # the hub, its HTTP client and the disk each have their own kinds
        reason = (str(error).splitlines() or [""])[0]
        raise CheckpointError(
            f"{file.name} could not be downloaded ({type(error).__name__}: {reason}).\n"
            f"To get it by hand, fetch {file.url}\non any machine, put it at {by_hand}\n"
            "and run this again: it will be verified and converted."
        ) from error
    return file, Path(path)


def _announced(file: RemoteFile) -> RemoteFile:
    """Ask the hub before the long download: without a network this fails at once.

    Large files carry their sha256 as ETag: it stands in where the table has none, and where the
    table has one and they differ, gigabytes need not be fetched to find out.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(file.repo, file.name, revision=file.revision, endpoint=endpoint())
    found = get_hf_file_metadata(url)
    sha256 = found.etag if re.fullmatch("[0-9a-f]{64}", found.etag or "") else None
    if None not in (file.sha256, sha256) and file.sha256 != sha256:
        raise CheckpointError(
            f"{file.url} is no longer the file that this version knows (sha256 {sha256}, expected "
            f"{file.sha256}). It was not downloaded."
        )
    return replace(
        file,
        revision=found.commit_hash or file.revision,
        size=file.size or found.size,
        sha256=file.sha256 or sha256,
    )


def _convert(file: RemoteFile, path: Path, target: Path, disposable: bool = False) -> None:
    """Verify a downloaded file and write the bundle, which appears only when it is complete.

    A `disposable` file that is not what it should be takes its folder along: the next attempt
    starts afresh. One that is right stays, should only the writing fail.
    """
    from pellucid.checkpoints.bundle import save_bundle
    from pellucid.checkpoints.load import build
    from pellucid.checkpoints.weights import read_weights

    try:
        sha256 = _verify(file, path)
        weights = read_weights(path)
        build(weights)
    except CheckpointError:
        if disposable:
            shutil.rmtree(path.parent)
        raise
    source = {"url": file.url, "sha256": sha256, "licence": file.licence, "paper": file.paper}
    save_bundle(target, weights.state, {**weights.meta, "source": source})


def _verify(file: RemoteFile, path: Path) -> str:
    """Compare with the published size and sha256; returns the sha256."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    sha256 = digest.hexdigest()
    for what, found, expected in (
        ("bytes", path.stat().st_size, file.size),
        ("sha256", sha256, file.sha256),
    ):
        if expected not in (None, found):
            raise CheckpointError(
                f"{path} is not the published {file.name} ({what} {found}, expected {expected}): "
                "damaged on the way, or replaced since. It was not opened."
            )
    return sha256
