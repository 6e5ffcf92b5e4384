"""A bilateral grid of affine colour maps with DA-CLIP conditioning: the fast network for light.

After HDRNet (Gharbi et al., SIGGRAPH 2017). A small U-Net looks at the whole picture, reduced to
64x64 px, with the darkest and brightest values around each place, and predicts an affine map of
colours for each cell of a coarse grid over place and brightness. Each pixel looks up its own map
there, by where it lies and how bright it is, so edges of the picture stay sharp. It is meant for
haze, darkness and shadow, which change the light of large regions, at about a seventh of a
`ResUNet`'s cost. Ours: the conditioning, which is that of `ResUNet` (a prompt of the degradation
embedding and statistics of the picture modulate every block), the extremes, and the sizes. The
official code was not used, and its weights do not fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import Blocks, bands, zeroed
from pellucid.networks.resunet import Prompt, ResBlock, Statistics

MAP = 12  # numbers of an affine map of colours: a 3x3 matrix, then three offsets


@dataclass(frozen=True)
class BilateralGridConfig:
    """Sizes of a `BilateralGrid`; level `i` works at 1 / 2^(i+2) of the reduced picture."""

    look: int = 64
    """Side to which the picture is reduced, in px; a multiple of the last level's scale."""
    reach: tuple[int, ...] = (3, 7)
    """Odd sides of the neighbourhoods whose darkest and brightest values are seen, in px of it."""
    stem: int = 32
    """Channels at half of the reduced picture's resolution."""
    widths: tuple[int, ...] = (64, 96, 128)
    """Channels of each level, finest first; the first has the resolution of the grid."""
    blocks: tuple[int, ...] = (1, 2, 3)
    """Blocks of each level, on the way down and up again; those of the last, the middle, once."""
    bins: int = 8
    """Cells of the grid along brightness."""
    context_dim: int = 256
    """Length of DA-CLIP's degradation embedding."""
    embed_dim: int = 128
    """Length of the vector that modulates the blocks."""
    words: int = 0
    """Words that the degradation embedding is read as; 0 = as it is (DA-CLIP)."""


class BilateralGrid(RestorationNetwork):
    """Deterministic restorer: `net(picture, grid)` with the whole picture `(B, 3, H, W)`."""

    needs = frozenset({"degradation"})
    overlap = 0
    whole = True
    unguided = True

    def __init__(self, config: BilateralGridConfig | None = None):
        super().__init__()
        self.config = config = config or BilateralGridConfig()
        widths, embed = config.widths, config.embed_dim

        def blocks(level: int) -> Blocks:
            return Blocks(ResBlock(widths[level], embed) for _ in range(config.blocks[level]))

        levels = range(len(widths) - 1)
        self.prompt = Prompt(config.context_dim, embed, config.words)
        self.statistics = Statistics(embed)
        seen = 3 + 2 * (1 + len(config.reach))
        self.stem = nn.Conv2d(seen, config.stem, 3, stride=2, padding=1)
        inputs = (config.stem, *widths)
        self.down = nn.ModuleList(
            nn.Conv2d(inputs[i], width, 2, stride=2) for i, width in enumerate(widths)
        )
        self.encoder = nn.ModuleList(blocks(level) for level in levels)
        self.pooled = nn.Sequential(
            nn.Linear(widths[-1], embed), nn.SiLU(), nn.Linear(embed, embed)
        )
        self.middle = blocks(len(widths) - 1)
        self.up = nn.ModuleList(nn.Conv2d(widths[i + 1], 4 * widths[i], 1) for i in levels)
        self.decoder = nn.ModuleList(blocks(level) for level in levels)
        self.head = zeroed(nn.Conv2d(widths[0], MAP * config.bins, 3, padding=1))
        self.guide = nn.Sequential(nn.Conv2d(3, 16, 1), nn.SiLU(), nn.Conv2d(16, 1, 1))
        for conv in (self.stem, *self.down, *self.up):
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")

    @property
    def word_embeddings(self) -> Tensor | None:
        """See `RestorationNetwork`."""
        return self.prompt.words if self.config.words else None

    def condition(self, image: Tensor, guidance: Guidance) -> Tensor:
        """Predict the grid, `(B, 12, bins, rows, columns)`.

        Without a degradation embedding, or with a row of zeros, the network is unguided, as a share
        of the samples in its training is (`context_dropout`).
        """
        degradation = guidance.degradation
        if degradation is None:
            degradation = self.stem.weight.new_zeros(1, self.config.context_dim)
        embedding = self.prompt(degradation)
        embedding = embedding + self.statistics(image, embedding)
        x = self.stem(2 * self.seen(image) - 1)
        skips = []
        for down, blocks in zip(self.down, self.encoder, strict=False):
            x = blocks(down(x), embedding)
            skips.append(x)
        x = self.down[-1](x)
        x = self.middle(x, embedding + self.pooled(x.mean((2, 3))))
        for level in reversed(range(len(self.decoder))):
            x = F.pixel_shuffle(self.up[level](x), 2) + skips.pop()
            x = self.decoder[level](x, embedding)
        return self.head(x).unflatten(1, (MAP, self.config.bins))

    def seen(self, image: Tensor) -> Tensor:
        """The picture as the U-Net sees it, `(B, 9, look, look)` in [0, 1].

        Means of the colours; the lowest value of any channel, of a pixel and of neighbourhoods
        (the dark channel of He et al. 2009, which shows a veil); the highest likewise.
        """
        fine = reduced(image, 2 * self.config.look)
        planes = [F.avg_pool2d(fine, 2)]
        for extreme in (-fine.amin(1, keepdim=True), fine.amax(1, keepdim=True)):
            extreme = F.max_pool2d(extreme, 2)
            for side in (1, *self.config.reach):
                rows = F.max_pool2d(extreme, (side, 1), stride=1, padding=(side // 2, 0))
                around = F.max_pool2d(rows, (1, side), stride=1, padding=(0, side // 2))
                planes.append(around.abs())
        return torch.cat(planes, 1)

    def forward(self, picture: Tensor, condition: Tensor) -> Tensor:
        with torch.autocast(picture.device.type, enabled=False):
            grid = condition.float().expand(len(picture), -1, -1, -1, -1)
            restored = [
                self._mapped(picture[:, :, rows].float(), rows.start, picture.shape[2], grid)
                for rows in bands(picture, 3 * MAP)
            ]
            return torch.cat(restored, 2) if len(restored) > 1 else restored[0]

    def _mapped(self, x: Tensor, first: int, height: int, grid: Tensor) -> Tensor:
        """Map the colours of some rows `(B, 3, h, W)` of a picture, from row `first` on."""
        h, w = x.shape[2:]
        bins, rows, columns = grid.shape[2:]
        brightness = x.mean(1) + 0.3 * self.guide(x)[:, 0].tanh()
        z = brightness.clamp(0, 1) * (bins - 1)
        lower = z.detach().floor().clamp(max=bins - 2)
        y = ((first + 0.5 + torch.arange(h, device=x.device)) * (rows / height) - 0.5)[:, None]
        y, u = y.clamp(0, rows - 1), (torch.arange(w, device=x.device) + 0.5) * (columns / w) - 0.5
        u = (2 / (columns - 1) * u.clamp(0, columns - 1) - 1).expand(len(x), h, w)
        # Cells of all brightnesses below each other; runtimes have lookups in two dimensions only.
        cells = grid.flatten(2, 3)

        def maps_of(cell: Tensor) -> Tensor:
            places = torch.stack([u, 2 / (bins * rows - 1) * (cell * rows + y) - 1], -1)
            return F.grid_sample(cells, places, padding_mode="border", align_corners=True)

        maps = torch.lerp(maps_of(lower), maps_of(lower + 1), (z - lower)[:, None])
        matrix, offset = maps[:, :9].unflatten(1, (3, 3)), maps[:, 9:]
        return x + (matrix * x[:, None]).sum(2) + offset


def reduced(image: Tensor, side: int) -> Tensor:
    """Means of `(B, 3, H, W)` over the cells of an even division into `side` x `side`."""
    rows, columns = (_shares(length, side, image) for length in image.shape[-2:])
    return rows @ image @ columns.mT


def _shares(length: int, cells: int, like: Tensor) -> Tensor:
    """Share of each of `length` pixels in the mean of each cell, `(cells, length)`."""
    edges = torch.arange(cells + 1, device=like.device, dtype=like.dtype) * (length / cells)
    pixels = torch.arange(length, device=like.device, dtype=like.dtype)
    first, last = edges[:-1, None], edges[1:, None]
    overlap = torch.minimum(last, pixels + 1) - torch.maximum(first, pixels)
    return overlap.clamp(min=0) * (cells / length)
