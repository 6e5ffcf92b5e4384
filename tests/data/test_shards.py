import os
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from data import making
from pellucid.data import shards
from pellucid.data.shards import BLOCK, Shard, ShardedPairs, write_shards
from pellucid.errors import ImageError, UsageError
from pellucid.recipes import recipe
from pellucid.training.config import updated
from pellucid.training.data import datasets


@pytest.fixture
def pairs(tmp_path):
    """Six rainy pairs and three noisy ones, 16 x 12; each picture has one colour of its own."""
    for word, count in (("rainy", 6), ("noisy", 3)):
        for side in ("LQ", "GT"):
            folder = tmp_path / "pairs" / word / side
            folder.mkdir(parents=True)
            for i in range(count):
                colour = (10 * i, 100 if word == "rainy" else 200, 50 if side == "LQ" else 150)
                Image.new("RGB", (16, 12), colour).save(folder / f"{i}.png")
    return tmp_path / "pairs"


def colour(sample, side="gt"):
    values = (sample[side] * 255).round().int()
    assert (values == values[:, :1, :1]).all()
    return tuple(values[:, 0, 0].tolist())


def test_shards_hold_every_pair_once_and_its_files_as_they_are(pairs, tmp_path):
    assert write_shards(pairs, tmp_path / "out", each=4) == (9, 3)
    found = []
    for path in sorted((tmp_path / "out").iterdir()):
        with tarfile.open(path) as tar:
            found += [(info.name, tar.extractfile(info).read()) for info in tar]
    assert len({name for name, _ in found}) == 18
    held = sorted(path.read_bytes() for path in pairs.rglob("*.png"))
    assert sorted(data for _, data in found) == held
    keys = [name.partition(".")[0] for name, _ in found]
    assert keys[::2] == keys[1::2]  # the files of a sample lie side by side, as WebDataset wants
    words = [key.partition("/")[0] for key in keys]
    assert words != sorted(words) and words != sorted(words, reverse=True)  # shuffled
    with pytest.raises(UsageError, match="holds shards already"):
        write_shards(pairs, tmp_path / "out")


def test_samples_are_windows_of_one_pair_words_in_turn_and_functions_of_the_index(pairs, tmp_path):
    write_shards(pairs, tmp_path / "out", each=100)
    dataset = ShardedPairs(tmp_path / "out", crop=8, seed=3)
    samples = [dataset[i] for i in range(40)]
    assert [s["word"] for s in samples[:4]] == ["noisy", "rainy"] * 2  # the official order
    for sample in samples:
        assert sample["lq"].shape == sample["gt"].shape == (3, 8, 8)
        red, green, blue = colour(sample)
        assert (green == 200) == (sample["word"] == "noisy") and blue == 150
        assert colour(sample, "lq") == (red, green, 50)
    assert {colour(s)[:2] for s in samples} == {(10 * i, 100) for i in range(6)} | {
        (10 * i, 200) for i in range(3)
    }
    again = ShardedPairs(tmp_path / "out", crop=8, seed=3)
    assert all(torch.equal(again[i]["lq"], samples[i]["lq"]) for i in (37, 2, 19))
    only = ShardedPairs(tmp_path / "out", crop=8, words=("noisy",))
    assert {only[i]["word"] for i in range(10)} == {"noisy"}


def test_windows_are_cut_and_turned_alike_on_both_sides(tmp_path):
    pairs = making.dataset(tmp_path / "pairs", {"noisy": 2})  # LQ is GT inverted
    write_shards(pairs, tmp_path / "out")
    dataset = ShardedPairs(tmp_path / "out", crop=16)
    for i in range(6):
        sample = dataset[i]
        torch.testing.assert_close(sample["lq"], 1 - sample["gt"])


def test_processes_that_take_every_nth_block_read_shards_of_their_own(tmp_path):
    names = [f"{i:02d}.tar" for i in range(24)]
    for name in names:
        (tmp_path / name).touch()
    dataset = ShardedPairs(tmp_path, lanes=8, draws=16)
    seen = [set() for _ in range(4)]
    for index in range(8 * 16 * 3):  # three shards a lane: one epoch
        seen[index // BLOCK % 4].add(dataset.shards(index)[1])
    assert sorted(name for each in seen for name in each) == names  # all, and none by two
    lane, shard, following = dataset.shards(0)
    later = dataset.shards(8 * 16)
    assert (lane, following) == (0, later[1]) and shard != following
    assert len({dataset.shards(8 * i)[1] for i in range(8)}) == 8


def test_shards_that_are_fetched_give_the_samples_of_a_folder(pairs, tmp_path):
    pytest.importorskip("pyarrow", reason="needs pip install 'pellucid[bulk]'")
    from pellucid.places import Place

    write_shards(pairs, tmp_path / "out", each=3)
    local = ShardedPairs(tmp_path / "out", crop=8, draws=8)
    far = ShardedPairs(f"{tmp_path}/out/pairs-{{00000..00002}}.tar", crop=8, draws=8)
    assert local.names == far.names
    far.place = Place(str(tmp_path / "out"))  # is fetched, as from a bucket
    for i in (0, 9, 30, 70):
        assert torch.equal(local[i]["lq"], far[i]["lq"]) and local[i]["word"] == far[i]["word"]
    assert not any(p.suffix != ".tar" for p in (tmp_path / "out").iterdir())


def test_a_damaged_shard_and_a_folder_without_shards_are_named(pairs, tmp_path):
    with pytest.raises(UsageError, match="pellucid data shards"):
        ShardedPairs(pairs)
    write_shards(pairs, tmp_path / "out", each=100)
    path = tmp_path / "out" / "pairs-00000.tar"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ImageError, match=r"pairs-00000.tar.*"):
        ShardedPairs(tmp_path / "out")[0]
    path.write_bytes(b"")
    with pytest.raises(ImageError, match="damaged or unreadable"):
        ShardedPairs(tmp_path / "out")[0]


@pytest.mark.parametrize("damage", [bytes(512), b"U" * 512])
def test_a_shard_that_is_damaged_in_its_middle_is_not_taken_for_a_shorter_one(
    pairs, tmp_path, damage
):
    write_shards(pairs, tmp_path / "out")
    (path,) = (tmp_path / "out").iterdir()
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        at = tar.getmembers()[4].offset
    path.write_bytes(whole[:at] + damage + whole[at + len(damage) :])
    with pytest.raises(ImageError, match=f"{path.name}: damaged or unreadable .*in its middle"):
        ShardedPairs(tmp_path / "out", crop=8)[0]


@pytest.fixture
def long_shard(tmp_path):
    """A shard of 400 KB, and its members."""
    for number in range(4):
        picture = np.random.default_rng(number).integers(0, 256, (128, 128, 3), np.uint8)
        for side in ("LQ", "GT"):
            (tmp_path / f"long/noisy/{side}").mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(tmp_path / f"long/noisy/{side}/{number}.png")
    write_shards(tmp_path / "long", tmp_path / "out")
    (path,) = (tmp_path / "out").iterdir()
    with tarfile.open(path) as tar:
        return path, tar.getmembers()


@pytest.mark.parametrize("blocks", [1, 20, 128, 129, 2048, 4000, 32768])
def test_a_shard_of_any_block_size_is_read(long_shard, tmp_path, blocks):
    path, held = long_shard
    end = held[-1].offset_data + -(-held[-1].size // 512) * 512 + 1024
    whole, block = path.read_bytes()[:end], 512 * blocks
    path.write_bytes(whole.ljust(-(-end // block) * block, b"\0"))  # as `tar -b` does
    assert len(Shard(path.parent, path.name).by_word["noisy"]) == 4


def test_a_shard_whose_room_was_reserved_and_written_in_part_is_not_taken_for_a_shorter_one(
    long_shard, tmp_path
):
    path, held = long_shard
    size, whole = path.stat().st_size, path.read_bytes()
    in_a_picture = held[3].offset_data + 4096
    path.write_bytes(whole[:in_a_picture].ljust(size, b"\0"))
    with pytest.raises(
        ImageError, match=r"its last \d{6} bytes are zeros, as of a copy that was cut"
    ):
        ShardedPairs(tmp_path / "out", crop=8)[0]
    path.write_bytes(whole[: held[4].offset])
    os.truncate(path, 1 << 25)  # zeros that no block is as long as
    with pytest.raises(ImageError, match=r"its last .* are zeros"):
        ShardedPairs(tmp_path / "out", crop=8)[0]


def test_a_pair_that_no_training_could_read_comes_into_no_shard(pairs, tmp_path):
    bad = next(pairs.rglob("LQ/*"))
    making.save(bad, making.picture(0, 30, 30))
    with pytest.raises(ImageError, match=rf"{bad.name} and .* differ in size"):
        write_shards(pairs, tmp_path / "shards")
    bad.write_bytes(b"damaged")
    with pytest.raises(ImageError, match=bad.name):
        write_shards(pairs, tmp_path / "shards")
    assert not list((tmp_path / "shards").iterdir())


def test_captions_go_along_and_the_recipe_of_the_controller_reads_them(tmp_path):
    for side in ("LQ", "GT"):
        making.photos(tmp_path / "noisy" / side, ((48, 64),) * 3)
    rows = "".join(f"noisy/LQ/{i}.png\tpicture {i}: noisy\n" for i in range(3))
    (tmp_path / "captions.csv").write_text("filepath\ttitle\n" + rows)
    assert write_shards(tmp_path / "captions.csv", tmp_path / "out") == (3, 1)
    values = {"kind": "captioned-shards", "root": str(tmp_path / "out"), "crop": 16}
    training, _ = datasets(updated(recipe("daclip_controller"), {"data": values}))
    samples = [training[i] for i in range(12)]
    assert {s["caption"] for s in samples} == {f"picture {i}" for i in range(3)}
    assert samples[0]["lq"].shape == (3, 16, 16)


def test_the_unified_recipe_trains_on_shards_and_validates_on_pairs(pairs, tmp_path):
    write_shards(pairs, tmp_path / "out")
    values = {"kind": "shards", "root": str(tmp_path / "out"), "validation": str(pairs), "crop": 8}
    config = updated(recipe("daclip_unified"), {"data": {**values, "words": ["noisy", "rainy"]}})
    training, validation = datasets(config)
    assert training[0]["lq"].shape == (3, 8, 8) and len(validation) == 9
    with pytest.raises(UsageError, match=r"--data.noise is of pairs in folders"):
        datasets(updated(config, {"data": {"noise": [15.0]}}))


def test_the_order_of_a_lane_is_another_in_each_epoch():
    orders = [tuple(shards._order(0, 1, epoch, 20)) for epoch in range(4)]
    assert len(set(orders)) == 4 and all(sorted(o) == list(range(20)) for o in orders)
    assert isinstance(shards._order(0, 1, 0, 20), np.ndarray)
