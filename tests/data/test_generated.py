from collections import Counter

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from pellucid.data.generated import EvenPlan, GeneratedPairs, RandomPlan, TurnPlan
from pellucid.data.photos import CleanPhotos
from pellucid.degradations import CLASSES, WORDS
from pellucid.errors import UsageError

from .making import photos, save


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return CleanPhotos(photos(tmp_path_factory.mktemp("clean")))


def only(word, severity=0.5):
    return EvenPlan((word,), severity, severity)


def same(a, b):
    return all(torch.equal(a[k], b[k]) for k in ("lq", "gt")) and a["word"] == b["word"]


def test_a_sample_depends_on_seed_and_index_alone(clean):
    data = GeneratedPairs(clean, crop=16, seed=3)
    first = [data[i] for i in (7, 2, 1_000_000)]
    again = GeneratedPairs(clean, crop=16, seed=3)
    assert all(same(again[s["index"]], s) for s in reversed(first))
    assert not same(GeneratedPairs(clean, crop=16, seed=4)[7], first[0])


def test_workers_give_the_samples_of_one_process(clean):
    data = GeneratedPairs(clean, crop=16, length=6)
    for batch, index in zip(DataLoader(data, 2, num_workers=2), (0, 2, 4), strict=True):
        assert torch.equal(batch["lq"][1], data[index + 1]["lq"])
        assert batch["index"].tolist() == [index, index + 1]


@pytest.mark.parametrize("word", CLASSES)
def test_samples_have_the_promised_form(clean, word):
    sample = GeneratedPairs(clean, crop=24, plan=only(word))[0]
    assert sample["word"] == word
    assert sample["severity"] == (0 if word == "clean" else 0.5)
    for name in ("lq", "gt"):
        levels = sample[name] * 255
        assert sample[name].shape == (3, 24, 24) and sample[name].dtype == torch.float32
        assert levels.min() >= 0 and levels.max() <= 255
        assert torch.allclose(levels, levels.round(), atol=1e-4)
    assert torch.equal(sample["lq"], sample["gt"]) == (word == "clean")


def test_a_grey_picture_has_one_field_of_noise(clean):
    for grey in (0.0, 1.0):
        sample = GeneratedPairs(clean, 32, plan=only("noisy"), grey=grey)[0]
        for name in ("lq", "gt"):
            red, green, blue = sample[name]
            assert (torch.equal(red, green) and torch.equal(red, blue)) == bool(grey)
    data = GeneratedPairs(clean, 16, plan=only("noisy"), grey=0.3)
    found = [torch.equal(data[i]["lq"][0], data[i]["lq"][1]) for i in range(60)]
    assert 8 <= sum(found) <= 28


def test_rarer_scenes_are_not_damage(clean):
    plain, rare = (GeneratedPairs(clean, 32, plan=only("clean"), rare=r) for r in (0.0, 1.0))
    changes = []
    for i in range(12):
        sample = rare[i]
        assert torch.equal(sample["lq"], sample["gt"]) and sample["word"] == "clean"
        assert torch.allclose(sample["gt"] * 255, (sample["gt"] * 255).round(), atol=1e-4)
        changes.append((sample["gt"] - plain[i]["gt"]).abs().max().item())
    assert min(changes) > 0


def test_twins_share_their_rarer_scene(clean):
    data = GeneratedPairs(clean, 32, plan=lambda index, rng: [], twins=3, rare=0.5)
    assert all(torch.equal(data[3 * i]["gt"], data[3 * i + 2]["gt"]) for i in range(8))


def test_twins_show_one_window_with_every_damage(clean):
    count = len(CLASSES)
    data = GeneratedPairs(clean, crop=32, plan=TurnPlan(), twins=count)
    first, second = ([data[i] for i in range(k, k + count)] for k in (0, count))
    assert [sample["word"] for sample in first] == list(CLASSES)

    alike = [s["gt"] for s in first if s["word"] in ("noisy", "rainy", "hazy", "clean")]
    assert len(alike) == 4  # those that need no pixels around the window
    assert all(torch.equal(alike[0], other) for other in alike)
    assert not torch.equal(second[4]["gt"], first[4]["gt"])
    assert len({s["severity"] for s in first}) == count


def test_clean_windows_are_cut_from_the_photographs(clean):
    data = GeneratedPairs(clean, crop=8, plan=only("clean"), turns=False, by="turn")
    window = (data[4]["gt"] * 255).round().byte().permute(1, 2, 0).numpy()
    views = np.lib.stride_tricks.sliding_window_view(clean[1], (8, 8, 3))
    assert (views == window).all(axis=(-1, -2, -3)).any()


def test_blur_brings_in_what_lies_beside_the_window(tmp_path):
    """Half black, half white: black windows close to the edge turn grey."""
    halves = np.zeros((200, 200, 3), np.uint8)
    halves[:, 100:] = 255
    save(tmp_path / "one" / "halves.png", halves)
    data = GeneratedPairs(
        CleanPhotos(tmp_path / "one"), 16, plan=only("motion-blurry", 1.0), turns=False
    )
    samples = [data[i] for i in range(200)]
    black = [s["lq"].max() for s in samples if s["gt"].max() == 0]
    assert black and max(black) > 0.2


def test_jpeg_blocks_lie_at_every_phase(tmp_path):
    ramp = np.repeat(np.linspace(0, 255, 96).astype(np.uint8)[None, :, None], 96, 0).repeat(3, 2)
    save(tmp_path / "one" / "ramp.png", ramp)
    data = GeneratedPairs(
        CleanPhotos(tmp_path / "one"), 32, plan=only("jpeg-compressed", 1.0), turns=False
    )

    def phase(sample):
        steps = np.abs(np.diff(sample["lq"][1].numpy(), axis=1)).mean(axis=0)
        return int(np.argmax(np.resize(steps, (3, 8)).sum(axis=0)))

    assert len({phase(data[i]) for i in range(60)}) >= 6


def test_small_photographs_are_extended(clean):
    sample = GeneratedPairs(clean, crop=80, plan=only("motion-blurry"))[0]
    assert sample["lq"].shape == (3, 80, 80)


def test_shrinking_shows_more_of_the_photograph(tmp_path):
    ramp = np.repeat(np.arange(200, dtype=np.uint8)[None, :, None], 200, 0).repeat(3, 2)
    save(tmp_path / "one" / "ramp.png", ramp)
    photo = CleanPhotos(tmp_path / "one")
    data = GeneratedPairs(photo, 50, plan=only("clean"), shrink=0.5, turns=False)
    spans = [float(255 * (s := data[i]["gt"][0, 0])[-1] - 255 * s[0]) for i in range(40)]
    assert 45 < min(spans) < 60 and 85 < max(spans) < 101


def test_photographs_are_drawn_alike_or_by_their_pixels(tmp_path):
    both = CleanPhotos(photos(tmp_path / "two", ((10, 10), (30, 30))))

    def share(by):
        data = GeneratedPairs(both, 4, by=by)
        drawn = [data._choose(i, np.random.default_rng(i)) for i in range(2000)]
        return np.mean(drawn)

    assert share("photo") == pytest.approx(0.5, abs=0.05)
    assert share("pixels") == pytest.approx(0.9, abs=0.03)
    assert share("turn") == 0.5


def test_the_random_plan_has_the_shares_asked_for():
    plan = RandomPlan(WORDS[:4], clean=0.2, chains=0.3)
    drawn = [plan(i, np.random.default_rng(i)) for i in range(3000)]
    lengths = Counter(len(steps) for steps in drawn)
    assert lengths[0] == pytest.approx(600, abs=80)
    assert lengths[2] == pytest.approx(900, abs=90)
    single = Counter(steps[0][0] for steps in drawn if len(steps) == 1)
    assert set(single) == set(WORDS[:4]) and min(single.values()) > 300


def test_chains_are_named_by_their_links(clean):
    data = GeneratedPairs(clean, 16, plan=RandomPlan(("rainy", "noisy"), clean=0, chains=1))
    assert data[0]["word"] == "rainy+noisy"


def test_the_even_plan_takes_classes_in_turn_and_spreads_severity():
    plan = EvenPlan()
    rng = np.random.default_rng(0)
    words = [plan(i, rng)[0][0] if plan(i, rng) else "clean" for i in range(11)]
    assert words == list(CLASSES)
    severities = sorted(plan(11 * i, rng)[0][1] for i in range(8))
    assert severities[0] >= 0.1 and severities[-1] <= 0.9
    assert max(np.diff(severities)) < 0.2


def test_a_senseless_shrink_is_refused(clean):
    with pytest.raises(UsageError, match="shrink"):
        GeneratedPairs(clean, shrink=0)
