import numpy as np
import pytest

from pellucid.degradations.sets import PUBLIC_SETS


@pytest.mark.parametrize("name", PUBLIC_SETS)
def test_a_set_is_seeded_and_damages_a_picture_of_any_size(name):
    image = np.full((33, 50, 3), 0.4, np.float32)
    first, again, other = (PUBLIC_SETS[name](image, np.random.default_rng(s)) for s in (1, 1, 2))
    assert first.shape == image.shape and first.min() >= 0 and first.max() <= 1
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert np.abs(first - image).mean() > 0.002 and (image == np.float32(0.4)).all()


@pytest.mark.parametrize("names", [("rain100l", "rain100h"), ("snow100k-s", "snow100k-l")])
def test_the_heavier_set_is_heavier(names):
    image = np.full((96, 96, 3), 0.2, np.float32)
    light, heavy = (
        np.mean([PUBLIC_SETS[name](image, np.random.default_rng(seed)) for seed in range(5)])
        for name in names
    )
    assert heavy > light + 0.01
