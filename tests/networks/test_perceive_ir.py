import pytest
import torch
import torch.nn.functional as F

from golden import perceive
from golden.fill import image, read_keys
from networks.test_restormer import double_image
from pellucid.networks.perceive_ir import (
    ETB,
    PGM,
    PerceiveIR,
    PerceiveIRConfig,
)
from tiny import told

SMALL = {"dim": 8, "blocks": (2, 1, 1, 1), "heads": (1, 1, 2, 4), "semantic_dim": 10}
TINY = PerceiveIRConfig(**SMALL, refinement=1, degradation_dim=6)


def semantics(batch=2, seed=0):
    vectors = torch.randn(4, batch, 10, generator=torch.Generator().manual_seed(seed))
    return vectors.transpose(0, 1)


def network(seed=0):
    torch.manual_seed(seed)
    return PerceiveIR(TINY).eval()


def test_parameters_have_the_official_names_shapes_and_order():
    with torch.device("meta"):
        state = PerceiveIR().state_dict()
    expected = [(key, shape) for key, shape, _ in read_keys("keys/perceive_ir.txt")]
    assert [(key, tuple(t.shape)) for key, t in state.items()] == expected
    assert len(state) == 1156 and sum(t.numel() for t in state.values()) == 33_901_111


@torch.no_grad()
def test_restoration_equals_the_official_network():
    """The encoder in float64: a flip changes little. The rest in float32, which is faster."""
    net, x = perceive.filled(PerceiveIR()), double_image(2, 64, 64)
    condition = net.condition(x, told(semantics=torch.stack(perceive.semantics(2), dim=1)))
    assert perceive.error(condition.degradation, "cfe") < 1e-6
    assert perceive.error(net.cfe(x.flip(-2)), "cfe of the flipped image") < 1e-6
    semantics = tuple(vectors.float() for vectors in condition.semantics)
    condition = condition._replace(semantics=semantics, degradation=condition.degradation.float())
    assert perceive.error(net.float()(x.float(), condition), "perceive_ir") < 1e-5


@torch.no_grad()
def test_a_guided_block_and_its_guidance_equal_the_official_ones():
    i = torch.arange(48 * 64, dtype=torch.float64)
    x, g = (z.view(1, 48, 8, 8) for z in ((0.013 * i).sin(), (0.017 * i).cos()))
    block = perceive.filled(ETB(48, 1, 2.66))
    assert perceive.error(block(x, g), "etb") < 1e-6
    degradation = F.normalize(i[:128].sin()[None])
    module = perceive.filled(PGM(48, 768 + 128))
    assert perceive.error(module(x, (0.05 * i[:768]).sin()[None], degradation), "pgm") < 1e-6


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (1, 19), (13, 21)])
def test_any_size_comes_back(size):
    net, x = network(), torch.rand(2, 3, *size)
    out = net(x, net.condition(x, told(semantics=semantics())))
    assert out.shape == x.shape and out.isfinite().all()


@torch.no_grad()
def test_every_level_of_semantics_and_the_degradation_matter():
    net, x = network().double(), double_image(1, 16, 24)
    condition = net.condition(x, told(semantics=semantics(1).double()))
    out = net(x, condition)
    others = [condition._replace(degradation=-condition.degradation)]
    for level in range(4):
        changed = [-s if i == level else s for i, s in enumerate(condition.semantics)]
        others.append(condition._replace(semantics=tuple(changed)))
    assert all((net(x, other) - out).abs().max() > 1e-6 for other in others)


@torch.no_grad()
def test_the_degradation_is_a_vector_of_length_one():
    net, x = network(), image(2, 17, 9)
    assert torch.allclose(net.cfe(x).norm(dim=1), torch.ones(2))
    assert net.cfe(x).shape == (2, 6)


@torch.no_grad()
def test_images_of_a_batch_do_not_influence_each_other():
    net, x, s = network().double(), double_image(2, 16, 24), semantics().double()
    together = net(x, net.condition(x, told(semantics=s)))
    alone = net(x[1:], net.condition(x[1:], told(semantics=s[1:])))
    assert torch.allclose(together[1:], alone, atol=1e-12)


@torch.no_grad()
def test_condition_of_one_image_serves_a_batch_of_its_tiles():
    net, x = network(), image(2, 16, 16)
    condition = net.condition(x[:1], told(semantics=semantics(1)))
    assert torch.allclose(net(x, condition)[1:], net(x[1:], condition), atol=1e-5)


@torch.no_grad()
def test_memory_format_does_not_change_the_result():
    net, x = network().double(), double_image(2, 24, 16)
    condition = net.condition(x, told(semantics=semantics().double()))
    expected = net(x, condition)
    net = net.to(memory_format=torch.channels_last)
    assert torch.allclose(net(x.to(memory_format=torch.channels_last), condition), expected)


def test_bfloat16_trains_and_stays_close_to_float32():
    net, x = network(), image(2, 16, 24)
    with torch.autocast("cpu", torch.bfloat16):
        fast = net(x, net.condition(x, told(semantics=semantics())))
    exact = net(x, net.condition(x, told(semantics=semantics())))
    assert (fast - exact).norm() < 0.03 * (exact - x).norm()
    fast.square().mean().backward()
    assert all(p.grad.isfinite().all() and p.grad.any() for p in net.parameters())
