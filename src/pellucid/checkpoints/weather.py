"""A trained `ResUNet` as the start of a `WeatherUNet`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from pellucid.networks.resunet import Prompt
from pellucid.networks.weather import WeatherConfig


@torch.no_grad()
def from_resunet(
    state: Mapping[str, Tensor], resunet: Mapping[str, Any], config: WeatherConfig
) -> dict[str, Tensor]:
    """Put a `ResUNet` with words into the names of a `WeatherUNet` on the residual host.

    A block's modulation becomes one gain and shift a word: exact for a picture with one word, a
    straight mixture for others. Without `config.words` their mean is folded into the convolutions.
    The content embedding is left out. SAR encoder and prior are not in the answer.

    Args:
        state: weights of the `ResUNet`.
        resunet: its config.
        config: of the `WeatherUNet`.
    """
    prompt = Prompt(resunet["context_dim"], resunet["embed_dim"], resunet["words"])
    parts = {n.removeprefix("prompt."): v for n, v in state.items() if n.startswith("prompt.")}
    prompt.load_state_dict(parts)
    words = prompt.words
    told = prompt(words)
    kept = {n: v for n, v in state.items() if not n.startswith(("prompt.", "cross_attention."))}
    for weight in [name for name in kept if name.endswith("modulation.weight")]:
        bias, block = weight.replace("weight", "bias"), weight.removesuffix("modulation.weight")
        moved = told @ kept[weight].float().T + kept[bias].float()  # (words, 2 C)
        if config.words:
            kept[weight] = (moved - kept[bias].float()).T.contiguous()
            continue
        gain, shift = moved.mean(dim=0).chunk(2)
        conv, offset = f"{block}conv1.weight", f"{block}conv1.bias"
        kept[conv] = kept[conv].float() * (1 + gain).view(-1, 1, 1, 1)
        kept[offset] = kept[offset].float() * (1 + gain) + shift
        del kept[weight], kept[bias]
    return {**kept, "words": words.clone()} if config.words else kept
