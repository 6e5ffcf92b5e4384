import pytest
import torch
import torch.nn.functional as F

from golden import perceive
from golden.fill import image, read_keys
from pellucid.networks import restormer
from pellucid.networks.restormer import MDTA, RestormerMedium, RestormerMediumConfig

TINY = RestormerMediumConfig(dim=8, blocks=(1, 1, 1, 1), heads=(1, 1, 2, 4), refinement=1)


def double_image(b, h, w):
    y, x = torch.arange(h).double()[:, None], torch.arange(w).double()
    planes = [[0.11 * x + 0.23 * y + 1.7 * c + 0.9 * n for c in range(3)] for n in range(b)]
    return 0.5 + 0.5 * torch.stack([torch.stack(p) for p in planes]).sin()


def test_parameters_have_the_official_names_shapes_and_order():
    with torch.device("meta"):
        state = RestormerMedium().state_dict()
    expected = [(key, shape) for key, shape, _ in read_keys("keys/restormer_medium.txt")]
    assert [(key, tuple(t.shape)) for key, t in state.items()] == expected
    assert sum(t.numel() for t in state.values()) == 25_571_439


def test_restoration_equals_the_official_network():
    """In float32, which is faster; in float64 the difference is 4e-11."""
    net = perceive.filled(RestormerMedium()).float()
    assert perceive.error(net(image(2, 64, 64)), "restormer_medium") < 1e-5


@torch.no_grad()
def test_attention_is_the_published_formula():
    torch.manual_seed(0)
    layer = MDTA(12, 3).double()
    layer.temperature.copy_(torch.tensor([0.5, 1.0, 7.0])[:, None, None])
    x = torch.randn(2, 12, 5, 7, dtype=torch.float64)
    x[0] = 0  # channels of length zero divide by the smallest length, not by zero
    q, k, v = (z.reshape(2, 3, 4, 35) for z in layer.qkv_dw(layer.qkv(x)).chunk(3, dim=1))
    products = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(2, 3)
    heads = (products * layer.temperature).softmax(dim=-1) @ v
    assert torch.allclose(layer(x), layer.project(heads.reshape(2, 12, 5, 7)), atol=1e-12)


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (1, 19), (9, 8), (13, 21)])
def test_any_size_comes_back(size):
    assert RestormerMedium(TINY)(torch.rand(2, 3, *size)).shape == (2, 3, *size)


@torch.no_grad()
def test_memory_format_does_not_change_the_result():
    net, x = perceive.filled(RestormerMedium(TINY)), double_image(2, 24, 16)
    expected = net(x)
    net = net.to(memory_format=torch.channels_last)
    assert torch.allclose(net(x.to(memory_format=torch.channels_last)), expected, atol=1e-10)


@torch.no_grad()
@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_bands_of_rows_give_what_the_whole_gives(rows, monkeypatch):
    """Five rows do not divide the height; one is less than the smallest band."""
    net, x = perceive.filled(RestormerMedium(TINY)), double_image(2, 48, 16)
    with torch.enable_grad():
        expected = net(x)  # never in bands
    monkeypatch.setattr(restormer, "BAND", rows * 4 * 2 * 16 * 24)  # of the 24 channels of q, k, v
    assert len(list(restormer.bands(x.expand(2, 3, 48, 16), 24))) == -(-48 // max(4, rows))
    assert torch.allclose(net(x), expected, atol=1e-12)


def test_bfloat16_trains_and_stays_close_to_float32():
    torch.manual_seed(0)
    net, x = RestormerMedium(TINY), image(2, 16, 24)
    with torch.autocast("cpu", torch.bfloat16):
        fast = net(x)
    exact = net(x)
    assert (fast - exact).norm() < 0.02 * (exact - x).norm()
    fast.square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())
