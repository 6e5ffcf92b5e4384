"""Official DA-CLIP and IR-SDE checkpoints to our modules: pure functions from dict to dict.

Our `DaCLIP` and `ConditionalUNet` keep the official parameter names, so nothing is renamed. What is
taken off is the wrapping: `{"epoch", "name", "state_dict", "optimizer"}` of an open_clip training
checkpoint, `{"model", ...}` or `{"prompt_learner", ...}` of others, and the prefix `module.` of
parallel training. What is added is the config, read off shapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pellucid.errors import CheckpointError
from pellucid.vision_language.clip import CLIPConfig, TextConfig, VisionConfig

HEAD_WIDTH = 64  # of every attention head in CLIP; it leaves no trace in the shapes
MIDDLE_KEYS = "mid_attn.fn.fn.transformer_blocks.0.attn2.to_k.weight"


def unwrap(checkpoint: Any) -> dict[str, Tensor]:
    """Take the state dict out of a training checkpoint and the prefix `module.` off its keys.

    Raises:
        CheckpointError: there is no mapping of names to tensors in it.
    """
    state = checkpoint
    for name in ("state_dict", "model", "prompt_learner"):
        if isinstance(state, Mapping) and isinstance(state.get(name), Mapping):
            state = state[name]
    if not isinstance(state, Mapping) or not state:
        raise CheckpointError(f"no weights in it, but a {type(state).__name__}")
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"not a state dict: {key!r} is a {type(value).__name__}")
    if all(key.startswith("module.") for key in state):
        state = {key.removeprefix("module."): value for key, value in state.items()}
    return dict(state)


def daclip_state_dict(checkpoint: Any) -> dict[str, Tensor]:
    """State dict of `DaCLIP` from an official checkpoint.

    The official files list the image tower twice, as `clip.visual` and as `visual`. The second name
    may be absent; where it is present it must hold the same numbers. In the result both are one
    tensor.

    Raises:
        CheckpointError: not a DA-CLIP checkpoint, or its two image towers differ.
    """
    state = unwrap(checkpoint)
    if not is_daclip(state):
        raise CheckpointError(
            f"not a DA-CLIP checkpoint: no visual_control.*; its first key is {next(iter(state))}"
        )
    for key in [key for key in state if key.startswith("clip.visual.")]:
        alias = key.removeprefix("clip.")
        if alias in state and not torch.equal(state[alias], state[key]):
            raise CheckpointError(
                f"{alias} and {key} must be equal, they are two names of one tower"
            )
        state[alias] = state[key]
    return state


def unet_state_dict(checkpoint: Any) -> dict[str, Tensor]:
    """State dict of `ConditionalUNet` from an official `.pth`.

    Raises:
        CheckpointError: not a checkpoint of DA-CLIP's U-Net.
    """
    state = unwrap(checkpoint)
    if not is_unet(state):
        raise CheckpointError(
            f"not DA-CLIP's restoration U-Net: its first key is {next(iter(state))}"
        )
    return state


def is_daclip(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the weights of a `DaCLIP`."""
    return (
        "visual_control.transformer.zero_modules.0.weight" in state and "clip.visual.proj" in state
    )


def is_unet(state: Mapping[str, Tensor]) -> bool:
    """Whether these are the weights of DA-CLIP's `ConditionalUNet` (IR-SDE's own differs)."""
    return "init_conv.weight" in state and MIDDLE_KEYS in state


def daclip_config(state: Mapping[str, Tensor]) -> CLIPConfig:
    """Read the sizes off a DA-CLIP state dict; heads are 64 wide, as in every CLIP."""
    vision_width, _, patch, _ = state["clip.visual.conv1.weight"].shape
    patches = state["clip.visual.positional_embedding"].shape[0] - 1
    context, text_width = state["clip.positional_embedding"].shape
    return CLIPConfig(
        embed_dim=state["clip.text_projection"].shape[1],
        vision=VisionConfig(
            image_size=patch * round(patches**0.5),
            patch_size=patch,
            width=vision_width,
            layers=_count(state, "clip.visual.transformer.resblocks."),
            heads=vision_width // HEAD_WIDTH,
        ),
        text=TextConfig(
            context_length=context,
            vocab_size=state["clip.token_embedding.weight"].shape[0],
            width=text_width,
            heads=text_width // HEAD_WIDTH,
            layers=_count(state, "clip.transformer.resblocks."),
        ),
    )


def unet_config(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Read the sizes off a U-Net state dict: the fields of `networks.irsde_unet.UNetConfig`."""
    nf = state["init_conv.weight"].shape[0]
    levels = _count(state, "downs.")
    return {
        "nf": nf,
        "ch_mult": [state[f"downs.{i}.3.weight"].shape[0] // nf for i in range(levels)],
        "context_dim": state[MIDDLE_KEYS].shape[1],
        "use_degradation_context": "text_mlp.0.weight" in state,
        "use_image_context": True,  # the keys of its cross-attention are how `is_unet` knows it
        "downsample_first": "downsample.weight" in state,
    }


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbered children a module list has."""
    return len({key[len(prefix) :].split(".")[0] for key in state if key.startswith(prefix)})
