import dataclasses

import pytest
import torch
import torch.nn.functional as F

from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from tiny import told

TINY = NAFNetConfig(
    width=8,
    encoder_blocks=(1, 2),
    middle_blocks=2,
    decoder_blocks=(1, 1),
    context_dim=10,
    embed_dim=6,
)
PLAIN = {"use_degradation_context": False, "use_image_context": False}


def trained(config, seed=0):
    """A plain part without zeros, as after training; the conditioning stays untrained."""
    net = NAFNet(config).eval()
    conditioning = ("modulation", "cross_attention", "prompt")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in net.named_parameters():
            if not any(part in name for part in conditioning):
                p.copy_(torch.randn(p.shape, generator=generator) / p[0].numel() ** 0.5)
    return net


def inputs(batch=2, size=(13, 18), seed=1):
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(batch, 3, *size, generator=generator)
    degradation, content = torch.randn(2, batch, 10, generator=generator)
    return image, degradation, content


@pytest.mark.parametrize(("width", "millions"), [(32, 17.11), (64, 67.89)])
def test_plain_sizes_are_the_published_ones(width, millions):
    with torch.device("meta"):
        net = NAFNet(NAFNetConfig(width=width, **PLAIN))
    assert round(sum(p.numel() for p in net.parameters()) / 1e6, 2) == millions


def test_plain_parameters_have_the_official_names():
    config = NAFNetConfig(width=4, encoder_blocks=(1,), decoder_blocks=(1,), **PLAIN)
    convolutions = ["conv1", "conv2", "conv3", "sca.1", "conv4", "conv5"]
    layers = [*convolutions, "norm1", "norm2"]
    block = [f"{layer}.{part}" for layer in layers for part in ("weight", "bias")]
    block += ["beta", "gamma"]
    blocks = ["encoders.0.0", "middle_blks.0", "decoders.0.0"]
    ends = [f"{layer}.{part}" for layer in ("intro", "ending") for part in ("weight", "bias")]
    steps = ["downs.0.weight", "downs.0.bias", "ups.0.0.weight"]
    expected = {f"{name}.{part}" for name in blocks for part in block} | {*ends, *steps}
    assert set(NAFNet(config).state_dict()) == expected


@torch.no_grad()
def test_a_block_computes_the_published_formula():
    block = trained(TINY).middle_blks[0]
    x = torch.rand(2, 32, 5, 6, generator=torch.Generator().manual_seed(0))

    def norm(x, layer):
        mean, var = x.mean(1, keepdim=True), x.var(1, unbiased=False, keepdim=True)
        gain, bias = layer.weight[:, None, None], layer.bias[:, None, None]
        return (x - mean) / (var + 1e-6).sqrt() * gain + bias

    def gated(x):
        return x[:, :32] * x[:, 32:]

    h = block.conv1(norm(x, block.norm1))
    h = gated(F.conv2d(h, block.conv2.weight, block.conv2.bias, padding=1, groups=64))
    h = h * block.sca[1](h.mean((2, 3), keepdim=True))
    y = x + block.conv3(h) * block.beta
    expected = y + block.conv5(gated(block.conv4(norm(y, block.norm2)))) * block.gamma
    assert torch.allclose(block(x, None), expected, atol=1e-5)


@torch.no_grad()
def test_untrained_conditioning_leaves_the_plain_network_unchanged():
    net = trained(TINY)
    plain = NAFNet(dataclasses.replace(TINY, **PLAIN))
    names = plain.state_dict().keys()
    plain.load_state_dict({name: net.state_dict()[name] for name in names})
    image, degradation, content = inputs()
    expected = plain(image, plain.condition(image, told()))
    assert (expected - image).abs().max() > 0.1  # the comparison is about something
    assert torch.allclose(
        net(image, net.condition(image, told(degradation, content))), expected, atol=1e-6
    )
    assert torch.allclose(net(image, net.condition(image, told())), expected, atol=1e-6)


def test_conditioning_learns_from_its_first_step():
    net = trained(TINY).train()
    image, degradation, content = inputs()
    net(image, net.condition(image, told(degradation, content))).square().mean().backward()
    for name, p in net.named_parameters():
        assert p.grad is not None, name
        if "modulation" in name or "cross_attention" in name:
            assert p.grad.abs().max() > 0, name


@torch.no_grad()
def test_trained_conditioning_uses_both_embeddings():
    net = trained(TINY)
    generator = torch.Generator().manual_seed(3)
    for name, p in net.named_parameters():
        if "modulation" in name or "cross_attention" in name:
            p.copy_(torch.randn(p.shape, generator=generator))
    image, degradation, content = inputs()
    out = net(image, net.condition(image, told(degradation, content)))
    assert (net(image, net.condition(image, told(-degradation, content))) - out).abs().max() > 1e-3
    assert (net(image, net.condition(image, told(degradation, -content))) - out).abs().max() > 1e-3


@torch.no_grad()
def test_missing_embeddings_count_as_zeros():
    net = trained(TINY)
    for linear in net.cross_attention:
        linear.bias.fill_(0.3)
    image, _, _ = inputs()
    zeros = torch.zeros(2, 10)
    assert torch.allclose(
        net(image, net.condition(image, told())),
        net(image, net.condition(image, told(zeros, zeros))),
        atol=1e-6,
    )


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (1, 30), (3, 2), (8, 8), (13, 18)])
def test_any_size_comes_back(size):
    net = trained(TINY)
    image, degradation, content = inputs(size=size)
    assert net(image, net.condition(image, told(degradation, content))).shape == image.shape


@torch.no_grad()
def test_context_of_one_image_serves_a_batch_of_its_tiles():
    net = trained(TINY)
    image, degradation, content = inputs()
    condition = net.condition(image, told(degradation[:1], content[:1]))
    assert torch.allclose(net(image, condition)[:1], net(image[:1], condition), atol=1e-5)


def test_autocast_trains_it():
    net = trained(TINY).train()
    image, degradation, content = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(image, net.condition(image, told(degradation, content))).float().square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())


@pytest.mark.parametrize("blocks", [((1, 1, 1, 28), 1, (1, 1, 1, 1)), ((2, 2, 4, 8), 12, (2,) * 4)])
def test_an_official_file_is_recognised_by_keys_and_shapes(blocks):
    """The sizes of the GoPro and the SIDD networks."""
    config = NAFNetConfig(32, *blocks, **PLAIN)
    with torch.device("meta"):
        state = NAFNet(config).state_dict()
        assert NAFNet.official(state) == (config, state)
        grey = state | {"intro.weight": torch.empty(32, 1, 3, 3)}
    assert NAFNet.official(grey) is None
    del state["middle_blks.0.beta"]
    assert NAFNet.official(state) is None
