import json

import numpy as np
import pytest
from PIL import Image

import pellucid.loading
from evaluation.making import clean, pairs, save
from pellucid.evaluation.cases import Case
from pellucid.evaluation.scoring import read_rows


@pytest.fixture(autouse=True)
def without_perceptual_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def evaluate(run, weights, folder):
    """`pellucid evaluate` on `set`, pairs of two columns."""
    pairs(folder / "set")

    def call(*argv, models=("net",), protocol="native"):
        files = [weights / f"{name}.safetensors" for name in models]
        common = ["--protocol", protocol, "--data", "set", "--device", "cpu", "--quiet"]
        return run("evaluate", *files, *common, *argv)

    return call


def test_a_model_gets_its_table_and_its_reports(evaluate, folder):
    status, out, err = evaluate()
    assert status == 0
    assert "protocol native" in out and "psnr_rgb" in out and "mean of columns" in out
    assert "noisy" in out and "…" not in out
    assert "not measured: lpips-alex, lpips-vgg, niqe, fid" in err
    made = folder / "evaluations/native/net"
    names = {"images.csv", "summary.json", "summary.md", "sheet.png", "gain.png", "restored"}
    assert {path.name for path in made.iterdir()} >= names
    rows = read_rows(made / "images.csv")
    assert len(rows) == 6 and all(row["detected"] for row in rows)
    summary = json.loads((made / "summary.json").read_text())
    assert summary["subset"] == {"columns": "", "limit": None}


def test_the_guard_can_be_left_out_and_the_report_says_so(evaluate, folder, monkeypatch):
    plain = pellucid.loading.load
    monkeypatch.setattr(
        pellucid.loading,
        "load",
        lambda *given, guard: plain(*given, guard=True if guard is None else guard),
    )
    for flags, guard in (((), True), (("--no-guard",), False)):
        evaluate("--limit", "1", "--out", str(guard), *flags)
        summary = json.loads((folder / str(guard) / "native/net/summary.json").read_text())
        assert summary["identity"]["guard"] is guard


def test_the_guard_judges_weights_from_a_file_if_asked(evaluate, folder):
    for flags in ((), ("--guard",)):
        assert evaluate("--limit", "1", "--out", f"o{len(flags)}", *flags)[0] == 0
        summary = json.loads((folder / f"o{len(flags)}/native/net/summary.json").read_text())
        assert summary["identity"].get("guard", False) is bool(flags)
    status, _, err = evaluate("--guard", "--no-guard", "--out", "o2")
    assert status == 2 and "--guard and --no-guard exclude each other" in err


def test_a_second_call_restores_nothing_again(evaluate, folder, monkeypatch):
    evaluate("--limit", "1")
    first = read_rows(folder / "evaluations/native/net/images.csv")
    evaluate()
    rows = read_rows(folder / "evaluations/native/net/images.csv")
    assert len(first) == 2 and len(rows) == 6 and rows[:2] == first


def test_the_ground_truth_of_another_tool_scores_infinity(evaluate, folder):
    for column in ("hazy", "noisy"):
        for number in range(3):
            save(folder / "theirs" / column / f"{number}.png", clean(number))
    status, out, _ = evaluate("--restored", "theirs", "--json", models=())
    (summary,) = json.loads(out)
    assert status == 0 and summary["model"] == "theirs"
    assert summary["average"]["columns"]["psnr_rgb"]["mean"] == "inf"
    assert summary["average"]["columns"]["ssim_y"]["mean"] == pytest.approx(1)


def test_models_and_folders_stand_side_by_side_with_paired_differences(evaluate, folder):
    evaluate()
    restored = folder / "evaluations/native/net/restored"
    status, out, _ = evaluate("--preset", "fast", "--restored", restored, models=("net", "sde"))
    assert status == 0 and "paired differences" in out and "sde-fast − net" in out
    compared = (folder / "evaluations/native/comparison.md").read_text()
    row = next(line for line in compared.splitlines() if line.startswith("| noisy"))
    # the files of a model differ from it by their rounding alone, which this protocol does as well
    assert row.endswith(("| +0.00 ± 0.00 |", "| -0.00 ± 0.00 |"))


def test_columns_and_images_can_be_chosen(evaluate, folder):
    status, out, _ = evaluate("--columns", "no*", "--limit", "2")
    rows = read_rows(folder / "evaluations/native/net/images.csv")
    assert status == 0 and [(r["column"], r["name"]) for r in rows] == [
        ("noisy", "0"),
        ("noisy", "1"),
    ]
    assert "only a subset: columns no*, limit 2" in out


def test_leaks_are_refused_unless_forced(evaluate, folder):
    mirrored = Image.fromarray(clean(1)).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    (folder / "train").mkdir()
    mirrored.save(folder / "train/77.png")
    save(folder / "train/78.png", clean(50))
    status, _, err = evaluate("--train", "train")
    assert status == 2 and "2 ground truths are among the training pictures" in err
    assert "set/noisy/GT/1.png is train/77.png mirrored" in err and "--force" in err
    assert not (folder / "evaluations").exists()
    status, _, err = evaluate("--train", "train", "--force")
    assert status == 0 and "train/77.png mirrored" in err
    (folder / "train/77.png").unlink()
    assert "ground truths" not in evaluate("--train", "train")[2]


def test_outdoor_rains_known_leak_is_refused(run, weights, folder, monkeypatch):
    """Scenes im_0301 to im_0350 are in the training pictures and the truths of Test1."""
    from dataclasses import replace

    from pellucid.evaluation import protocols

    row = protocols.PROTOCOLS["allweather-rgb"]
    rain = next(c for c in row.columns if c.name == "Outdoor-Rain-Test1")
    small = replace(rain, benchmark=replace(rain.benchmark, count=2))
    small = replace(row, columns=(small,))
    monkeypatch.setitem(protocols.PROTOCOLS, "allweather-rgb", small)
    for scene in (301, 302):
        save(folder / f"data/test/Outdoor-Rain-Test1/gt/im_0{scene}.png", clean(scene))
        name = f"im_0{scene}_s80_a04.png"
        save(folder / "data/test/Outdoor-Rain-Test1/input" / name, 255 - clean(scene))
    save(folder / "data/train/allweather/gt/im_0302_s90_a05.png", clean(302))
    common = ["--protocol", "allweather-rgb", "--data", "data", "--device", "cpu", "--quiet"]
    train = ["--train", "data/train/allweather/gt"]
    status, _, err = run("evaluate", weights / "net.safetensors", *common, *train)
    assert status == 2 and "1 ground truths" in err and "gt/im_0302.png is" in err


def test_what_cannot_be_scored_is_named_and_the_rest_is_done(evaluate, folder):
    (folder / "set/noisy/LQ/1.png").write_bytes(b"no picture")
    status, out, err = evaluate()
    assert status == 1 and "not scored: noisy/1: " in err and "mean of columns" in out
    assert len(read_rows(folder / "evaluations/native/net/images.csv")) == 5


@pytest.fixture
def losing(monkeypatch):
    """Before the picture of this number is read, files vanish, and others are cut short."""

    def lose(number, vanish=(), cut=()):
        plain, asked = Case.load, []

        def load(self):
            asked.append(self)
            if len(asked) == number:
                for path in vanish:
                    path.unlink()
                for path in cut:
                    path.write_bytes(path.read_bytes()[:99])
            return plain(self)

        monkeypatch.setattr(Case, "load", load)

    return lose


def test_pictures_that_go_while_others_are_scored_are_named_and_the_rest_is_done(
    evaluate, folder, losing
):
    root = folder / "set"
    ahead = [root / f"noisy/{name}" for name in ("LQ/1.png", "GT/2.png")]
    losing(3, vanish=[*ahead[:1], root / "hazy/GT/0.png"], cut=ahead[1:])
    status, out, err = evaluate()
    assert status == 1 and "mean of columns" in out
    assert "not scored: noisy/1: set/noisy/LQ/1.png: no such file" in err
    assert "not scored: noisy/2: set/noisy/GT/2.png: damaged or truncated" in err
    assert "left out of sheet.png: hazy/0: set/hazy/GT/0.png: no such file" in err
    made = folder / "evaluations/native/net"
    assert len(read_rows(made / "images.csv")) == 4 and Image.open(made / "sheet.png").size
    text = (made / "summary.md").read_text()
    assert "- failed: noisy/1: " in text and "- left out of sheet.png: hazy/0: " in text


def test_a_model_of_which_nothing_can_be_scored_costs_the_other_no_table(evaluate, folder, losing):
    files = sorted((folder / "set").glob("*/LQ/*.png"))
    losing(7, cut=files)  # the first one of the sheet of the first model
    status, out, err = evaluate(models=("net", "sde"))
    assert status == 1 and "net: protocol native" in out
    assert "sde: no picture could be scored; hazy/0: set/hazy/LQ/0.png: damaged or trunc" in err


def test_our_bench_needs_clean_photographs_alone(run, weights, folder):
    big = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    save(folder / "photos/a.png", big)
    chosen = ["--columns", "noisy@*", "clean", "--distortion-only", "--device", "cpu", "--quiet"]
    net = weights / "net.safetensors"
    status, out, err = run("evaluate", net, "--data", "photos", *chosen)
    assert status == 0 and "protocol pellucid-bench" in out and "noisy@0.75" in out
    assert "not measured" not in err
    save(folder / "photos/b.png", big[:99])
    status, out, err = run("evaluate", net, "--data", "photos", *chosen)
    assert status == 1 and "noisy@0.75" in out
    where = "noisy@0.25/b, noisy@0.5/b, noisy@0.75/b and 1 more"
    assert f"not scored: {where}: photos/b.png is smaller than 256 x 256 px" in err


def test_protocols_are_listed(run):
    status, out, _ = run("evaluate", "--list")
    assert status == 0
    for words in ("perceive-ir-5task", "1930", "804", "pellucid-bench", "WeatherDiffusion"):
        assert words in out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["net"], "--data"),
        (["--data", "set"], "name a model"),
        (["net", "--data", "nowhere"], "no such folder"),
        (["net", "--data", "set", "--protocol", "promptr"], "did you mean promptir"),
        (["net", "--data", "set", "--protocol", "promptir"], "CBSD68 is not in this folder"),
        (["net", "--data", "set", "--columns", "foggy"], "no column matches 'foggy'"),
        (["net", "--data", "set", "--limit", "0"], "--limit 0"),
        (["net", "--data", "set", "--train", "nowhere"], "no such folder"),
        (["net", "net", "--data", "set"], "several sources are called net"),
        (["net", "--data", "set", "--preset", "fast"], "one pass"),
        (["--restored", "nowhere", "--data", "set"], "not a folder of restored pictures"),
    ],
)
def test_bad_usage_is_told_before_any_work(run, weights, folder, argv, words):
    pairs(folder / "set", count=1)
    argv = [weights / "net.safetensors" if a == "net" else a for a in argv]
    argv += [] if "--protocol" in argv else ["--protocol", "native"]
    status, out, err = run("evaluate", *argv)
    assert status == 2 and words in err and not out
    assert not (folder / "evaluations").exists()


@pytest.fixture
def sets(run, weights, folder):
    """`pellucid evaluate --protocol sets` on noise and on pictures without a truth."""
    for number in range(3):
        save(folder / f"sets/noise/gt/{number}.png", clean(number))
        save(folder / f"sets/noise/lq/{number}.jpg", clean(number + 9))
        save(folder / f"sets/real/lq/{number}.png", clean(number))

    def call(*argv, models=("net",)):
        files = [weights / f"{name}.safetensors" for name in models]
        common = ["--protocol", "sets", "--data", "sets", "--device", "cpu", "--quiet"]
        return run("evaluate", *files, *common, *argv)

    return call


def test_sets_by_others_are_scored_in_three_ways(sets, folder):
    status, out, err = sets("--limit", "2", "--sheets")
    assert status == 0 and "reports are in evaluations/sets" in err
    assert "net, blind, set by set" in out and "by what the model is told" in out
    assert "named as; expected calibration error" in out and "…" not in out
    made = folder / "evaluations/sets/net"
    names = {"blind", "told", "unguided", "summary.json", "summary.md", "sheets"}
    assert {path.name for path in made.iterdir()} == names
    assert len(read_rows(made / "blind/images.csv")) == 4
    assert len(read_rows(made / "told/images.csv")) == 2


def test_models_and_another_tools_results_on_sets_stand_side_by_side(sets, folder):
    for number in range(3):
        save(folder / f"theirs/noise/{number}.png", clean(number))
        save(folder / f"theirs/real/{number}.png", clean(number))
    argv = ["--ways", "told", "--restored", "theirs", "--json"]
    status, out, _ = sets(*argv, models=())
    assert status == 0 and json.loads(out)[0]["all"]["restored"]["output"] == 99
    argv = ["--ways", "told", "--preset", "fast"]
    status, out, _ = sets(*argv, models=("net", "sde"))
    assert status == 0 and "side by side" in out
    table = (folder / "evaluations/sets/comparison.md").read_text()
    assert "| gain, told (harmed) | net | sde-fast |" in table


def test_results_of_another_tool_stand_beside_a_model_that_was_asked_in_a_way(sets, folder):
    for number in range(2):
        save(folder / f"theirs/noise/{number}.png", clean(number))
    status, out, err = sets("--ways", "blind", "--restored", "theirs", "--columns", "noise")
    assert status == 1 and "not scored: theirs, restored: noise/2: theirs/noise/2: there" in err
    table = (folder / "evaluations/sets/comparison.md").read_text()
    assert "side by side" in out and "| gain (harmed) | net, blind | theirs, restored |" in table


def test_pictures_of_sets_that_go_while_others_are_scored_are_named(sets, folder, losing):
    noise = folder / "sets/noise"
    losing(2, vanish=[noise / "gt/0.png"], cut=[noise / "lq/2.jpg"])
    ways = ["--ways", "blind", "told", "--columns", "noise", "--sheets"]
    status, out, err = sets(*ways)
    assert status == 1 and "net, blind, set by set" in out
    assert "not scored: net, blind: noise/2, net, told: noise/2: sets/noise/lq/2.jpg: dam" in err
    assert "not scored: net, told: noise/0: sets/noise/gt/0.png: no such file" in err
    assert "left out of sheets/noise.png: noise/0: sets/noise/gt/0.png: no such file" in err
    made = folder / "evaluations/sets/net"
    assert "left out of sheets/noise.png" in (made / "summary.md").read_text()
    assert Image.open(made / "sheets/noise.png").size[0] > 3 * 48


def test_a_way_that_no_picture_can_be_asked_in_is_said(sets):
    status, _, err = sets("--ways", "told", "--columns", "real")
    assert status == 2 and "--ways told: no picture here can be asked about so" in err


def test_what_only_sets_have_is_refused_elsewhere(evaluate, sets):
    assert "are for --protocol sets" in evaluate("--ways", "blind")[2]
    assert "the ways are blind, told, unguided, masked" in sets("--ways", "loud")[2]
