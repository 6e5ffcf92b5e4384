import pytest
import torch
import torch.nn.functional as F

import tiny
from pellucid.errors import PellucidError
from pellucid.networks import layers
from pellucid.networks.bilateral import BilateralGrid, BilateralGridConfig, reduced
from pellucid.networks.contract import Guidance

SMALL = BilateralGridConfig(
    look=32,
    reach=(5, 15),
    stem=16,
    widths=(16, 16),
    blocks=(1, 1),
    bins=4,
    context_dim=16,
    embed_dim=8,
)


def network():
    return tiny.randomised(BilateralGrid(SMALL)).eval().requires_grad_(False)


def picture(h, w):
    return torch.rand(1, 3, h, w, generator=torch.Generator().manual_seed(h))


def test_untrained_it_changes_nothing():
    image = picture(40, 56)
    net = BilateralGrid(SMALL)
    assert torch.equal(net(image, net.condition(image, Guidance())), image)


def test_each_pixel_finds_the_map_of_its_place_and_brightness():
    net, image = network(), picture(33, 47)
    grid = torch.randn(1, 12, 4, 4, 5, generator=torch.Generator().manual_seed(0))
    brightness = (image.mean(1) + 0.3 * net.guide(image)[:, 0].tanh()).clamp(0, 1)
    v, u = ((2 * torch.arange(n) + 1) / n - 1 for n in (33, 47))
    # Cells of place have their value in their middle; the bins of brightness reach from 0 to 1.
    z = (2 * brightness - 1) * 3 / 4
    places = torch.stack([u.expand(1, 33, 47), v[:, None].expand(1, 33, 47), z], -1)
    maps = F.grid_sample(grid, places[:, None], padding_mode="border", align_corners=False)[:, :, 0]
    mapped = torch.einsum("bijhw,bjhw->bihw", maps[:, :9].unflatten(1, (3, 3)), image)
    assert (net(image, grid) - (image + mapped + maps[:, 9:])).abs().max() < 1e-4


@torch.no_grad()
def test_bands_of_rows_give_what_the_whole_gives(monkeypatch):
    net, image = network(), picture(37, 24)
    condition = net.condition(image, Guidance())
    whole = net(image, condition)
    assert (whole - image).abs().max() > 1e-2
    monkeypatch.setattr(layers, "BAND", 1)
    assert len(list(layers.bands(image, 36))) > 3
    assert (net(image, condition) - whole).abs().max() < 1e-5


@pytest.mark.parametrize("size", [(12, 20), (30, 50), (5, 7), (1, 1)])
def test_a_picture_is_reduced_to_means(size):
    image = picture(*size)
    small = reduced(image, 10)
    finest = image.repeat_interleave(10, 2).repeat_interleave(10, 3)
    assert (small - F.avg_pool2d(finest, size)).abs().max() < 1e-5


def test_a_veil_shows_in_the_darkest_values_around_each_place():
    image = torch.full((1, 3, 64, 64), 0.9)
    image[:, 1, 30:34, 30:34] = 0.2  # one dark thing, of 2x2 px of the reduced picture
    dark, near, around = BilateralGrid(SMALL).seen(image)[0, 3:6]
    assert [int((plane < 0.5).sum()) for plane in (dark, near, around)] == [4, 36, 256]
    veiled = BilateralGrid(SMALL).seen(0.5 * image + 0.5)[0, 5]
    assert (veiled - (0.5 * around + 0.5)).abs().max() < 1e-5


def test_it_is_never_given_a_tile():
    image = picture(150, 90)
    restorer = tiny.restorer(network=network(), guided=False)
    assert torch.equal(restorer.restore(image, tile=64), restorer.restore(image))


def test_it_is_computed_by_pytorch_whatever_the_engine():
    image = picture(60, 90)
    found = tiny.restorer(network=network(), guided=False, engine="onnxruntime").restore(image)
    assert torch.equal(found, tiny.restorer(network=network(), guided=False).restore(image))


def test_too_little_memory_is_an_error_and_not_a_tile(monkeypatch):
    net = network()
    restorer = tiny.restorer(network=net, guided=False)

    def failing(*_):
        raise MemoryError("out of memory")

    monkeypatch.setattr(net, "forward", failing)
    with pytest.raises(PellucidError, match="not enough memory"):
        restorer.restore(picture(300, 200))
