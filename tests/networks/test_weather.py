import dataclasses

import pytest
import torch
import torch.nn.functional as F

from pellucid.networks.prior import PriorConfig
from pellucid.networks.weather import SAR, WeatherConfig, WeatherUNet
from tiny import told

PRIOR = PriorConfig(sample_dim=10, tokens=3, width=8)
SMALL = WeatherConfig(
    widths=(8, 12, 16), encoder_blocks=(1, 1), middle_blocks=1, decoder_blocks=(1, 1), prior=PRIOR
)
HOSTS = ("naf", "residual")
READINGS = [
    {},
    {"sar": "decoder"},
    {"sar": "none"},
    {"prior": None},
]
WORDS = {"host": "residual", "context_dim": 10, "words": 4}


def small(host="naf", **changes):
    torch.manual_seed(0)
    return WeatherUNet(dataclasses.replace(SMALL, host=host, **changes)).eval()


def trained(host="naf", **changes):
    """A network without zeros, as after training."""
    net = small(host, **changes)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    return net


def picture(batch=1, size=(13, 18), seed=2):
    return torch.rand(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def sample(batch=1, seed=3):
    return torch.randn(batch, 10, generator=torch.Generator().manual_seed(seed))


def heard(sample):
    """Guidance whose semantics are one vector a picture."""
    return told(semantics=sample[:, None])


def test_default_size_is_that_of_the_design():
    net = WeatherUNet()

    def millions(*modules):
        return round(sum(p.numel() for m in modules for p in m.parameters()) / 1e6, 2)

    assert (millions(net), millions(net.sar)) == (15.24, 0.27)
    assert millions(net.prior, net.attend) == 1.56


@torch.no_grad()
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("changes", READINGS)
def test_an_untrained_network_is_the_identity_and_a_trained_one_is_not(host, changes):
    image = picture()
    net = small(host, **changes)
    assert torch.equal(net(image, net.condition(image, heard(sample()))), image)
    net = trained(host, **changes)
    assert (net(image, net.condition(image, heard(sample()))) - image).abs().max() > 1e-2


@torch.no_grad()
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("sar", ["add", "decoder"])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 9), (16, 32), (33, 50)])
def test_any_size_comes_back_with_a_map_a_level(host, sar, size):
    net = trained(host, sar=sar)
    image = picture(2, size)
    condition = net.condition(image, told())
    restored, maps = net(image, condition, maps=True)
    assert restored.shape == image.shape
    assert torch.equal(net(image, condition), restored)
    for level, width, found in zip((0, 1), SMALL.widths, maps, strict=False):
        places, gates = (
            tuple(-(-side // strides[level]) for side in size)
            for strides in (net.strides, net.gate_strides)
        )
        assert found.features.shape == found.residual.shape == (2, width, *places)
        assert found.gate.shape == (2, 1, *gates)
        assert found.gate.min() > 0 and found.gate.max() < 1
    assert len(maps) == 2


@torch.no_grad()
@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("changes", READINGS)
def test_a_picture_is_restored_alike_whatever_else_is_in_the_batch(host, changes):
    net = trained(host, **changes)
    images, samples = picture(3), sample(3)
    together = net(images, net.condition(images, heard(samples)))
    for i in range(3):
        alone = net(images[i : i + 1], net.condition(images, heard(samples[i : i + 1])))
        assert torch.allclose(together[i], alone[0], atol=1e-4)


@torch.no_grad()
def test_sar_adds_a_gated_residual():
    x = torch.randn(2, 8, 5, 6, generator=torch.Generator().manual_seed(0))
    sar = SAR(8)
    up, found = sar(x)
    assert found.gate.shape[1] == 1
    assert torch.equal(found.residual, found.gate * sar.branch(x))
    assert torch.allclose(up, x + 0.1 * found.residual)
    assert torch.equal(found.features, x)
    assert abs(found.gate.mean() - 0.12) < 0.05


@torch.no_grad()
def test_gates_finer_than_the_features_act_by_their_mean():
    x = torch.randn(1, 8, 5, 6, generator=torch.Generator().manual_seed(0))
    sar = SAR(8, cells=2)
    _, found = sar(x)
    r = sar.branch(x)
    assert found.gate.shape == (1, 1, 10, 12)
    assert not torch.equal(found.gate[..., ::2, ::2], found.gate[..., 1::2, ::2])
    corner = found.gate[0, 0, 2:4, 4:6].mean()
    assert torch.allclose(found.residual[0, :, 1, 2], corner * r[0, :, 1, 2])


@torch.no_grad()
def test_the_finest_gate_is_as_fine_as_the_picture():
    assert small("naf").gate_strides == (1, 2)
    assert small("residual").gate_strides == (1, 4)


@torch.no_grad()
@pytest.mark.parametrize("host", HOSTS)
def test_in_the_decoder_sar_sees_what_coarser_levels_found_and_the_encoder_stays_plain(host):
    net, image, below, asked = trained(host, sar="decoder"), picture(), [], []
    net.down[0].register_forward_hook(lambda _, inputs, __: below.append(inputs[0]))
    net.sar[0].register_forward_hook(lambda _, inputs, __: asked.append(inputs))
    before = net(image, net.condition(image, told()), maps=True)
    net.up[0].weight.mul_(1.5)
    after = net(image, net.condition(image, told()), maps=True)
    assert torch.equal(*below)
    assert all(torch.equal(told, below[0]) for _, told in asked)
    assert not torch.allclose(asked[0][0], asked[1][0])
    assert not torch.allclose(before[1][0].gate, after[1][0].gate)


@torch.no_grad()
def test_the_residual_host_multiplies_light_where_it_must():
    net, image = small("residual"), picture()
    net.head.bias[: net.head.out_channels // 2] = 0.5
    assert torch.allclose(net(image, net.condition(image, told())), 1.5 * image)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("changes", READINGS)
def test_every_parameter_learns(host, changes):
    net = trained(host, **changes).train()
    image = picture(2)
    F.mse_loss(net(image, net.condition(image, heard(sample(2)))), 1 - image).backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize("host", HOSTS)
def test_the_loss_falls_from_the_identity(host):
    net, image = small(host).train(), picture(2, (8, 8))
    damaged = 0.6 * image + 0.3
    losses = []
    for _ in range(8):
        net.zero_grad()
        loss = F.mse_loss(net(damaged, net.condition(damaged, heard(sample(2)))), image)
        loss.backward()
        losses.append(loss.item())
        with torch.no_grad():
            for parameter in net.parameters():
                if parameter.grad is not None:
                    parameter -= 0.1 * parameter.grad
    assert losses[-1] < 0.9 * losses[0]


@torch.no_grad()
def test_no_label_is_needed_and_the_sample_matters_once_trained():
    net, image = trained(), picture()
    assert torch.equal(
        net(image, net.condition(image, told())),
        net(image, net.condition(image, heard(torch.zeros(1, 10)))),
    )
    assert (
        net(image, net.condition(image, heard(sample()))) - net(image, net.condition(image, told()))
    ).abs().max() > 1e-4


@torch.no_grad()
def test_words_modulate_by_their_likeness_to_the_sample():
    net, image = trained(**WORDS, prior=None), picture()
    net.words.copy_(torch.eye(4, 10))
    first, second = (net.condition(image, told(torch.eye(10)[i : i + 1])) for i in (0, 1))
    assert torch.allclose(first.words, torch.eye(4)[:1], atol=1e-6)
    assert (net(image, first) - net(image, second)).abs().max() > 1e-4
    for changes in ({"context_dim": 10, "words": 4}, {"host": "residual", "words": 4}):
        with pytest.raises(ValueError, match="context_dim"):
            small(**changes)


def test_a_network_says_what_guides_it():
    for changes, names in (
        ({}, ("semantics",)),
        ({"context_dim": 10}, ("degradation",)),
        ({"prior": None}, ()),
        ({"prior": None, **WORDS}, ("degradation",)),
    ):
        assert small(**{"host": "naf", **changes}).needs == set(names)


@torch.no_grad()
@pytest.mark.parametrize("host", HOSTS)
def test_the_map_of_the_damage_is_the_finest_gate(host):
    net, image = trained(host).to(torch.float64), picture().double()
    for level, bias in zip(net.sar, (-1.0, 2.0), strict=True):
        level.gate[-1].weight.zero_()
        level.gate[-1].bias.fill_(bias)
    where = net.damage(image, net.condition(image, told()))
    expected = torch.tensor(-1.0, dtype=torch.float64).sigmoid()
    assert where.shape == (1, 1, *image.shape[-2:])
    assert torch.allclose(where, expected.expand_as(where))
    assert net.maps_damage and not small(host, sar="none").maps_damage


@torch.no_grad()
def test_condition_of_one_picture_serves_a_batch_of_its_tiles():
    net, tiles = trained(), picture(2)
    condition = net.condition(tiles, heard(sample()))
    assert torch.allclose(net(tiles, condition)[1:], net(tiles[1:], condition), atol=1e-5)


def test_autocast_trains_it():
    net, image = trained().train(), picture()
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(image, net.condition(image, heard(sample()))).float().square().mean()
    loss.backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
