import numpy as np
import pytest

from pellucid.degradations.haze import reside


@pytest.mark.parametrize(
    ("outdoor", "airlights", "betas"),
    [(False, (0.7, 1), (0.6, 1.8)), (True, (0.8, 1), (0.04, 0.2))],
)
def test_airlight_and_density_can_be_read_back_and_are_resides(outdoor, airlights, betas):
    black = np.zeros((1, 2, 3), np.float32)
    depth = np.array([[1.0, 1e6]], np.float32)  # near, and so far that airlight alone is left
    found = []
    for seed in range(40):
        near, far = reside(black, depth, np.random.default_rng(seed), outdoor)[0, :, 0]
        found.append((far, -np.log(1 - near / far)))
    for values, (low, high) in zip(np.transpose(found), (airlights, betas), strict=True):
        assert low - 1e-4 <= values.min() < low + 0.2 * (high - low)
        assert high - 0.2 * (high - low) < values.max() <= high + 1e-4
    assert len(np.unique(np.round(found, 3), axis=0)) <= 35 or not outdoor


def test_haze_is_seeded_and_leaves_what_is_at_hand_alone():
    image = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    depth = np.zeros((5, 6))
    depth[:, 3:] = 2.0
    first = reside(image, depth, np.random.default_rng(1))
    assert np.array_equal(first, reside(image, depth, np.random.default_rng(1)))
    assert np.allclose(first[:, :3], image[:, :3]) and first.dtype == np.float32
    assert np.abs(first[:, 3:] - image[:, 3:]).mean() > 0.1
