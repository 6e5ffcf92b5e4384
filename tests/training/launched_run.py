"""As one of the processes that a launcher has started: go on with a run of `tiny_run`."""

import torch
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import CheckpointWrapper
from torch.distributed.fsdp import FSDPModule

from pellucid.training.loop import train
from pellucid.training.tasks.restore import RestoreTask
from training import tiny_run

STEPS = 6


def config(output, processes=1, steps=STEPS):
    sizes = {"batch_size": 4 // processes, "steps": steps, "save_every": STEPS}
    return tiny_run.config(output, **sizes, validate_every=STEPS)


def main(output: str) -> None:
    """Print how many modules are sharded and how many are computed again."""
    torch.set_num_threads(1)
    task = RestoreTask(tiny_run.network())
    train(config(output, 2), task, tiny_run.Noisy(), tiny_run.Noisy())
    parts = list(task.modules())
    sharded = sum(isinstance(part, FSDPModule) for part in parts)
    recomputed = sum(isinstance(part, CheckpointWrapper) for part in parts)
    print(f"{sharded} sharded, {recomputed} recomputed")
