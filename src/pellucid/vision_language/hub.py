"""Files of a model in the format of `transformers`, in a folder or on the Hugging Face Hub."""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path

DINOV2_BASE = "facebook/dinov2-base"


def folder_of(source: str | PathLike, *names: str) -> Path:
    """The folder that holds a model's files.

    Args:
        source: the folder itself, or a repository on the hub, OWNER/NAME.
        names: what is taken of a repository, once. `transformers` would ask for many more files,
            and for each several times, a minute without a network.

    Raises:
        OSError: no such folder, or the hub has not given the files.
    """
    if Path(source).is_dir():
        return Path(source)
    repository = str(source)
    if not re.fullmatch(r"[\w-][\w.-]*/[\w.-]+", repository):
        raise OSError("there is no such folder (and a name on the hub is OWNER/NAME)")
    try:
        paths = [_kept(repository, name) or _fetched(repository, name) for name in names]
        if len({path.parent for path in paths}) > 1:  # of two revisions
            paths = [_fetched(repository, name) for name in names]
    except Exception as error:  # the hub, its HTTP client and the disk each have their own kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(
            f"there is no such folder here, and the hub has not given it ({reason})"
        ) from error
    return paths[0].parent


def endpoint() -> str:
    """Address of the hub: `HF_ENDPOINT`, if set."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def is_kept(repository: str, name: str) -> bool:
    """Whether a file of a repository has been fetched."""
    return _kept(repository, name) is not None


def _kept(repository: str, name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    path = try_to_load_from_cache(repository, name)
    return Path(path) if isinstance(path, str) else None


def _fetched(repository: str, name: str) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    url = hf_hub_url(repository, name, endpoint=endpoint())
    get_hf_file_metadata(url)  # without a network, fails at once
    return Path(hf_hub_download(repository, name, endpoint=endpoint()))
