import pytest
import torch
import torch.nn.functional as F

from golden import perceive
from golden.fill import image, read_keys
from pellucid.networks import layers
from pellucid.networks.restormer import (
    MDTA,
    LayerNorm,
    Restormer,
    RestormerConfig,
    RestormerMedium,
    RestormerMediumConfig,
)

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
    monkeypatch.setattr(layers, "BAND", rows * 4 * 2 * 16 * 24)  # of the 24 channels of q, k, v
    assert len(list(layers.bands(x.expand(2, 3, 48, 16), 24))) == -(-48 // max(4, rows))
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


def official_names(dim=48, blocks=(4, 6, 6, 8), heads=(1, 2, 4, 8), refinement=4, biased=True):
    """Names and shapes of `Restormer` in its authors' code (swz30/Restormer), written out."""
    shapes = {"patch_embed.proj.weight": (dim, 3, 3, 3)}

    def stage(name, channels, count, head):
        hidden = int(channels * 2.66)
        for i in range(count):
            block = f"{name}.{i}"
            for norm in ("norm1", "norm2"):
                shapes[f"{block}.{norm}.body.weight"] = (channels,)
                if biased:
                    shapes[f"{block}.{norm}.body.bias"] = (channels,)
            shapes[f"{block}.attn.temperature"] = (head, 1, 1)
            shapes[f"{block}.attn.qkv.weight"] = (3 * channels, channels, 1, 1)
            shapes[f"{block}.attn.qkv_dwconv.weight"] = (3 * channels, 1, 3, 3)
            shapes[f"{block}.attn.project_out.weight"] = (channels, channels, 1, 1)
            shapes[f"{block}.ffn.project_in.weight"] = (2 * hidden, channels, 1, 1)
            shapes[f"{block}.ffn.dwconv.weight"] = (2 * hidden, 1, 3, 3)
            shapes[f"{block}.ffn.project_out.weight"] = (channels, hidden, 1, 1)

    for level in (1, 2, 3):
        channels = dim << (level - 1)
        stage(f"encoder_level{level}", channels, blocks[level - 1], heads[level - 1])
        shapes[f"down{level}_{level + 1}.body.0.weight"] = (channels // 2, channels, 3, 3)
    stage("latent", 8 * dim, blocks[3], heads[3])
    for level in (3, 2, 1):
        channels = dim << level
        shapes[f"up{level + 1}_{level}.body.0.weight"] = (2 * channels, channels, 3, 3)
        if level > 1:
            shapes[f"reduce_chan_level{level}.weight"] = (channels // 2, channels, 1, 1)
        width = channels // 2 if level > 1 else channels
        stage(f"decoder_level{level}", width, blocks[level - 1], heads[level - 1])
    stage("refinement", 2 * dim, refinement, heads[0])
    shapes["output.weight"] = (3, 2 * dim, 3, 3)
    return shapes


@pytest.mark.parametrize("biased", [True, False])
def test_an_official_restormer_is_recognised_and_fits(biased):
    official = {
        name: torch.empty(shape, device="meta")
        for name, shape in official_names(biased=biased).items()
    }
    assert RestormerMedium.official(official) is None
    config, state = Restormer.official(official)
    assert config == RestormerConfig(centred=biased)
    with torch.device("meta"):
        own = Restormer(config).state_dict()
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in own.items()}
    if biased:  # the size that the paper's code prints
        assert sum(value.numel() for value in own.values()) == 26_126_644


def test_other_sizes_are_read_off_the_weights():
    sizes = {"dim": 16, "blocks": (1, 2, 1, 3), "heads": (1, 2, 2, 4), "refinement": 2}
    official = {k: torch.empty(s, device="meta") for k, s in official_names(**sizes).items()}
    assert Restormer.official(official)[0] == RestormerConfig(**sizes)
    del official["output.weight"]
    assert Restormer.official(official) is None


@torch.no_grad()
def test_a_norm_without_bias_divides_by_the_deviation_and_keeps_the_mean():
    layer, x = LayerNorm(6, centred=False), torch.randn(2, 6, 3, 4) + 2
    layer.body.weight.copy_(torch.linspace(0.5, 1.5, 6))
    deviation = (x.var(1, unbiased=False, keepdim=True) + 1e-5).sqrt()
    expected = x / deviation * layer.body.weight[:, None, None]
    assert torch.allclose(layer(x), expected, atol=1e-5)
    assert [name for name, _ in layer.named_parameters()] == ["body.weight"]


@torch.no_grad()
@pytest.mark.parametrize("centred", [True, False])
def test_restormer_itself_restores_any_size_and_learns(centred):
    config = RestormerConfig(8, (1, 1, 1, 1), (1, 1, 2, 4), 1, centred=centred)
    net = Restormer(config)
    for size in ((1, 1), (13, 21)):
        assert net(torch.rand(2, 3, *size)).shape == (2, 3, *size)
    with torch.enable_grad():
        net(image(1, 16, 24)).square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())
