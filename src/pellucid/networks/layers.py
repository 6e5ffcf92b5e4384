"""What several networks share: guidance, padding, channel layer norm, time embedding."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SEEN = {"semantics": "encode", "places": "places"}  # by which method of a network's own tower


def guided_by(network: nn.Module) -> tuple[str, ...]:
    """What `network.context` takes, in order: as it says itself, or DA-CLIP's two embeddings.

    "degradation", "content": DA-CLIP's of the picture, (B, D), None = no guidance; "image": the
    picture; "semantics", "places": what `encode` and `places` of its own tower make of it.
    """
    return getattr(network, "guided_by", ("degradation", "content"))


def needs_semantics(network: nn.Module) -> bool:
    """Whether a network is guided by a tower of its own."""
    return not SEEN.keys().isdisjoint(guided_by(network))


def context_for(
    network: nn.Module,
    image: Tensor,
    semantics: nn.Module | None = None,
    view: Tensor | None = None,
    **embeddings: Tensor | None,
) -> Any:
    """Return `network.context` of what it is guided by; what nobody gives is None.

    Args:
        image: damaged, `(B, 3, H, W)` in [0, 1].
        semantics: the network's own tower.
        view: what that is shown instead of the image.
        embeddings: DA-CLIP's, by name.
    """
    wanted, known = guided_by(network), {"image": image, **embeddings}
    if semantics is not None:
        for name in SEEN.keys() & set(wanted):
            known[name] = getattr(semantics, SEEN[name])(image if view is None else view)
    return network.context(*map(known.get, wanted))


def pad_to_multiple(x: Tensor, multiple: int) -> Tensor:
    """Pad `(B, C, H, W)` on the right and at the bottom until both sides are multiples.

    By reflection, as the official networks do; a side too short for that repeats its edge.
    """
    h, w = x.shape[-2:]
    bottom, right = -h % multiple, -w % multiple
    if not (bottom or right):
        return x
    mode = "reflect" if bottom < h and right < w else "replicate"
    return F.pad(x, (0, right, 0, bottom), mode=mode)


def channel_layer_norm(x: Tensor, gain: Tensor, bias: Tensor | None, eps: float) -> Tensor:
    """Layer norm over the channels of each pixel of `(B, C, H, W)`, biased variance.

    Computed in float32 at least, under autocast too; `gain` and `bias` hold C numbers. In
    channels-last memory the permutations cost nothing.
    """
    pixels = x.permute(0, 2, 3, 1)
    precision = torch.promote_types(x.dtype, torch.float32)
    if x.device.type != "cpu" or x.dtype == torch.float16:
        pixels = pixels.to(precision)  # a CPU reads bfloat16 and sums in float32 by itself
    gain = gain.flatten().to(precision)
    bias = None if bias is None else bias.flatten().to(precision)
    with torch.autocast(x.device.type, enabled=False):
        normed = F.layer_norm(pixels, pixels.shape[-1:], gain, bias, eps)
    return normed.permute(0, 3, 1, 2).to(x.dtype)


def sinusoidal(t: Tensor, dim: int) -> Tensor:
    """Embed times `(B,)` as `(B, dim)` float32: sines, then cosines, of frequencies 1 to 1e-4."""
    half = dim // 2
    k = torch.arange(half, device=t.device, dtype=torch.float32)
    angles = t.float()[:, None] * torch.exp(k * -(math.log(10_000) / (half - 1)))
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
