"""Bulk work without Ray: sources, shards, resume, failures; workers are called directly."""

import io
import json
import shutil
import tarfile

import numpy as np
import pytest
from PIL import Image

pa = pytest.importorskip("pyarrow", reason="needs pip install 'pellucid[bulk]'")
pq = pytest.importorskip("pyarrow.parquet")

from hostile import damaged_fax  # noqa: E402
from pellucid.bulk import parts, reports, worker  # noqa: E402
from pellucid.bulk.ledger import Ledger  # noqa: E402
from pellucid.bulk.run import Cluster, Summary, Total, begin, bulk, started  # noqa: E402
from pellucid.bulk.worker import Machine, Settings, Worker  # noqa: E402
from pellucid.cli.bulk import progress  # noqa: E402
from pellucid.errors import ImageError, PellucidError, UsageError  # noqa: E402
from pellucid.places import Place, expanded  # noqa: E402

from . import pictures  # noqa: E402


def encoded(seed=0, format="PNG", size=(32, 24)):
    buffer = io.BytesIO()
    pictures.image(seed, size).save(buffer, format)
    return buffer.getvalue()


@pytest.fixture
def work(weights, monkeypatch):
    """Run all parts of a source in this process; (workers' answers, rows of the table)."""

    def call(source, target, retry=False, ledger=None, **settings):
        settings = Settings(str(weights / "net.safetensors"), rate=False, **settings)
        source, target = parts.source_of(str(source)), Place(str(target))
        count = begin(source, target, settings)
        machine = Machine("cpu", "float32")
        one = Worker(source.place, target, source.kind, settings, machine, retry, ledger)
        if ledger is not None:
            monkeypatch.setattr(one, "_ask", lambda name, *args: getattr(ledger, name)(*args))
        divided = parts.parts_of(source, count, settings.format)
        answers = [one(part.packed()) for part in divided]
        return answers, pictures.table(target)

    return call


def total(answers, name):
    assert not any(answer["fatal"] for answer in answers), answers
    return sum(answer[name] for answer in answers)


# folders -----------------------------------------------------------------------


def test_results_are_those_of_restore_and_the_table_says_what_was_found(tmp_path, work, weights):
    from pellucid.cli import main

    names = ["a.png", "deep/b.jpg", "deep/er/c.webp"]
    for seed, name in enumerate(names):
        pictures.save(tmp_path / "in" / name, seed)
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert total(answers, "restored") == 3 and total(answers, "failed") == 0
    model = str(weights / "net.safetensors")
    options = ("--model", model, "--device", "cpu", "--dtype", "float32", "--quiet")
    assert main(["restore", str(tmp_path / "in"), "-o", str(tmp_path / "plain"), *options]) == 0
    for name in names:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()
    assert sorted(rows) == names
    row = rows["deep/b.jpg"]
    assert (row["output"], row["error"], row["model"]) == ("deep/b.jpg", None, "net")
    assert (row["width"], row["height"], row["decision"]) == (32, 24, "kept")
    assert len(row["probabilities"]) == 11 and row["seconds"] >= 0


def test_exif_survives_as_in_restore(tmp_path, work):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    pictures.save(tmp_path / "in" / "a.jpg", 0, exif=exif)
    work(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert image.getexif()[0x010E] == "a description"


def test_quality_is_in_the_table_for_a_model_that_rates(tmp_path):
    pictures.save(tmp_path / "in" / "a.png", 0)
    source, target = parts.source_of(str(tmp_path / "in")), Place(str(tmp_path / "out"))
    one = Worker(source.place, target, source.kind, Settings("lite"), Machine("cpu", "float32"))
    (part,) = parts.parts_of(source, 1, None)
    total([one(part.packed())], "restored")
    row = pictures.table(target)["a.png"]
    for column in ("quality_before", "quality_after"):
        assert sum(dict(row[column]).values()) == pytest.approx(1, abs=1e-5)


def test_what_is_no_picture_is_in_the_table_and_the_others_are_done(tmp_path, work):
    pictures.save(tmp_path / "in" / "good.png", 0)
    (tmp_path / "in" / "poison.jpg").write_bytes(encoded(1, "JPEG")[:200])
    (tmp_path / "in" / "empty.png").write_bytes(b"")
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert (total(answers, "restored"), total(answers, "failed")) == (1, 2)
    assert rows["poison.jpg"]["error"] and "empty" in rows["empty.png"]["error"]
    assert rows["empty.png"]["output"] is None
    assert pictures.results(tmp_path / "out") == ["good.png"]


def test_what_libtiff_prints_is_in_the_table_and_not_in_the_log(tmp_path, work, capfd):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "fax.tif").write_bytes(damaged_fax())
    _, rows = work(tmp_path / "in", tmp_path / "out")
    assert rows["fax.tif"]["notes"][0].startswith("libtiff: ") and capfd.readouterr().err == ""


def test_pictures_added_to_a_source_are_done_and_no_other_again(tmp_path, work):
    for seed in range(6):
        pictures.save(tmp_path / "in" / f"{seed}.png", seed)
    work(tmp_path / "in", tmp_path / "out")
    stamps = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "out").glob("*.png")}
    for seed in range(6, 40):
        pictures.save(tmp_path / "in" / f"{seed}.png", seed)
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert total(answers, "restored") == 34 and total(answers, "held") == 6
    assert len(rows) == 40  # `table` fails if a name is there twice
    assert stamps == {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in stamps}


def test_failed_pictures_are_tried_again_when_asked_to(tmp_path, work):
    pictures.save(tmp_path / "in" / "a.png", 0)
    (tmp_path / "in" / "b.png").write_bytes(b"not yet")
    work(tmp_path / "in", tmp_path / "out")
    pictures.save(tmp_path / "in" / "b.png", 1)
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert total(answers, "restored") == 0 and rows["b.png"]["error"]
    answers, rows = work(tmp_path / "in", tmp_path / "out", retry=True)
    assert total(answers, "restored") == 1 and rows["b.png"]["error"] is None
    assert pictures.results(tmp_path / "out") == ["a.png", "b.png"]


def test_a_part_that_was_stopped_goes_on_from_its_last_report(tmp_path, work, monkeypatch):
    for seed in range(8):
        pictures.save(tmp_path / "in" / f"{seed}.png", seed)
    monkeypatch.setattr(parts, "LEAST", 1)  # all in one part
    monkeypatch.setattr(worker, "FLUSH", 0.0)
    write = Place.write

    def full(self, name, data):
        if name == "5.png":
            raise PellucidError("the disk is full")
        write(self, name, data)

    monkeypatch.setattr(Place, "write", full)
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert "disk is full" in answers[0]["fatal"] and sorted(rows) == [f"{i}.png" for i in range(5)]
    monkeypatch.setattr(Place, "write", write)
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert (answers[0]["held"], answers[0]["restored"]) == (5, 3) and len(rows) == 8


def test_a_picture_over_which_two_workers_died_is_given_up(tmp_path, work):
    for name in ("a.png", "killer.png", "z.png"):
        pictures.save(tmp_path / "in" / name, 0)
    ledger = Ledger()
    source = parts.source_of(str(tmp_path / "in"))
    divided = parts.parts_of(source, parts.count_of(source), None)
    part = next(part.id for part in divided if "killer.png" in part.names)
    for flying in (("a.png", "killer.png"), ("killer.png",)):  # two workers that died
        ledger.start(part)
        ledger.begin(part, flying)
    answers, rows = work(tmp_path / "in", tmp_path / "out", ledger=ledger)
    assert total(answers, "restored") == 2 and "died" in rows["killer.png"]["error"]
    assert ledger.counted() == 3
    assert not ledger.flying and not ledger.deaths


def test_progress_says_what_is_done_how_fast_and_how_long_it_will_take():
    done = Summary(restored=90, failed=1, held=50, parts=3, pictures=100, seconds=200.0)
    line = "150/2000 pictures, 1 failed, 0.50 a second, about 1 h 2 min left"
    assert progress(done, Total(9, 2000)) == line  # 1850 pictures at two seconds each
    line = "150 pictures, 3/2163 shards, 1 failed, 0.50 a second, about 1 d 16 h left"
    assert progress(done, Total(2163, None)) == line  # 2160 shards at 66.7 seconds each
    assert progress(Summary(seconds=10.0), Total(9, 20)) == "0/20 pictures, 0.00 a second"


def test_a_target_with_other_things_or_another_run_is_refused(tmp_path, work):
    pictures.save(tmp_path / "in" / "a.png", 0)
    pictures.save(tmp_path / "other" / "b.png", 0)
    with pytest.raises(UsageError, match="not empty"):
        work(tmp_path / "in", tmp_path / "other")
    work(tmp_path / "in", tmp_path / "out")
    with pytest.raises(UsageError, match=r"strength is 1.0, not 0.5"):
        work(tmp_path / "in", tmp_path / "out", strength=0.5)
    with pytest.raises(UsageError, match="source is"):
        work(tmp_path / "other", tmp_path / "out")


def test_workers_elsewhere_are_told_the_whole_path_of_weights(tmp_path, monkeypatch):
    from pellucid.bulk import run
    from pellucid.cli import main

    pictures.save(tmp_path / "in" / "a.png", 0)
    (tmp_path / "mine.safetensors").touch()
    monkeypatch.chdir(tmp_path)
    told = []
    monkeypatch.setattr(run, "bulk", lambda *args: told.append(args[2].model) or Summary())
    for model in ("mine.safetensors", "lite"):
        assert main(["bulk", "in", "-o", "out", "--model", model, "--quiet"]) == 0
    assert told == [str(tmp_path / "mine.safetensors"), "lite"]


def test_a_cluster_that_wants_a_token_is_said(monkeypatch):
    ray = pytest.importorskip("ray")

    def init(**options):  # as ray.init ends in 2.60, with this text
        why = "Failed to connect to GCS. Last connection error: ray.exceptions.AuthenticationError:"
        raise ConnectionError("Failed to connect to Ray cluster at host:1") from RuntimeError(why)

    monkeypatch.setattr(ray, "init", init)
    said = r"^the cluster at host:1 wants its token: copy .* and set RAY_AUTH_MODE=token$"
    with pytest.raises(PellucidError, match=said), started(Cluster("host:1")):
        raise AssertionError


def test_a_model_that_cannot_be_loaded_stops_the_run(tmp_path):
    pictures.save(tmp_path / "in" / "a.png", 0)
    source, target = parts.source_of(str(tmp_path / "in")), Place(str(tmp_path / "out"))
    one = Worker(source.place, target, source.kind, Settings("no such model"), Machine("cpu"))
    (part,) = parts.parts_of(source, 1, None)
    answer = one(part.packed())
    assert "no such model" in answer["fatal"]
    assert not (tmp_path / "out").exists()


def test_names_that_a_new_format_makes_equal_stay_apart(tmp_path, work):
    for seed, name in enumerate(("a.png", "a.jpg", "b.jpg")):
        pictures.save(tmp_path / "in" / name, seed)
    _, rows = work(tmp_path / "in", tmp_path / "out", format=".png")
    assert pictures.results(tmp_path / "out") == ["a.jpg.png", "a.png", "b.png"]
    assert rows["a.jpg"]["output"] == "a.jpg.png"


def test_every_name_is_in_one_part_whatever_else_there_is():
    names = [f"{i}.png" for i in range(5000)]

    def divided(names):
        source = parts.Source(Place("/"), "pictures", names)
        return {name: part.id for part in parts.parts_of(source, 20, None) for name in part.names}

    few, many = divided(names[:1000]), divided(names)
    assert sorted(many) == sorted(names) and len(set(many.values())) == 20
    assert all(many[name] == part for name, part in few.items())


def test_a_packed_part_is_small_and_comes_back_whole():
    names = tuple(f"photographs/2026/11/IMG_{i:06d}.jpg" for i in range(256))
    part = parts.Part("part-0000001", names, names)
    assert parts.Part.unpacked(part.packed()) == part
    assert len(part.packed()["names"]) < sum(map(len, names)) / 4


def test_memory_does_not_grow_with_the_number_of_pictures(tmp_path, work, monkeypatch):
    psutil = pytest.importorskip("psutil")
    monkeypatch.setattr(parts, "LEAST", 1)
    for seed in range(50):  # 3 MB each in memory, as float32
        pictures.save(tmp_path / "in" / f"{seed}.jpg", seed, (512, 512))
    held = []
    written = Place.write

    def note(self, name, data):
        held.append(psutil.Process().memory_info().rss >> 20)
        written(self, name, data)

    monkeypatch.setattr(Place, "write", note)
    answers, _ = work(tmp_path / "in", tmp_path / "out")
    assert total(answers, "restored") == 50
    # Those 40 pictures and their results would be 240 MB.
    assert max(held[12:]) - max(held[:12]) < 80, held


# WebDataset --------------------------------------------------------------------


def tar(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as out:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1234
            out.addfile(info, io.BytesIO(data))


def members(path):
    with tarfile.open(path) as file:
        return {info.name: file.extractfile(info).read() for info in file}


def test_a_tar_keeps_its_members_their_order_and_what_is_no_picture(tmp_path, work):
    given = [
        ("one.jpg", encoded(1, "JPEG")),
        ("one.json", b'{"caption": "a"}'),
        ("two.png", encoded(2)),
        ("two.txt", b"b"),
    ]
    tar(tmp_path / "in" / "deep" / "000.tar", given)
    tar(tmp_path / "in" / "001.tar", [("three.png", encoded(3))])
    answers, rows = work(tmp_path / "in", tmp_path / "out")
    assert total(answers, "restored") == 3
    assert pictures.results(tmp_path / "out") == ["001.tar", "deep/000.tar"]
    made = members(tmp_path / "out" / "deep" / "000.tar")
    assert list(made) == [name for name, _ in given]
    assert made["one.json"] == b'{"caption": "a"}' and made["two.txt"] == b"b"
    assert Image.open(io.BytesIO(made["one.jpg"])).size == (32, 24)
    assert made["two.png"] != given[2][1]
    assert rows["deep/000.tar/one.jpg"]["output"] == "deep/000.tar/one.jpg"
    with tarfile.open(tmp_path / "out" / "001.tar") as file:
        assert [info.mtime for info in file] == [1234]


def test_a_sample_with_a_broken_picture_is_left_out_as_a_whole(tmp_path, work):
    broken = [("b.left.png", encoded(1)), ("b.right.png", b"no"), ("b.txt", b"t")]
    tar(tmp_path / "0.tar", [("a.png", encoded(0)), *broken, ("c.png", encoded(2))])
    answers, rows = work(tmp_path / "0.tar", tmp_path / "out")
    assert (total(answers, "restored"), total(answers, "failed")) == (2, 2)
    assert list(members(tmp_path / "out" / "0.tar")) == ["a.png", "c.png"]
    assert "another picture of its sample" in rows["0.tar/b.left.png"]["error"]
    assert rows["0.tar/b.right.png"]["error"]


def test_a_tar_that_is_cut_off_has_no_result_and_one_row(tmp_path, work):
    tar(tmp_path / "in" / "0.tar", [("a.png", encoded(0)), ("b.png", encoded(1, size=(300, 200)))])
    tar(tmp_path / "in" / "1.tar", [("c.png", encoded(2))])
    path = tmp_path / "in" / "0.tar"
    path.write_bytes(path.read_bytes()[:5000])
    _, rows = work(tmp_path / "in", tmp_path / "out")
    assert pictures.results(tmp_path / "out") == ["1.tar"]
    assert "damaged or unreadable shard" in rows["0.tar"]["error"] and len(rows) == 2


def test_a_tar_with_zeros_in_its_middle_has_no_result_and_one_row(tmp_path, work):
    tar(tmp_path / "0.tar", [(f"{i}.png", encoded(i)) for i in range(3)])
    whole = (tmp_path / "0.tar").read_bytes()
    with tarfile.open(tmp_path / "0.tar") as file:
        at = file.getmembers()[1].offset
    (tmp_path / "0.tar").write_bytes(whole[:at] + bytes(512) + whole[at + 512 :])
    _, rows = work(tmp_path / "0.tar", tmp_path / "out")
    assert not pictures.results(tmp_path / "out")
    assert "damaged in its middle" in rows["0.tar"]["error"]


def test_a_tar_of_large_blocks_is_restored_and_one_that_was_copied_in_part_is_not(tmp_path, work):
    tar(tmp_path / "in/0.tar", [("a.png", encoded(0)), ("b.png", encoded(1))])
    whole = (tmp_path / "in/0.tar").read_bytes()
    with tarfile.open(tmp_path / "in/0.tar") as file:
        end = file.getmembers()[1].offset_data + 512
    (tmp_path / "in/0.tar").write_bytes(whole.ljust(512 * 2048, b"\0"))  # as `tar -b 2048` does
    (tmp_path / "in/1.tar").write_bytes(whole[:end].ljust(512 * 2048, b"\0"))
    _, rows = work(tmp_path / "in", tmp_path / "out")
    assert pictures.results(tmp_path / "out") == ["0.tar"]
    assert "bytes are zeros, as of a copy that was cut short" in rows["1.tar"]["error"]


def test_a_shard_that_is_done_is_not_done_again_even_if_it_holds_no_picture(tmp_path, work):
    tar(tmp_path / "0.tar", [("a.txt", b"t")])
    work(tmp_path / "0.tar", tmp_path / "out")
    stamp = (tmp_path / "out" / "0.tar").stat().st_mtime_ns
    work(tmp_path / "0.tar", tmp_path / "out")
    assert (tmp_path / "out" / "0.tar").stat().st_mtime_ns == stamp


def test_a_tar_may_get_another_format(tmp_path, work):
    tar(tmp_path / "0.tar", [("a.jpg", encoded(0, "JPEG")), ("a.cls", b"1")])
    work(tmp_path / "0.tar", tmp_path / "out", format=".png")
    made = members(tmp_path / "out" / "0.tar")
    assert list(made) == ["a.png", "a.cls"]
    assert Image.open(io.BytesIO(made["a.png"])).format == "PNG"


# Parquet -----------------------------------------------------------------------


def test_a_struct_column_and_all_others_are_kept(tmp_path, work):
    images = [{"bytes": encoded(i, "JPEG"), "path": f"{i}.jpg"} for i in range(40)]
    table = pa.table({"id": list(range(40)), "image": images, "caption": ["x"] * 40})
    table = table.replace_schema_metadata({"huggingface": "{}"})
    (tmp_path / "in").mkdir()
    pq.write_table(table, tmp_path / "in" / "0.parquet")
    answers, rows = work(tmp_path / "in", tmp_path / "out", format=".png")
    assert total(answers, "restored") == 40
    made = pq.read_table(tmp_path / "out" / "0.parquet")
    assert made.schema.equals(table.schema) and made.schema.metadata == {b"huggingface": b"{}"}
    assert made["id"].to_pylist() == list(range(40))
    row = made["image"][7].as_py()
    assert row["path"] == "7.png" and Image.open(io.BytesIO(row["bytes"])).format == "PNG"
    assert rows["0.parquet/39"]["output"] == "0.parquet/39"
    assert pq.read_table(tmp_path / "out").num_rows == 40  # the reports are not among the results


def test_broken_rows_are_left_out_and_empty_ones_stay(tmp_path, work):
    (tmp_path / "in").mkdir()
    table = pa.table({"photo": [encoded(0), b"no", None, encoded(1)], "id": [0, 1, 2, 3]})
    pq.write_table(table, tmp_path / "in" / "0.parquet")
    answers, _ = work(tmp_path / "in", tmp_path / "unnamed")
    assert "--column is one of: photo, id" in answers[0]["fatal"]
    answers, rows = work(tmp_path / "in", tmp_path / "out", column="photo")
    assert (total(answers, "restored"), total(answers, "failed")) == (2, 1)
    made = pq.read_table(tmp_path / "out" / "0.parquet")
    assert made["id"].to_pylist() == [0, 2, 3] and made["photo"][1].as_py() is None
    assert rows["0.parquet/1"]["error"]


# places ------------------------------------------------------------------------


def test_ranges_in_braces():
    assert expanded("s3://b/{08..10}.tar") == [f"s3://b/{i}.tar" for i in ("08", "09", "10")]
    assert len(expanded("{0..1}/{0..2}.tar")) == 6


def test_sources_are_told_apart(tmp_path):
    with pytest.raises(UsageError, match="nothing to restore"):
        parts.source_of(str(tmp_path))
    with pytest.raises(UsageError, match="nowhere: there is no such folder"):
        parts.source_of(str(tmp_path / "nowhere"))
    for name in ("b/2.tar", "b/1.tar", "c/.hidden/3.tar"):
        tar(tmp_path / name, [])
    source = parts.source_of(str(tmp_path))
    assert source.kind == "tar" and source.names == ["b/1.tar", "b/2.tar"]
    source = parts.source_of(f"{tmp_path}/b/{{1..2}}.tar")
    assert source.place.uri == f"{tmp_path}/b" and source.names == ["1.tar", "2.tar"]
    with pytest.raises(UsageError, match="no such file"):
        parts.source_of(f"{tmp_path}/b/9.tar")
    with pytest.raises(UsageError, match="cannot be listed over HTTP"):
        parts.source_of("http://127.0.0.1:1/folder")


def test_an_unfinished_shard_leaves_nothing(tmp_path):
    place = Place(str(tmp_path))
    with pytest.raises(ImageError), place.whole("a/0.tar") as path:
        path.write_bytes(b"half")
        raise ImageError("stop")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    with place.whole("a/0.tar") as path:
        path.write_bytes(b"whole")
    assert place.read("a/0.tar") == b"whole"


def test_reports_are_read_back(tmp_path):
    place = Place(str(tmp_path))
    assert reports.read(place, "p") is None
    reports.write(place, "p", [])
    assert reports.read(place, "p") == []
    reports.write(place, "p", [reports.failure("a.png", ImageError("the image: broken"))])
    (row,) = reports.read(place, "p")
    assert (row["name"], row["error"]) == ("a.png", "broken")


# S3 and HTTP -------------------------------------------------------------------


def test_pictures_from_s3_to_s3(s3, work):
    for seed in range(3):
        s3.write(f"in/{seed}.png", encoded(seed))
    s3.write("in/poison.png", b"no")
    answers, rows = work(f"{s3.uri}/in", f"{s3.uri}/out")
    assert (total(answers, "restored"), total(answers, "failed")) == (3, 1)
    assert [n for n in s3.names("out") if not n.startswith("_")] == ["0.png", "1.png", "2.png"]
    assert np.asarray(Image.open(io.BytesIO(s3.read("out/0.png")))).shape == (24, 32, 3)
    assert len(rows) == 4 and json.loads(s3.read("out/_reports/_run.json"))["kind"] == "pictures"
    assert total(work(f"{s3.uri}/in", f"{s3.uri}/out")[0], "held") == 4


def test_shards_from_s3_to_a_folder_and_back(s3, tmp_path, work):
    tar(tmp_path / "0.tar", [("a.png", encoded(0)), ("a.txt", b"t")])
    s3.write("shards/0.tar", (tmp_path / "0.tar").read_bytes())
    work(f"{s3.uri}/shards/{{0..0}}.tar", tmp_path / "out")
    assert list(members(tmp_path / "out" / "0.tar")) == ["a.png", "a.txt"]
    work(tmp_path / "out", f"{s3.uri}/back")
    assert s3.names("back") == ["0.tar", "_reports/0.tar.parquet", "_reports/_run.json"]


def test_a_bucket_that_is_not_there_is_a_usage_error(s3):
    with pytest.raises(UsageError, match="no-such-bucket"):
        parts.source_of("s3://no-such-bucket/folder")


def test_shards_from_a_web_server(web, tmp_path, work):
    tar(web.folder / "00.tar", [("a.png", encoded(0))])
    shutil.copy(web.folder / "00.tar", web.folder / "01.tar")
    answers, _ = work(f"{web.uri}/{{00..01}}.tar", tmp_path / "out")
    assert total(answers, "restored") == 2
    assert pictures.results(tmp_path / "out") == ["00.tar", "01.tar"]
    with pytest.raises(UsageError, match="cannot be written over HTTP"):
        bulk(parts.source_of(f"{web.uri}/00.tar"), Place(web.uri), Settings(), Machine())
