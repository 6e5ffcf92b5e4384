"""As one of two processes: train a sharded network for a few steps, save its state, restore it."""

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from pellucid.errors import UsageError
from pellucid.training import state
from pellucid.training.config import EMAConfig, OptimizerConfig
from pellucid.training.optim import EMA, build_optimizer
from pellucid.training.tasks.restore import RestoreTask
from training import tiny_run

STEPS = 3


def batch_of(indices: range) -> dict:
    return torch.utils.data.default_collate([tiny_run.Noisy()[i] for i in indices])


def train(rank: int, world: int) -> dict:
    """Take some steps; returns the whole state, the exported weights and a validation value."""
    task = RestoreTask(tiny_run.network())
    if world > 1:
        mesh = init_device_mesh("cpu", (world,))
        for block in task.network.encoder:
            fully_shard(block[0], mesh=mesh)
        fully_shard(task, mesh=mesh)
    optimizer = build_optimizer(OptimizerConfig(lr=3e-3, eps=1e-3), task)
    state.make_callable_when_sharded(task, "validate")
    ema = EMA(EMAConfig(0.5, power=10), task)
    for step in range(1, STEPS + 1):
        share = range(4 * step + 4 * rank // world, 4 * step + 4 * (rank + 1) // world)
        loss, _ = task(batch_of(share), torch.Generator())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        ema.update(step)
    whole = state.collect(STEPS, task, optimizer, ema)
    with state.averaged(ema), torch.no_grad():
        exported = {k: v.clone() for k, v in state.gathered(task.export()[0]).items()}
        metrics, _ = task.validate(batch_of(range(1)))
    if world > 1:  # a file would be read by all processes
        held = [whole]
        dist.broadcast_object_list(held)
        (whole,) = held
    for p in task.parameters():
        p.data.zero_()
    refused = [_refuses(another(whole), task, optimizer, ema) for another in (_renamed, _widened)]
    assert state.restore(whole, task, optimizer, ema) == STEPS
    again = state.collect(STEPS, task, optimizer, ema)
    return {
        "state": whole,
        "again": again,
        "weights": exported,
        "psnr": metrics["psnr"],
        "refused": refused,
    }


def _refuses(whole: dict, task, optimizer, ema) -> bool:
    try:
        state.restore(whole, task, optimizer, ema)
    except UsageError as error:
        return "of another network" in str(error)
    return False


def _renamed(whole: dict) -> dict:
    model = dict(whole["model"])
    model["elsewhere"] = model.pop(next(iter(model)))
    return {**whole, "model": model}


def _widened(whole: dict) -> dict:
    name, value = next((n, v) for n, v in whole["model"].items() if v.ndim == 4)
    return {**whole, "model": {**whole["model"], name: value.repeat(2, 1, 1, 1)}}


def main(rank: int, store: str, output: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    result = train(rank, 2)
    assert result.pop("refused") == [True, True]  # in both processes: none waits for the other
    if rank == 0:
        torch.save(result, output)
    dist.destroy_process_group()
