from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from golden.fill import fill, image, read_keys, vec
from pellucid.diffusion import SAMPLERS, Denoiser, MeanRevertingSDE
from pellucid.errors import UsageError
from pellucid.networks.irsde_unet import UNIVERSAL, WILD, ConditionalUNet, UNetConfig
from pellucid.networks.layers import sinusoidal
from tiny import told

GOLDEN = load_file(Path(__file__).parents[1] / "golden" / "daclip_golden.safetensors")
GOLDEN_CONFIG = UNetConfig(nf=32, ch_mult=(1, 1, 2, 2), context_dim=48)
TINY = UNetConfig(nf=32, ch_mult=(1, 1), context_dim=8)
TINY_WILD = UNetConfig(
    nf=32, ch_mult=(1, 1), context_dim=8, use_degradation_context=False, downsample_first=True
)


@pytest.fixture(scope="module")
def golden_net():
    return fill(ConditionalUNet(GOLDEN_CONFIG), "unet_tiny_keys.tsv").eval()


@pytest.fixture(scope="module")
def golden_condition(golden_net):
    with torch.no_grad():
        return golden_net.condition(image(2, 45, 37), told(vec(2, 48, 0), vec(2, 48, 1)))


def trained(config, seed=0):
    """A network without zeros, as after training."""
    net = ConditionalUNet(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) / p[0].numel() ** 0.5)
    return net


def inputs(batch=2, size=(12, 20), seed=1, context_dim=8):
    generator = torch.Generator().manual_seed(seed)
    x, mu = torch.rand(2, batch, 3, *size, generator=generator)
    degradation, content = torch.randn(2, batch, context_dim, generator=generator)
    return x, mu, torch.full((batch,), 40.0), degradation, content


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


@pytest.mark.parametrize(
    ("config", "keys", "parameters"),
    [
        (UNIVERSAL, "keys/unet_universal_ir.txt", 48_975_747),
        (WILD, "keys/unet_wild_ir.txt", 49_470_467),
    ],
)
def test_parameters_have_the_official_names_shapes_and_order(config, keys, parameters):
    with torch.device("meta"):
        net = ConditionalUNet(config)
    state = [(key, tuple(value.shape)) for key, value in net.state_dict().items()]
    assert state == [(key, shape) for key, shape, _ in read_keys(keys)]
    assert sum(p.numel() for p in net.parameters()) == parameters


@torch.no_grad()
@pytest.mark.parametrize("t", [1, 37, 100])
def test_prediction_equals_the_official_network(golden_net, golden_condition, t):
    mu = image(2, 45, 37)
    x = mu + 0.2 * (mu.flip(-1) - 0.5)
    epsilon = golden_net(x, mu, torch.full((2,), t), golden_condition)
    assert relative(epsilon, GOLDEN[f"unet.eps_t{t}"]) < 1e-5


@torch.no_grad()
def test_sampling_equals_the_official_code(golden_net):
    """Of the second picture; the first has its noise alone, which halves the computing.

    `tests/diffusion/test_samplers.py` has all official samplers, with a network of one line.
    """
    sde, mu = MeanRevertingSDE(), image(2, 45, 37)
    condition = golden_net.condition(mu[1:], told(vec(2, 48, 0)[1:], vec(2, 48, 1)[1:]))

    def second(x, mu, t, condition):
        return golden_net(x[1:], mu[1:], t[1:], condition).expand_as(x)

    torch.manual_seed(7)
    x = sde.initial(mu, torch.randn_like(mu))
    torch.manual_seed(8)
    denoise = Denoiser(sde, second, mu, condition)
    x = SAMPLERS["posterior"](sde, denoise, x, sde.times(), None)
    assert relative(x[1], GOLDEN["unet.posterior100_seed8"][1]) < 1e-4


@torch.no_grad()
@pytest.mark.parametrize("config", [TINY, TINY_WILD])
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (3, 2), (16, 16), (21, 34)])
def test_any_size_comes_back(config, size):
    net = trained(config)
    x, mu, t, degradation, content = inputs(size=size)
    out = net(x, mu, t, net.condition(mu, told(degradation, content)))
    assert out.shape == x.shape and out.isfinite().all()


@torch.no_grad()
def test_wild_network_works_at_half_resolution_and_returns_to_its_full_resolution_stem():
    net = trained(TINY_WILD)
    x, mu, t, _, content = inputs(size=(12, 20))
    inner = []
    net.mid_block1.register_forward_hook(lambda module, args, out: inner.append(out))
    condition = net.condition(mu, told(None, content))
    out = net(x, mu, t, condition)
    assert inner[0].shape[-2:] == (3, 5)  # stem, two levels of which the deepest keeps its size
    for p in net.upsample.parameters():
        p.zero_()
    stem = net.init_conv(torch.cat([x - mu, mu], dim=1))
    embedding = net.time_mlp(sinusoidal(t, 32)) + condition.prompt
    tail = net.final_res_block(torch.cat([torch.zeros_like(stem), stem], dim=1), embedding)
    alone = net(x, mu, t, condition)
    assert relative(alone, net.final_conv(tail)) < 1e-5 < relative(alone, out)


@torch.no_grad()
def test_both_embeddings_and_the_time_matter():
    net = trained(TINY)
    x, mu, t, degradation, content = inputs()
    out = net(x, mu, t, net.condition(mu, told(degradation, content)))
    others = [
        net(x, mu, t, net.condition(mu, told(-degradation, content))),
        net(x, mu, t, net.condition(mu, told(degradation, -content))),
        net(x, mu, t + 30, net.condition(mu, told(degradation, content))),
    ]
    assert all(relative(other, out) > 1e-3 for other in others)


@torch.no_grad()
def test_queries_and_keys_of_the_cross_attention_do_not_matter():
    net = trained(TINY)
    x, mu, t, degradation, content = inputs()
    out = net(x, mu, t, net.condition(mu, told(degradation, content)))
    dead = [(n, p) for n, p in net.named_parameters() if not p.requires_grad]
    names = {name.split("transformer_blocks.0.")[1] for name, _ in dead}
    assert names == {"attn2.to_q.weight", "attn2.to_k.weight", "norm2.weight", "norm2.bias"}
    for _, p in dead:
        p.normal_()
    assert torch.equal(net(x, mu, t, net.condition(mu, told(degradation, content))), out)


def test_every_other_parameter_is_trained():
    net = trained(TINY).train()
    x, mu, t, degradation, content = inputs()
    net(x, mu, t, net.condition(mu, told(degradation, content))).square().mean().backward()
    without = [n for n, p in net.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@torch.no_grad()
def test_context_of_one_image_serves_a_batch_of_its_tiles():
    net = trained(TINY)
    x, mu, t, degradation, content = inputs()
    condition = net.condition(mu[:1], told(degradation[:1], content[:1]))
    tiles = net(x, mu, t, condition)
    for i in range(2):
        tile = slice(i, i + 1)
        assert relative(net(x[tile], mu[tile], t[tile], condition), tiles[tile]) < 1e-5


@torch.no_grad()
def test_images_of_a_batch_have_their_own_time():
    net = trained(TINY)
    x, mu, _, degradation, content = inputs()
    condition = net.condition(mu, told(degradation, content))
    out = net(x, mu, torch.tensor([5, 90]), condition)
    alone = net(
        x[1:],
        mu[1:],
        torch.tensor([90.0]),
        net.condition(mu[1:], told(degradation[1:], content[1:])),
    )
    assert relative(out[1:], alone) < 1e-5


@torch.no_grad()
def test_memory_format_does_not_change_the_result():
    net = trained(TINY)
    x, mu, t, degradation, content = inputs()
    out = net(x, mu, t, net.condition(mu, told(degradation, content)))
    net = net.to(memory_format=torch.channels_last)
    assert relative(net(x, mu, t, net.condition(mu, told(degradation, content))), out) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("whole_network", [False, True])
def test_bfloat16_stays_close_to_float32(golden_net, golden_condition, whole_network):
    mu = image(2, 24, 24)
    x = mu + 0.2 * (mu.flip(-1) - 0.5)
    t = torch.full((2,), 37)
    expected = golden_net(x, mu, t, golden_condition)
    if whole_network:
        net = fill(ConditionalUNet(GOLDEN_CONFIG), "unet_tiny_keys.tsv").bfloat16()
        out = net(
            x, mu, t, net.condition(mu, told(vec(2, 48, 0).bfloat16(), vec(2, 48, 1).bfloat16()))
        )
    else:
        with torch.autocast("cpu", torch.bfloat16):
            out = golden_net(x, mu, t, golden_condition)
    assert out.dtype == torch.bfloat16
    assert relative(out.float(), expected) < 0.08


@torch.no_grad()
def test_conditions_that_the_configuration_leaves_out_are_not_needed():
    config = UNetConfig(nf=32, ch_mult=(1,), use_degradation_context=False, use_image_context=False)
    net = trained(config)
    x, mu, t, _, _ = inputs()
    assert net(x, mu, t, net.condition(mu, told(None, None))).shape == x.shape
    assert not [name for name in net.state_dict() if "attn2" in name or "prompt" in name]


def test_missing_embeddings_and_impossible_widths_are_refused():
    net = ConditionalUNet(TINY)
    _, mu, _, degradation, content = inputs()
    with pytest.raises(UsageError, match="degradation"):
        net.condition(mu, told(None, content))
    with pytest.raises(UsageError, match="content"):
        net.condition(mu, told(degradation, None))
    with pytest.raises(UsageError, match="multiples of 32"):
        UNetConfig(nf=16, ch_mult=(1, 2))
