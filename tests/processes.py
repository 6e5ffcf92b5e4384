"""Processes of their own that start at once.

Importing torch takes seconds of computing. These are forked from a server that has imported it and
has computed nothing. Where the end of an interpreter matters, start a real one.
"""

import itertools
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent
IMPORTED = ("training.sharded_run", "training.tiny_run", "cli.forked")
IMPORTED += ("torch._dynamo", "torch.utils.tensorboard")  # which a training imports as it starts

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(IMPORTED))
_numbers = itertools.count()


class Process:
    """A process that calls ``target(*arguments)`` in a session of its own.

    Args:
        target: a function of a module that can be imported.
        folder: the folder it works in; what it prints goes to files beside it.
        environment: variables to set.
    """

    def __init__(self, target, *arguments, folder, environment=()):
        folder = Path(folder)
        name = f"{folder.name}-{next(_numbers)}"
        self._out, self._err = (folder.with_name(f"{name}.{s}") for s in ("out", "err"))
        given = (target, arguments, folder, self._out, self._err, dict(environment))
        self._process = _context.Process(target=_run, args=given)
        paths = {"PYTHONPATH": os.pathsep.join(map(str, (TESTS.parent / "src", TESTS)))}
        before = dict(os.environ)
        os.environ.update(paths, OMP_NUM_THREADS="1")  # of the server, if it starts now
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        self.pid = self._process.pid

    @property
    def out(self):
        return self._out.read_text() if self._out.exists() else ""

    @property
    def err(self):
        return self._err.read_text() if self._err.exists() else ""

    def until(self, condition, seconds=300):
        """Wait until something is so."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self._process.is_alive() or time.monotonic() > deadline:
                self.wait(0)
                raise AssertionError(f"it never came true\n{self.err}")
            time.sleep(0.02)

    def wait(self, seconds=300):
        """The status of its end; of one that a signal ended the negative number."""
        self._process.join(seconds)
        if self._process.is_alive():
            os.killpg(self.pid, signal.SIGKILL)
            self._process.join()
        return self._process.exitcode


def _run(target, arguments, folder, out, err, environment):
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    for number, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.environ.update(environment)
    os.chdir(folder)
    sys.exit(target(*arguments))
