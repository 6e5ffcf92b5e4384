import pytest
import torch

from pellucid.networks.guided import (
    Adapter,
    GuidedNAFNet,
    GuidedNAFNetConfig,
    GuidedResUNet,
    GuidedResUNetConfig,
    GuidedUNet,
    GuidedUNetConfig,
)
from pellucid.networks.irsde_unet import DirectUNet, UNetConfig
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.resunet import ResUNet, ResUNetConfig
from tiny import randomised, told

RES = {"widths": (8, 12, 16), "encoder_blocks": (1, 1), "decoder_blocks": (1, 1)}
RES |= {"middle_blocks": 1, "context_dim": 8, "embed_dim": 4, "content_levels": 1}
NAF = {"width": 8, "encoder_blocks": (1,) * 4, "decoder_blocks": (1,) * 4, "context_dim": 8}
UNET = {"nf": 32, "ch_mult": (1, 1), "use_degradation_context": False}
UNET |= {"use_image_context": False}
PRIOR = {"semantic_dim": 6, "degradation_dim": 5}
HOSTS = {
    "resunet": (ResUNet, ResUNetConfig(**RES), GuidedResUNet, GuidedResUNetConfig(**RES, **PRIOR)),
    "nafnet": (NAFNet, NAFNetConfig(**NAF), GuidedNAFNet, GuidedNAFNetConfig(**NAF, **PRIOR)),
    "irsde-unet": (DirectUNet, UNetConfig(**UNET), GuidedUNet, GuidedUNetConfig(**UNET, **PRIOR)),
}


def random(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=HOSTS)
def networks(request):
    """A host of random weights, and a guided network that took them."""
    host_class, host_config, guided_class, config = HOSTS[request.param]
    host = randomised(host_class(host_config)).eval()
    torch.manual_seed(0)
    guided = guided_class(config).eval()
    missing, unknown = guided.load_state_dict(host.state_dict(), strict=False)
    assert not unknown and all(name.startswith("adapters.") for name in missing)
    return host, guided


def test_a_guided_network_starts_as_its_host(networks):
    host, guided = networks
    image, vectors = random(2, 3, 37, 50), random(2, 4, 6)
    embeddings = random(2, 8, seed=5), random(2, 8, seed=6)
    expected = host(image, host.condition(image, told(*embeddings)))
    assert not torch.allclose(expected, image, atol=1e-2)
    found = guided(image, guided.condition(image, told(*embeddings, vectors)))
    torch.testing.assert_close(found, expected)


def test_all_adapters_learn_and_hear_semantics_and_degradation(networks):
    _, guided = networks
    for parameter in guided.adapters.parameters():  # off the zeros
        torch.nn.init.normal_(parameter, std=0.2)
    image = random(2, 3, 32, 32)
    vectors = [random(2, 6, seed=i).requires_grad_() for i in range(4)]
    guidance = told(semantics=torch.stack(vectors, dim=1))
    condition = guided.condition(image, guidance)
    assert torch.allclose(condition.perceived.degradation.norm(dim=1), torch.ones(2))
    guided(image, condition).square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for n, p in guided.adapters.named_parameters())
    heard = [bool(v.grad.abs().sum() > 0) for v in vectors]
    levels = len(guided.adapters.levels)
    assert heard == [i >= 4 - levels for i in range(4)]  # three levels: the first is left out


def test_the_first_step_already_moves_an_adapter():
    adapter, x = Adapter(8, 3), random(1, 8, 6, 6)
    out = adapter(x, random(1, 2), random(1, 1))
    assert torch.equal(out, x)
    (out * random(1, 8, 6, 6, seed=1)).sum().backward()
    for last in (adapter.pgm.affine[-1], adapter.attention.project):
        assert last.weight.grad.abs().sum() > 0


def test_a_condition_of_one_picture_serves_its_tiles(networks):
    _, guided = networks
    image, vectors = random(1, 3, 48, 48), random(1, 4, 6)
    condition = guided.condition(image, told(semantics=vectors))
    tiles = torch.cat([image[..., :32], image[..., 16:]])
    both = guided(tiles, condition)
    torch.testing.assert_close(both[:1], guided(tiles[:1], condition), atol=1e-5, rtol=1e-4)
