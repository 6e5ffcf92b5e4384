"""Stateless batches: sample i of a run is a function of the seed and of i alone.

The data set is asked for index i = 0, 1, 2, ... without end and derives all its randomness from it,
so a resumed run only has to start counting at the right place.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from pellucid.errors import ImageError, PellucidError
from pellucid.training.config import TrainConfig


class StepSampler:
    """Yield this process's index lists, one a micro-batch, from step `start` to the end.

    Step s takes the indices s * G ... (s + 1) * G - 1, G = batch_size * accumulation * processes,
    whichever way G is made up: accumulation and processes do not change what a step sees.
    """

    def __init__(self, config: TrainConfig, start: int, rank: int, world: int):
        self.config, self.start, self.rank, self.world = config, start, rank, world

    def __len__(self) -> int:
        return (self.config.steps - self.start) * self.config.accumulation

    def __iter__(self) -> Iterator[list[int]]:
        size, accumulation = self.config.batch_size, self.config.accumulation
        for step in range(self.start, self.config.steps):
            for micro in range(accumulation):
                first = ((step * accumulation + micro) * self.world + self.rank) * size
                yield list(range(first, first + size))


def _quiet_worker(worker: int) -> None:
    torch.set_num_threads(1)  # the main process needs the cores
    # Ctrl-C, or a scheduler that ends a job, signals all processes; the main one still needs
    # batches for the step it is in, and ends its workers itself.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def loader(config: TrainConfig, dataset: Dataset, start: int, rank: int, world: int) -> DataLoader:
    """Return the loader of a process's micro-batches from step `start` on."""
    return DataLoader(
        dataset,
        batch_sampler=StepSampler(config, start, rank, world),
        num_workers=config.workers,
        worker_init_fn=_quiet_worker,
        prefetch_factor=4 if config.workers else None,
        pin_memory=torch.cuda.is_available(),
        # Its own generator: a loader draws a base seed, which must not move the global generator.
        generator=torch.Generator().manual_seed(config.seed),
    )


@contextmanager
def closing(batches: Iterator) -> Iterator[None]:
    """End the workers of a loader's iterator after the block; what failed in them is one sentence.

    Nothing else would end them after an error: its traceback holds the iterator, and the workers do
    not mind the SIGTERM that ends them when Python exits, so the process would wait for ever.

    Raises:
        PellucidError: a picture cannot be read, or a worker died.
    """
    try:
        yield
    except PellucidError as error:  # of a worker it holds a whole traceback, as text
        kind = type(error)
        said = str(error).rpartition(f"\n{kind.__module__}.{kind.__name__}: ")[2].rstrip("\n")
        if kind is ImageError:
            said += "; when this is mended, the same command goes on from the last checkpoint"
        raise kind(said) from error
    except (RuntimeError, EOFError, ConnectionError) as error:
        # The last two: it died while a batch was handed over.
        if isinstance(error, RuntimeError) and not str(error).startswith("DataLoader worker"):
            raise
        said = str(error).rstrip(". ") or "it closed its connection"
        raise PellucidError(
            "a process that reads the pictures died, perhaps for want of memory: lower --workers "
            f"or --batch-size; the same command goes on from the last checkpoint ({said})"
        ) from error
    finally:
        shut_down = getattr(batches, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()


def seed_of(*key: int) -> int:
    """Return a 63-bit seed that depends on all of the key's numbers."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def to_device(batch: dict, device: torch.device) -> dict:
    """Move a batch's tensors; pictures become channels-last, the fast layout of convolutions."""
    moved = {}
    for name, value in batch.items():
        if isinstance(value, torch.Tensor):
            layout = torch.channels_last if value.ndim == 4 else torch.preserve_format
            value = value.to(device, non_blocking=True, memory_format=layout)
        moved[name] = value
    return moved
