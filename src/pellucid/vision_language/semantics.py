"""Semantics of a picture from the image tower of a CLIP, in place of DINOv2.

Ours. Perceive-IR reads four class tokens of DINOv2, from shallow to deep (`dinov2.py`); this reads
those of a CLIP's image tower. Of the small tower in this package, claim no more semantics than it
has (docs/model_card.md).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.preprocess import squeezed

LEVELS = 4


class TowerSemantics(ImageTower):
    """Hidden states of a frozen image tower: `encode(image)` -> four vectors, shallow first.

    Args:
        tower: a CLIP, or a DA-CLIP, whose plain tower is used; frozen here.
    """

    def __init__(self, tower: CLIP | DaCLIP):
        super().__init__()
        self.config = tower.config
        self.visual = tower.visual
        depth = self.config.vision.layers
        # DINOv2's 1, 4, 8 and 12 of 12, in proportion
        self.layers = tuple(max(1, round(depth * i / (LEVELS - 1))) for i in range(LEVELS))
        self.requires_grad_(False).eval()

    @property
    def dim(self) -> int:
        """Length D of its vectors, the tower's width."""
        return self.config.vision.width

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """The class token after four of the tower's layers, without the final norm.

        The whole picture is squeezed to one square (bicubic, antialiased), whatever views the tower
        is shown otherwise: a picture's vectors are not those of its tiles.

        Args:
            image: `(B, 3, H, W)` in [0, 1].

        Returns:
            `(B, 4, D)`, for full resolution first.
        """
        config, size = self.config, self.config.vision.image_size
        pixels = squeezed(image, size)
        mean, std = (pixels.new_tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
        x = self.visual.stem((pixels - mean) / std)
        states = []
        for block in self.visual.transformer.resblocks:
            x = block(x)
            states.append(x[:, 0])
        return torch.stack([states[layer - 1] for layer in self.layers], dim=1)
