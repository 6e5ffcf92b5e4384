"""Feature maps of a frozen image tower, as a teacher for distillation.

A `SpatialTeacher` holds the tower, never changes, and says which one it is: `name` is for logs and
model cards, and a tower of random weights has the name "random".
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from torch import Tensor, nn

from pellucid.vision_language.clip import CLIP, VisionTransformer
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.resnet import CLIPResNet, CLIPResNetConfig, ResNetConfig
from pellucid.vision_language.tinyvit import TinyViTStem


class SpatialTeacher(nn.Module):
    """Frozen maps of pictures: `teacher(image)` -> one (B, channels[k], h, w) for each map k.

    Of a `CLIPResNet`: stem and layers 1 to 3, strides 2, 4, 8, 16, for any size (layer 4 and the
    pooling localise badly and are left out). Of a `TinyViTStem`: strides 2, 4, 8. Of `Pixels`: the
    picture. Of the transformer in a `CLIP` or `DaCLIP` (its plain tower): the patches after half of
    the blocks, as one map; the picture is cut into the squares that the tower takes, so its sides
    must be multiples of `multiple`.

    Args:
        tower: is frozen and set to evaluation mode; one may serve several purposes.
        name: which weights these are.
    """

    def __init__(self, tower: CLIPResNet | TinyViTStem | Pixels | CLIP | DaCLIP, name: str):
        super().__init__()
        self.tower, self.name = tower.requires_grad_(False).eval(), name
        self.multiple = 1
        if isinstance(tower, CLIPResNet):
            width = tower.config.vision.width
            self.channels, self.strides = (width, 4 * width, 8 * width, 16 * width), (2, 4, 8, 16)
        elif isinstance(tower, TinyViTStem | Pixels):
            self.channels, self.strides = tower.widths, tower.strides
        else:
            vision = tower.config.vision
            self.channels, self.strides = (vision.width,), (vision.patch_size,)
            self.multiple = vision.image_size

    def train(self, mode: bool = True) -> SpatialTeacher:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of float RGB (B, 3, H, W) in [0, 1], finest first.

        Raises:
            ValueError: the sides are not multiples of `multiple`.
        """
        if image.shape[-2] % self.multiple or image.shape[-1] % self.multiple:
            height, width = image.shape[-2:]
            raise ValueError(
                f"the teacher '{self.name}' takes pictures with sides that are multiples of "
                f"{self.multiple} px, not {height} x {width}"
            )
        tower = self.tower
        config = tower.config
        mean, std = (image.new_tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
        pixels = (image - mean) / std
        if isinstance(tower, CLIP | DaCLIP):
            return (self._patches(tower.visual, pixels),)
        return (tower.visual if isinstance(tower, CLIPResNet) else tower).maps(pixels)

    def _patches(self, visual: VisionTransformer, pixels: Tensor) -> Tensor:
        side = self.multiple
        rows, columns = pixels.shape[-2] // side, pixels.shape[-1] // side
        squares = pixels.unflatten(3, (columns, side)).unflatten(2, (rows, side))
        x = visual.stem(squares.permute(0, 2, 4, 1, 3, 5).flatten(0, 2))
        blocks = visual.transformer.resblocks
        for block in blocks[: (len(blocks) + 1) // 2]:
            x = block(x)
        grid = side // self.strides[0]
        x = x[:, 1:].unflatten(1, (grid, grid)).unflatten(0, (-1, rows, columns))
        x = x.permute(0, 5, 1, 3, 2, 4)  # (B, C, rows, grid, columns, grid)
        return x.flatten(4, 5).flatten(2, 3)


class Pixels(nn.Module):
    """The picture as its only map: the baseline of a teacher."""

    widths, strides = (3,), (1,)
    config = SimpleNamespace(mean=(0.0,) * 3, std=(1.0,) * 3)

    def maps(self, pixels: Tensor) -> tuple[Tensor]:
        """Return the picture."""
        return (pixels,)


def random_teacher(seed: int = 0, config: ResNetConfig | None = None) -> SpatialTeacher:
    """A teacher of CLIP RN50's structure with random weights, for comparison.

    Its maps still show where two pictures differ; `name` is "random", whatever the seed.
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        tower = CLIPResNet(CLIPResNetConfig(vision=config or ResNetConfig()))
    return SpatialTeacher(tower, "random")
