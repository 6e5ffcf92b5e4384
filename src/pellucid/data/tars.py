"""Tar archives that are read to their true end."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

PADDING = 1 << 16  # bytes of zeros that may end an archive; `tar` itself writes up to 10240


def members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members of an archive that was just opened, in order.

    `tarfile` takes a header that is zeros or damaged for the end, and says nothing of what follows.

    Raises:
        tarfile.ReadError: something follows.
    """
    yield from tar
    left = 0
    assert tar.fileobj is not None
    while block := tar.fileobj.read(1 << 16):
        left += len(block)
        if left > PADDING or block.count(0) < len(block):
            raise tarfile.ReadError("damaged in its middle: copy it once more")
