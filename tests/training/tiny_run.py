"""A run small enough for a test; as a script, for a test that needs an interpreter of its own.

Usage: tiny_run.py OUTPUT [name=integer ...]: see `main`.
"""

import itertools
import os
import signal
import sys

import torch

from pellucid.networks.resunet import ResUNet, ResUNetConfig
from pellucid.training.config import EMAConfig, OptimizerConfig, TrainConfig
from pellucid.training.loop import Result, train
from pellucid.training.tasks.restore import RestoreTask


class Stop(Exception):
    pass


class Noisy:
    """Smooth pictures with noise, random in the index only; endless.

    Args:
        kill, terminate: sample at which the process sends itself SIGKILL, SIGTERM.
        fail: sample at which `Stop` is raised.
    """

    side = 16

    def __init__(self, kill: int = -1, terminate: int = -1, fail: int = -1):
        self.kill, self.terminate, self.fail = kill, terminate, fail

    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> dict:
        if index == self.kill:
            os.kill(os.getpid(), signal.SIGKILL)
        if index == self.terminate:
            os.kill(os.getpid(), signal.SIGTERM)
        if index == self.fail:
            raise Stop
        random = torch.Generator().manual_seed(index)
        coarse = torch.rand(1, 3, 3, 3, generator=random)
        clean = torch.nn.functional.interpolate(coarse, (self.side, self.side), mode="bilinear")[0]
        noisy = clean + 0.2 * torch.randn(clean.shape, generator=random)
        sample = {"lq": noisy, "gt": clean, "word": "noisy", "severity": 0.5, "index": index}
        return sample | {"name": f"noisy-{index}"}


def network() -> ResUNet:
    torch.manual_seed(5)
    tiny = ResUNetConfig((8, 8), (1,), 1, (1,), context_dim=4, embed_dim=4, content_levels=1)
    return ResUNet(tiny)


def config(output, **changes) -> TrainConfig:
    values = {
        "optimizer": OptimizerConfig(lr=3e-3, eps=1e-3, weight_decay=0.01, clip_norm=1.0),
        "ema": EMAConfig(0.9),
        "steps": 12,
        "batch_size": 2,
        "workers": 0,
        "save_every": 3,
        "validate_every": 100,
        "log_every": 4,
    }
    return TrainConfig(output=str(output), **{**values, **changes})


def run(output, kill=-1, terminate=-1, fail=-1, validation=None, resume=True, **changes) -> Result:
    dataset = Noisy(kill, terminate, fail)
    task = RestoreTask(network())
    return train(config(output, **changes), task, dataset, validation, resume)


def main(output, *settings: str) -> None:
    """Run with settings `name=integer`: names of TrainConfig, kill=I (SIGKILL at sample I),
    validate=N (validate every N steps)."""
    torch.set_num_threads(1)
    given = {name: int(value) for name, value in (pair.split("=") for pair in settings)}
    if "validate" in given:
        given |= {"validate_every": given.pop("validate"), "validation": Noisy()}
    print(f"stopped by {run(output, **given).stopped}")


def killed_at(output, call: str, number: int) -> None:
    """Run six steps; SIGKILL at that call of `os.fsync` or `os.replace`, which is not made."""
    made, real = itertools.count(1), getattr(os, call)

    def counted(*arguments):
        if next(made) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments)

    setattr(os, call, counted)
    main(output, "steps=6")


if __name__ == "__main__":
    main(*sys.argv[1:])
