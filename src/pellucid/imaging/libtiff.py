"""What libtiff says of a damaged file."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LINE = re.compile(rb"(?:\w+|tempfile\.tif): (.+)\.\r?\n")
_redirected = threading.Lock()  # there is one standard error for all threads


@contextmanager
def library_notes() -> Iterator[list[str]]:
    """Collect what libtiff prints on standard error, which has no file's name; a list to be read
    after the block. What others print meanwhile comes after the block."""
    notes: list[str] = []
    with _redirected, tempfile.TemporaryFile() as printed:
        sys.stderr.flush()
        stderr = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            yield notes
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            printed.seek(0)
            for line in printed.read().splitlines(keepends=True):
                if said := _LINE.fullmatch(line):
                    notes.append(f"libtiff: {said[1].decode('ascii', 'replace')}")
                else:
                    os.write(2, line)  # a bar of progress, a log
