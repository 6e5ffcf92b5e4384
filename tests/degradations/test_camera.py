from collections import Counter

import numpy as np
import pytest

from pellucid.degradations import CLASSES, photograph
from pellucid.degradations.camera import OLD, WEIGHTS, draw_words
from pellucid.degradations.fields import smooth_field
from pellucid.degradations.nuisance import illustration
from pellucid.degradations.table import PHYSICAL_ORDER


def scene(h=72, w=72):
    rng = np.random.default_rng(0)
    image = np.stack([smooth_field(rng, h, w, 6) for _ in range(3)], axis=-1)
    return np.round(image * 255).astype(np.float32) / np.float32(255)


SCENE = scene()


def seeded(seed):
    return np.random.default_rng(seed)


def test_samples_are_pictures_on_256_levels():
    for seed in range(60):
        made = photograph(SCENE, seeded(seed))
        for picture in (made.lq, made.gt):
            assert picture.shape == SCENE.shape and picture.dtype == np.float32
            assert picture.min() >= 0 and picture.max() <= 1
            assert np.array_equal(np.round(picture * 255).astype(np.float32) / 255, picture)
        assert set(made.words) <= set(CLASSES)
        again = photograph(SCENE, seeded(seed))
        assert np.array_equal(again.lq, made.lq) and np.array_equal(again.gt, made.gt)
        assert again.words == made.words


def test_words_have_their_shares_and_the_camera_s_order():
    rng = seeded(0)
    drawn = [draw_words(rng) for _ in range(6000)]
    counts = Counter(drawn)
    assert abs(counts["clean",] / 6000 - 1 / 9) < 0.015
    chains = [words for words in drawn if len(words) > 1]
    assert abs(len(chains) / 6000 - 0.2) < 0.02
    assert {len(words) for words in chains} == {2, 3}
    for words in drawn:
        places = [PHYSICAL_ORDER.index(word) for word in words if word != "clean"]
        assert places == sorted(places) and len(set(places)) == len(places)
    alone = [counts[word,] / 6000 for word in PHYSICAL_ORDER]
    expected = (1 - 1 / 9 - 0.2) / len(PHYSICAL_ORDER)
    assert max(abs(share - expected) for share in alone) < 0.015


def test_weights_choose_the_words():
    only = {"noisy": 3.0, "hazy": 1.0, "rainy": 0.0}
    rng = seeded(0)
    drawn = [draw_words(rng, only, clean=0, chains=0) for _ in range(1000)]
    counts = Counter(drawn)
    assert set(counts) == {("noisy",), ("hazy",)}
    assert abs(counts["noisy",] / 1000 - 0.75) < 0.05
    with pytest.raises(ValueError, match="foggy"):
        draw_words(seeded(0), {"foggy": 1.0})


def test_without_damage_and_nuisance_nothing_changes():
    made = photograph(SCENE, seeded(0), weights={}, nuisance=False)
    assert made.words == ("clean",)
    assert np.array_equal(made.lq, SCENE) and np.array_equal(made.gt, SCENE)


def test_illustrations_of_all_boxes_can_be_drawn():
    scene = seeded(0).random((16, 16, 3), dtype=np.float32)
    for seed in range(300):  # about 1500 rounded rectangles; Pillow refused one in 400
        assert illustration(scene, seeded(seed)).shape == scene.shape


def test_a_scene_that_is_not_varied_is_the_truth():
    varied = [
        photograph(SCENE, seeded(seed), vary=vary) for vary in (True, False) for seed in range(8)
    ]
    kept = photograph(SCENE, seeded(0), weights={}, nuisance=False).gt
    assert [np.array_equal(made.gt, kept) for made in varied[8:]] == 8 * [True]
    assert not all(np.array_equal(made.gt, kept) for made in varied[:8])
    assert any(not np.array_equal(made.lq, kept) for made in varied[8:])


def test_nuisance_alone_is_clean_and_differs_little():
    differ = 0
    for seed in range(60):
        made = photograph(SCENE, seeded(seed), clean=1.0, old=0)
        assert made.words == ("clean",)
        differ += not np.array_equal(made.lq, made.gt)
        assert np.abs(made.lq - made.gt).mean() < 0.06
    assert 20 < differ < 56


def test_the_scene_changes_in_both_pictures():
    changed = [photograph(SCENE, seeded(s), clean=1.0, old=0).gt for s in range(40)]
    assert sum(not np.array_equal(gt, SCENE) for gt in changed) > 15


def test_the_margin_is_cut_from_both():
    for seed in range(20):
        made = photograph(SCENE, seeded(seed), old=0, nuisance=False, margin=4)
        assert made.lq.shape == made.gt.shape == (64, 64, 3)
        assert np.array_equal(made.gt, SCENE[4:-4, 4:-4])
    with pytest.raises(ValueError, match="margin"):
        photograph(SCENE, seeded(0), margin=36)


def test_grey_scenes_stay_grey():
    grey = np.repeat(SCENE[..., :1], 3, axis=-1)
    others = {word: 1.0 for word in WEIGHTS if word != "uncompleted"}
    for seed in range(40):
        made = photograph(grey, seeded(seed), others, nuisance=False)
        assert np.ptp(made.lq, axis=-1).max() == 0


def test_old_photographs_have_their_share_and_words():
    old = [photograph(SCENE, seeded(s), clean=1, old=0.3).words for s in range(150)]
    assert set(old) == {OLD, ("clean",)} and abs(old.count(OLD) / 150 - 0.3) < 0.1
    made = photograph(SCENE, seeded(0), {"hazy": 1.0}, clean=1, old=1)
    assert made.words == ("clean",)  # not without its words


def test_damage_that_cannot_be_seen_is_not_named():
    white = np.ones((40, 40, 3), np.float32)
    named = []
    for seed in range(40):
        made = photograph(white, seeded(seed), {"uncompleted": 1.0}, clean=0, nuisance=False)
        named.append(made.words == ("uncompleted",))
        assert named[-1] == (not np.array_equal(made.lq, made.gt))
    assert 5 < sum(named) < 35


def test_known_pixels_are_those_of_the_truth():
    for seed in range(20):
        made = photograph(SCENE, seeded(seed), {"uncompleted": 1.0}, clean=0, nuisance=False)
        missing = (made.lq != made.gt).any(axis=-1)
        assert 0 < missing.mean() < 1
        assert len(np.unique(made.lq[missing], axis=0)) == 1
