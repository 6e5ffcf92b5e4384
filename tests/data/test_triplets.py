import hashlib
import json

import numpy as np
import pytest
import torch

from pellucid.data.crops import TwoCrops
from pellucid.data.files import read_pixels
from pellucid.data.folders import PairedFolders
from pellucid.data.generated import GeneratedPairs
from pellucid.data.photos import CleanPhotos
from pellucid.data.triplets import (
    Triplets,
    fold_of,
    held_out,
    official_identity,
    read_manifest,
    render,
    verify,
)
from pellucid.data.write_pairs import write_pairs
from pellucid.errors import UsageError
from pellucid.imaging import io

from .making import dataset, photos, picture, save


def half(photo):
    return photo.with_pixels(photo.pixels / 2)


def quarter(photo):
    return photo.with_pixels(photo.pixels / 4)


TWO = (("half", half), ("quarter", quarter))


@pytest.fixture
def root(tmp_path):
    return dataset(tmp_path / "pairs", {"hazy": 6, "rainy": 3})


def test_folds_are_those_of_the_official_code():
    identity = "derain|/data/train/Derain/input/rain-1.png"
    digest = hashlib.sha1(identity.encode()).hexdigest()
    assert fold_of(identity) == int(digest[15], 16) % 2  # the last digit of the first eight bytes
    assert {fold_of(str(i)) for i in range(9)} == {0, 1}
    shares = [held_out(str(i), 0.2) for i in range(2000)]
    assert 0.16 < np.mean(shares) < 0.24
    assert not held_out("x", 0.0) and held_out("x", 1.0)


PUBLISHED = {  # first eight bytes of `printf '%s' TASK|PATH | sha1sum`
    ("hazy", "Dehaze", "0001_0.8_0.2.jpg"): "4e354a9785ac2d40",
    ("hazy", "Dehaze", "0025_0.95_0.16.jpg"): "641bfbeebcfb5ffb",
    ("rainy", "Derain", "rain-1.png"): "97f92b0294b28b2b",
    ("rainy", "Derain", "rain-2.png"): "f982ae7d66d124f7",
    ("noisy", "Denoise", "100075.jpg"): "5c37218cab960190",
    ("noisy", "Denoise", "00001.bmp"): "f793fc38011e7cfe",
    ("motion-blurry", "Deblur", "GOPR0372_07_00-000047.png"): "c44487dba97ff20c",
    ("low-light", "Enhance", "2.png"): "3af08bd7b7d62589",
    ("low-light", "Enhance", "5.png"): "824adeb7d8281583",
}


def test_legacy_folds_are_the_official_ones_of_published_paths_wherever_the_data_lies(tmp_path):
    """The official code hashes "dehaze|data/AiOIR/train/Dehaze/input/0001_0.8_0.2.jpg"."""
    truths = {"Dehaze": lambda n: n.split("_")[0], "Derain": lambda n: f"no{n}"}
    expected = {}
    for i, ((word, task, name), digest) in enumerate(PUBLISHED.items()):
        stem, _, suffix = name.rpartition(".")
        truth = truths.get(task, lambda n: n)(stem)
        if task != "Denoise":
            save(tmp_path / "train" / task / "input" / name, picture(i))
        save(tmp_path / "train" / task / "gt" / f"{truth}.{suffix}", picture(i))
        expected[word, name] = int(digest, 16) % 2
        assert fold_of(official_identity(word, name)) == expected[word, name]
    render(tmp_path / "train", tmp_path / "out", TWO, noise=[25], legacy=True)
    folds = {}
    for row in read_manifest(tmp_path / "out"):
        side = "high" if row["task"] == "noisy" else "low"
        folds[row["task"], row[side].rpartition("/")[2]] = row["fold"]
    assert folds == expected and set(folds.values()) == {0, 1}
    dataset(tmp_path / "snow", {"snowy": 1})
    with pytest.raises(UsageError, match="the official code knows no 'snowy' pictures"):
        render(tmp_path / "snow", tmp_path / "b", TWO, legacy=True)


@pytest.mark.parametrize("symmetries", [2, 4, 8])
def test_crops_show_so_many_symmetries(root, symmetries):
    root.joinpath("rainy").rename(root.parent / "rainy")
    for index in range(1, 6):
        for side in ("LQ", "GT"):
            (root / "hazy" / side / f"{index:03}.png").unlink()
    data = PairedFolders(root, crop=40, symmetries=symmetries)
    for side in ("LQ", "GT"):
        save(root / "hazy" / side / "000.png", picture(0, 40, 40))
    whole = np.rint(data[0]["gt"].permute(1, 2, 0).numpy() * 255)
    seen = {np.rint(data[i]["gt"].permute(1, 2, 0).numpy() * 255).tobytes() for i in range(80)}
    assert len(seen) == symmetries
    assert whole[:, ::-1].tobytes() in seen
    assert (np.ascontiguousarray(whole.swapaxes(0, 1)).tobytes() in seen) == (symmetries == 8)


def test_each_picture_is_rendered_by_the_one_that_never_saw_it(root, tmp_path):
    assert render(root, tmp_path / "out", TWO) == 9
    rows = read_manifest(tmp_path / "out")
    assert {row["fold"] for row in rows} == {0, 1}
    for row in rows:
        low, medium, high = (
            read_pixels(tmp_path / "out" / row[level]) for level in ("low", "medium", "high")
        )
        assert (high == 255 - low).all()  # what `dataset` makes
        share = (2, 4)[fold_of(row["name"])]
        assert abs(medium.astype(float) - low / share).max() <= 0.5
    assert verify(tmp_path / "out") == []
    # the data may be moved: names tell folds
    moved = root.rename(tmp_path / "moved")
    render(moved, tmp_path / "again", TWO)
    assert [r["fold"] for r in read_manifest(tmp_path / "again")] == [r["fold"] for r in rows]


def test_rendering_goes_on_where_it_was_stopped_and_refuses_other_restorers(root, tmp_path):
    out, calls = tmp_path / "out", []

    def failing(photo):
        if len(calls) == 4:
            raise KeyboardInterrupt
        calls.append(photo)
        return half(photo)

    with pytest.raises(KeyboardInterrupt):
        render(root, out, [("half", failing)])
    manifest = out / "manifest.jsonl"
    manifest.write_text(manifest.read_text()[:-7])  # cut short as well
    render(root, out, [("half", half)])
    render(root, tmp_path / "whole", [("half", half)])
    assert read_manifest(out) == read_manifest(tmp_path / "whole")
    assert all(row["fold"] is None for row in read_manifest(out))
    with pytest.raises(UsageError, match="by other restorers"):
        render(root, out, [("quarter", quarter)])


def test_a_type_of_clean_pictures_gets_noise_of_each_strength_in_turn(tmp_path):
    for i in range(6):
        save(tmp_path / "root/noise/GT" / f"{i}.png", np.full((64, 64, 3), 128, np.uint8))
    render(tmp_path / "root", tmp_path / "out", [("half", half)], noise=(5, 20, 40))
    for i, row in enumerate(read_manifest(tmp_path / "out")):
        noisy = read_pixels(tmp_path / "out" / row["low"]).astype(float)
        assert noisy.std() == pytest.approx((5, 20, 40)[i % 3], rel=0.1)
        assert noisy.mean() == pytest.approx(127.5, abs=1.5)  # cut off, not rounded
    assert verify(tmp_path / "out") == []


def test_verification_finds_what_is_wrong(root, tmp_path):
    out = tmp_path / "out"
    render(root, out, TWO)
    rows = read_manifest(out)
    (out / rows[0]["medium"]).unlink()
    save(out / rows[1]["medium"], picture(0, 8, 8))
    rows[2]["fold"] = 1 - rows[2]["fold"]
    rows.append(rows[3])
    (out / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = verify(out)
    assert len(found) == 4
    for problem, row, words in zip(
        found, rows, ("", "differ in size", "other fold", "more than one"), strict=False
    ):
        assert row["medium"].split("/")[-1] in problem and words in problem


def test_windows_of_the_three_pictures_are_the_same_place(root, tmp_path):
    render(root, tmp_path / "out", [("half", half)])
    data = Triplets(tmp_path / "out", crop=16, seed=1)
    assert [data[i]["word"] for i in range(4)] == ["hazy", "rainy", "hazy", "rainy"]
    for i in range(6):
        sample = data[i]
        assert sample["lq"].shape == (3, 16, 16)
        torch.testing.assert_close(sample["gt"], 1 - sample["lq"], atol=1e-6, rtol=0)
        assert (sample["medium"] - sample["lq"] / 2).abs().max() <= 0.51 / 255
    assert torch.equal(data[5]["lq"], Triplets(tmp_path / "out", crop=16, seed=1)[5]["lq"])
    every = Triplets(tmp_path / "out", crop=None, draw="each", turns=False)
    assert len(every) == 9 and every[8]["lq"].shape == (3, 40, 48)
    one = Triplets(tmp_path / "out", words=["rainy", "noisy"])
    assert {one[i]["word"] for i in range(4)} == {"rainy"}
    with pytest.raises(UsageError, match="no triplets of noisy"):
        Triplets(tmp_path / "out", words=["noisy"])
    with pytest.raises(UsageError, match=r"of 9 triplets none is left by --data\.fold and"):
        Triplets(tmp_path / "out", keep=lambda name: False)
    kept = Triplets(tmp_path / "out", keep=lambda name: fold_of(name) == 0)
    rest = Triplets(tmp_path / "out", keep=lambda name: fold_of(name) == 1)
    assert len(kept) + len(rest) == 9


def test_repeated_types_are_drawn_in_proportion_and_clean_ones_get_noise(tmp_path):
    root = dataset(tmp_path, {"hazy": 6, "rainy": 3})
    save(root / "bright/GT/0.png", np.full((32, 32, 3), 128, np.uint8))
    settings = {"ratios": (1, 4, 30), "noise": (10, 30), "crop": 32}
    data = PairedFolders(root, ("hazy", "rainy", "bright"), **settings)
    drawn = [data[i] for i in range(400)]
    shares = [sum(s["word"] == word for s in drawn) / 400 for word in data.words]
    assert np.allclose(shares, (6 / 48, 12 / 48, 30 / 48), atol=0.06)
    noise = [255 * (s["lq"] - s["gt"]).std().item() for s in drawn if s["word"] == "bright"]
    assert 9 < min(noise) < 11 and 28 < max(noise) < 32
    assert any((255 * s["lq"]).frac().abs().max() > 0.1 for s in drawn if s["word"] == "bright")
    with pytest.raises(UsageError, match="2 ratios for the types"):
        PairedFolders(root, ("hazy", "rainy", "bright"), ratios=(1, 2))


def test_a_second_cut_shows_the_same_damaged_picture(tmp_path):
    root = dataset(tmp_path, {"hazy": 2}, 64, 64)
    data = TwoCrops(PairedFolders(root, crop=48, turns=False), 32)
    whole = PairedFolders(root, crop=48, turns=False)
    places = set()
    for i in range(12):
        sample, larger = data[i], whole[i]["lq"]
        torch.testing.assert_close(sample["gt"], 1 - sample["lq"], atol=1e-6, rtol=0)
        own = [
            (y, x)
            for y in range(0, 17, 8)
            for x in range(0, 17, 8)
            if torch.equal(larger[:, y : y + 32, x : x + 32], sample["lq"])
        ]
        assert len(own) == 1
        places.add(own[0])
        values = set(larger.flatten().tolist())
        assert set(sample["positive"].flatten().tolist()) <= values
        assert not torch.equal(sample["positive"], sample["lq"])
    assert len(places) > 2


def test_photographs_of_one_fold_are_trained_on_alone(tmp_path):
    clean = CleanPhotos(photos(tmp_path / "clean", [(40, 40)] * 8))
    some = clean.only(lambda name: fold_of(name) == 1)
    assert 0 < len(some) < 8
    for i, file in enumerate(some.files):
        assert fold_of(file.removesuffix(".png")) == 1
        assert (some[i] == read_pixels(tmp_path / "clean" / file)).all()
    assert GeneratedPairs(some, crop=16)[3]["gt"].shape == (3, 16, 16)
    with pytest.raises(UsageError, match="of 8 photographs none is left"):
        clean.only(lambda name: False)


def test_generated_windows_are_cut_before_they_are_damaged(tmp_path):
    clean = photos(tmp_path / "clean", [(60, 80), (64, 64)])
    write_pairs(clean, tmp_path / "out", ["low-light", "clean"], window=32)
    for name in ("0", "1"):
        whole = read_pixels(clean / f"{name}.png")
        cut = read_pixels(tmp_path / f"out/clean/GT/{name}.png")
        assert cut.shape == (32, 32, 3)
        rows, columns = whole.shape[0] - 31, whole.shape[1] - 31
        assert any(
            (whole[y : y + 32, x : x + 32] == cut).all()
            for y in range(rows)
            for x in range(columns)
        )
        dark = io.read(tmp_path / f"out/low-light/LQ/{name}.png").pixels
        assert dark.mean() < 0.9 * io.read(tmp_path / f"out/low-light/GT/{name}.png").pixels.mean()


TRIPLET = (
    b'{"low": "l", "medium": "m", "high": "h", "task": "t", "name": "\xe2\x80\xa8", "fold": %s}\n'
)


def test_a_list_without_triplets_is_a_problem(tmp_path, capsys):
    from pellucid import cli

    (tmp_path / "manifest.jsonl").write_text("")
    (tmp_path / "triplets.json").write_text("{}")
    assert cli.main(["data", "check", str(tmp_path)]) == 1
    assert "there are no triplets in it" in capsys.readouterr().out
    (tmp_path / "manifest.jsonl").write_bytes(TRIPLET % b"null" + b'{"low": "half')
    assert cli.main(["data", "check", str(tmp_path)]) == 1
    assert "l: no such file" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("manifest.jsonl", b"{\n", "line 1: damaged"),
        ("manifest.jsonl", b"[1]\n", "line 1: damaged, it is no JSON object"),
        ("manifest.jsonl", b'{"low": 1}\n', "line 1: a triplet has low"),
        ("manifest.jsonl", b"\xff\xfe\n", "damaged, it is no text"),
        ("triplets.json", b"no", "damaged"),
        ("triplets.json", b"3", "damaged, it is no JSON object"),
        ("triplets.json", None, "cannot be read (No such file or directory)"),
        ("manifest.jsonl", b"[" * 100_000 + b"\n", "line 1: damaged"),
        ("manifest.jsonl", TRIPLET % b'"x"', "fold is 0, 1 or null"),
        ("manifest.jsonl", TRIPLET % b"[1]", "fold is 0, 1 or null"),
    ],
)
def test_malformed_lists_are_named(tmp_path, name, content, words, capsys):
    from pellucid import cli

    (tmp_path / "manifest.jsonl").write_text("")
    (tmp_path / "triplets.json").write_text("{}")
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert cli.main(["data", "check", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert name in said and words in said and "Traceback" not in said
