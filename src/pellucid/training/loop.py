"""The training loop of all tasks, from one CPU to many nodes (accelerate distributes it).

A run that is killed at any moment and started again gives, on one CPU process, the same weights bit
for bit as one that was not: each step's data and noise are functions of (seed, step), and the
checkpoint holds the rest.

Several processes are started by `torchrun` or `accelerate launch`; `config.output` must be a folder
that all of them see. Sharding (FSDP2) and activation checkpointing are set in accelerate's own
config: see docs/many_gpus.md. A run may go on with another number of processes, if a step takes as
many samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from accelerate.utils import (
    DistributedType,
    FullyShardedDataParallelPlugin,
    parse_flag_from_env,
)
from torch import Tensor, nn
from torch.utils.data import Dataset

from pellucid import hardware
from pellucid.data.crops import Samples
from pellucid.errors import UsageError
from pellucid.training import checkpoint, sources, state
from pellucid.training.batches import closing, loader, seed_of, to_device
from pellucid.training.config import TrainConfig, check_resumable, save_yaml
from pellucid.training.finite import (
    MicroBatch,
    check_losses,
    check_skipped,
    check_weights,
    names_of,
)
from pellucid.training.optim import EMA, build_optimizer, learning_rate
from pellucid.training.runlog import RunLog
from pellucid.training.stopping import Stopping
from pellucid.training.tasks import Task
from pellucid.training.validation import validate


@dataclass
class Result:
    """How a run ended: the step it reached, why it stopped, the last averages and validation."""

    step: int
    stopped: str
    """`finished`, or `time` (max_minutes) or `signal` (Ctrl-C, SIGTERM): run it again to go on."""
    metrics: dict[str, float] = field(default_factory=dict)
    validation: dict[str, float] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    """Where it went on with other training pictures than before, in words."""


def train(
    config: TrainConfig,
    task: Task,
    dataset: Dataset,
    validation: Samples | None = None,
    resume: bool = True,
) -> Result:
    """Run a training, or resume the one in `config.output`.

    Args:
        config: the run; written to `config.output/config.yaml`.
        task: modules and objective.
        dataset: map-style, index 0, 1, 2, ... without end -> dict, random only through the index.
        validation: map-style, `len` samples -> dict.
        resume: go on from the newest checkpoint in `config.output`; False starts anew, over it.

    Writes checkpoints/, metrics.jsonl, tensorboard/, validation/*.png and weights.safetensors (the
    averaged weights, what inference loads) to `config.output`.

    Raises:
        PellucidError: a loss or the weights are not finite; see `training.finite`.
        UsageError: the run to resume has another network, seed, batch size or data; SOAP, sharded.
    """
    accelerator = _accelerator(config)
    device, rank, world = accelerator.device, accelerator.process_index, accelerator.num_processes
    output = Path(config.output)
    sharded = accelerator.distributed_type == DistributedType.FSDP
    if sharded and config.optimizer.name == "soap":
        raise UsageError(
            "SOAP needs whole kernels, which FSDP cuts up: start the processes without sharding "
            "(torchrun alone), or take --optimizer.name muon"
        )

    task.to(device).train()
    if not sharded:  # FSDP takes contiguous kernels alone
        task.to(memory_format=torch.channels_last)  # pyright: ignore - the stub lacks this overload
    task.begin(dataset)
    model, optimizer = accelerator.prepare(task, build_optimizer(config.optimizer, task))
    state.make_callable_when_sharded(task, "validate")
    ema = EMA(config.ema, model) if config.ema.decay else None
    held = checkpoint.newest(output) if resume else None
    changed: list[str] = []
    if held:
        processes = int(held.get("processes") or world)  # older ones do not say
        changed = check_resumable(config, output / "config.yaml", processes, world)
        accelerator.wait_for_everyone()  # all have read the file before the first writes it anew
    step = state.restore(held, model, optimizer, ema) if held else 0
    before, changes = (held or {}).get("sources", {}), list((held or {}).get("changes", ()))
    del held  # all the weights and moments, once more
    if accelerator.is_main_process:
        output.mkdir(parents=True, exist_ok=True)
        if not resume:
            checkpoint.clear(output)  # first, or they would pass for those of the new config
        if step < config.steps:  # a finished run keeps the config that it ran with
            save_yaml(config, output / "config.yaml")
    log = RunLog(output, config, step, enabled=accelerator.is_main_process)
    batches = iter(loader(config, dataset, step, rank, world))
    result, bad = Result(step, "finished"), 0
    drawn_from = sources.record(dataset)
    result.changes = changes
    other = sources.difference(before, drawn_from)
    if other and step < config.steps:
        result.changes.append(f"from step {step} with other training pictures ({other})")

    def save() -> None:
        whole = {
            **state.collect(step, model, optimizer, ema),
            "processes": world,
            "sources": drawn_from,
            "changes": result.changes,
        }
        check_weights(whole["model"], output, step)
        with state.averaged(ema):
            weights, meta = task.export()
            weights = state.gathered(weights)
            if accelerator.is_main_process:
                told = {"changes": result.changes, "processes": world}
                log.export(weights, meta | told, step)
        if accelerator.is_main_process:
            # The checkpoint comes last: a run that has the last one does nothing more.
            checkpoint.save(output, step, whole, config.keep)

    with Stopping(config.max_minutes, accelerator) as stopping, log, closing(batches):
        for note in getattr(dataset, "notes", ()):  # how pictures were found and paired
            log.say(note)
        if validation is None and step < config.steps:
            log.say("no validation; --data.validation names held-out data for it")
        if other and step < config.steps:
            log.warn(f"going on {result.changes[-1]}")
        if changed and step < config.steps:
            log.warn(f"going on with other options than before: {', '.join(changed)}")
        elif changed:
            log.warn(f"the run is finished, so these options do nothing: {', '.join(changed)}")
        while step < config.steps:
            lr = learning_rate(config.optimizer, step, config.steps)
            for group in optimizer.param_groups:
                group["lr"] = lr * group.get("scale", 1.0)  # Muon's AdamW has a rate of its own
            values, parts = gradients(config, model, batches, accelerator, step)
            check_losses(parts, accelerator, output, step + 1)
            limit = config.optimizer.clip_norm or math.inf
            total = accelerator.clip_grad_norm_(model.parameters(), limit)
            assert total is not None  # None only on TPUs
            norm = float(total)
            if math.isfinite(norm):
                optimizer.step()
                task.after_step()
                bad = 0
            else:
                bad += 1
                log.warn(f"step {step + 1}: the gradient is not finite, step skipped")
                check_skipped(bad, output, step + 1, last=step + 1 == config.steps)
            optimizer.zero_grad(set_to_none=True)
            step += 1
            if ema is not None:
                ema.update(step)
            log.add(step, values, lr, norm, config.batch_size * config.accumulation * world)

            reason, done = stopping.reason(), step == config.steps
            if reason and not done:
                save()
                result.stopped = reason
                break
            if done or step % config.save_every == 0:
                save()
            if validation is not None and (done or step % config.validate_every == 0):
                with state.averaged(ema):
                    found = validate(config, task, validation, accelerator, step)
                result.validation, pictures = found
                log.validation(step, result.validation, pictures)
    result.step, result.metrics = step, log.last
    accelerator.wait_for_everyone()
    return result


def gradients(
    config: TrainConfig,
    model: nn.Module,
    batches: Iterator[dict],
    accelerator: Accelerator,
    step: int,
) -> tuple[dict[str, Tensor], list[MicroBatch]]:
    """Add up a step's gradients over its micro-batches.

    Returns the means of what is logged, and the loss and the samples' names of each micro-batch.
    """
    means: dict[str, Tensor] = {}
    parts: list[MicroBatch] = []
    for micro in range(config.accumulation):
        batch = to_device(next(batches), accelerator.device)
        seed = seed_of(config.seed, step, accelerator.process_index, micro)
        torch.manual_seed(seed)  # for dropout layers and the like
        generator = torch.Generator(accelerator.device).manual_seed(seed)
        last = micro == config.accumulation - 1
        with nullcontext() if last else accelerator.no_sync(model):
            loss, metrics = model(batch, generator)
            accelerator.backward(loss / config.accumulation)
        parts.append((loss.detach(), names_of(batch)))
        for name, value in {"loss": loss, **metrics}.items():
            means[name] = means.get(name, 0) + value.detach().float() / config.accumulation
    return means, parts


def _accelerator(config: TrainConfig) -> Accelerator:
    AcceleratorState._reset_state()  # an earlier run in this process may have had other settings
    torch.manual_seed(config.seed)
    # A network trained without guidance leaves its conditioning parameters unused.
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    cpu = not (torch.accelerator.is_available() and torch.accelerator.device_count())
    precision = config.precision
    if precision == "auto":
        device = None if cpu else torch.accelerator.current_accelerator()
        fast = hardware.has_fast_bfloat16(device or torch.device("cpu"))
        precision = "bf16" if fast else "no"
    accelerator = Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[unused])
    if cpu and accelerator.num_processes > 1 and parse_flag_from_env("ACCELERATE_USE_FSDP"):
        # accelerate shards on accelerators alone, and ignores the config on a CPU.
        accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin()
        accelerator.state.distributed_type = DistributedType.FSDP
    return accelerator
