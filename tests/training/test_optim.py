import math

import pytest
import torch
from torch import nn

from pellucid.training.config import EMAConfig, OptimizerConfig
from pellucid.training.optim import EMA, Muon, build_optimizer, decays, ema_decay, learning_rate


def test_learning_rate_warms_up_then_falls_along_a_half_cosine():
    config = OptimizerConfig(lr=1.0, lr_min=0.1, warmup=10)
    rates = [learning_rate(config, step, 110) for step in range(110)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0 and rates[10] == 1.0
    assert rates[60] == pytest.approx(0.55)  # the middle of the cosine
    assert rates[35] == pytest.approx(0.1 + 0.45 * (1 + math.cos(math.pi / 4)))
    assert 0.1 < rates[109] < 0.101
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_without_warm_up_it_is_torchs_cosine_annealing():
    config = OptimizerConfig(lr=2e-4, lr_min=1e-6)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=2e-4)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50, eta_min=1e-6)
    for step in range(50):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(config, step, 50) == pytest.approx(expected, rel=1e-6)
        optimizer.step()
        reference.step()


def test_weight_decay_leaves_biases_norms_and_the_logit_scale_alone():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LayerNorm(4), nn.Linear(4, 2))
    module.logit_scale = nn.Parameter(torch.zeros(1, 1))
    frozen = nn.Linear(2, 2).requires_grad_(False)
    module.append(frozen)
    groups = build_optimizer(OptimizerConfig(weight_decay=0.3), module).param_groups
    by_decay = {g["weight_decay"]: {id(p) for p in g["params"]} for g in groups}
    assert by_decay[0.3] == {id(module[0].weight), id(module[2].weight)}
    assert not by_decay[0.0] & {id(p) for p in frozen.parameters()}
    (plain,) = build_optimizer(
        OptimizerConfig(weight_decay=0.3, decay_all=True), module
    ).param_groups
    trained = {id(p) for p in module.parameters() if p.requires_grad}
    assert plain["weight_decay"] == 0.3 and {id(p) for p in plain["params"]} == trained
    assert not decays("downs.0.fn.norm.g", torch.zeros(1, 8, 1, 1))
    assert decays("zero_modules.0.weight", torch.zeros(8, 8))


def test_ema_is_a_weighted_sum_of_the_weights():
    module = nn.Linear(1, 1, bias=False)
    ema = EMA(EMAConfig(decay=0.9, power=100.0), module)
    values = [0.3, -1.0, 2.0, 0.5]
    expected = None
    for step, value in enumerate(values, 1):
        module.weight.data.fill_(value)
        ema.update(step)
        expected = value if expected is None else 0.9 * expected + 0.1 * value
    assert ema.average[0].item() == pytest.approx(expected, rel=1e-6)
    ema.swap()
    assert module.weight.item() == pytest.approx(expected, rel=1e-6)
    ema.swap()
    assert module.weight.item() == 0.5


def test_ema_decay_has_the_values_of_the_official_setting():
    config = EMAConfig(decay=0.995, every=10, after=100)
    assert ema_decay(config, 2) is None and ema_decay(config, 10) is None
    assert ema_decay(config, 1) == 0 and ema_decay(config, 101) == 0
    # ema-pytorch at its 112th update... 1 - (1 + 10) ** (-2 / 3)
    assert ema_decay(config, 111) == pytest.approx(1 - 11 ** (-2 / 3))
    assert ema_decay(config, 100_001) == 0.995


def test_the_optimiser_finds_a_minimum():
    module = nn.Linear(3, 1)
    optimizer = build_optimizer(OptimizerConfig(lr=0.05), module)
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = x @ torch.tensor([[1.0], [-2.0], [0.5]]) + 0.3
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(OptimizerConfig(lr=0.05), step, 300)
        loss = (module(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 1e-3


def test_muon_brings_singular_values_near_one_and_keeps_the_singular_vectors():
    random = torch.Generator().manual_seed(0)
    for rows, columns in ((24, 60), (60, 24)):
        matrices = torch.randn(3, rows, columns, generator=random)
        made = Muon.orthogonal(matrices).float()
        values = torch.linalg.svdvals(made)
        assert values.min() > 0.5 and values.max() < 1.25
        u, _, v = torch.linalg.svd(matrices, full_matrices=False)
        assert ((u.mT @ made @ v.mT).diagonal(dim1=1, dim2=2) > 0.5).all()


@pytest.mark.parametrize(("in_hardware", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_muon_computes_in_bfloat16_only_where_the_hardware_does(monkeypatch, in_hardware, dtype):
    monkeypatch.setattr("pellucid.hardware.has_fast_bfloat16", lambda device: in_hardware)
    assert Muon.orthogonal(torch.eye(16)[None]).dtype == dtype


def test_muon_steps_as_far_as_its_scale_says_whatever_the_layout():
    random = torch.Generator().manual_seed(1)
    weight, gradient = (torch.randn(32, 16, 3, 3, generator=random) for _ in range(2))
    steps = []
    for layout in (torch.contiguous_format, torch.channels_last):
        kernel = nn.Parameter(weight.clone(memory_format=layout))
        kernel.grad = gradient.clone(memory_format=layout)
        Muon([{"params": [kernel], "muon": True}], lr=0.1).step()
        steps.append((weight - kernel.detach()) / 0.1)
    torch.testing.assert_close(*steps, rtol=0.1, atol=0.02)  # bfloat16, in another order
    values = torch.linalg.svdvals(steps[0].flatten(1)) / (0.2 * 144**0.5)
    assert values.min() > 0.5 and values.max() < 1.25


def test_muon_trains_inner_kernels_and_adamw_the_rest():
    network = nn.Module()
    network.stem = nn.Conv2d(16, 32, 3)
    network.inner = nn.Conv2d(32, 32, 3)
    network.thin = nn.Conv2d(32, 8, 3)
    network.linear = nn.Linear(32, 32)
    config = OptimizerConfig(name="muon", lr=2e-3, adamw_lr=5e-4)
    muon = build_optimizer(config, network)
    kernels = [g["params"] for g in muon.param_groups if g["muon"]]
    assert [[id(p) for p in group] for group in kernels] == [[id(network.inner.weight)]]
    assert {g.get("scale", 1.0) for g in muon.param_groups if not g["muon"]} == {0.25}
    adamw = torch.optim.AdamW(network.linear.parameters(), lr=1e-3, betas=(0.9, 0.99))
    ours, theirs = nn.Linear(32, 32), network.linear
    ours.load_state_dict(theirs.state_dict())
    other = Muon([{"params": list(ours.parameters())}], lr=1e-3, betas=(0.9, 0.99))
    adamw.param_groups[0]["weight_decay"] = 0.0
    for seed in range(3):
        for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
            p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed))
            q.grad = p.grad.clone()
        other.step()
        adamw.step()
    torch.testing.assert_close(ours.weight, theirs.weight)


def test_a_linear_schedule_falls_in_equal_steps():
    config = OptimizerConfig(lr=1.0, lr_min=0.0, warmup=10, schedule="linear")
    rates = [learning_rate(config, step, 110) for step in range(110)]
    assert rates[9] == rates[10] == 1.0 and rates[60] == pytest.approx(0.5)
    assert rates[109] == pytest.approx(0.01)
