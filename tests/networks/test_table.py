"""What holds for every network in the table."""

import dataclasses

import pytest
import torch

from pellucid.errors import UsageError
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.table import NETWORKS, kind_of, network_of
from tiny import randomised

TRANSFORMER = {"dim": 8, "blocks": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "refinement": 1}
RESUNET = {"widths": (8, 8), "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
RESUNET |= {"context_dim": 16, "embed_dim": 8, "content_levels": 1}
NAFNET = {"width": 8, "encoder_blocks": (1,), "decoder_blocks": (1,), "context_dim": 16}
WEATHER = {"widths": (8, 8), "encoder_blocks": (1,), "middle_blocks": 1, "decoder_blocks": (1,)}
BILATERAL = {"look": 32, "stem": 16, "widths": (16, 16), "blocks": (1, 1), "context_dim": 16}
SIZES = {
    "bilateral-grid": {**BILATERAL, "embed_dim": 8, "bins": 4},
    "wiener-unet": {"reach": 12, "embed_dim": 8, "widths": (8, 8), "blocks": (1, 1)},
    "resunet": RESUNET,
    "diffusion-resunet": RESUNET,
    "nafnet": NAFNET,
    "restormer": TRANSFORMER,
    "restormer-medium": TRANSFORMER,
    "perceive-ir": {**TRANSFORMER, "semantic_dim": 5},
    "guided-resunet": {**RESUNET, "semantic_dim": 5},
    "guided-nafnet": {**NAFNET, "semantic_dim": 5},
    "weather": {**WEATHER, "host": "residual", "context_dim": 1024},
    "irsde-unet": {"nf": 32, "ch_mult": (1, 1), "context_dim": 16},
    "direct-unet": {"nf": 32, "ch_mult": (1, 1), "context_dim": 16},
    "guided-unet": {"nf": 32, "ch_mult": (1, 1), "context_dim": 16, "semantic_dim": 5},
}
KINDS = pytest.mark.parametrize("kind", NETWORKS)


def network(kind):
    row = NETWORKS[kind]
    return randomised(row.network(row.config(**SIZES[kind]))).eval()


def guidance(net, batch):
    """Random values of what a network needs."""
    random = torch.Generator().manual_seed(1)
    length = getattr(net.config, "context_dim", 1)
    values = {
        "content": torch.randn(batch, length, generator=random),
        "degradation": torch.randn(batch, length, generator=random),
        "semantics": torch.randn(batch, 4, 5, generator=random),
    }
    return Guidance(**{name: values[name] for name in net.needs})


def called(net, kind, image, condition):
    if NETWORKS[kind].predicts is None:
        return net(image, condition)
    return net(image.flip(-1), image, torch.full((len(image),), 5.0), condition)


@KINDS
def test_a_network_keeps_the_contract(kind):
    net = network(kind)
    assert isinstance(net, RestorationNetwork)
    assert net.needs <= {field.name for field in dataclasses.fields(Guidance)}
    assert net.overlap >= 0 and net.multiple >= 1 and net.dtypes
    image = torch.rand(1, 3, 20, 28, generator=torch.Generator().manual_seed(0))
    condition = net.condition(image, guidance(net, 1))
    restored = called(net, kind, image, condition)
    assert restored.shape == image.shape and restored.isfinite().all()
    tiles = torch.cat([image, image.flip(-1)])  # the condition of one serves several
    together = called(net, kind, tiles, condition)
    torch.testing.assert_close(together[:1], restored, atol=1e-4, rtol=1e-3)
    if net.maps_damage:
        where = net.damage(image, condition)
        assert where.shape == (1, 1, 20, 28) and 0 <= where.min() <= where.max() <= 1


@KINDS
def test_a_network_hears_what_it_needs_and_nothing_else(kind):
    net = network(kind)
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    told = guidance(net, 1)
    before = called(net, kind, image, net.condition(image, told))
    for field in dataclasses.fields(Guidance):
        other = dataclasses.replace(told)
        if field.name in net.needs:
            other = dataclasses.replace(told, **{field.name: -getattr(told, field.name)})
        elif field.name in ("content", "degradation", "semantics"):
            other = dataclasses.replace(told, **{field.name: torch.randn(1, 4, 5)})
        after = called(net, kind, image, net.condition(image, other))
        assert torch.equal(before, after) == (field.name not in net.needs), field.name


@KINDS
def test_a_network_is_found_by_its_config(kind):
    row = NETWORKS[kind]
    config = row.config(**SIZES[kind])
    found = network_of(config, diffusion=row.predicts is not None)
    assert type(found) is row.network and kind_of(found) == kind


def test_a_config_of_another_kind_of_network_is_refused():
    with pytest.raises(UsageError, match="NAFNetConfig is not the config of a diffusion network"):
        network_of(NETWORKS["nafnet"].config(), diffusion=True)


def test_no_official_file_is_taken_for_two_networks():
    for kind in NETWORKS:
        state = network(kind).state_dict()
        found = [k for k, row in NETWORKS.items() if row.network.official(state)]
        # The U-Net in one pass has the official names; a bundle says which of the two it is.
        assert found in ([], ["irsde-unet" if kind == "direct-unet" else kind])


def test_guidance_of_pictures_is_joined_and_taken_apart():
    one = Guidance(torch.ones(1, 2), torch.zeros(1, 2), ("hazy",), {"hazy": 1.0})
    two = dataclasses.replace(one, content=torch.full((1, 2), 3.0), words=())
    both = Guidance.joined([one, two])
    assert both.content.tolist() == [[1, 1], [3, 3]] and both.words == ()
    assert both.of(1, two).content.tolist() == [[3, 3]]
    assert both.of(0, one).words == ("hazy",) and both.semantics is None
    assert Guidance.joined([one, dataclasses.replace(two, degradation=None)]).degradation is None
