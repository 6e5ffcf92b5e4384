import pytest
import torch
import torch.nn.functional as F

from pellucid.networks.prior import PriorAttention, PriorConfig, WeatherPrior


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def config(**changes):
    return PriorConfig(**{"sample_dim": 10, "tokens": 5, "width": 8, **changes})


def attention(channels=64):
    torch.manual_seed(0)
    layer = PriorAttention(channels, 8).eval()
    torch.nn.init.ones_(layer.gain)
    return layer


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 6),
        ({"tokens": 0}, 1),
        ({"sample_dim": 0}, 5),
    ],
)
def test_every_reading_gives_its_number_of_tokens_and_all_of_it_is_learned(changes, count):
    prior = WeatherPrior(config(**changes))
    tokens = prior(random(2, 10))
    assert tokens.shape[1:] == (count, 8)
    (tokens * random(*tokens.shape, seed=2)).sum().backward()
    for name, parameter in prior.named_parameters():
        assert parameter.grad.abs().max() > 0, name


def test_the_sample_moves_its_token_and_no_learned_one():
    prior = WeatherPrior(config())
    one, other = prior(random(1, 10)), prior(random(1, 10, seed=1))
    assert (one[:, 0] - other[:, 0]).abs().max() > 1e-3
    assert torch.equal(one[:, 1:], other[:, 1:])


def test_a_missing_sample_counts_as_zeros():
    prior = WeatherPrior(config())
    assert torch.equal(prior(), prior(torch.zeros(1, 10)))


def test_a_prior_of_nothing_is_refused():
    with pytest.raises(ValueError, match="learned tokens or a sample"):
        WeatherPrior(config(sample_dim=0, tokens=0))


@torch.no_grad()
def test_pixels_that_query_get_the_softmax_over_the_tokens():
    layer = attention()
    x, tokens = random(2, 64, 3, 4), random(2, 6, 8, seed=1)
    query = layer.from_pixels(layer.norm_pixels(x.flatten(2).transpose(1, 2))).split(32, -1)
    key_and_value = layer.from_tokens(layer.norm_tokens(tokens)).split(64, -1)  # of two heads
    read = []
    for q, kv in zip(query, key_and_value, strict=True):
        weights = (q @ kv[..., :32].transpose(1, 2) / 32**0.5).softmax(-1)
        read.append(weights @ kv[..., 32:])
    out = layer.out(torch.cat(read, -1)).transpose(1, 2).reshape(x.shape)
    assert torch.allclose(layer(x, tokens), x + out, atol=1e-5)


@torch.no_grad()
def test_tokens_embed_nothing_at_first_and_something_once_trained():
    x, tokens = random(1, 64, 4, 5), random(1, 6, 8, seed=1)
    assert torch.equal(PriorAttention(64, 8)(x, tokens), x)
    layer = attention()
    moved = layer(x, tokens) - layer(x, -tokens)
    assert moved.abs().max() > 1e-2


def test_the_gain_learns_from_the_first_step():
    layer = PriorAttention(64, 8)
    layer(random(1, 64, 4, 5), random(1, 6, 8, seed=1)).square().sum().backward()
    assert layer.gain.grad.abs().max() > 0


@torch.no_grad()
def test_tokens_of_one_picture_serve_a_batch_of_its_tiles():
    layer = attention()
    x, tokens = random(3, 64, 4, 5), random(1, 6, 8, seed=1)
    for i in range(3):
        assert torch.allclose(layer(x, tokens)[i], layer(x[i : i + 1], tokens)[0], atol=1e-5)


@torch.no_grad()
def test_attention_costs_pixels_times_tokens(monkeypatch):
    products = []

    def counted(q, k, v, attend=F.scaled_dot_product_attention):
        products.append(q.shape[-2] * k.shape[-2])
        return attend(q, k, v)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    attention()(random(1, 64, 9, 7), random(1, 6, 8))
    assert set(products) == {9 * 7 * 6}


def test_widths_that_do_not_divide_into_heads_are_refused():
    with pytest.raises(ValueError, match="112 channels"):
        PriorAttention(112, 8)
