"""What the shipped weights can do, on photographs that no network of the project has seen."""

import hashlib

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage import data

import pellucid
from pellucid import zoo
from pellucid.degradations import CLEAN, WORDS, degrade

# dB over the damaged input at medium severity, mean of three photographs: below what
# benchmarks/quality.py measures on all held-out ones. What the weights cannot repair yet must at
# least not be made visibly worse.
GAIN = {
    "motion-blurry": 0.0,
    "hazy": 3.0,
    "jpeg-compressed": 0.4,
    "low-light": 10.0,
    "noisy": 6.5,
    "raindrop": -0.1,
    "rainy": 0.8,
    "shadowed": -0.1,
    "snowy": 2.0,
    "uncompleted": 10.5,
}
UNTOUCHED = 42.0


# The other models, on one photograph: dB over the damaged input that each must reach.
OTHERS = {
    "lite-blur": {"motion-blurry": 1.5, "clean": 50.0},
    "lite-detail": {"noisy": 7.0, "jpeg-compressed": 0.5, "clean": 40.0},
    "lite-light": {"hazy": 4.0, "low-light": 12.0, "clean": 40.0},
    "lite-jpeg": {"jpeg-compressed": 0.8, "clean": 40.0},
    "lite-noise": {"noisy": 8.0, "clean": 40.0},
    "lite-overlay": {"rainy": 1.0, "snowy": 3.0, "clean": 40.0},
    "lite-sde": {"noisy": 5.0, "low-light": 6.0, "clean": 35.0},
    "lite-perceive": {"noisy": 5.0, "hazy": 5.0, "clean": 40.0},
    "lite-weather": {"hazy": 4.0, "rainy": 0.5, "snowy": 3.0, "clean": 40.0},
}


@pytest.fixture(scope="module")
def lite():
    return pellucid.load("lite", "cpu", "float32")


@pytest.fixture(scope="module")
def photographs():
    windows = data.astronaut()[20:276, 100:356], data.chelsea()[20:276, 60:316]
    windows += (data.coffee()[80:336, 150:406],)
    return [w.astype(np.float32) / 255 for w in windows]


@pytest.fixture(scope="module")
def restorations(lite, photographs):
    """Of every class at medium severity: (clean, damaged, `Restoration`) of each photograph."""
    made = {word: [] for word in (*WORDS, CLEAN)}
    for word, kept in made.items():
        for seed, clean in enumerate(photographs):
            damaged = degrade(clean, word, 0.5, np.random.default_rng(seed))
            kept.append((clean, damaged, lite.run(damaged)))
    return made


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


@pytest.mark.parametrize("word", WORDS)
def test_damage_is_repaired(restorations, word):
    gains = [
        psnr(restored.picture, clean) - psnr(damaged, clean)
        for clean, damaged, restored in restorations[word]
    ]
    assert np.mean(gains) > GAIN[word], gains


def test_clean_photographs_are_left_alone(restorations):
    assert min(psnr(done.picture, clean) for clean, _, done in restorations[CLEAN]) > UNTOUCHED


def test_the_soft_grain_of_a_camera_is_named_noise(lite, photographs):
    rng = np.random.default_rng(0)
    grain = gaussian_filter(rng.normal(size=(256, 256, 3)), (1.2, 1.2, 0))
    picture = np.clip(photographs[2] + 4 / 255 * grain / grain.std(), 0, 1).astype(np.float32)
    assert lite.run(picture).guidance.words == ("noisy",)


def test_damage_is_named(restorations):
    right = [
        next(iter(done.guidance.probabilities)) == word
        for word, kept in restorations.items()
        for _, _, done in kept
    ]
    assert np.mean(right) > 0.75


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_models_repair_what_they_are_for(photographs, name):
    model, clean = pellucid.load(name, "cpu", "float32"), photographs[0]
    for word, least in OTHERS[name].items():
        damaged = degrade(clean, word, 0.5, np.random.default_rng(0))
        options = {"preset": "fast"} if name == "lite-sde" else {}
        reached = psnr(model.restore(damaged, **options), clean)
        before = 0 if word == CLEAN else psnr(damaged, clean)
        assert reached - before > least, (word, reached, before)


@pytest.mark.parametrize("word", ["noisy", "hazy", "rainy", "low-light"])
def test_quality_is_perceived(lite, photographs, word):
    def value(picture):
        shares = lite.quality(picture)
        return shares["mediocre"] + 2 * shares["excellent"]

    damaged = [degrade(c, word, 0.7, np.random.default_rng(i)) for i, c in enumerate(photographs)]
    drop = np.mean([value(c) for c in photographs]) - np.mean([value(d) for d in damaged])
    assert drop > 0.25


def test_bf16_stays_close_to_float32(restorations):
    fast = pellucid.load("lite", "cpu", "bfloat16")
    for clean, damaged, exact in restorations["noisy"][:1]:  # slow without the hardware
        assert psnr(exact.picture, clean) - psnr(fast.restore(damaged), clean) < 0.05


def test_tiles_leave_no_seam(lite, photographs):
    damaged = degrade(np.tile(photographs[0], (1, 3, 1)), "noisy", 0.5, np.random.default_rng(0))
    whole = lite.restore(damaged, tile=0)
    tiled = lite.restore(damaged, tile=512)
    assert np.abs(whole - tiled).max() < 0.02


def test_files_are_the_ones_in_the_table():
    files = {f.name: f for e in zoo.MODELS.values() if e.shipped for f in (e.network, e.tower)}
    assert len(files) >= 2
    for file in (*files.values(), zoo.LITE_PROMPTS):
        assert hashlib.sha256(file.path.read_bytes()).hexdigest() == file.sha256
        assert file.path.stat().st_size < 20e6
    assert sum(file.path.stat().st_size for file in files.values()) < 80e6  # PyPI takes 100


def test_a_tensor_batch_is_its_pictures_one_by_one(lite):
    batch = torch.rand(2, 3, 40, 56, generator=torch.Generator().manual_seed(0))
    together = lite.restore(batch)
    assert (together[1:] - lite.restore(batch[1:])).abs().max() < 1e-4


@pytest.mark.parametrize("name", [row.name for row in zoo.MODELS.values() if row.covers])
def test_words_that_a_specialist_did_not_learn_do_not_guide_it(photographs, name):
    model, row = pellucid.load(name, "cpu", "float32", guard=False), zoo.MODELS[name]
    others = [word for word in WORDS if word not in row.covers + row.also]
    done = model.run(photographs[0], words=others)
    assert psnr(done.picture, photographs[0]) > 30  # 4 dB of lite-noise if they did
    assert f"{name} did not learn {' and '.join(others)}." in done.reason
    for word in row.covers:
        told = model.run(photographs[0], words=[word])
        both = model.run(photographs[0], words=[others[0], word])
        if both.guidance.degradation is not None:
            torch.testing.assert_close(both.guidance.degradation, told.guidance.degradation)
        assert np.abs(both.picture - told.picture).max() < 1e-3


def test_a_specialist_is_known_by_its_file(photographs):
    model = pellucid.load(zoo.LITE_NOISE.network.path, "cpu", "float32")
    assert "did not learn rainy" in model.run(photographs[0], words=["rainy"]).reason


@pytest.mark.parametrize("word", ["snowy", "noisy", "hazy"])
def test_strength_is_a_share_of_what_the_guard_leaves(lite, photographs, word):
    damaged = degrade(photographs[0], word, 0.5, np.random.default_rng(0))
    full, part = (lite.run(damaged, strength=s).picture for s in (1.0, 0.25))
    np.testing.assert_allclose(part, damaged + 0.25 * (full - damaged), atol=1e-5)
