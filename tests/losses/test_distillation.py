import itertools

import numpy as np
import pytest
import torch

from pellucid.degradations import degrade
from pellucid.losses.distillation import SoftResidualDistillation, divergence, nearest, resized
from pellucid.networks.weather import SpatialResidual, WeatherConfig, WeatherUNet
from pellucid.vision_language.resnet import ResNetConfig
from pellucid.vision_language.spatial import SpatialTeacher, random_teacher
from tiny import told
from vision_language.small_towers import small_tower

CHANNELS, STRIDES = (8, 12), (1, 2)


def teacher():
    return random_teacher(config=ResNetConfig(layers=(1, 1, 1, 1), width=16, heads=4))


def loss_module(target="soft", direction=0.5, the_teacher=None):
    torch.manual_seed(0)
    return SoftResidualDistillation(the_teacher or teacher(), CHANNELS, STRIDES, target, direction)


def scene(side=64):
    y, x = np.mgrid[0:side, 0:side]
    base = 0.5 + 0.3 * np.sin(x / 9)[..., None] * np.cos((y / 7)[..., None] + np.arange(3))
    return np.clip(base + 0.15 * (x // 16 % 2)[..., None], 0, 1).astype(np.float32)


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].clone()


def pair(word="snowy", severity=0.6, seed=0):
    image = scene()
    damaged = degrade(image, word, severity, np.random.default_rng(seed))
    return tensor(damaged), tensor(image)


def student(like, seed=1, gate=None):
    """Two levels as a network of these strides would give them."""
    generator = torch.Generator().manual_seed(seed)
    levels = []
    for width, stride in zip(CHANNELS, STRIDES, strict=True):
        size = (len(like), width, like.shape[-2] // stride, like.shape[-1] // stride)
        a = torch.rand(len(like), 1, *size[2:], generator=generator) if gate is None else None
        a = torch.full((len(like), 1, *size[2:]), gate) if a is None else a
        levels.append(
            SpatialResidual(
                torch.randn(size, generator=generator).requires_grad_(),
                torch.randn(size, generator=generator).requires_grad_(),
                a.requires_grad_(),
            )
        )
    return levels


@pytest.mark.parametrize("target", ["soft", "hard"])
def test_equal_pictures_have_no_residual_and_ask_for_a_closed_gate(target):
    srd = loss_module(target)
    damaged, clean = pair()
    srd(student(clean), damaged, clean)  # the scale is known
    assert all((t == 0).all() for t in srd.targets(clean, clean))
    terms = srd(student(clean, gate=0.0), clean, clean)
    assert terms["map"] == 0 and terms["direction"] == 0
    assert srd(student(clean, gate=0.5), clean, clean)["map"] > 0.1


@pytest.mark.parametrize("word", ["snowy", "rainy", "hazy"])
def test_the_map_grows_with_severity_and_stays_below_one(word):
    srd = loss_module()
    srd(student(tensor(scene())), *pair(word, 0.1))  # a small scale: strong damage is far above it
    severities = (0.05, 0.2, 0.4, 0.7, 1.0)
    maps = [srd.targets(*pair(word, severity)) for severity in severities]
    for of_one_layer in zip(*maps, strict=True):
        means = [t.mean().item() for t in of_one_layer]
        assert all(b > a for a, b in itertools.pairwise(means)), means
        assert all(t.min() >= 0 and t.max() < 1 for t in of_one_layer)


def test_the_map_is_the_formula():
    srd = loss_module()
    damaged, clean = pair()
    terms = srd(levels := student(clean), damaged, clean)
    expected_map = expected_direction = 0
    maps = zip(srd.teacher(damaged), srd.teacher(clean), strict=True)
    deltas = [(a - b).double() for a, b in maps]
    for level, head in zip(levels, srd.heads, strict=True):
        delta = deltas[0]  # the stem is nearest to both levels
        s = delta.norm(dim=1, keepdim=True) / delta.shape[1] ** 0.5
        soft = 1 - torch.exp(-s / s.mean())
        a, t = level.gate.double(), resized(soft, level.gate.shape[-2:])
        expected_map += (t * (t / a).log() + (1 - t) * ((1 - t) / (1 - a)).log()).mean()
        told = head(resized(level.residual, delta.shape[-2:])).double()
        away = 1 - (told * delta).sum(1) / told.norm(dim=1) / delta.norm(dim=1).clamp(min=1e-9)
        expected_direction += 0.5 * (soft[:, 0] * away).sum() / soft.sum()
    assert terms["map"].item() == pytest.approx(expected_map.item(), rel=1e-4)
    assert terms["direction"].item() == pytest.approx(expected_direction.item(), rel=1e-4)


def test_the_divergence_is_zero_for_equal_maps_alone_and_survives_rounding():
    t = torch.tensor([0.0, 0.2, 0.9, 1.0])
    assert divergence(t, t) == 0
    assert divergence(t.flip(0), t) > 1
    gate = torch.tensor([0.5, 0.5], requires_grad=True)
    divergence(gate, torch.tensor([1 + 1.2e-7, 0.0])).backward()
    assert gate.grad.tolist() == [-1.0, 1.0]


def test_the_hard_map_is_where_the_residual_is_above_the_scale():
    hard, soft = loss_module("hard"), loss_module("soft")
    damaged, clean = pair()
    for srd in (hard, soft):
        srd(student(clean), damaged, clean)
    for h, s in zip(hard.targets(damaged, clean), soft.targets(damaged, clean), strict=True):
        assert torch.equal(h == 1, s > 1 - np.exp(-1)) and 0 < h.mean() < 1
        assert set(h.unique().tolist()) == {0, 1}


def test_the_map_finds_the_damaged_place():
    srd = loss_module()
    clean = tensor(scene())
    damaged = clean.clone()
    damaged[..., 16:32, 32:48] = 1.0
    srd(student(clean), damaged, clean)
    for k, soft in enumerate(srd.targets(damaged, clean)[:3]):
        stride = srd.teacher.strides[k]
        inside = soft[..., 16 // stride : 32 // stride, 32 // stride : 48 // stride].mean()
        far = soft[..., 56 // stride :, : 8 // stride].mean()
        assert inside > far + 0.3


@pytest.mark.parametrize("target", ["soft", "hard", "plain"])
def test_gradients_reach_what_is_taught_and_nothing_else(target):
    srd, levels = loss_module(target), student(tensor(scene()))
    sum(srd(levels, *pair()).values()).backward()
    for level in levels:
        reached = [t.grad is not None and bool(t.grad.any()) for t in level]
        assert reached == ([True, False, False] if target == "plain" else [False, True, True])
    assert all(head.weight.grad.any() for head in srd.heads)
    assert all(p.grad is None and not p.requires_grad for p in srd.teacher.parameters())


def test_without_direction_nothing_is_trained_but_the_gate():
    srd, levels = loss_module(direction=0.0), student(tensor(scene()))
    terms = srd(levels, *pair())
    assert set(terms) == {"map"} and not list(srd.heads.parameters())
    terms["map"].backward()
    assert all(level.gate.grad.any() and level.residual.grad is None for level in levels)


def test_the_scale_is_a_running_mean_kept_in_checkpoints():
    srd = loss_module()
    strong, weak = pair("hazy", 0.9), pair("hazy", 0.1)
    srd(student(strong[0]), *strong)
    first = srd.scale.clone()
    assert (first > 0).all()
    srd(student(weak[0]), *weak)
    second = srd.scale.clone()
    assert ((0.98 * first < second) & (second < first)).all()
    srd.eval()
    srd(student(weak[0]), *weak)
    assert torch.equal(srd.scale, second)
    other = loss_module()
    other.load_state_dict(srd.state_dict())
    assert torch.equal(other.scale, second)


def test_light_damage_looks_light_beside_heavy_damage():
    """The scale is of the data set, not of the picture."""
    srd = loss_module()
    srd(student(tensor(scene())), *pair("hazy", 0.9))
    light, heavy = (srd.targets(*pair("hazy", severity))[0].mean() for severity in (0.05, 0.9))
    assert light < 0.3 < 0.55 < heavy


def test_the_teacher_never_changes():
    srd = loss_module().train()
    before = {name: value.clone() for name, value in srd.teacher.state_dict().items()}
    sum(srd(student(tensor(scene())), *pair()).values()).backward()
    assert not srd.teacher.training and not srd.teacher.tower.training
    after = srd.teacher.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_levels_learn_from_the_nearest_map():
    strides = (2, 4, 8, 16)
    assert [nearest(stride, strides) for stride in (1, 2, 4, 8, 32)] == [0, 0, 1, 2, 3]
    assert nearest(4, (2, 8)) == 0


@pytest.mark.parametrize("host", ["naf", "residual"])
@pytest.mark.parametrize("which", ["resnet", "transformer"])
def test_it_teaches_a_network_of_either_host_from_either_kind_of_tower(host, which):
    the_teacher = teacher() if which == "resnet" else SpatialTeacher(small_tower(), "small")
    config = WeatherConfig(host, (8, 12, 16), (1, 1), 1, (1, 1), prior=None)
    torch.manual_seed(0)
    net = WeatherUNet(config)
    srd = SoftResidualDistillation(the_teacher, config.widths[:-1], net.strides)
    damaged, clean = pair()
    _, maps = net(damaged, net.condition(damaged, told()), maps=True)
    sum(srd(maps, damaged, clean).values()).backward()
    for name, parameter in net.sar.named_parameters():
        if name != "1.alpha":  # the last level's correction is not looked at
            assert parameter.grad is not None and parameter.grad.any(), name
    assert net.head.weight.grad is None


def test_autocast_leaves_the_terms_in_float32():
    srd, levels = loss_module(), student(tensor(scene()))
    levels = [SpatialResidual(*(t.bfloat16() for t in level)) for level in levels]
    with torch.autocast("cpu", torch.bfloat16):
        terms = srd(levels, *pair())
    assert all(term.dtype == torch.float32 and term.isfinite() for term in terms.values())
