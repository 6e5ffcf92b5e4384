"""What every test may rely on: a plain CPU and one thread, whatever machine the tests run on."""

import gc
import logging
import os
import signal

import pytest

# Before torch is imported, and for child processes. Sums are the same on every machine with one
# thread, and small tensors are faster.
os.environ |= {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
gc.set_threshold(100_000)  # as commands do: nearly all that imports and exports make stays


def pytest_collection_finish():
    """What was imported stays; the collector need not look at it again and again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def plain_cpu(monkeypatch):
    """Hide bfloat16 hardware and Apple's GPU; undo what commands do to the process."""
    import torch

    torch.set_num_threads(1)
    monkeypatch.setattr("pellucid.hardware.has_fast_bfloat16", lambda device: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)
    logging.getLogger("pellucid").setLevel(logging.NOTSET)  # --quiet
