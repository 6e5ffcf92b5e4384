"""Start a run from a config: build the task, load initial weights, open the data, train."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from pellucid import zoo
from pellucid.checkpoints.load import load_into
from pellucid.checkpoints.weights import read_weights
from pellucid.errors import CheckpointError, UsageError
from pellucid.loading import tower_file
from pellucid.networks.contract import RestorationNetwork
from pellucid.training.config import TrainConfig, check
from pellucid.training.data import datasets
from pellucid.training.loop import Result, train
from pellucid.vision_language.controller import DaCLIP


def run(config: TrainConfig, resume: bool = True) -> Result:
    """Build everything that a config names and train it.

    Raises:
        UsageError: the config names no data, or data that is not there.
        CheckpointError: weights that cannot be read or do not fit.
    """
    check(config)
    if Path(config.output).is_file():
        raise UsageError(f"--output {config.output} is a file; name a folder")
    torch.manual_seed(config.seed)
    task = config.task.build()
    if config.init_from:
        initialise(task.trained(), config.init_from, config.init_strict)
    dataset, validation = datasets(config)
    return train(config, task, dataset, validation, resume)


def initialise(module: nn.Module, path: str, strict: bool = True) -> list[str]:
    """Load the weights of a file into a module; returns the names that kept their initial values.

    Args:
        module: what `Task.trained` returned.
        path: a bundle, an official checkpoint, or the name of a model in `pellucid.zoo`, whose
            network is loaded, or whose tower into a tower.
        strict: False lets names be missing from the file or from the module (blocks more or less),
            and input channels of a convolution from the file: new channels come first and start at
            zero (so a `ResUNet` becomes a `DiffusionResUNet`, whose input is [x - mu, mu]). See
            also `RestorationNetwork.start_from`.

    Raises:
        CheckpointError: a name or a shape that does not fit.
    """
    if path in zoo.MODELS and isinstance(module, DaCLIP):
        path = tower_file(path)
    elif path in zoo.MODELS:
        path = str(zoo.resolve(path).network)
    weights = read_weights(path)
    state = weights.state
    if isinstance(module, RestorationNetwork):
        state = module.start_from(weights.kind, weights.meta.get("config", {}), state)
    if strict:
        load_into(module, state, path)
        return []
    own = module.state_dict()
    missing = [name for name in own if name not in state]
    if len(missing) == len(own):
        raise CheckpointError(f"{path} has nothing in common with {type(module).__name__}")
    widened = {name: _widen(value, own[name]) for name, value in state.items() if name in own}
    load_into(module, {name: own[name] for name in missing} | widened, path)
    return missing


def _widen(value: Tensor, like: Tensor) -> Tensor:
    """Put zeros before a kernel's input channels if only these are missing."""
    if value.ndim != 4 or like.ndim != 4 or value.shape[1] >= like.shape[1]:
        return value
    new = value.new_zeros(value.shape[0], like.shape[1] - value.shape[1], *value.shape[2:])
    return torch.cat([new, value], 1)
