import pytest
import torch

from pellucid.networks.layers import channel_layer_norm, pad_to_multiple, sinusoidal


def test_padding_reflects_on_the_right_and_at_the_bottom():
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    padded = pad_to_multiple(x, 5)
    assert padded.shape == (1, 1, 5, 5)
    assert torch.equal(padded[..., :3, :4], x)
    assert torch.equal(padded[..., :3, 4], x[..., 2])
    assert torch.equal(padded[..., 3:, :4], x[..., [1, 0], :])


def test_sides_too_short_to_reflect_repeat_their_edge():
    x = torch.tensor([[[[1.0, 2.0]]]])
    padded = pad_to_multiple(x, 4)
    assert torch.equal(padded, torch.tensor([1.0, 2.0, 2.0, 2.0]).expand(1, 1, 4, 4))


def test_nothing_is_copied_when_nothing_is_padded():
    x = torch.rand(1, 1, 8, 4)
    assert pad_to_multiple(x, 4) is x


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_channel_norm_is_computed_in_float32(dtype):
    x = (torch.randn(2, 6, 3, 4, generator=torch.Generator().manual_seed(0)) * 30).to(dtype)
    gain = torch.linspace(0.5, 1.5, 6)
    values = x.double()
    mean, var = values.mean(1, keepdim=True), values.var(1, unbiased=False, keepdim=True)
    expected = (values - mean) / (var + 1e-5).sqrt() * gain.reshape(1, 6, 1, 1)
    normed = channel_layer_norm(x, gain.reshape(1, 6, 1, 1), None, 1e-5)
    assert normed.dtype == dtype
    assert torch.allclose(normed.double(), expected, atol=1e-5 if dtype == torch.float32 else 8e-3)


def test_sinusoidal_embedding_has_sines_first():
    embedding = sinusoidal(torch.tensor([0, 7]), 8)
    frequencies = 10_000 ** (-torch.arange(4) / 3)
    assert torch.equal(embedding[0], torch.tensor([0.0] * 4 + [1.0] * 4))
    assert torch.allclose(embedding[1, :4], torch.sin(7 * frequencies), atol=1e-6)
    assert torch.allclose(embedding[1, 4:], torch.cos(7 * frequencies), atol=1e-6)


def test_channel_norm_of_float64_is_computed_in_float64():
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gain, bias = torch.arange(10, dtype=torch.float64).div(7).chunk(2)
    pixels = x.permute(0, 2, 3, 1)
    expected = torch.nn.functional.layer_norm(pixels, (5,), gain, bias, 1e-5).permute(0, 3, 1, 2)
    assert torch.equal(channel_layer_norm(x, gain, bias, 1e-5), expected)
