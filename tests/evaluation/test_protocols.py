"""Golden values: NumPy's and PyTorch's own generators, called as the definitions say."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.data.benchmarks import BENCHMARKS
from pellucid.errors import ImageError, UsageError
from pellucid.evaluation.metrics import MetricSettings
from pellucid.evaluation.protocol_noise import NumpyNoise, TorchNoise
from pellucid.evaluation.protocols import PROTOCOLS, protocol

SIZES = ((37, 50), (50, 37), (33, 48))  # not multiples of 16
SIGMAS = (15, 25, 50)


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def clean(number):
    height, width = SIZES[number]
    return np.random.default_rng(number).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def tree(tmp_path):
    """Stand-ins for the sets of `perceive-ir-5task`, three noisy pictures and two pairs a set."""
    for i in range(3):
        save(tmp_path / f"test/denoise/bsd68/target/{i}.png", clean(i))
    for folder in ("dehaze", "derain/Rain100L", "deblur/gopro", "enhance/lol"):
        for i in range(2):
            save(tmp_path / f"test/{folder}/target/{i}.png", clean(i))
            save(tmp_path / f"test/{folder}/input/{i}.png", 255 - clean(i))
    return tmp_path


def stand_in(name):
    """The protocol with the counts of `tree`."""
    row = PROTOCOLS[name]
    count = {"CBSD68": 3}
    columns = tuple(
        replace(c, benchmark=replace(c.benchmark, count=count.get(c.benchmark.name, 2)))
        for c in row.columns
    )
    return replace(row, columns=columns)


def as_planes(levels):
    return torch.from_numpy(levels.copy()).permute(2, 0, 1).float().div(255.0).numpy()


def cut_to_16(picture):
    height, width = picture.shape[:2]
    top, left = height % 16 // 2, width % 16 // 2
    return picture[top : top + height // 16 * 16, left : left + width // 16 * 16]


@pytest.mark.parametrize("name", ["perceive-ir-3task", "promptir"])
def test_one_numpy_stream_runs_through_all_noisy_columns(tree, name):
    cases = [case for case in stand_in(name).cases(tree) if case.noise]
    state = np.random.RandomState(0)
    expected = []
    for sigma in SIGMAS:
        for i in range(3):
            picture = cut_to_16(clean(i))
            noise = state.randn(*picture.shape)
            noisy = np.clip(picture + noise * sigma, 0, 255).astype(np.uint8)
            expected.append((f"CBSD68-s{sigma}", str(i), as_planes(noisy), as_planes(picture)))
    assert len(cases) == len(expected) == 9
    for case, (column, stem, lq, gt) in zip(cases, expected, strict=True):
        damaged, truth = case.load()
        assert (case.column, case.name) == (column, stem)
        assert damaged.dtype == np.float32 and np.array_equal(damaged, lq)
        assert np.array_equal(truth, gt)


def test_the_torch_seeds_begin_at_3407_for_every_sigma(tree):
    cases = [case for case in stand_in("perceive-ir-5task").cases(tree) if case.noise]
    expected = []
    for sigma in SIGMAS:
        for i in range(3):
            target = torch.from_numpy(as_planes(clean(i)))
            noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(3407 + i))
            noisy = (target * 255.0 + noise * sigma).clamp(0, 255).to(torch.uint8)
            expected.append(noisy.float().div(255.0).numpy())
    assert len(cases) == len(expected)
    for case, lq in zip(cases, expected, strict=True):
        damaged, truth = case.load()
        assert np.array_equal(damaged, lq)
        assert np.array_equal(truth, as_planes(clean(case.index)))


def test_the_first_numbers_are_those_known_of_the_two_generators():
    grey = np.full((16, 16, 3), 100, np.uint8)
    # 1.7641, 0.4002, 0.9787, 2.2409, 1.8676, -0.9773: RandomState(0), whose stream NumPy has frozen
    numpy_noise = NumpyNoise().reserve(0, grey.shape, 25)(grey)
    assert numpy_noise[0, :2].ravel().tolist() == [144, 110, 124, 156, 146, 75]
    torch_noise = TorchNoise().reserve(0, grey.shape, 25)(grey)
    # 0.1703, -0.8613, -0.6225, 1.0247: torch.randn of seed 3407, PyTorch 2.13 on a CPU
    assert torch_noise[0, :4, 0].tolist() == [104, 78, 84, 125]


def test_any_case_can_be_loaded_at_any_time(tree):
    row = stand_in("perceive-ir-3task")
    whole = [case.load()[0] for case in row.cases(tree)]
    again = row.cases(tree)
    for i in (7, 2, 2, 8, 0, 5):
        assert np.array_equal(again[i].load()[0], whole[i])
    fresh = row.cases(tree)[6]  # a run that goes on after the sixth
    assert np.array_equal(fresh.load()[0], whole[6])


def test_a_column_alone_has_the_noise_of_the_whole_and_needs_no_other_set(tree):
    row = stand_in("perceive-ir-3task")
    whole = [c.load()[0] for c in row.cases(tree) if c.column == "CBSD68-s25"]
    shutil.rmtree(tree / "test/dehaze")
    alone = row.cases(tree, ["*-s25"])
    assert [c.column for c in alone] == ["CBSD68-s25"] * 3
    assert all(np.array_equal(c.load()[0], w) for c, w in zip(alone, whole, strict=True))
    shutil.rmtree(tree / "test/denoise")
    assert {c.column for c in row.cases(tree, ["Rain100L"])} == {"Rain100L"}
    with pytest.raises(UsageError, match="no column matches 'rain'; there are CBSD68-s15"):
        row.cases(tree, ["rain"])


def test_stored_pairs_are_cut_around_the_centre_or_left_whole(tree):
    for name, size in (("perceive-ir-3task", (32, 48)), ("perceive-ir-5task", (37, 50))):
        case = next(c for c in stand_in(name).cases(tree) if c.column == "Rain100L")
        damaged, truth = case.load()
        assert damaged.shape == truth.shape == (3, *size)
        assert np.allclose(damaged, 1 - truth)
        expected = clean(0) if name.endswith("5task") else clean(0)[2:34, 1:49]
        assert np.array_equal(truth, as_planes(expected))


def test_the_columns_and_their_order(tree):
    assert list(dict.fromkeys(c.column for c in stand_in("perceive-ir-5task").cases(tree))) == [
        *("CBSD68-s15", "CBSD68-s25", "CBSD68-s50"),
        *("SOTS-outdoor", "Rain100L", "GoPro", "LOL-v1"),
    ]


def test_published_numbers_of_cases():
    assert PROTOCOLS["perceive-ir-3task"].count == PROTOCOLS["promptir"].count == 804
    assert PROTOCOLS["perceive-ir-5task"].count == 1930
    assert PROTOCOLS["native"].count is None


def test_settings_are_the_published_ones():
    float_rgb = MetricSettings("rgb", eight_bit=False, border=0, window="uniform7")
    for name in ("perceive-ir-3task", "perceive-ir-5task", "promptir"):
        assert PROTOCOLS[name].settings == (float_rgb,)
    rgb, y = PROTOCOLS["daclip-universal"].settings
    assert rgb == MetricSettings("rgb", eight_bit=True, border=4, window="gaussian11")
    assert y == replace(rgb, colour="y")
    assert PROTOCOLS["allweather-y"].settings == (replace(y, border=0),)
    assert PROTOCOLS["allweather-rgb"].settings == (replace(rgb, border=0),)
    assert PROTOCOLS["native"].settings == (replace(rgb, border=0), replace(y, border=0))


def test_papers_average_these_columns():
    def averaged(name):
        row = PROTOCOLS[name]
        return [c.name for c in row.columns if c.name not in row.not_averaged]

    assert len(averaged("perceive-ir-3task")) == len(averaged("promptir")) == 5
    assert averaged("perceive-ir-5task") == [
        *("CBSD68-s25", "SOTS-outdoor", "Rain100L", "GoPro", "LOL-v1")
    ]
    assert averaged("allweather-y") == ["Snow100K-L", "Outdoor-Rain-Test1", "RainDrop-a"]
    assert len(averaged("daclip-universal")) == 10


def test_da_clips_columns_are_its_words_in_order():
    from pellucid.degradations import WORDS

    assert tuple(c.name for c in PROTOCOLS["daclip-universal"].columns) == WORDS


def test_every_row_says_whose_it_is():
    for name, row in PROTOCOLS.items():
        assert name == row.name and row.source and row.summary and row.settings and row.averages
        assert all(c.benchmark is BENCHMARKS[c.benchmark.name] for c in row.columns)
        assert (row.noise is not None) == any(c.sigma for c in row.columns)


@pytest.mark.parametrize("layout", ["typed", "plain"])
def test_native_takes_any_folder_of_pairs(tmp_path, layout):
    folders = ["hazy", "mine"] if layout == "typed" else ["."]
    for folder in folders:
        save(tmp_path / "set" / folder / "LQ/a/1.png", 255 - clean(0))
        save(tmp_path / "set" / folder / "GT/a/1.png", clean(0))
    cases = PROTOCOLS["native"].cases(tmp_path / "set")
    columns = ["hazy", "mine"] if layout == "typed" else ["set"]
    assert [(c.column, c.name) for c in cases] == [(column, "a/1") for column in columns]
    damaged, truth = cases[0].load()
    assert truth.shape == (3, *SIZES[0]) and np.allclose(damaged, 1 - truth)


def test_native_says_what_it_leaves_out(tmp_path, caplog):
    for name in ("Denoise/gt", "Dehaze/input", "Dehaze/gt"):
        save(tmp_path / name / "1.png", clean(0))
    assert [case.column for case in PROTOCOLS["native"].cases(tmp_path)] == ["Dehaze"]
    assert "Denoise': clean pictures alone; Perceive-IR's protocols make" in caplog.text


def test_native_refuses_what_is_no_set_of_pairs(tmp_path):
    with pytest.raises(UsageError, match="no folders <type>/LQ and <type>/GT, nor LQ and GT"):
        PROTOCOLS["native"].cases(tmp_path)
    save(tmp_path / "LQ/1.png", clean(0))
    with pytest.raises(UsageError, match=r"1\.png has no partner; .*data check"):
        PROTOCOLS["native"].cases(tmp_path)


def test_incomplete_sets_are_refused(tree):
    with pytest.raises(UsageError, match="CBSD68 has 68 cases, here are 3"):
        PROTOCOLS["promptir"].cases(tree)


def test_pictures_of_unequal_size_are_named(tree):
    save(tree / "test/dehaze/input/0.png", clean(2))
    cases = stand_in("perceive-ir-5task").cases(tree)
    with pytest.raises(ImageError, match=r"input/0\.png.*target/0\.png.*48 x 33 and 50 x 37"):
        next(c for c in cases if c.column == "SOTS-outdoor").load()


def test_a_wrong_name_brings_the_nearest():
    assert protocol("native").name == "native"
    with pytest.raises(UsageError, match="did you mean promptir"):
        protocol("prompt-ir")
