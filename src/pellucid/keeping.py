"""What an instruction keeps stays, whatever the network does (ours).

A network that is told of noise alone may still brighten a dark picture. Where darkness or shadow
are to stay, regions become no brighter than they were; details within them are the network's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from pellucid.imaging.photo import LUMA
from pellucid.networks.contract import Guidance

BRIGHTENED = frozenset({"low-light", "shadowed"})  # words that are undone by more light
REGION = 16  # px; the light of a region is the mean over squares of this side
BLACK = 1 / 255  # is added to both sides of a quotient of light


def held(batch: Tensor, restored: Tensor, answers: Sequence[Guidance]) -> Tensor:
    """Restorations `(B, 3, H, W)` of pictures without the light that their guidance forbids.

    One is unchanged where neither "low-light" nor "shadowed" is kept, and where one of them is
    among the words that were to be removed.
    """
    for i, answer in enumerate(answers):
        if BRIGHTENED & set(answer.kept) and not BRIGHTENED & set(answer.words):
            before, after = _light(batch[i]), _light(restored[i])
            restored[i] *= ((before + BLACK) / (after + BLACK)).clamp(max=1).to(restored)
    return restored


def _light(picture: Tensor) -> Tensor:
    """Smooth luma `(1, H, W)` of a picture `(3, H, W)`."""
    luma = torch.einsum("c,chw->hw", torch.from_numpy(LUMA).to(picture), picture)[None, None]
    size = luma.shape[-2:]
    coarse = [max(1, round(side / REGION)) for side in size]
    small = interpolate(luma, coarse, mode="area")
    return interpolate(small, size, mode="bilinear", align_corners=False)[0]
