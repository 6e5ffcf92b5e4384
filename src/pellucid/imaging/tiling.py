"""Large pictures in overlapping tiles, blended so that no seam can be seen.

Along each axis two neighbouring tiles share `2 * margin + ramp` pixels: a margin at either tile's
edge counts for nothing there, because a network lacks the surroundings it would need, and between
the margins the weights cross over as a raised cosine (Hann). Weights sum to one by construction,
so the result is added up tile by tile and nothing has to be divided. With a margin of at least a
network's reach (half its receptive field), a convolutional network gives what the whole gives.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from pellucid.errors import PellucidError, UsageError

RAMP = 32
SMALLEST = 128
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tile:
    """A rectangle of the padded picture and the weight of its rows and columns."""

    rows: slice
    columns: slice
    row_weights: Tensor  # (h,)
    column_weights: Tensor  # (w,)

    @property
    def weights(self) -> Tensor:
        """`(h, w)`; over all tiles of a plan they sum to one at every pixel."""
        return self.row_weights[:, None] * self.column_weights

    def crop(self, image: Tensor) -> Tensor:
        """The tile of `(..., H, W)`."""
        return image[..., self.rows, self.columns]


def plan(height: int, width: int, tile: int, overlap: int, multiple: int) -> list[Tile]:
    """Tiles that cover a picture padded to `multiple`, row by row.

    Args:
        height, width: size of the picture in pixels, unpadded.
        tile: longest side of a tile; rounded up to `multiple`. Tiles are shrunk evenly to fit.
        overlap: the receptive field of the network, both sides together; half of it is the margin.
            If the tile is too small for it, what fits is taken: neighbours never share more than
            half a tile.
        multiple: sizes and positions of tiles are multiples of this, so that a network which
            works at lower resolutions sees the same grid in all of them.

    Raises:
        UsageError: a number is not positive (`overlap` may be 0).
    """
    if min(height, width, tile, multiple) < 1 or overlap < 0:
        raise UsageError(f"cannot tile {width} x {height} by {tile} with overlap {overlap}")
    rows = _axis(height, tile, overlap, multiple)
    columns = _axis(width, tile, overlap, multiple)
    return [
        Tile(slice(y, y + len(v)), slice(x, x + len(h)), v, h) for y, v in rows for x, h in columns
    ]


def _axis(length: int, tile: int, overlap: int, multiple: int) -> list[tuple[int, Tensor]]:
    """Start and weights of the tiles along one axis."""
    length, tile = round_up(length, multiple), round_up(tile, multiple)
    if tile >= length:
        return [(0, torch.ones(length))]
    ramp = max(1, min(RAMP, tile // 8))
    shared = round_up(2 * (overlap // 2) + ramp, multiple)
    shared = min(shared, tile // 2 // multiple * multiple)
    count = math.ceil((length - shared) / (tile - shared))
    tile = round_up(math.ceil((length + (count - 1) * shared) / count), multiple)
    last = (length - tile) // multiple
    starts = [last * i // max(1, count - 1) * multiple for i in range(count)]
    raw = [torch.ones(tile, dtype=torch.float64) for _ in starts]
    for i, (left, right) in enumerate(pairwise(starts)):
        down = _ramp_down(left + tile - right, ramp)
        raw[i][right - left :] *= down
        raw[i + 1][: len(down)] *= 1 - down
    return [(start, weights.float()) for start, weights in zip(starts, raw, strict=True)]


def _ramp_down(shared: int, ramp: int) -> Tensor:
    """From 1 to 0 over `shared` pixels: flat, then half a period of cosine, then flat."""
    ramp = min(ramp, shared)
    start = (shared - ramp) / 2
    position = (torch.arange(shared, dtype=torch.float64) + 0.5 - start) / max(1, ramp)
    return (torch.cos(position.clamp(0, 1) * math.pi) + 1) / 2


def round_up(value: int, multiple: int) -> int:
    """The smallest multiple of `multiple` that is not below `value`."""
    return -(-value // multiple) * multiple


def pad_to(image: Tensor, height: int, width: int) -> Tensor:
    """Continue `(B, C, H, W)` to the right and below by reflection, as often as it takes."""
    bottom, right = height - image.shape[-2], width - image.shape[-1]
    if not (bottom or right):
        return image
    if bottom < image.shape[-2] and right < image.shape[-1]:
        return F.pad(image, (0, right, 0, bottom), mode="reflect")
    rows = _reflected(image.shape[-2], height)
    return image[..., rows, :][..., _reflected(image.shape[-1], width)]


def _reflected(length: int, target: int) -> Tensor:
    period = max(1, 2 * (length - 1))
    index = torch.arange(target) % period
    return torch.minimum(index, period - index) if length > 1 else torch.zeros_like(index)


class Tiler:
    """Calls a function on tiles of a picture, and on smaller ones once memory runs out.

    The smaller size stays for the following pictures: one instance serves all the steps of a
    diffusion model. `tile` None means the whole picture at once.
    """

    def __init__(self, tile: int | None, overlap: int, multiple: int, smallest: int = SMALLEST):
        self.tile, self.overlap, self.multiple = tile, overlap, multiple
        self.smallest = smallest

    def __call__(
        self,
        function: Callable[..., Tensor],
        *images: Tensor,
        progress: Callable[[float], None] | None = None,
    ) -> Tensor:
        """`function` of pictures `(B, C, H, W)` of one size, tile by tile; see `tiled`.

        `progress` is told the share that is done, in (0, 1], after every tile.
        """
        while True:
            try:
                return self._run(function, images, progress)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
                self._shrink(images[0].shape[-2:], error)
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _run(self, function, images, progress) -> Tensor:
        height, width = images[0].shape[-2:]
        if self.tile is None or self.tile >= max(height, width):
            result = function(*images)
            if progress is not None:
                progress(1.0)
            return result
        padded = round_up(height, self.multiple), round_up(width, self.multiple)
        images = [pad_to(image, *padded) for image in images]
        tiles = plan(height, width, self.tile, self.overlap, self.multiple)
        canvas = None
        for done, tile in enumerate(tiles, 1):
            result = function(*map(tile.crop, images)).to(images[0].device, torch.float32)
            if canvas is None:
                canvas = result.new_zeros(*result.shape[:2], *padded)
            tile.crop(canvas).addcmul_(result, tile.weights.to(canvas.device))
            if progress is not None:
                progress(done / len(tiles))
        assert canvas is not None  # there is a tile at least
        return canvas[..., :height, :width]

    def _shrink(self, size: torch.Size, error: BaseException) -> None:
        largest = max(size) if self.tile is None else min(self.tile, max(size))
        smaller = round_up(largest // 2, self.multiple)
        if smaller >= largest or largest <= self.smallest:
            raise PellucidError(
                f"not enough memory even for tiles of {largest} pixels: close other programs, "
                f"or choose a smaller model ({error})"
            ) from error
        log.warning("not enough memory; continuing with tiles of %d pixels", smaller)
        self.tile = smaller


def tiled(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    tile: int | None,
    overlap: int,
    multiple: int,
) -> Tensor:
    """`function(image)`, computed on overlapping tiles and blended; float32 `(B, C', H, W)`.

    One tile at a time is computed and added up, so beside the picture and the result only a tile
    is in memory. When memory runs out the tiles are halved, down to 128 pixels.

    Args:
        function: from `(B, C, h, w)` to `(B, C', h, w)`; h and w are multiples of `multiple`
            (except for a picture that fits into one tile: that is passed as it is).
        image: `(B, C, H, W)`.
        tile: longest side of a tile in pixels; None for the whole picture.
        overlap: see `plan`; a network has it as `net.overlap`.
        multiple: see `plan`; a network has it as `net.multiple`.

    Raises:
        PellucidError: there is too little memory for the smallest tile.
    """
    return Tiler(tile, overlap, multiple)(function, image)


def out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on whatever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    words = str(error).lower()
    return any(w in words for w in ("out of memory", "not enough memory", "defaultcpuallocator"))
