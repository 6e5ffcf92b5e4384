import numpy as np
import pytest
import torch

from pellucid.imaging.evidence import measure
from pellucid.imaging.streaks import without_texture
from pellucid.networks.contract import Guidance
from pellucid.restoration import TEXTURE, Restoration

SIDE = 96


def scene(seed=0):
    """Even ground with hairs in all directions, and the light of the hairs."""
    rng = np.random.default_rng(seed)
    hairs = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(60):
        row, column = rng.integers(8, SIDE - 8, 2)
        angle = rng.uniform(0, np.pi)
        for step in range(-3, 4):
            hairs[round(row + step * np.sin(angle)), round(column + step * np.cos(angle))] = 0.2
    return np.full((SIDE, SIDE, 3), 0.4, np.float32) + hairs[..., None], hairs[..., None]


def rain(lean=0):
    """Streaks 1.5 px wide that lean `lean` px over the whole height."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    away = (columns - rows * lean / SIDE) % 12 - 6
    return (0.3 * (1.25 - abs(away)).clip(0, 1)).astype(np.float32)[..., None]


@pytest.mark.parametrize("lean", [0, 25])
def test_texture_that_was_taken_away_with_the_rain_is_given_back(lean):
    clean, hairs = scene()
    lq = clean + rain(lean)
    restored = clean - hairs  # the rain is gone, and so are the hairs
    better = without_texture(lq, restored)
    streaks = rain(lean)[..., 0]
    before, after = (np.abs(p - clean)[streaks == 0].mean() for p in (restored, better))
    assert after < 0.6 * before
    assert np.abs(better - clean)[streaks > 0].mean() < 0.2 * streaks[streaks > 0].mean()


def test_a_change_without_a_direction_stays_as_it_is():
    clean, hairs = scene()
    assert without_texture(clean, clean - hairs) is None
    assert without_texture(clean, clean) is None


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 3)])
def test_thin_pictures(shape):
    image = np.random.default_rng(0).random((*shape, 3), np.float32)
    assert without_texture(image, image * 0.9) is None  # too thin for a direction


def test_what_lies_level_is_no_rain_and_is_given_back():
    stripes = np.zeros((SIDE, SIDE, 3), np.float32)
    stripes[::8] = 0.3  # of blinds
    flakes = np.zeros_like(stripes)
    flakes[4::16, 4::16] = 0.3
    lq = 0.4 + stripes + flakes
    better = without_texture(lq, lq - 0.6 * stripes - flakes)
    np.testing.assert_allclose(better[::8], lq[::8], atol=0.01)
    assert better[4::16, 4::16].max() < 0.42
    assert without_texture(lq, lq - 0.6 * stripes - flakes, upright=False) is None  # rain, turned


def test_level_light_must_stand_out():
    stripes = np.zeros((SIDE, SIDE, 3), np.float32)
    stripes[::8] = 0.09
    lq = 0.4 + stripes + 0.015
    assert without_texture(lq, lq - stripes - 0.015) is None


def test_large_pictures_are_worked_on_in_bands_without_a_seam(monkeypatch):
    clean, hairs = scene()
    whole = without_texture(clean + rain(25), clean - hairs)
    monkeypatch.setattr("pellucid.imaging.streaks.ROWS", 13)
    banded = without_texture(clean + rain(25), clean - hairs)
    np.testing.assert_allclose(banded, whole, atol=1e-6)


@pytest.mark.parametrize("case", ["hardly stands out", "few streaks", "clear"])
def test_beside_rain_a_direction_must_stand_out_further_and_hold_more_light(case):
    hairs = scene()[1]
    light = {
        "hardly stands out": 0.3 * rain(25) + 0.015,
        "few streaks": 0.15 * rain(25) + 1.5 * hairs,
        "clear": rain(25) + hairs,
    }[case]
    lq = (0.3 + light) * np.ones(3, np.float32)
    restored = np.full_like(lq, 0.3)
    assert without_texture(lq, restored) is not None
    assert (without_texture(lq, restored, rain=False) is None) == (case != "clear")


def test_a_restoration_is_held_to_one_direction_where_rain_was_found():
    clean, hairs = scene()
    lq, restored = (torch.from_numpy(p).permute(2, 0, 1) for p in (clean + rain(), clean - hairs))
    found = {}
    for words in (("rainy",), ("snowy",), ("rainy", "hazy")):
        answer = Guidance(words=words, told=True)
        before = Restoration(restored, answer, "model", 0.0)
        found[words] = before.judged(lq, answer, measure(clean + rain()), unguided=False)
    rainy, snowy, both = found.values()
    assert rainy.decision == both.decision == "kept"
    assert rainy.reason.endswith(TEXTURE) and TEXTURE not in both.reason
    assert torch.equal(snowy.picture, rainy.picture)  # the one direction stands out far
    assert torch.equal(both.picture, restored)
    errors = [
        float((p.picture.permute(1, 2, 0) - torch.from_numpy(clean)).abs().mean())
        for p in (rainy, both)
    ]
    assert errors[0] < 0.6 * errors[1]
