import itertools

import numpy as np
import pytest

from pellucid import degradations as deg
from pellucid.degradations.jpeg import quality
from pellucid.degradations.mask import strokes
from pellucid.degradations.table import PHYSICAL_ORDER
from pellucid.errors import UsageError

SEVERITIES = (0.02, 0.1, 0.25, 0.5, 0.75, 1.0)


def scene(h=96, w=128):
    y, x = np.mgrid[0:h, 0:w]
    base = 0.5 + 0.3 * np.sin(x / 9)[..., None] * np.cos((y / 7)[..., None] + np.arange(3))
    return np.clip(base + 0.15 * (x // 16 % 2)[..., None], 0, 1).astype(np.float32)


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2) + 1e-12)


@pytest.mark.parametrize("word", deg.WORDS)
@pytest.mark.parametrize("seed", range(3))
def test_psnr_falls_with_severity(word, seed):
    image = scene()
    scores = [
        psnr(image, deg.degrade(image, word, s, np.random.default_rng(seed))) for s in SEVERITIES
    ]
    assert all(b < a + 0.05 for a, b in itertools.pairwise(scores)), scores
    assert scores[0] > scores[-1] + 5, scores


@pytest.mark.parametrize("word", deg.CLASSES)
@pytest.mark.parametrize("size", [(1, 1), (3, 50), (64, 65)])
def test_any_size_keeps_shape_type_and_range(word, size):
    image = scene(64, 65)[: size[0], : size[1]]
    out = deg.degrade(image, word, 0.7, np.random.default_rng(0))
    assert out.shape == image.shape and out.dtype == np.float32
    assert out.min() >= 0 and out.max() <= 1 and np.isfinite(out).all()


@pytest.mark.parametrize("word", deg.WORDS)
def test_seeded_and_input_untouched(word):
    image = scene()
    kept = image.copy()
    first = deg.degrade(image, word, 0.6, np.random.default_rng(5))
    second = deg.degrade(image, word, 0.6, np.random.default_rng(5))
    assert np.array_equal(first, second) and np.array_equal(image, kept)


def test_severity_zero_is_nearly_nothing():
    image = scene()
    for word in deg.WORDS:
        out = deg.degrade(image, word, 0.0, np.random.default_rng(1))
        assert psnr(image, out) > 36, word  # JPEG at quality 95 is the worst of them


def test_medium_matches_the_published_strengths():
    grey = np.full((256, 256, 3), 0.5, np.float32)
    noise = deg.degrade(grey, "noisy", 0.5, np.random.default_rng(0)) - grey
    assert abs(noise.std() * 255 - 25) < 0.2
    assert quality(0.5) == 10 and quality(0.0) == 95
    for cover in (0.1, 0.25, 0.5):
        missing = strokes(np.random.default_rng(3), 256, 256, cover)
        assert cover <= missing.mean() < cover + 0.03
    masked = deg.degrade(grey, "uncompleted", 0.5, np.random.default_rng(3))
    assert set(np.unique(masked)) == {np.float32(0.5), np.float32(1)}


def test_haze_and_darkness_move_the_mean_the_right_way():
    image = scene()
    for word, sign in (("hazy", 1), ("low-light", -1), ("shadowed", -1), ("snowy", 1)):
        change = deg.degrade(image, word, 0.8, np.random.default_rng(2)).mean() - image.mean()
        assert change * sign > 0.03, word


def test_motion_blur_keeps_a_flat_image_flat():
    flat = np.full((40, 50, 3), 0.3, np.float32)
    out = deg.degrade(flat, "motion-blurry", 1.0, np.random.default_rng(0))
    assert np.abs(out - 0.3).max() < 1e-3


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="unknown degradation 'foggy'"):
        deg.degrade(scene(), "foggy", 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="outside"):
        deg.degrade(scene(), "noisy", 1.5, np.random.default_rng(0))


def test_sampling_covers_clean_single_and_ordered_pairs():
    rng = np.random.default_rng(0)
    draws = [deg.sample(rng, clean=0.1, double=0.2) for _ in range(3000)]
    sizes = np.bincount([len(d) for d in draws], minlength=3) / len(draws)
    assert np.allclose(sizes, (0.1, 0.7, 0.2), atol=0.03)
    singles = [d[0][0] for d in draws if len(d) == 1]
    counts = np.array([singles.count(w) for w in deg.WORDS])
    assert counts.min() > 0.7 * counts.mean()
    for pair in (d for d in draws if len(d) == 2):
        assert PHYSICAL_ORDER.index(pair[0][0]) < PHYSICAL_ORDER.index(pair[1][0])
    assert set(PHYSICAL_ORDER) == set(deg.WORDS)


def test_chain_is_the_steps_one_after_the_other():
    image = scene()
    out = deg.chain(image, [("hazy", 0.4), ("noisy", 0.3)], np.random.default_rng(4))
    rng = np.random.default_rng(4)
    expected = deg.degrade(deg.degrade(image, "hazy", 0.4, rng), "noisy", 0.3, rng)
    assert np.array_equal(out, expected)


def test_wild_pipeline_names_what_it_did():
    image = scene()
    seen = set()
    for seed in range(40):
        out, words = deg.wild(image, np.random.default_rng(seed))
        assert out.shape == image.shape and out.dtype == np.float32
        assert out.min() >= 0 and out.max() <= 1
        assert np.allclose(out * 255, np.round(out * 255), atol=1e-3)
        if words:
            assert psnr(image, out) < 60
        seen.update(words)
    assert seen == {"blur", "ringing artifact", "noise", "jpeg block"}


@pytest.mark.parametrize("word", deg.WEATHER)
def test_weather_says_where_it_is(word):
    image = np.full((64, 80, 3), 0.3, np.float32)
    light, heavy = (deg.weather(image, [(word, s)], np.random.default_rng(3)) for s in (0.2, 0.9))
    for damaged, where in (light, heavy):
        assert where.shape == (64, 80) and where.dtype == np.float32
        assert where.min() >= 0 and where.max() <= 1
        changed = np.abs(damaged - image).max(axis=-1)
        assert (changed[where < 1e-6] < 1e-5).all()  # elsewhere the picture is as it was
        assert np.corrcoef(changed.ravel(), where.ravel())[0, 1] > 0.5
    assert heavy[1].mean() > light[1].mean()
    again = deg.degrade(image, word, 0.9, np.random.default_rng(3))
    assert np.array_equal(again, heavy[0])


def test_of_two_weathers_the_map_is_what_neither_left_alone():
    image = np.full((64, 80, 3), 0.3, np.float32)
    steps = [("rainy", 0.5), ("raindrop", 0.5)]
    both = deg.weather(image, steps, np.random.default_rng(0))[1]
    rain = deg.weather(image, steps[:1], np.random.default_rng(0))[1]
    assert (both >= rain).all() and both.mean() > rain.mean()


def test_integers_are_refused_with_the_type_that_is_wanted():
    with pytest.raises(UsageError, match=r"float32 array \(H, W, 3\) in \[0, 1\], not uint8"):
        deg.degrade(np.zeros((8, 8, 3), np.uint8), "noisy", 0.5, np.random.default_rng(0))


def test_a_grey_picture_is_refused_with_its_shape():
    with pytest.raises(UsageError, match=r"array \(H, W, 3\) in .*, not float32 \(16, 16\)"):
        deg.degrade(np.zeros((16, 16), np.float32), "noisy", 0.5, 0)


def test_a_seed_is_a_source_of_randomness():
    image = np.full((16, 16, 3), 0.5, np.float32)
    expected = deg.degrade(image, "noisy", 0.5, np.random.default_rng(3))
    assert (deg.degrade(image, "noisy", 0.5, 3) == expected).all()
