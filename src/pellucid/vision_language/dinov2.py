"""DINOv2: semantics of a picture as four vectors, shallow to deep, for Perceive-IR."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.errors import CheckpointError
from pellucid.vision_language.hub import DINOV2_BASE, folder_of
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.preprocess import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    from transformers import Dinov2Model

LAYERS = (1, 4, 8, 12)
SIZE = 224


class DINOv2(ImageTower):
    """A frozen DINOv2 (Oquab et al., TMLR 2024) of 12 layers or more, read as Perceive-IR does.

    Source: Perceive-IR, official code. The weights of `DINOV2_BASE` (Meta, Apache-2.0) have 86.6 M
    parameters and give vectors of length 768.
    """

    def __init__(self, model: Dinov2Model):
        super().__init__()
        self.model = model
        self.eval().requires_grad_(False)

    @classmethod
    def from_pretrained(cls, source: str | PathLike = DINOV2_BASE) -> DINOv2:
        """Read a folder in the format of `transformers`, or a repository on the Hugging Face Hub.

        Raises:
            CheckpointError: neither found nor fetched.
        """
        from transformers import Dinov2Model
        from transformers.utils import logging

        shown = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()  # it would be drawn into ours
        try:
            folder = folder_of(source, "config.json", "model.safetensors")
            return cls(Dinov2Model.from_pretrained(folder, use_safetensors=True))
        except (OSError, ValueError) as error:
            raise CheckpointError(
                f"DINOv2 could not be read from {source}: {error}\nWithout a network, fetch "
                f"config.json and model.safetensors of https://huggingface.co/{DINOV2_BASE} by "
                "hand and give their folder (--semantics; of a training, --task.semantics)."
            ) from error
        finally:
            if shown:
                logging.enable_progress_bar()

    @property
    def dim(self) -> int:
        """Length D of its vectors; 768 of `DINOV2_BASE`."""
        return self.model.config.hidden_size

    @torch.no_grad()
    def encode(self, image: Tensor) -> Tensor:
        """The class token after layers 1, 4, 8 and 12, without the final norm.

        The whole picture is squeezed to 224 x 224 px (bicubic, not antialiased, not clamped), so a
        picture's vectors are not those of its tiles: compute them once for the whole.

        Args:
            image: `(B, 3, H, W)` in [0, 1].

        Returns:
            `(B, 4, D)`, for the network's full resolution first.
        """
        pixels = F.interpolate(image, (SIZE, SIZE), mode="bicubic", align_corners=False)
        statistics = IMAGENET_MEAN, IMAGENET_STD
        mean, std = (pixels.new_tensor(values).view(3, 1, 1) for values in statistics)
        states = self.model((pixels - mean) / std, output_hidden_states=True).hidden_states
        return torch.stack([states[layer][:, 0] for layer in LAYERS], dim=1)
