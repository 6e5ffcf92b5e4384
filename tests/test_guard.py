"""A restoration is kept, softened or refused by what was measured."""

import numpy as np
import pytest
from PIL import Image, ImageFilter

from pellucid.guard import change_of, judge
from pellucid.imaging.evidence import Evidence, measure


def scene(seed=0, side=128):
    rng = np.random.default_rng(seed)
    small = (rng.uniform(0.3, 0.8, (6, 6, 3)) * 255).astype(np.uint8)
    smooth = Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(smooth.filter(ImageFilter.GaussianBlur(1)), np.float32) / 255


def noisy(picture, sigma, seed=1):
    noise = np.random.default_rng(seed).normal(0, sigma / 255, picture.shape)
    return (np.rint(np.clip(picture + noise, 0, 1) * 255) / 255).astype(np.float32)


def test_a_change_is_measured_in_levels():
    picture = np.full((64, 64, 3), 0.5, np.float32)
    assert change_of(picture, picture + np.float32(10 / 255)).lift == pytest.approx(10, abs=1e-3)
    change = change_of(picture, picture - np.float32(10 / 255))
    assert (change.regions, change.light) == pytest.approx((10, -10), abs=1e-3)
    assert change.lift == 0 and change.details == pytest.approx(0, abs=0.1)
    board = np.indices((64, 64)).sum(axis=0)[..., None] % 2 * 2 - 1
    change = change_of(picture, picture + (board * 8 / 255).astype(np.float32))
    assert (change.regions, change.details) == pytest.approx((0, 8), abs=1e-3)


@pytest.mark.parametrize(
    ("levels", "decision", "strength"),
    [(3, "softened", 0.5), (5, "softened", 0.4), (8, "refused", 0)],
)
def test_where_nothing_was_found_a_large_change_of_details_is_none(levels, decision, strength):
    picture = scene()
    board = np.indices((128, 128)).sum(axis=0)[..., None] % 2 * 2 - 1
    changed = picture + (board * levels / 255).astype(np.float32)
    verdict = judge(picture, changed, measure(picture), unguided=True)
    assert verdict.decision == decision and verdict.strength == pytest.approx(strength, abs=0.01)
    assert ("as large" in verdict.reason) == (levels > 4)
    assert judge(picture, changed, measure(picture), words=["noisy"]).decision == "kept"


def test_noise_that_is_removed_is_kept_removed():
    clean = scene()
    damaged = noisy(clean, 25)
    verdict = judge(damaged, clean, measure(damaged), measure(clean), ["noisy"])
    assert (verdict.decision, verdict.strength) == ("kept", 1)
    assert verdict.picture is clean


def test_what_noise_did_to_the_means_of_regions_may_be_undone():
    clean = scene() * np.float32(0.9)
    clean[:, :64] = 0  # noise of this half is cut off at black
    damaged = noisy(clean, 50)
    assert judge(damaged, clean, measure(damaged), measure(clean), ["noisy"]).decision == "kept"
    salted = scene()
    salted[np.random.default_rng(0).random(salted.shape) < 0.08] = 0
    found = measure(salted)
    assert found.impulses > 0.05
    assert judge(salted, scene(), found, measure(scene()), ["noisy"]).decision == "kept"
    # Without the impulses the same change of colours is none that noise explains.
    dark = scene() * np.float32(0.8)
    assert judge(dark, scene(), measure(dark), None, ["noisy"]).decision == "refused"


def test_a_grid_that_noise_had_hidden_is_no_new_one():
    clean = scene()
    clean[:, ::8] = np.clip(clean[:, ::8] + np.float32(8 / 255), 0, 1)
    clean[::8] = np.clip(clean[::8] + np.float32(8 / 255), 0, 1)
    damaged = noisy(clean, 25)
    assert measure(clean).grid.strength > measure(damaged).grid.strength + 1
    assert judge(damaged, clean, measure(damaged), measure(clean), ["noisy"]).decision == "kept"


def test_a_picture_that_is_not_dark_is_not_brightened():
    picture = noisy(scene(), 4)
    brighter = np.clip(picture * 1.3, 0, 1)
    for words in (["low-light"], ["noisy"], []):
        verdict = judge(picture, brighter, measure(picture), None, words)
        assert verdict.decision == "refused" and verdict.strength == 0
        np.testing.assert_array_equal(verdict.picture, picture)
        assert verdict.reason == "The whole picture was brightened, but it is not dark."


def test_a_dark_picture_may_be_brightened():
    picture = scene() * np.float32(0.2)
    verdict = judge(picture, scene(), measure(picture), measure(scene()), ["low-light"])
    assert verdict.decision == "kept"


def test_a_veil_that_was_not_measured_is_not_taken_away():
    picture = noisy(scene(), 3)
    picture[::8, ::8] = 0  # black everywhere: no veil
    found = measure(picture)
    darker = picture**2
    assert judge(picture, darker, found, None, ["hazy"]).decision == "refused"
    assert judge(picture, darker, found, None, ["hazy"], told=True).decision == "kept"
    veiled = scene() * np.float32(0.4) + np.float32(0.5)
    assert judge(veiled, scene(), measure(veiled), None, ["hazy"]).decision == "kept"


def test_a_hole_that_was_not_measured_is_not_filled():
    picture = noisy(scene(), 20)
    filled = picture.copy()
    filled[30:60, 30:60] = 0.5
    verdict = judge(picture, filled, measure(picture), None, ["uncompleted"])
    assert verdict.decision == "refused"
    np.testing.assert_array_equal(verdict.picture, picture)


def test_known_pixels_of_a_picture_with_holes_come_back_as_they_were():
    truth = noisy(scene(), 3)
    damaged = truth.copy()
    damaged[30:60, 40:70] = 1
    restored = np.clip(truth + np.float32(0.05), 0, 1)
    verdict = judge(damaged, restored, measure(damaged), None, ["uncompleted"])
    assert verdict.decision == "kept"
    mask = np.zeros((128, 128), bool)
    mask[30:60, 40:70] = True
    np.testing.assert_array_equal(verdict.picture[~mask], truth[~mask])
    np.testing.assert_array_equal(verdict.picture[mask], restored[mask])


def test_other_damage_beside_holes_is_restored_everywhere():
    damaged = noisy(scene(), 20)
    damaged[30:60, 40:70] = 1
    verdict = judge(damaged, scene(), measure(damaged), None, ["uncompleted", "noisy"])
    assert verdict.decision == "kept"
    np.testing.assert_array_equal(verdict.picture, scene())


def test_fine_damage_does_not_explain_new_colours_of_regions():
    picture = noisy(scene(), 8)
    tinted = picture.copy()
    tinted[:64, :, 0] -= np.float32(30 / 255)
    for words in (["noisy"], ["jpeg-compressed", "motion-blurry"], []):
        verdict = judge(picture, tinted, measure(picture), None, words)
        assert verdict.decision != "kept"
    assert judge(picture, tinted, measure(picture), None, ["raindrop"]).decision == "kept"


def test_softening_is_a_blend():
    picture = noisy(scene(), 8)
    tinted = picture.copy()
    tinted[..., 2] -= np.float32(14 / 255)  # rms over the colours 14 / sqrt(3) = 8.1 levels
    verdict = judge(picture, tinted, measure(picture), None, ["noisy"])
    assert verdict.decision == "softened"
    assert verdict.strength == pytest.approx(5 / (14 / 3**0.5), rel=1e-3)
    np.testing.assert_allclose(
        verdict.picture, picture + verdict.strength * (tinted - picture), atol=1e-6
    )


def test_a_word_explains_only_the_change_that_undoes_it():
    picture = noisy(scene(), 3)
    part = np.ones((128, 1, 1), np.float32)
    part[:64] = 0  # a half stays, so that it is not the whole that is brightened
    darker = picture - part * np.float32(40 / 255)
    brighter = np.clip(picture + part * np.float32(30 / 255), 0, 1)
    found = measure(picture)
    assert judge(picture, darker, found, None, ["shadowed"]).decision == "refused"
    assert judge(picture, darker, found, None, ["rainy"]).decision == "kept"
    assert judge(picture, brighter, found, None, ["shadowed"]).decision == "kept"
    assert judge(picture, brighter, found, None, ["snowy"]).decision == "refused"


def test_what_is_possible_explains_a_change_as_well():
    picture = noisy(scene(), 3)
    changed = picture - np.float32(20 / 255)
    found = measure(picture)
    assert judge(picture, changed, found, None, [], {"clean": 0.7, "rainy": 0.3}).strength == 1
    assert judge(picture, changed, found, None, [], {"clean": 0.9, "rainy": 0.1}).strength == 0


def test_noise_is_not_added():
    picture = noisy(scene(), 1)
    worse = noisy(picture, 12, seed=5)
    verdict = judge(picture, worse, measure(picture), measure(worse), ["jpeg-compressed"])
    assert verdict.decision == "refused"
    assert verdict.reason == "The restoration has more noise than the picture."


def test_a_grid_is_not_added():
    picture = scene()
    rows, columns = np.indices((128, 128)) // 8
    blocks = ((rows + columns) % 2)[..., None] * np.float32(12 / 255)
    worse = np.clip(picture + blocks - np.float32(6 / 255), 0, 1)
    verdict = judge(picture, worse, measure(picture), measure(worse), ["noisy"], told=True)
    assert verdict.decision == "refused" and "grid" in verdict.reason


def test_quality_that_falls_softens_or_refuses():
    picture = scene()
    good = {"terrible": 0.1, "mediocre": 0.2, "excellent": 0.7}
    less = {"terrible": 0.3, "mediocre": 0.2, "excellent": 0.5}
    bad = {"terrible": 0.8, "mediocre": 0.1, "excellent": 0.1}
    kinds = [
        judge(picture, picture, Evidence(), quality=(good, after)).decision
        for after in (good, less, bad)
    ]
    assert kinds == ["kept", "softened", "refused"]


def test_pictures_of_other_sizes_are_refused():
    with pytest.raises(ValueError, match="shapes"):
        judge(scene(), scene(side=64), Evidence())
