"""Read weights of every origin: what is in the file, and which network it belongs to.

A bundle says what it is. An official checkpoint is recognised by its keys and shapes: each class in
`networks.table` and `vision_language.towers` knows its own. Taken off are the wrapping of a
training checkpoint (`params_ema`, `params`, `state_dict`, `model`, ...) and the prefixes of
wrappers (`module.`, `net.`, `model.`, ...).
"""

from __future__ import annotations

import typing
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from torch import Tensor

from pellucid.checkpoints import safe
from pellucid.checkpoints.bundle import load_bundle
from pellucid.checkpoints.checks import check_meta, is_safetensors, read_head
from pellucid.checkpoints.openai_clip import open_archive
from pellucid.errors import CheckpointError
from pellucid.networks.table import NETWORKS
from pellucid.vision_language.clip import OPENAI_VIT_B_32
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.towers import TOWERS

PROMPTS = "quality-prompts"  # kind of Perceive-IR's learned prompts
READER = "instruction-reader"
WRAPPINGS = ("params_ema", "params", "state_dict", "model", "prompt_learner")
PREFIXES = ("module.", "net.", "_orig_mod.", "model.", "network.", "generator.")
"""Of wrappers: DDP and Lightning modules, `torch.compile`."""
OPENAI = {"ViT-B/32": {"kind": "clip", "config": asdict(OPENAI_VIT_B_32)}}
OFFICIAL_SIZES = {  # names in DA-CLIP's options files
    "use_degra_context": ("use_degradation_context", bool),
    "scale": ("downsample_first", lambda scale: scale != 1),
}
RETIRED = {
    "figure": False,
    "bias": True,
    "gate": "pixel",
    "mix": "concatenate",
    "query": "pixels",
    "grid_dim": 0,
}
"""Sizes that bundles of earlier versions have, and the only value that is still built."""


@dataclass(frozen=True, eq=False)
class Weights:
    """The content of a file of weights."""

    path: Path
    state: dict[str, Tensor]
    """Name to tensor; of a recognised network under the names of its class."""
    meta: dict[str, Any]
    """What the file says of itself, or what was recognised: `kind`, `config` and others."""

    @property
    def kind(self) -> str:
        """Row in `NETWORKS` or `TOWERS`, `PROMPTS` or `READER`; empty if unknown."""
        return self.meta.get("kind", "")

    def config(self, config_class: type) -> Any:
        """The sizes as a dataclass.

        Raises:
            CheckpointError: a size is unknown to this version or missing.
        """
        if "config" not in self.meta:
            raise CheckpointError(f"{self.path} does not say the sizes of its network")
        try:
            return config_from(config_class, self.meta["config"])
        except CheckpointError as error:
            raise CheckpointError(f"{self.path} {error}") from error
        except Exception as error:  # a class may stumble anywhere over values of the wrong type
            raise CheckpointError(f"{self.path} has sizes that make no network: {error}") from error


def read_weights(path: str | PathLike) -> Weights:
    """Read a bundle, or an official `.pt`, `.pth` or plain `.safetensors`.

    Weights of an unknown network are read, too; their `kind` is empty.

    Raises:
        CheckpointError: the file is missing, damaged or unsafe, or holds no weights.
    """
    path = Path(path)
    meta: dict[str, Any] = {}
    head = read_head(path)
    if is_safetensors(head) or (path.suffix.lower() == ".safetensors" and head[:2] != b"PK"):
        content, meta = load_bundle(path)
    elif archive := open_archive(path):
        content, meta = archive[1], OPENAI.get(archive[0], {})
    else:
        content = safe.load(path)
    try:
        state = unwrap(content)
        check_meta(meta, len(state))
        if not meta:
            state, meta = recognise(state)
        elif found := DaCLIP.official(state):  # a bundle may list its image tower once
            state = dict(found[1])
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except Exception as error:  # names of a known network with shapes that it never has
        raise CheckpointError(f"{path}: its weights make no network ({error!r})") from error
    return Weights(path, state, meta)


def unwrap(checkpoint: Any) -> dict[str, Tensor]:
    """Take the state dict out of a training checkpoint, and common prefixes off its keys.

    Raises:
        CheckpointError: there is no mapping of names to tensors in it.
    """
    state = checkpoint
    while isinstance(state, Mapping):
        inner = [name for name in WRAPPINGS if isinstance(state.get(name), Mapping)]
        if not inner:
            break
        state = state[inner[0]]
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"no weights in it, but a {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, Tensor):
            raise CheckpointError(f"not a state dict: {key!r} is a {type(value).__name__}")
    while prefix := next((p for p in PREFIXES if _most(p, state)), ""):
        state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    return dict(state)


def _most(prefix: str, keys: Collection[str]) -> bool:
    """Whether more than half of the keys have a prefix: the rest of a Lightning module is losses
    and metrics."""
    return sum(key.startswith(prefix) for key in keys) > len(keys) / 2


def recognise(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Find the network of an official state dict: its weights under our names, `kind`, `config`.

    The second is empty for an unknown network.

    Raises:
        CheckpointError: a DA-CLIP whose two copies of the image tower differ.
    """
    if set(state) == {"context", "token_prefix", "token_suffix", "tokenized_prompts"}:
        return dict(state), {"kind": PROMPTS, "config": {}}
    classes = {kind: row.tower for kind, row in TOWERS.items()}
    classes |= {kind: row.network for kind, row in NETWORKS.items()}
    for kind, network in classes.items():
        if found := network.official(state):
            return dict(found[1]), {"kind": kind, "config": asdict(found[0])}
    return dict(state), {}


def config_from(config_class: type, values: Mapping[str, Any]) -> Any:
    """Rebuild a config from `dataclasses.asdict`, also after a journey through JSON.

    Raises:
        CheckpointError: a size is unknown to this version.
    """
    hints = typing.get_type_hints(config_class)
    known = {field.name for field in fields(config_class)}
    found, unknown = {}, []
    for name, value in values.items():
        if name in OFFICIAL_SIZES:
            name, translate = OFFICIAL_SIZES[name]
            value = translate(value)
        if name not in known:
            if name not in RETIRED or RETIRED[name] != value:
                unknown.append(f"{name}={value!r}")
            continue
        kinds = (hints[name], *typing.get_args(hints[name]))
        nested = [t for t in kinds if isinstance(t, type) and is_dataclass(t)]
        if isinstance(value, Mapping) and nested:
            value = config_from(nested[0], value)
        found[name] = tuple(value) if isinstance(value, list) else value
    if unknown:
        raise CheckpointError(
            f"has sizes unknown to this version: {', '.join(sorted(unknown))}. "
            "Is Pellucid up to date?"
        )
    return config_class(**found)
