"""Black and white stays black and white, however it is stored."""

from __future__ import annotations

import torch
from torch import Tensor

from pellucid.imaging.photo import LUMA

STEP = 1.5 / 255  # R, G and B of lossy formats differ by one step of 8 bits, from rounding


def is_neutral(picture: Tensor) -> bool:
    """Whether all pixels of a picture `(3, H, W)` in [0, 1] are grey.

    R, G and B may differ by one step of 8 bits: lossy formats that store luma and chroma round so.
    """
    sample = picture[:, ::16, ::16]  # a colourful picture shows it at once
    return all(bool((p.amax(0) - p.amin(0)).max() < STEP) for p in (sample, picture))


def keep_neutral(before: Tensor, after: Tensor) -> Tensor:
    """`after`, a restoration of `before` (both `(3, H, W)`), grey if `before` is grey.

    Grey values are the luma.
    """
    if not is_neutral(before):
        return after
    luma = torch.tensordot(torch.from_numpy(LUMA).to(after), after, dims=1)
    return luma.expand(3, -1, -1).contiguous()
