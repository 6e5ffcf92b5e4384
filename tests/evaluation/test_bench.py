import numpy as np
import pytest

from pellucid.degradations import CLASSES, WORDS, degrade
from pellucid.errors import ImageError, UsageError
from pellucid.evaluation.bench import COLUMNS, window
from pellucid.evaluation.protocols import PROTOCOLS

from .making import clean, save


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "a.png", clean(0, 260, 300))
    save(tmp_path / "more/b.png", clean(1, 256, 256))
    return tmp_path


def cases(folder, name="pellucid-bench"):
    return PROTOCOLS[name].cases(folder)


def test_every_degradation_at_three_severities_two_mixtures_and_none(folder):
    assert len(COLUMNS) == 10 * 3 + 2 + 1
    assert {column.split("@")[0] for column in COLUMNS} >= set(CLASSES)
    assert sum("+" in column for column in COLUMNS) == 2
    found = cases(folder)
    assert len(found) == 33 * 2 and [c.name for c in found[:2]] == ["a", "more/b"]


def test_a_case_is_a_seeded_degradation_of_the_middle(folder):
    centre = clean(0, 260, 300)[2:258, 22:278].astype(np.float32) / 255
    assert np.array_equal(window(folder / "a.png"), centre)
    for case in cases(folder)[:60:7]:
        word, severity = COLUMNS[case.column]
        rng = np.random.default_rng([case.index, WORDS.index(word)])
        truth = window(case.truth)
        expected = np.rint(degrade(truth, word, severity, rng) * 255) / np.float32(255)
        damaged, found = case.load()
        assert np.array_equal(damaged, expected.transpose(2, 0, 1)), case.column
        assert np.array_equal(found, truth.transpose(2, 0, 1))


def test_the_float_bench_is_the_same_before_rounding(folder):
    rounded, exact = (cases(folder, n) for n in ("pellucid-bench", "pellucid-bench-float"))
    for a, b in list(zip(rounded, exact, strict=True))[::5]:
        one, other = a.load()[0], b.load()[0]
        assert one.dtype == other.dtype == np.float32
        assert np.array_equal(one, np.round(other * 255) / np.float32(255))
    noisy = next(case for case in exact if case.column == "noisy@0.5").load()[0]
    assert len(np.unique(noisy)) > 256


def test_mixtures_are_one_degradation_after_the_other(folder):
    for case in cases(folder):
        if "+" in case.column:
            first, second = case.column.removesuffix("@0.5").split("+")
            rng = np.random.default_rng([case.index, *map(WORDS.index, (first, second))])
            damaged = degrade(window(case.truth), first, 0.5, rng)
            damaged = degrade(damaged, second, 0.5, rng)
            levels = np.rint(damaged * 255) / np.float32(255)
            assert np.array_equal(case.load()[0], levels.transpose(2, 0, 1))


def test_damage_grows_with_severity_and_clean_is_untouched(folder):
    by_column = {c.column: c.load() for c in cases(folder) if c.index == 0}

    def error(column):
        damaged, truth = by_column[column]
        return np.mean((damaged - truth) ** 2)

    assert error("clean") == 0
    assert all(error(f"{word}@0.75") > error(f"{word}@0.25") for word in WORDS)


def test_photographs_that_are_too_small_are_named(folder):
    save(folder / "c.png", clean(0, 255, 300))
    with pytest.raises(ImageError, match=r"c\.png is smaller than 256 x 256"):
        next(c for c in cases(folder) if c.name == "c").load()


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(UsageError, match="no picture in it"):
        cases(tmp_path)
