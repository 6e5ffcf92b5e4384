"""Tar archives that are read to their true end."""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterator

PADDING = 1 << 16  # bytes of zeros that end archives of the usual block sizes (`tar -b 128`)
LARGEST = 1 << 24  # bytes of a tape's block, whose length has 24 bits


def members(
    tar: tarfile.TarFile, data: Callable[[tarfile.TarInfo], bytes]
) -> Iterator[tarfile.TarInfo]:
    """The members of an archive that was just opened, in order.

    `tarfile` takes a header that is zeros or damaged for the end, and says nothing of what follows.
    Zeros alone fill the last block of an archive (`tar -b`) or are all there is of a file that was
    reserved as a whole and written in part. Long ones are taken for the first if the file consists
    of such blocks and the last member does not end in zeros: writing seldom stops between two
    members.

    Args:
        tar: the archive.
        data: of a member; asked for the last one.

    Raises:
        tarfile.ReadError: something else follows.
    """
    last = None
    for last in tar:
        yield last
    file, end = tar.fileobj, tar.offset
    assert file is not None
    while block := file.read(1 << 16):
        if block.count(0) < len(block):
            raise tarfile.ReadError("damaged in its middle: copy it once more")
    zeros = file.tell() - end
    if zeros <= PADDING:
        return
    cut = last is not None and last.isfile() and not data(last)[-tarfile.BLOCKSIZE :].strip(b"\0")
    if cut or not _in_blocks(file.tell(), zeros):
        raise tarfile.ReadError(
            f"its last {zeros} bytes are zeros, as of a copy that was cut short: copy it once more"
        )


def _in_blocks(size: int, zeros: int) -> bool:
    """Whether a file is a multiple of a block that so many zeros may end."""
    shortest = zeros // tarfile.BLOCKSIZE - 1  # two blocks of zeros are the archive's end
    return any(
        size % (blocks * tarfile.BLOCKSIZE) == 0
        for blocks in range(shortest, LARGEST // tarfile.BLOCKSIZE + 1)
    )
