"""One worker for one device, and a bounded queue before it."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from threading import Event
from typing import TypeVar

from pellucid.plural import counted
from pellucid.server.problems import Problem

Answer = TypeVar("Answer")
Told = Callable[[float], None]  # progress in [0, 1]; raises Cancelled when nobody waits any more
LOOK = 0.25  # seconds between looks for a closed connection


class Cancelled(Exception):
    """Nobody waits for the answer any more."""


async def _stays() -> bool:
    return False


class Worker:
    """Does one job at a time, in a thread of its own.

    Args:
        queue: how many requests may wait behind the one that is worked on.
        seconds: how long an answer may take, waiting included.
    """

    def __init__(self, queue: int, seconds: float):
        self.queue, self.seconds = queue, seconds
        self.taken = 0  # places: the one that is worked on, and those that wait
        self._mean = 1.0  # seconds of a job, the latest weigh most
        self._thread = ThreadPoolExecutor(1, "pellucid-worker")

    def check(self) -> None:
        """Raise `Problem` 429 with Retry-After if no place is free."""
        if self.taken > self.queue:
            raise Problem(
                429,
                f"the queue is full ({counted(self.taken, 'picture')}); try again later",
                {"Retry-After": str(max(1, math.ceil(self._mean)))},
            )

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """A place in the queue, from the whole upload to the answer; raises as `check` does."""
        self.check()
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    async def do(
        self, job: Callable[[Told], Answer], gone: Callable[[], Awaitable[bool]] = _stays
    ) -> Answer:
        """What `job` returns; to be awaited in a `place`.

        `gone` tells whether the client has closed the connection. Its job is then stopped at its
        next progress, or never begun. So it is if the caller's own task is cancelled.

        Raises:
            Problem: 504 the answer took too long.
            Cancelled: the client has gone.
        """
        stop = Event()

        def told(share: float) -> None:
            if stop.is_set():
                raise Cancelled

        def begin() -> Answer:
            told(0)
            began = time.monotonic()
            answer = job(told)
            self._mean += 0.2 * (time.monotonic() - began - self._mean)
            return answer

        loop = asyncio.get_running_loop()
        task = loop.run_in_executor(self._thread, begin)
        task.add_done_callback(_seen)
        end = loop.time() + self.seconds
        try:
            while True:
                await asyncio.wait([task], timeout=min(LOOK, max(0.0, end - loop.time())))
                if task.done():
                    return task.result()
                if loop.time() >= end:
                    raise Problem(504, f"the answer took longer than {self.seconds:g} s")
                if await gone():
                    raise Cancelled
        finally:
            stop.set()

    def close(self) -> None:
        """Finish what was begun."""
        self._thread.shutdown(wait=True)


def _seen(task: asyncio.Future) -> None:
    """An error that nobody waits for is no error of the event loop."""
    if not task.cancelled():
        task.exception()
