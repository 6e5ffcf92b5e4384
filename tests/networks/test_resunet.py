import dataclasses

import pytest
import torch

from pellucid.networks.resunet import DiffusionResUNet, ResUNet, ResUNetConfig
from tiny import told

TINY = ResUNetConfig(
    widths=(8, 8, 12),
    encoder_blocks=(1, 1),
    middle_blocks=1,
    decoder_blocks=(1, 1),
    context_dim=10,
    embed_dim=6,
)


def randomised(net, seed=0):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in net.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.2)
    return net.eval()


def embeddings(batch=1, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(batch, 10, generator=generator) for _ in range(2))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (7, 9), (16, 32), (33, 50)])
def test_any_size_comes_back(size):
    net = randomised(ResUNet(TINY))
    image = torch.rand(2, 3, *size)
    assert net(image, net.condition(image, told(*embeddings(2)))).shape == image.shape


def test_untrained_network_is_the_identity():
    net = ResUNet(TINY)
    image = torch.rand(1, 3, 20, 24)
    assert torch.equal(net(image, net.condition(image, told(*embeddings()))), image)


def test_conditioning_starts_without_effect_and_acts_once_trained():
    net = ResUNet(TINY)
    torch.nn.init.normal_(net.head.weight)
    for block in net.middle:
        torch.nn.init.normal_(block.conv2.weight)
    image = torch.rand(1, 3, 16, 16)
    degradation, content = embeddings()
    plain = net(image, net.condition(image, told(None, None)))
    assert torch.equal(net(image, net.condition(image, told(degradation, content))), plain)
    net = randomised(net)
    plain = net(image, net.condition(image, told(None, None)))
    assert not torch.allclose(net(image, net.condition(image, told(degradation, None))), plain)
    assert not torch.allclose(net(image, net.condition(image, told(None, content))), plain)


def test_statistics_see_the_light_of_the_whole_picture():
    net = randomised(ResUNet(dataclasses.replace(TINY, statistics=True)))
    image = torch.rand(2, 3, 64, 48)
    for guidance in (told(None, None), told(*embeddings(2))):
        seen = net.condition(image, guidance).embedding
        assert seen.shape == (2, 6)
        darker = net.condition(image / 2, guidance).embedding
        assert not torch.allclose(seen, darker)
        # They do not depend on where things are: by whole blocks the picture may be reordered.
        moved = net.condition(image.roll(8, dims=-1), guidance).embedding
        assert torch.allclose(seen, moved, atol=1e-5)
    assert net.condition(image[..., :2, :2], told(None, None)).embedding.isfinite().all()


def test_features_keep_their_size_through_an_untrained_network():
    torch.manual_seed(0)
    net = ResUNet()
    x = torch.randn(1, 80, 16, 16)
    down = net.down[1](x)
    assert 0.7 < float(down.std()) < 1.4
    up = net.up[1](down)
    assert 0.7 < float(up.std() / down.std()) < 1.4


def test_the_damage_is_read_as_a_mixture_of_the_known_words():
    net = randomised(ResUNet(dataclasses.replace(TINY, words=3)))
    words = torch.nn.functional.normalize(torch.randn(3, 10), dim=-1)
    net.prompt.words.copy_(words)
    image = torch.rand(1, 3, 16, 16)

    def restored(degradation):
        return net(image, net.condition(image, told(degradation, None)))

    # near a word it is that word, whatever the rest: here orthogonal to all three
    rest = torch.randn(1, 10)
    rest -= (torch.linalg.pinv(words) @ (words @ rest.T)).T
    near = 5 * words[:1] + rest
    assert torch.allclose(restored(near), restored(words[:1]), rtol=0.05, atol=0.05)
    assert not torch.allclose(restored(words[:1]), restored(words[1:2]), rtol=0.05, atol=0.05)
    # ... and opposite to all of them, it is still a mixture of them
    inside = net.prompt(words).norm(dim=-1).max()
    assert net.prompt(-words.sum(0, keepdim=True)).norm() < 2 * inside


def test_batch_members_do_not_influence_each_other():
    net = randomised(ResUNet(TINY)).double()
    image = torch.rand(3, 3, 20, 20, dtype=torch.float64)
    degradation, content = (e.double() for e in embeddings(3))
    together = net(image, net.condition(image, told(degradation, content)))
    alone = net(image[1:2], net.condition(image, told(degradation[1:2], content[1:2])))
    assert torch.allclose(together[1:2], alone, atol=1e-12)


def test_nothing_beyond_half_the_overlap_is_seen():
    net = randomised(ResUNet(TINY)).double()
    reach = net.overlap // 2
    size = 2 * reach + 4 * net.multiple
    image = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    out = net(image, net.condition(image, told(None, None)))
    centre = size // 2
    out[0, :, centre, centre].sum().backward()
    seen = (image.grad.abs().sum(1)[0] > 0).nonzero()
    far = (seen - centre).abs().max().item()
    assert 0.6 * reach < far <= reach


def test_context_is_enough_for_a_bf16_forward_and_stays_close():
    net = randomised(ResUNet(TINY))
    image = torch.rand(1, 3, 32, 32)
    condition = net.condition(image, told(*embeddings()))
    with torch.autocast("cpu", torch.bfloat16):
        fast = net(image, condition)
    exact = net(image, condition)
    assert (fast.float() - exact).norm() / exact.norm() < 0.03


def test_diffusion_version_uses_time_state_and_starts_from_the_deterministic_weights():
    net = DiffusionResUNet(TINY)
    mu = torch.rand(2, 3, 17, 19)
    x = mu + 0.1 * torch.randn_like(mu)
    condition = net.condition(mu, told(*embeddings(2)))
    assert torch.equal(net(x, mu, torch.tensor([1, 100]), condition), mu)
    net = randomised(net)
    out = net(x, mu, torch.tensor([1, 100]), condition)
    assert out.shape == mu.shape
    assert not torch.allclose(out, net(x, mu, torch.tensor([2, 100]), condition))
    shared = ResUNet(TINY).state_dict()
    own = DiffusionResUNet(TINY).state_dict()
    differing = [k for k, v in shared.items() if own[k].shape != v.shape]
    assert differing == ["stem.weight"] and set(shared) <= set(own)


def test_shipped_size_is_small_enough():
    with torch.device("meta"):
        net = ResUNet(ResUNetConfig())
    assert sum(p.numel() for p in net.parameters()) < 5e6
    assert dataclasses.is_dataclass(net.config)


def test_damage_that_scales_the_light_is_undone_by_the_bias_of_the_head_alone():
    net = ResUNet(TINY)
    net.head.bias.data[:12] = 1.0  # the gain's half: three colours of four pixels
    image = torch.rand(1, 3, 21, 16)
    assert torch.allclose(net(image / 2, net.condition(image, told(None, None))), image)
