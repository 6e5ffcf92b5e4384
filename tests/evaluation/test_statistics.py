import math

import numpy as np
import pytest

from pellucid.evaluation.statistics import estimate, paired


def test_the_interval_is_that_of_the_normal_mean():
    values = np.random.default_rng(1).normal(30, 2, 400)
    found = estimate([values])
    assert found.mean == pytest.approx(values.mean())
    half = 1.96 * values.std() / math.sqrt(400)
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)
    assert found.count == 400


def test_columns_count_equally_however_many_images_they_have():
    assert estimate([[1.0] * 3, [4.0]]).mean == 2.5
    assert estimate([[1.0] * 3 + [4.0]]).mean == 1.75


def test_the_same_numbers_give_the_same_interval():
    values = np.random.default_rng(2).random(30)
    assert estimate([values]) == estimate([values])
    assert estimate([values], seed=1) != estimate([values])


def test_pairs_see_a_small_difference_that_the_spread_of_images_hides():
    rng = np.random.default_rng(3)
    ours = rng.normal(30, 5, 50)
    theirs = ours - 0.1 + rng.normal(0, 0.05, 50)
    difference = paired([ours], [theirs])
    assert 0.05 < difference.low < difference.mean < difference.high < 0.15
    apart = estimate([ours])
    assert apart.high - apart.low > 10 * (difference.high - difference.low)


def test_perfect_pictures_are_infinitely_good_and_equal_to_each_other():
    assert estimate([[math.inf, 30.0]]).mean == math.inf
    same = paired([[math.inf, 30.0]], [[math.inf, 30.0]])
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert paired([[math.inf, 30.0]], [[40.0, 30.0]]).mean == math.inf
