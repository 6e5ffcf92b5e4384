import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from pellucid.errors import ImageError
from pellucid.evaluation.metrics import MetricSettings, psnr, ssim

CLEAN = data.astronaut()[100:190, 120:225].astype(np.float64) / 255
NOISY = np.clip(CLEAN + np.random.default_rng(0).normal(0, 0.08, CLEAN.shape), -0.1, 1.1)


def tensor(image):
    return torch.from_numpy(image.transpose(2, 0, 1).copy())[None]


def both(settings):
    arguments = tensor(NOISY), tensor(CLEAN), settings
    return psnr(*arguments).item(), ssim(*arguments).item()


def test_rgb_scores_are_those_of_scikit_image():
    clipped = NOISY.clip(0, 1)
    found = both(MetricSettings("rgb", eight_bit=False))
    expected = (
        peak_signal_noise_ratio(CLEAN, clipped, data_range=1),
        structural_similarity(CLEAN, clipped, channel_axis=2, data_range=1),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_eight_bit_scores_are_those_of_the_files():
    a, b = (np.rint(image.clip(0, 1) * 255).astype(np.uint8) for image in (NOISY, CLEAN))
    found = both(MetricSettings("rgb", eight_bit=True))
    expected = peak_signal_noise_ratio(b, a), structural_similarity(b, a, channel_axis=2)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_luma_scores_are_those_of_the_ycbcr_standard():
    a, b = (rgb2ycbcr(image.clip(0, 1))[..., 0] for image in (NOISY, CLEAN))
    found = both(MetricSettings("y", eight_bit=False))
    expected = (
        peak_signal_noise_ratio(b, a, data_range=255),
        structural_similarity(b, a, data_range=255),
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    assert found[0] - both(MetricSettings("rgb", eight_bit=False))[0] > 3  # never mix the two


def test_the_gaussian_window_is_that_of_the_ssim_paper():
    settings = MetricSettings("y", eight_bit=False, window="gaussian11")
    a, b = (rgb2ycbcr(image.clip(0, 1))[..., 0] for image in (NOISY, CLEAN))

    def mean(x):  # 11 x 11 by scipy, windows inside the picture alone
        return gaussian_filter(x, 1.5, truncate=3.4)[5:-5, 5:-5]

    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ma, mb = mean(a), mean(b)
    va, vb, vab = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    similar = (2 * ma * mb + c1) * (2 * vab + c2) / ((ma**2 + mb**2 + c1) * (va + vb + c2))
    assert both(settings)[1] == pytest.approx(similar.mean(), rel=1e-9)
    library = structural_similarity(
        b, a, data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert both(settings)[1] == pytest.approx(library, rel=1e-6)


def test_the_border_is_left_out():
    settings = MetricSettings("rgb", eight_bit=False, border=4)
    damaged = CLEAN.copy()
    damaged[:4] = 0
    damaged[:, -4:] = 0
    assert psnr(tensor(damaged), tensor(CLEAN), settings).item() == math.inf
    inner = tensor(NOISY[4:-4, 4:-4]), tensor(CLEAN[4:-4, 4:-4])
    plain = MetricSettings("rgb", eight_bit=False)
    whole = tensor(NOISY), tensor(CLEAN)
    assert psnr(*whole, settings) == psnr(*inner, plain)
    assert ssim(*whole, settings) == ssim(*inner, plain)


@pytest.mark.parametrize("colour", ["rgb", "y"])
@pytest.mark.parametrize("window", ["uniform7", "gaussian11"])
def test_a_perfect_picture_scores_infinity_and_one(colour, window):
    settings = MetricSettings(colour, window=window)
    assert psnr(tensor(CLEAN), tensor(CLEAN), settings).item() == math.inf
    assert ssim(tensor(CLEAN), tensor(CLEAN), settings).item() == pytest.approx(1, abs=1e-12)


def test_a_batch_is_its_pictures_one_by_one():
    batch = torch.cat([tensor(NOISY), tensor(NOISY).flip(1)])
    truth = torch.cat([tensor(CLEAN), tensor(CLEAN)])
    for metric in (psnr, ssim):
        together = metric(batch, truth, MetricSettings())
        alone = [metric(batch[i : i + 1], truth[i : i + 1], MetricSettings()) for i in (0, 1)]
        torch.testing.assert_close(together, torch.cat(alone))
        assert together.dtype == torch.float64


def test_pictures_that_cannot_be_compared_are_refused():
    with pytest.raises(ImageError, match="equal in size"):
        psnr(tensor(CLEAN), tensor(CLEAN[1:]), MetricSettings())
    with pytest.raises(ImageError, match="7 x 7"):
        ssim(tensor(CLEAN[:6]), tensor(CLEAN[:6]), MetricSettings())
    with pytest.raises(ImageError, match="inside 50 px"):
        psnr(tensor(CLEAN), tensor(CLEAN), MetricSettings(border=50))
