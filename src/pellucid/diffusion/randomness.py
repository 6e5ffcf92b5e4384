"""Noise of a sampler.

A sampler calls a `Draw` once for every stochastic step and gets a standard normal tensor of the
shape of its state. `gaussian` makes one from generators. An image restored in tiles uses crops of
the noise of the whole canvas, replayed for every tile:

    canvas = gaussian(image, torch.Generator().manual_seed(seed))
    noise = lambda: canvas()[..., top:bottom, left:right]
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Draw = Callable[[], Tensor]
Randomness = Draw | torch.Generator | Sequence[torch.Generator] | None


def gaussian(like: Tensor, source: Randomness = None) -> Draw:
    """Make a `Draw` of the shape, dtype and device of `like`.

    Args:
        like: `(B, C, H, W)`.
        source: None = torch's global stream on the device of `like` (`torch.manual_seed`), as in
            the official code; or one generator for the batch; or a list with one an image, so that
            an image's noise does not depend on its neighbours in the batch; or a `Draw`, returned
            as it is. Numbers are drawn on the generator's device: with CPU generators, a seed means
            the same noise on every machine.

    Raises:
        ValueError: a list of another length than the batch.
    """
    if callable(source):
        return source
    if source is None:
        return lambda: torch.randn_like(like)
    if isinstance(source, torch.Generator):
        return lambda: _randn(like.shape, source, like)
    if len(source) != len(like):
        raise ValueError(f"{len(source)} generators for {len(like)} images")
    return lambda: torch.stack([_randn(like.shape[1:], generator, like) for generator in source])


def _randn(shape: torch.Size, generator: torch.Generator, like: Tensor) -> Tensor:
    noise = torch.randn(shape, generator=generator, device=generator.device, dtype=like.dtype)
    return noise.to(like.device)
