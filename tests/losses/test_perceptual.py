import math

import pytest
import torch
from torch import nn

from pellucid.losses.perceptual import VGG16, difficulty_adaptive, difficulty_weight


@pytest.fixture(scope="module")
def vgg():
    torch.manual_seed(0)
    return VGG16()


def pictures(count, seed=0):
    return torch.rand(count, 2, 3, 12, 16, generator=torch.Generator().manual_seed(seed))


def features_in_place(vgg, image, taps):
    """As the official code: torchvision's layers, whose rectifiers overwrite what was kept."""
    layers = [nn.ReLU(inplace=True) if isinstance(x, nn.ReLU) else x for x in vgg.features]
    mean, std = (
        torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    x, kept = (image - mean) / std, []
    for index, layer in enumerate(layers):
        x = layer(x)
        if index in taps:
            kept.append(x)
    return kept


@torch.no_grad()
def test_taps_are_what_rectifiers_in_place_leave_of_the_official_ones(vgg):
    image = pictures(1)[0]
    official = features_in_place(vgg, image, (3, 7, 11, 15))
    assert all(torch.equal(a, b) for a, b in zip(vgg(image), official, strict=True))
    assert vgg(image)[1].min() == 0  # rectified, unlike the output of layer 7


def test_the_layers_are_those_of_torchvision(vgg):
    shapes = {name: tuple(p.shape) for name, p in vgg.state_dict().items() if "weight" in name}
    assert shapes == {
        "features.0.weight": (64, 3, 3, 3),
        "features.2.weight": (64, 64, 3, 3),
        "features.5.weight": (128, 64, 3, 3),
        "features.7.weight": (128, 128, 3, 3),
        "features.10.weight": (256, 128, 3, 3),
        "features.12.weight": (256, 256, 3, 3),
        "features.14.weight": (256, 256, 3, 3),
    }


def test_a_trunk_is_taken_from_a_larger_network(vgg):
    state = {name: p + 1 for name, p in vgg.state_dict().items()}
    state |= {"features.28.weight": torch.ones(1), "classifier.0.bias": torch.ones(1)}
    taken = VGG16().load_trunk(state)
    assert all(torch.equal(p, state[name]) for name, p in taken.state_dict().items())
    del state["features.14.bias"]
    with pytest.raises(KeyError, match=r"features\.14\.bias"):
        VGG16().load_trunk(state)


@torch.no_grad()
def test_the_loss_is_the_formula_written_out_for_each_picture(vgg):
    restored, clean, degraded, one, two = pictures(5)
    weights = torch.tensor([1.25, 0.0]), torch.tensor([0.75, 1.25])
    total = 0.0
    for b in range(2):
        features = [vgg(x[b : b + 1]) for x in (restored, clean, degraded, one, two)]
        for s, level in enumerate((1 / 12, 1 / 6, 1 / 3, 1)):
            own, *others = (f[s].double() for f in features)
            near, easy, *hard = (float((own - other).abs().mean()) for other in others)
            hard = sum(float(w[b]) * d for w, d in zip(weights, hard, strict=True))
            total += level * near / (2 * easy + hard) / 2
    loss = difficulty_adaptive(vgg, restored, clean, degraded, (one, two), weights)
    assert float(loss) == pytest.approx(total, rel=1e-5)


@torch.no_grad()
def test_it_works_without_proxies_and_a_weight_of_zero_leaves_one_out(vgg):
    restored, clean, degraded, proxy = pictures(4)
    alone = difficulty_adaptive(vgg, restored, clean, degraded)
    unused = difficulty_adaptive(vgg, restored, clean, degraded, [proxy], [torch.zeros(2)])
    assert alone == unused
    assert difficulty_adaptive(vgg, clean, clean, degraded) == 0


def test_a_restoration_that_is_the_degraded_picture_has_a_finite_loss(vgg):
    _, clean, degraded = pictures(3)
    restored = degraded.clone().requires_grad_()
    loss = difficulty_adaptive(vgg, restored, clean, degraded)
    loss.backward()
    assert 1e3 < loss.item() < math.inf and restored.grad.isfinite().all()


def test_only_the_restored_picture_has_a_gradient_and_it_leads_to_the_clean_one(vgg):
    restored, clean, degraded, proxy = (x.requires_grad_() for x in pictures(4))
    arguments = clean, degraded, [proxy], [torch.ones(2)]
    loss = difficulty_adaptive(vgg, restored, *arguments)
    loss.backward()
    assert clean.grad is None and degraded.grad is None and proxy.grad is None
    with torch.no_grad():
        step = restored - 0.01 * restored.grad.sign()
        assert difficulty_adaptive(vgg, step, *arguments) < loss


def test_a_proxy_better_than_the_network_weighs_less():
    clean = torch.full((3, 3, 4, 4), 0.5)
    errors = torch.tensor([0.1, 0.01, 0.001])  # 20, 40 and 60 dB
    proxy = clean + errors[:, None, None, None]
    assert difficulty_weight(proxy, clean, 30.0).tolist() == [1.25, 0.75, 0.75]
    reference = torch.tensor([10.0, 50.0, 50.0])
    assert difficulty_weight(proxy, clean, reference).tolist() == [0.75, 1.25, 0.75]


def test_bounded_it_asks_nothing_of_a_clean_picture_and_is_the_formula_far_from_the_degraded(vgg):
    other, clean, degraded = pictures(3)
    for restored in (degraded, other):
        restored = restored.clone().requires_grad_()
        loss = difficulty_adaptive(vgg, restored, clean, clean, bounded=True)
        loss.backward()
        assert loss == 0 and not restored.grad.any()
    # no restoration at all: a half at each of the depths
    same = difficulty_adaptive(vgg, degraded, clean, degraded, bounded=True)
    assert float(same) == pytest.approx(sum((1 / 12, 1 / 6, 1 / 3, 1)) / 2, rel=1e-5)
    past = 2 * clean - degraded  # farther from the degraded picture than the clean one is
    restored = clean + 0.1 * (past - clean)
    exact = difficulty_adaptive(vgg, restored, clean, degraded)
    bounded = difficulty_adaptive(vgg, restored, clean, degraded, bounded=True)
    assert float(bounded) == pytest.approx(float(exact), rel=0.05)
