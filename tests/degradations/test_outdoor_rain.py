import numpy as np
import pytest

from pellucid.degradations.outdoor_rain import (
    VEIL,
    distance,
    outdoor_rain,
    rain100,
)
from pellucid.degradations.rain import motion_filter, rain_layer


def scene(h=72, w=96):
    y, x = np.mgrid[0:h, 0:w]
    base = 0.4 + 0.2 * np.sin(x / 9)[..., None] * np.cos((y / 7)[..., None] + np.arange(3))
    return base.astype(np.float32)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_straight_motion_is_a_box():
    assert np.allclose(motion_filter(9, 0), np.full((1, 9), 1 / 9))
    assert np.allclose(motion_filter(9, 90), np.full((9, 1), 1 / 9))
    even = np.array([[0.5, *[1] * 7, 0.5]]) / 8  # 8 px reach half a pixel beyond the 7th
    assert np.allclose(motion_filter(8, 0), even)


def test_a_motion_at_45_degrees_rises_to_the_right():
    kernel = motion_filter(15, 45)
    assert kernel.shape[0] == kernel.shape[1]
    assert np.isclose(kernel.sum(), 1)
    rising = np.trace(np.fliplr(kernel))
    assert rising > 0.4 > 4 * np.trace(kernel)
    assert np.allclose(kernel, kernel[::-1, ::-1], atol=1e-6)


@pytest.mark.parametrize("split", ["train", "val"])
def test_the_veil_lies_over_the_streaks(split):
    image = scene()
    (beta, more_beta), (light, more_light) = VEIL[split]
    lights = []
    for seed in range(12):
        rain = outdoor_rain(image, rng(seed), split=split)
        lights.append(rain.airlight)
        assert light <= rain.airlight <= light + more_light
        far = rain.transmission.min()  # at distance 1
        assert np.exp(-beta - more_beta) - 1e-6 <= far <= np.exp(-beta) + 1e-6
        t = rain.transmission[..., None]
        rainy = (rain.image - (1 - t) * rain.airlight) / t
        near = rain.transmission > 0.2
        # The picture under the veil: the blurred scene and the streaks, clipped at 1.
        added = (rainy - image)[near].mean(-1)
        unclipped = rainy[near].max(-1) < 0.999
        assert abs((added - rain.streaks[near])[unclipped]).max() < 0.1
    assert max(lights) - min(lights) > 0.3 * more_light


def test_what_is_far_disappears_first():
    inverse_depth = np.full((72, 96), 1.0, np.float32)
    inverse_depth[:, :48] = 0.0  # the left half is far away
    rain = outdoor_rain(scene(), rng(), inverse_depth)
    left, right = rain.transmission[:, :30], rain.transmission[:, 66:]
    assert left.max() < 0.06 and right.min() > 0.6
    assert np.allclose(rain.image[:, :30], rain.airlight, atol=0.08)
    assert distance(inverse_depth).max() <= 1 + 1e-6
    assert np.isclose(distance(inverse_depth)[:, -10:].max(), 1 / 1.1 / 10, atol=1e-3)


def test_streaks_are_as_bright_as_published():
    """Mean of clip(N(m, v), 0, 1) times the gain, between the ends of the published ranges."""
    samples = rng(1).standard_normal(400_000)

    def drops(m, v):
        return np.clip(m + np.sqrt(v) * samples, 0, 1).mean()

    low, high = drops(-1.0, 0.7) * (0.2 + 0.04 * 30), drops(-0.8, 1.0) * (0.25 + 0.04 * 30)
    means = [rain_layer(rng(seed), 240, 240, 30, 90).mean() for seed in range(8)]
    assert all(0.85 * low < mean < high for mean in means)  # dry outside the frame: a little less


@pytest.mark.parametrize("heavy", [False, True])
def test_rain_without_a_veil_only_adds_light(heavy):
    image = scene()
    rainy = rain100(image, rng(), heavy)
    assert (rainy >= image - 1e-6).all() and rainy.max() <= 1
    assert (rainy - image).mean() > (0.1 if heavy else 0.02)


def test_heavy_rain_is_heavier():
    image = scene()
    added = [[(rain100(image, rng(s), heavy) - image).mean() for s in range(6)] for heavy in (0, 1)]
    assert max(added[0]) < min(added[1])


@pytest.mark.parametrize("make", [lambda i, r: outdoor_rain(i, r).image, rain100])
def test_seeded_any_size_and_input_untouched(make):
    for size in ((1, 1), (3, 50), (72, 65)):
        image = scene(*size)
        kept = image.copy()
        first = make(image, rng(5))
        assert np.array_equal(first, make(image, rng(5))) and np.array_equal(image, kept)
        assert first.shape == image.shape and first.dtype == np.float32
        assert first.min() >= 0 and first.max() <= 1
