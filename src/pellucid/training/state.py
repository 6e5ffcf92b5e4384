"""Collect and restore the state of a run; the model may be wrapped or sharded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule, register_fsdp_forward_method
from torch.distributed.tensor import DTensor

from pellucid.errors import UsageError
from pellucid.training.optim import EMA

# Whole tensors under plain names whatever the sharding; frozen parameters are rebuilt by the task.
TAKE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
NAMES = StateDictOptions(ignore_frozen_params=True)  # shards, whose shape is the whole's
PUT = StateDictOptions(full_state_dict=True, strict=False)
PUT_UNSHARDED = StateDictOptions(strict=False)  # the other loses empty lists, which SOAP holds


def collect(
    step: int, model: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA | None
) -> dict[str, Any]:
    """Return the state of a run after `step` steps, on the CPU. Every process must call it."""
    optimizer = getattr(optimizer, "optimizer", optimizer)  # accelerate's wrapper
    state = {
        "step": step,
        "model": _copies(get_model_state_dict(model, options=TAKE)),
        "optimizer": get_optimizer_state_dict(model, optimizer, options=TAKE),
    }
    if ema is not None:
        with averaged(ema):
            state["ema"] = _copies(get_model_state_dict(model, options=TAKE))
    return state


def restore(
    state: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer, ema: EMA | None
) -> int:
    """Load a state; returns its step. A missing average starts from the weights."""
    optimizer = getattr(optimizer, "optimizer", optimizer)
    # Every process must refuse: the others would wait for the first one for ever.
    _check_same(state["model"], get_model_state_dict(model, options=NAMES))
    moments = {name: dict(held) for name, held in state["optimizer"]["state"].items()}
    # (Copies: the functions below put shards into the dicts that they are given.)
    held = {"state": moments, "param_groups": state["optimizer"]["param_groups"]}
    sharded = any(isinstance(part, FSDPModule) for part in model.modules())
    put = PUT if sharded else PUT_UNSHARDED
    set_optimizer_state_dict(model, optimizer, held, options=put)
    # That gave moments to parameters which never had a gradient, too; they are to start when used.
    for name, p in getattr(model, "module", model).named_parameters():
        name = name.replace("_checkpoint_wrapped_module.", "")  # of activation checkpointing
        if name in state["model"] and name not in state["optimizer"]["state"]:
            optimizer.state.pop(p, None)
    if ema is not None:
        with averaged(ema):
            average = state.get("ema", state["model"])
            set_model_state_dict(model, dict(average), options=PUT)
    set_model_state_dict(model, dict(state["model"]), options=PUT)
    return state["step"]


def _check_same(held: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """`UsageError` if a checkpoint is of another network than the model."""
    differ = [
        name
        for name in dict.fromkeys((*own, *held))
        if name not in own or name not in held or own[name].shape != held[name].shape
    ]
    if differ:
        more = f" and {len(differ) - 3} more" if len(differ) > 3 else ""
        raise UsageError(
            f"the run in the output folder is of another network ({', '.join(differ[:3])}{more} "
            "differ): name another --output, or start over with --no-resume"
        )


@contextmanager
def averaged(ema: EMA | None) -> Iterator[None]:
    """Use the averaged weights in the model inside this block."""
    if ema is None:
        yield
        return
    ema.swap()
    try:
        yield
    finally:
        ema.swap()


def gathered(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict's tensors, whole ones for shards. Every process must call it.

    Those that are not sharded are the module's own: write them before they change.
    """
    return {
        name: (value.full_tensor() if isinstance(value, DTensor) else value).detach()
        for name, value in weights.items()
    }


def _copies(state: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in state.items()}  # on a CPU these are the weights


def make_callable_when_sharded(module: nn.Module, method: str) -> None:
    """Let a method besides `forward` be called on a module that FSDP has sharded."""
    if isinstance(module, FSDPModule):
        register_fsdp_forward_method(module, method)
