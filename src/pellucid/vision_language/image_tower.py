"""The frozen image towers that guide a restoration network beside DA-CLIP."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor, nn

Tower = TypeVar("Tower", bound="ImageTower")


class ImageTower(nn.Module):
    """Base of DINOv2, the small CLIP's image tower and CLIP RN50; always in evaluation mode."""

    @property
    def dim(self) -> int:
        """Length D of the vectors of `encode`."""
        raise NotImplementedError

    def encode(self, image: Tensor) -> Tensor:
        """Embed pictures (B, 3, H, W) in [0, 1] as (B, L, D), L layers, shallow first."""
        raise NotImplementedError

    def train(self: Tower, mode: bool = True) -> Tower:
        """Stay in evaluation mode."""
        return super().train(False)
