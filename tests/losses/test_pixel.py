import math

import numpy as np
import pytest
import torch

from pellucid.losses import pixel


@pytest.fixture
def pair():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 6, 5, generator=generator), torch.rand(2, 3, 6, 5, generator=generator)


def test_l1_and_charbonnier_are_their_formulas(pair):
    a, b = (t.double().numpy() for t in pair)
    assert float(pixel.l1(*pair)) == pytest.approx(np.abs(a - b).mean())
    expected = np.sqrt((a - b) ** 2 + 1e-6).mean()
    assert float(pixel.charbonnier(*pair)) == pytest.approx(expected)


def test_bands_weigh_detail_and_light_apart():
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(2, 3, 20, 16, generator=generator)
    brighter = clean + 0.1
    assert float(pixel.l1_bands(brighter, clean, light=0.25)) == pytest.approx(0.025, rel=1e-4)
    checks = (torch.arange(20)[:, None] + torch.arange(16)) % 2 * 2 - 1  # mean 0 in every block
    assert float(pixel.l1_bands(clean + 0.1 * checks, clean, 0.25)) == pytest.approx(0.1, rel=1e-4)


def test_psnr_is_a_value_a_picture_and_the_loss_its_negative_mean(pair):
    a, b = (t.double().numpy() for t in pair)
    expected = [-10 * math.log10(((a[i] - b[i]) ** 2).mean()) for i in range(2)]
    assert pixel.psnr(*pair).tolist() == pytest.approx(expected, rel=1e-5)
    assert float(pixel.negative_psnr(*pair)) == pytest.approx(-np.mean(expected), rel=1e-5)


def test_psnr_of_equal_pictures_is_finite(pair):
    assert pixel.psnr(pair[0], pair[0]).tolist() == [100, 100]


@pytest.mark.parametrize("name", ["l1", "l1_bands", "charbonnier", "negative_psnr"])
def test_losses_are_float32_for_bfloat16_inputs_and_have_finite_gradients(name, pair):
    restored = pair[0].bfloat16().requires_grad_()
    loss = getattr(pixel, name)(restored, pair[1])
    loss.backward()
    assert loss.dtype == torch.float32 and restored.grad.isfinite().all()
