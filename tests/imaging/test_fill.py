"""Holes are filled from what surrounds them, and nothing else changes."""

import numpy as np
import pytest

from pellucid.imaging.fill import fill


def slope(height=64, width=80):
    """Colours that change evenly along both sides."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    return np.stack([0.2 + x / 200, 0.7 - y / 200, 0.3 + (x + y) / 400], axis=-1)


def strokes(height=64, width=80):
    missing = np.zeros((height, width), bool)
    missing[10:15, 5:70] = missing[30:60, 40:46] = missing[50:58, 10:18] = True
    return missing


def test_known_pixels_come_back_exactly_and_the_given_picture_stays():
    picture = np.random.default_rng(0).random((50, 70, 3), np.float32)
    missing = np.random.default_rng(1).random((50, 70)) < 0.3
    before = picture.copy()
    result = fill(picture, missing)
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(result[~missing], picture[~missing])
    assert result.min() >= 0 and result.max() <= 1


def test_what_the_missing_pixels_hold_does_not_matter():
    missing = strokes()
    white, noise = slope(), slope()
    white[missing], noise[missing] = 1, np.random.default_rng(0).random((missing.sum(), 3))
    np.testing.assert_array_equal(fill(white, missing), fill(noise, missing))


def test_a_slope_goes_on_through_a_hole():
    missing = strokes()
    damaged = np.where(missing[..., None], 1, slope()).astype(np.float32)
    assert np.abs(fill(damaged, missing) - slope()).max() < 0.5 / 255


def test_an_edge_is_met_between_its_sides():
    picture = np.zeros((40, 40, 3), np.float32)
    picture[:, 20:] = 0.8
    missing = np.zeros((40, 40), bool)
    missing[18:22] = True
    row = fill(picture, missing)[19, :, 0]
    np.testing.assert_allclose(row[[5, 34]], [0, 0.8], atol=0.02)
    assert abs(row[18:22].mean() - 0.4) < 0.05


def test_every_second_pixel_and_half_a_picture():
    picture = slope()
    missing = np.ones((64, 80), bool)
    missing[1::2, 1::2] = False
    damaged = np.where(missing[..., None], 0, picture).astype(np.float32)
    assert np.abs(fill(damaged, missing) - picture)[2:-2, 2:-2].max() < 2 / 255
    half = np.zeros((64, 80), bool)
    half[:, 40:] = True
    result = fill(picture, half)
    assert np.abs(result[:, 40] - picture[:, 40]).max() < 2 / 255
    assert np.isfinite(result).all()


@pytest.mark.parametrize("shape", [(1, 9), (9, 1), (2, 2), (3, 5), (1, 1)])
def test_tiny_pictures(shape):
    picture = np.full((*shape, 3), 0.3, np.float32)
    missing = np.zeros(shape, bool)
    missing[0, 0] = True
    result = fill(picture, missing)
    np.testing.assert_allclose(result, 0.3 if missing.size > 1 else 0.5, atol=1e-5)


def test_tiles_agree_with_the_whole(monkeypatch):
    missing = strokes()
    damaged = np.where(missing[..., None], 0, slope()).astype(np.float32)
    whole = fill(damaged, missing)
    monkeypatch.setattr("pellucid.imaging.fill.TILE", 32)
    assert np.abs(fill(damaged, missing) - whole).max() < 1 / 255


def test_nothing_known_and_nothing_missing():
    picture = slope()
    np.testing.assert_array_equal(fill(picture, np.zeros((64, 80), bool)), picture)
    assert (fill(picture, np.ones((64, 80), bool)) == 0.5).all()
    with pytest.raises(ValueError, match="differ in size"):
        fill(picture, np.zeros((64, 81), bool))
