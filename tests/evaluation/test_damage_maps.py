"""Where a picture is damaged, and how well a map says so."""

import numpy as np
import pytest
from PIL import Image
from scipy.stats import rankdata

from pellucid.evaluation.damage_maps import auroc, from_sets, table


def test_auroc_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    score, damaged = rng.integers(0, 5, (8, 9)), rng.random((8, 9)) < 0.3
    n = damaged.sum()
    ranks = rankdata(score).reshape(score.shape)[damaged].sum()
    assert auroc(score, damaged) == pytest.approx(
        (ranks - n * (n + 1) / 2) / (n * (damaged.size - n))
    )


def test_a_place_of_a_set_is_damaged_where_it_differs_much_from_the_clean_picture(tmp_path):
    rng = np.random.default_rng(0)
    clean = rng.integers(60, 190, (48, 64, 3), dtype=np.uint8)
    damaged = clean + rng.integers(0, 6, clean.shape, dtype=np.uint8)  # a camera's noise
    damaged[10:30, 20:40] += 60
    for name, pictures in {"rain_a": (damaged, clean), "haze_b": (damaged, clean)}.items():
        for kind, pixels in zip(("lq", "gt"), pictures, strict=True):
            (tmp_path / name / kind).mkdir(parents=True)
            for index in range(2):
                Image.fromarray(pixels).save(tmp_path / name / kind / f"{index}.png")
    case, *others = from_sets(tmp_path, limit=1)
    assert case.column == "rain_a" and not others
    assert case.mask[12:28, 22:38].all() and case.mask.mean() < 0.2

    def truth(damaged, clean):
        return (damaged - clean).abs().mean(dim=1)[0].numpy()

    maps = {"truth": truth, "no map": lambda damaged, _: np.zeros(damaged.shape[-2:])}
    found = table(maps, from_sets(tmp_path))
    assert found["truth"]["rain_a"] > 0.8 and found["no map"]["rain_a"] == 0.5
