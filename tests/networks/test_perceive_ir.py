import dataclasses

import pytest
import torch
import torch.nn.functional as F

from golden import perceive
from golden.fill import image, read_keys
from networks.test_restormer import double_image
from pellucid.networks.perceive_ir import (
    ETB,
    FIGURE,
    PGM,
    RELEASE,
    PerceiveIR,
)

SMALL = {"dim": 8, "blocks": (2, 1, 1, 1), "heads": (1, 1, 2, 4), "semantic_dim": 10}
TINY = dataclasses.replace(RELEASE, **SMALL, refinement=1, degradation_dim=6)
TINY_FIGURE = dataclasses.replace(FIGURE, **SMALL, degradation_dim=6)
BOTH = pytest.mark.parametrize("config", [TINY, TINY_FIGURE], ids=["release", "figure"])


def semantics(batch=2, seed=0):
    return torch.randn(4, batch, 10, generator=torch.Generator().manual_seed(seed))


def network(config, seed=0):
    torch.manual_seed(seed)
    return PerceiveIR(config).eval()


def test_parameters_have_the_official_names_shapes_and_order():
    with torch.device("meta"):
        state = PerceiveIR().state_dict()
    expected = [(key, shape) for key, shape, _ in read_keys("keys/perceive_ir.txt")]
    assert [(key, tuple(t.shape)) for key, t in state.items()] == expected
    assert len(state) == 1156 and sum(t.numel() for t in state.values()) == 33_901_111


@torch.no_grad()
def test_restoration_equals_the_official_network():
    net, x = perceive.filled(PerceiveIR()), double_image(2, 64, 64)
    context = net.context(x, perceive.semantics(2))
    assert perceive.error(context.degradation, "cfe") < 1e-6
    assert perceive.error(net.cfe(x.flip(-2)), "cfe of the flipped image") < 1e-6
    assert perceive.error(net(x, context), "perceive_ir") < 1e-6


@torch.no_grad()
def test_a_guided_block_and_its_guidance_equal_the_official_ones():
    i = torch.arange(48 * 64, dtype=torch.float64)
    x, g = (z.view(1, 48, 8, 8) for z in ((0.013 * i).sin(), (0.017 * i).cos()))
    block = perceive.filled(ETB(48, 1, 2.66, bias=True, mdta=True))
    assert perceive.error(block(x, g), "etb") < 1e-6
    degradation = F.normalize(i[:128].sin()[None])
    module = perceive.filled(PGM(48, 768 + 128))
    assert perceive.error(module(x, (0.05 * i[:768]).sin()[None], degradation), "pgm") < 1e-6


@torch.no_grad()
def test_the_figure_adds_its_one_attention_to_the_guidance_itself():
    torch.manual_seed(0)
    block = ETB(8, 2, 2.66, bias=False, mdta=False)
    x, g = torch.randn(2, 1, 8, 6, 5)
    attended = block.attention(block.norm1(x), block.guidance_norm(g)) + g
    assert torch.equal(block(x, g), attended + block.ffn(block.norm2(attended)))
    names = {name.split(".")[0] for name, _ in block.named_parameters()}
    assert names == {"norm1", "guidance_norm", "attention", "norm2", "ffn"}


@torch.no_grad()
def test_the_guidance_of_the_figure_is_a_gain_and_a_shift_without_a_residual():
    module = network(TINY_FIGURE).pgm[1]
    x, prior = torch.rand(2, 16, 4, 4), semantics()[1]
    for layer in (*module.gain, *module.shift):
        layer.weight.zero_(), layer.bias.zero_()
    module.shift[-1].bias.fill_(3)
    assert torch.equal(module(x, prior, torch.rand(2, 6)), torch.full_like(x, 3))
    module.gain[-1].bias.fill_(2)
    assert torch.equal(module(x, prior, torch.rand(2, 6)), 2 * x + 3)


@BOTH
@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (1, 19), (13, 21)])
def test_any_size_comes_back(config, size):
    net, x = network(config), torch.rand(2, 3, *size)
    out = net(x, net.context(x, semantics()))
    assert out.shape == x.shape and out.isfinite().all()


@BOTH
@torch.no_grad()
def test_every_level_of_semantics_and_the_degradation_matter(config):
    net, x = network(config).double(), double_image(1, 16, 24)
    context = net.context(x, semantics(1).double())
    out = net(x, context)
    others = [context._replace(degradation=-context.degradation)]
    for level in range(4):
        changed = [-s if i == level else s for i, s in enumerate(context.semantics)]
        others.append(context._replace(semantics=tuple(changed)))
    assert all((net(x, other) - out).abs().max() > 1e-6 for other in others)


@BOTH
@torch.no_grad()
def test_the_degradation_is_a_vector_of_length_one(config):
    net, x = network(config), image(2, 17, 9)
    assert torch.allclose(net.cfe(x).norm(dim=1), torch.ones(2))
    assert net.cfe(x).shape == (2, 6)


@BOTH
@torch.no_grad()
def test_images_of_a_batch_do_not_influence_each_other(config):
    net, x, s = network(config).double(), double_image(2, 16, 24), semantics().double()
    together = net(x, net.context(x, s))
    alone = net(x[1:], net.context(x[1:], s[:, 1:]))
    assert torch.allclose(together[1:], alone, atol=1e-12)


@BOTH
@torch.no_grad()
def test_context_of_one_image_serves_a_batch_of_its_tiles(config):
    net, x = network(config), image(2, 16, 16)
    context = net.context(x[:1], semantics(1))
    assert torch.allclose(net(x, context)[1:], net(x[1:], context), atol=1e-5)


@BOTH
@torch.no_grad()
def test_memory_format_does_not_change_the_result(config):
    net, x = network(config).double(), double_image(2, 24, 16)
    context = net.context(x, semantics().double())
    expected = net(x, context)
    net = net.to(memory_format=torch.channels_last)
    assert torch.allclose(net(x.to(memory_format=torch.channels_last), context), expected)


@BOTH
def test_bfloat16_trains_and_stays_close_to_float32(config):
    net, x = network(config), image(2, 16, 24)
    with torch.autocast("cpu", torch.bfloat16):
        fast = net(x, net.context(x, semantics()))
    exact = net(x, net.context(x, semantics()))
    assert (fast - exact).norm() < 0.03 * (exact - x).norm()
    fast.square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())


def test_the_figure_has_no_biases_and_no_second_attention_or_refinement():
    with torch.device("meta"):
        names = set(PerceiveIR(FIGURE).state_dict())
    assert not any("mdta" in name or "refinement" in name for name in names)
    biased = {name.split(".")[0] for name in names if "norm" not in name and "bias" in name}
    assert biased == {"cfe", "pgm"}
