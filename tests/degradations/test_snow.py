import numpy as np

from pellucid.degradations.snow import snowy


def flakes(sizes, seed):
    """How much is covered, and how far a covered pixel's neighbourhood is covered, too."""
    black = np.zeros((128, 128, 3), np.float32)
    cover = snowy(black, 0.5, np.random.default_rng(seed), sizes)[0].mean(-1)
    x = cover - cover.mean()
    return cover.mean(), (x[:, 6:] * x[:, :-6]).mean() / x.var()


def test_medium_and_large_flakes_add_cover_and_are_wider():
    results = np.array([[flakes(sizes, seed) for seed in range(4)] for sizes in (1, 2, 3)])
    cover, width = results.mean(axis=1).T
    assert cover[0] < cover[1] < cover[2]
    assert width[0] < width[1] < width[2]


def test_the_same_small_flakes_fall_with_and_without_the_others():
    black = np.zeros((64, 64, 3), np.float32)
    small, both = (snowy(black, 0.5, np.random.default_rng(1), sizes)[0] for sizes in (1, 2))
    assert (both >= small - 1e-5).all() and (both > small + 0.05).any()
