"""Early end of a run: by a signal or a time limit."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType

import torch
from accelerate import Accelerator

REASONS = ("", "time", "signal")


class Stopping:
    """Notes Ctrl-C and SIGTERM inside its `with` block; the second one acts as it usually does.

    Args:
        max_minutes: wall time after which to stop; 0 = no limit.
        accelerator: its processes all stop if one has to.
    """

    def __init__(self, max_minutes: float, accelerator: Accelerator):
        self.seconds = max_minutes * 60
        self.accelerator = accelerator
        self.signalled = False
        self.handlers: dict = {}

    def __enter__(self) -> Stopping:
        self.began = time.monotonic()
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                self.handlers[number] = signal.signal(number, self._note)
        except ValueError:  # not the main thread: signals are someone else's business
            self.handlers.clear()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def reason(self) -> str:
        """Return "signal", "time" or (go on) "": the same in all processes, which must all ask."""
        late = self.seconds and time.monotonic() - self.began >= self.seconds
        code = 2 if self.signalled else 1 if late else 0
        if self.accelerator.num_processes > 1:
            mine = torch.tensor([code], device=self.accelerator.device)
            all_codes = self.accelerator.gather(mine)
            assert isinstance(all_codes, torch.Tensor)
            code = int(all_codes.max())
        return REASONS[code]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signalled = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
