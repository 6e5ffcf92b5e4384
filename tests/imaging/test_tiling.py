from itertools import product

import pytest
import torch
from torch import nn

from pellucid.errors import PellucidError, UsageError
from pellucid.imaging.tiling import RAMP, Tiler, out_of_memory, pad_to, plan, tiled


def covered(tiles, height, width):
    canvas = torch.zeros(height, width)
    for tile in tiles:
        tile.crop(canvas).add_(tile.weights)
    return canvas


@pytest.mark.parametrize("size", [(1, 1), (64, 64), (65, 200), (500, 33), (301, 777)])
def test_weights_sum_to_one_everywhere(size):
    for tile, overlap, multiple in product((32, 100, 256), (0, 7, 400), (1, 16)):
        tiles = plan(*size, tile, overlap, multiple)
        padded = [-(-n // multiple) * multiple for n in size]
        assert (covered(tiles, *padded) - 1).abs().max() < 1e-6, (tile, overlap, multiple)
        for t in tiles:
            for part, whole in ((t.rows, padded[0]), (t.columns, padded[1])):
                assert part.start % multiple == 0 and part.stop % multiple == 0
                assert 0 <= part.start < part.stop <= whole
                assert part.stop - part.start <= -(-tile // multiple) * multiple


def test_margins_count_for_nothing_and_the_ramp_is_smooth():
    first, second, *_ = plan(16, 1000, 256, 64, 8)
    weights = first.column_weights
    assert (weights[-32:] == 0).all() and (second.column_weights[:32] == 0).all()
    steps = weights.diff().abs()
    assert steps.max() < 2 / RAMP


def test_tiles_are_shrunk_evenly_to_fit():
    widths = {t.columns.stop - t.columns.start for t in plan(16, 520, 512, 64, 8)}
    assert len(widths) == 1 and widths.pop() < 330


def test_impossible_numbers_are_refused():
    for arguments in ((0, 5, 64, 8, 8), (5, 5, 0, 8, 8), (5, 5, 64, -1, 8), (5, 5, 64, 8, 0)):
        with pytest.raises(UsageError):
            plan(*arguments)


class Convolutions(nn.Module):
    """Reach 12 px a side: convolutions at full and half resolution, no global statistics."""

    multiple, overlap = 2, 24

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fine = nn.Conv2d(3, 8, 5, padding=2)
        self.down = nn.Conv2d(8, 8, 2, stride=2)
        self.coarse = nn.Conv2d(8, 8, 5, padding=2)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.last = nn.Conv2d(8, 3, 5, padding=2)

    @torch.inference_mode()
    def forward(self, x):
        y = self.fine(x).relu()
        return self.last(y + self.up(self.coarse(self.down(y)).relu()))


@pytest.mark.parametrize("tile", [96, 110, 160])
def test_tiled_equals_whole_for_a_convolutional_network(tile):
    network = Convolutions()
    image = torch.rand(1, 3, 212, 330, generator=torch.Generator().manual_seed(1))
    whole = network(image)
    result = tiled(network, image, tile, network.overlap, network.multiple)
    assert (result - whole).abs().max() < 1e-4


def test_no_seam_when_tiles_disagree():
    """A network that subtracts half of its tile's own mean: the worst that statistics can do."""
    ramp = torch.linspace(0, 1, 600).expand(1, 3, 200, 600)
    result = tiled(lambda x: x - 0.5 * x.mean((2, 3), keepdim=True), ramp, 200, 32, 8)
    steps = result.diff(dim=-1).abs()
    butted = 0.5 * (ramp[..., 100:300].mean() - ramp[..., :200].mean())
    assert steps.max() < 0.1 * butted


def test_odd_sizes_are_padded_by_reflection_and_cropped():
    seen = []

    def function(x):
        seen.append(tuple(x.shape[-2:]))
        return x

    image = torch.rand(1, 3, 101, 67)
    assert torch.allclose(tiled(function, image, 48, 8, 16), image, atol=1e-6)
    assert all(h % 16 == 0 and w % 16 == 0 for h, w in seen)


@pytest.mark.parametrize("height, width", [(1, 1), (1, 5), (3, 2), (7, 9)])
def test_reflection_reaches_any_size(height, width):
    image = torch.arange(height * width, dtype=torch.float32).reshape(1, 1, height, width)
    padded = pad_to(image, 16, 24)
    assert padded.shape == (1, 1, 16, 24)
    assert torch.equal(padded[..., :height, :width], image)
    if height > 1:
        assert torch.equal(padded[..., height, :width], image[..., height - 2, :])


def test_a_picture_that_fits_is_passed_as_it_is():
    for tile in (None, 64):
        shapes = []
        tiled(lambda x, s=shapes: s.append(x.shape) or x, torch.rand(2, 3, 33, 47), tile, 8, 16)
        assert shapes == [(2, 3, 33, 47)]


def test_progress_is_told_after_every_tile():
    told = []
    Tiler(64, 8, 8)(lambda x: x, torch.rand(1, 3, 100, 100), progress=told.append)
    assert told == sorted(told) and told[-1] == 1.0 and len(told) == 4


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError(
            "[enforce fail] DefaultCPUAllocator: can't allocate memory: not enough memory"
        ),
        RuntimeError("MPS backend out of memory"),
        MemoryError(),
    ],
)
@pytest.mark.parametrize("tile", [None, 512])
def test_smaller_tiles_when_memory_runs_out(error, tile):
    sizes = []

    def function(x):
        sizes.append(max(x.shape[-2:]))
        if x.shape[-1] * x.shape[-2] > 200 * 200:
            raise error
        return x * 2

    image = torch.rand(1, 3, 400, 600)
    tiler = Tiler(tile, 16, 8)
    assert torch.allclose(tiler(function, image), image * 2, atol=1e-6)
    assert sizes[0] > 300 and max(sizes[3:]) <= 200
    sizes.clear()
    tiler(function, image)  # it remembers
    assert max(sizes) <= 200


def test_memory_that_never_suffices_is_a_clear_error():
    def function(x):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(PellucidError, match="not enough memory even for tiles of 1"):
        tiled(function, torch.rand(1, 3, 300, 300), 256, 16, 8)


def test_other_errors_pass_through():
    def function(x):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        tiled(function, torch.rand(1, 3, 300, 300), 256, 16, 8)
    assert not out_of_memory(KeyError("x"))


def test_buffers_of_a_12_megapixel_photograph_stay_below_one_gigabyte():
    """Counted, not measured: what the canvas and the tiles allocate at their peak."""
    pixels = 4000 * 3000 * 3 * 4  # bytes of one float32 picture: 144 MB
    tiles = plan(3000, 4000, 1024, 128, 16)
    largest = max(t.weights.numel() for t in tiles) * 3 * 4
    # padded input, result, and of one tile: its crop, result, weights and weighted result
    assert 2 * pixels + 6 * largest < 2**30
