import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import torch

from data import making
from pellucid.checkpoints.bundle import load_bundle, read_meta
from pellucid.data.crops import TwoCrops
from pellucid.data.folders import CaptionedPairs, PairedFolders
from pellucid.data.generated import GeneratedPairs
from pellucid.data.photos import CleanPhotos
from pellucid.data.shards import ShardedPairs, write_shards
from pellucid.data.table import CaptionWriter
from pellucid.data.triplets import Triplets, render
from pellucid.data.windows import Windows
from pellucid.errors import UsageError
from pellucid.networks.resunet import ResUNetConfig
from pellucid.training import checkpoint, loop
from pellucid.training.config import DataConfig, EMAConfig, check_resumable, save_yaml
from pellucid.training.data import Shuffled
from pellucid.training.tasks.restore import RestoreOptions, RestoreTask
from processes import Process
from training import tiny_run


def same(a, b) -> bool:
    """Say whether two nested states are equal bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def start(output: Path, *settings: str) -> Process:
    output.mkdir(exist_ok=True)
    return Process(tiny_run.main, str(output), *settings, folder=output)


def records(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_a_run_killed_by_sigkill_and_started_again_ends_the_same_bit_for_bit(tmp_path):
    killed = start(tmp_path / "killed", "kill=17")  # a sample of step 8
    tiny_run.run(tmp_path / "whole")
    assert killed.wait() == -signal.SIGKILL
    assert checkpoint.newest(tmp_path / "killed")["step"] == 6
    assert start(tmp_path / "killed").wait() == 0
    whole = checkpoint.newest(tmp_path / "whole")
    assert whole["step"] == 12
    assert same(checkpoint.newest(tmp_path / "killed"), whole)


def test_a_run_killed_while_it_saves_goes_on_from_what_is_whole(tmp_path):
    # The calls are of config.yaml, and of weights and checkpoint, in this order, at steps 3 and 6.
    points = [(call, number) for number in (4, 5) for call in ("fsync", "replace")]
    outputs = [tmp_path / f"{call}-{number}" for call, number in points]
    killed = []
    for output, point in zip(outputs, points, strict=True):
        output.mkdir()
        killed.append(Process(tiny_run.killed_at, str(output), *point, folder=output))
    tiny_run.run(tmp_path / "whole", steps=6)
    weights, _ = load_bundle(tmp_path / "whole/weights.safetensors")
    wanted = checkpoint.newest(tmp_path / "whole")
    for output, (_, number), process in zip(outputs, points, killed, strict=True):
        assert process.wait() == -signal.SIGKILL
        assert checkpoint.newest(output)["step"] == 3
        step = read_meta(output / "weights.safetensors")["step"]
        assert step == (3 if number == 4 else 6)  # 5: between the weights and the last checkpoint
        (half,) = [p for p in output.rglob("*") if p.suffix in (".tmp", ".partial")]
        assert half.stat().st_size > 10_000
        assert tiny_run.run(output, steps=6).step == 6
        assert same(checkpoint.newest(output), wanted)
        assert same(load_bundle(output / "weights.safetensors")[0], weights)
        assert not half.exists()


@pytest.mark.parametrize(
    ("precision", "name"), [("no", "adamw"), ("bf16", "adamw"), ("no", "muon"), ("no", "soap")]
)
def test_either_precision_and_every_optimiser_resume_bit_for_bit(tmp_path, precision, name):
    chosen = tiny_run.OptimizerConfig(name, lr=3e-3, weight_decay=0.01, clip_norm=1.0)
    changes = {"precision": precision, "accumulation": 2, "optimizer": chosen}
    tiny_run.run(tmp_path / "whole", **changes)
    with pytest.raises(tiny_run.Stop):
        tiny_run.run(tmp_path / "cut", fail=7 * 4 + 1, **changes)
    assert checkpoint.newest(tmp_path / "cut")["step"] == 6
    tiny_run.run(tmp_path / "cut", **changes)
    assert same(checkpoint.newest(tmp_path / "cut"), checkpoint.newest(tmp_path / "whole"))
    # Nothing is logged twice.
    assert [r["step"] for r in records(tmp_path / "cut")] == [4, 8, 12]


def test_a_damaged_newest_checkpoint_is_passed_over(tmp_path, capsys):
    tiny_run.run(tmp_path, steps=6)
    newest = checkpoint.listed(tmp_path)[-1]
    whole = newest.read_bytes()
    at = len(whole) // 2  # in a tensor: torch.load does not notice it
    flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
    for damaged in (whole[:1000], b"<html>", b"", bytes(len(whole)), flipped):
        newest.write_bytes(damaged)
        assert checkpoint.newest(tmp_path)["step"] == 3
        said = capsys.readouterr().out
        assert re.search(
            f"passed over the checkpoint .*{newest.name}: damaged( or cut short)?$", said
        )
    assert tiny_run.run(tmp_path, steps=6).step == 6


def test_the_newest_checkpoints_are_kept_and_no_partial_file_is_left(tmp_path):
    tiny_run.run(tmp_path, steps=12, keep=2)
    names = sorted(p.name for p in checkpoint.folder(tmp_path).iterdir())
    assert names == ["step-00000009.pt", "step-00000012.pt"]


def test_no_resume_cut_short_leaves_no_checkpoint_of_the_former_run(tmp_path, monkeypatch):
    tiny_run.run(tmp_path, steps=3)

    def written(*arguments):
        save_yaml(*arguments)
        raise tiny_run.Stop

    monkeypatch.setattr(loop, "save_yaml", written)
    with pytest.raises(tiny_run.Stop):
        tiny_run.run(tmp_path, steps=6, seed=1, resume=False)
    assert not checkpoint.listed(tmp_path)


def test_no_resume_starts_over(tmp_path):
    tiny_run.run(tmp_path, steps=6)
    first = checkpoint.newest(tmp_path)
    tiny_run.run(tmp_path, steps=6, batch_size=3, resume=False)
    assert not same(checkpoint.newest(tmp_path)["model"], first["model"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_cleanly_though_the_workers_get_it_too(tmp_path, number):
    process = start(tmp_path, "steps=100000", "save_every=100000", "workers=1", "log_every=1")
    process.until((tmp_path / "metrics.jsonl").exists)
    os.killpg(process.pid, number)
    assert process.wait() == 0, process.err
    assert "stopped by signal" in process.out
    assert checkpoint.newest(tmp_path)["step"] >= 1
    assert (tmp_path / "weights.safetensors").exists()


def test_sigterm_saves_and_the_run_goes_on_from_there(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    result = tiny_run.run(tmp_path, terminate=13)  # a sample of step 6
    assert result.stopped == "signal" and result.step == 7
    assert tiny_run.run(tmp_path).step == 12
    assert signal.getsignal(signal.SIGTERM) == before


def test_max_minutes_stops_with_a_checkpoint(tmp_path):
    result = tiny_run.run(tmp_path, steps=10**6, save_every=10**6, max_minutes=0.01)
    assert result.stopped == "time" and 0 < result.step < 10**6
    assert checkpoint.newest(tmp_path)["step"] == result.step


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"batch_size": 3}, "a step takes 3 samples .*, but .* takes 2"),
        ({"accumulation": 2}, "a step takes 4 samples .*, but .* takes 2"),
        ({"seed": 1}, "--seed is 1, but .* has 0"),
        ({"data": DataConfig(crop=32)}, "--data.crop is 32, but .* has"),
        ({"data": DataConfig(words=("noisy",))}, "--data.words is .*noisy"),
    ],
)
def test_a_run_with_other_samples_is_not_resumed_and_nothing_is_lost(tmp_path, change, named):
    tiny_run.run(tmp_path, steps=3)
    held, config = checkpoint.newest(tmp_path), (tmp_path / "config.yaml").read_text()
    with pytest.raises(UsageError, match=named):
        tiny_run.run(tmp_path, steps=6, **change)
    assert same(checkpoint.newest(tmp_path), held)
    assert (tmp_path / "config.yaml").read_text() == config


def test_a_run_with_another_optimiser_is_not_resumed(tmp_path):
    tiny_run.run(tmp_path, steps=3)
    with pytest.raises(UsageError, match=r"--optimizer.name is soap, but .* has adamw"):
        tiny_run.run(tmp_path, steps=6, optimizer=tiny_run.OptimizerConfig("soap"))


def test_a_run_with_a_network_of_other_sizes_is_not_resumed_and_the_flag_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    sizes = [ResUNetConfig(widths, (1,), 1, (1,)) for widths in ((8, 8), (8, 16))]
    before, now = (tiny_run.config(tmp_path, task=RestoreOptions(network=s)) for s in sizes)
    save_yaml(before, path)
    assert check_resumable(before, path, 1, 1) == []
    with pytest.raises(UsageError, match=r"--task.network.widths is \[8, 16\], but .* \[8, 8\]"):
        check_resumable(now, path, 1, 1)


@pytest.mark.parametrize("text", ["steps: 3", "{seed: 0, data: 3}", "[1]", "a: [", "\xff"])
def test_a_run_whose_config_is_damaged_is_not_gone_on_with(tmp_path, text):
    tiny_run.run(tmp_path, steps=3)
    (tmp_path / "config.yaml").write_bytes(text.encode("latin1"))
    with pytest.raises(UsageError, match=r"config.*yaml"):
        tiny_run.run(tmp_path, steps=6)
    assert checkpoint.newest(tmp_path)["step"] == 3


def test_a_run_may_be_resumed_with_more_steps_and_other_validation_data(tmp_path):
    tiny_run.run(tmp_path, steps=3)
    assert tiny_run.run(tmp_path, steps=6, data=DataConfig(validation="other")).step == 6
    assert "steps: 6" in (tmp_path / "config.yaml").read_text()


def test_a_finished_run_keeps_the_config_that_it_ran_with_and_says_so(tmp_path, capsys):
    tiny_run.run(tmp_path, steps=3)
    before = (tmp_path / "config.yaml").read_text()
    tiny_run.run(tmp_path, steps=3)
    assert "warning" not in capsys.readouterr().out
    tiny_run.run(tmp_path, steps=3, log_every=2)
    assert (tmp_path / "config.yaml").read_text() == before
    said = "warning the run is finished, so these options do nothing: --log-every"
    assert said in capsys.readouterr().out


def test_a_run_that_goes_on_with_other_options_says_so(tmp_path, capsys):
    tiny_run.run(tmp_path, steps=3)
    tiny_run.run(tmp_path, steps=6, log_every=2, ema=EMAConfig(decay=0.5))
    said = "warning going on with other options than before: --ema.decay, --log-every"
    assert said in capsys.readouterr().out


def test_tensorboard_keeps_the_last_point_before_a_resume(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tiny_run.run(tmp_path, steps=4, save_every=4)
    # In a process of its own and later: TensorBoard reads files in the order of their names, which
    # have the second and the process.
    time.sleep(1)
    assert start(tmp_path, "steps=8", "save_every=4").wait() == 0
    board = EventAccumulator(str(tmp_path / "tensorboard"))
    board.Reload()
    assert [point.step for point in board.Scalars("train/loss")] == [4, 8]


def test_a_run_that_goes_on_with_other_pictures_says_so_to_its_end(tmp_path, capsys):
    def run(pictures, steps):
        dataset = tiny_run.Noisy()
        dataset.sources = {"noisy": pictures}
        task = RestoreTask(tiny_run.network())
        return loop.train(tiny_run.config(tmp_path, steps=steps), task, dataset)

    assert run(["a", "b", "c"], 3).changes == run(["a", "b", "c"], 6).changes == []
    lost = "from step 6 with other training pictures (noisy: 2 instead of 3)"
    assert run(["a", "c"], 9).changes == [lost]
    assert f"warning going on {lost}" in capsys.readouterr().out
    renamed = "from step 9 with other training pictures (noisy: 2, not the same)"
    assert run(["a", "d"], 12).changes == run(["e"], 12).changes == [lost, renamed]
    assert read_meta(tmp_path / "weights.safetensors")["changes"] == [lost, renamed]


def test_every_data_set_tells_what_its_samples_are_drawn_from(tmp_path):
    pairs = making.dataset(tmp_path / "pairs", {"hazy": 2, "rainy": 1})
    plain = PairedFolders(pairs, crop=16)
    names = {"hazy": ["hazy/LQ/000.png", "hazy/LQ/001.png"], "rainy": ["rainy/LQ/000.png"]}
    assert plain.sources == TwoCrops(plain, 8).sources == names
    photos = CleanPhotos(making.photos(tmp_path / "photos"))
    assert GeneratedPairs(photos).sources == {"photographs": ["0.png", "1.png", "2.png"]}
    CaptionWriter(pairs / "all.csv").append([("hazy/LQ/001.png", "a cat", "hazy")])
    captions = CaptionedPairs(pairs / "all.csv")
    assert Shuffled(captions, 0).sources == {"captions": ["001.png: a cat"]}
    write_shards(pairs, tmp_path / "shards", each=2)
    assert ShardedPairs(tmp_path / "shards").sources["shards"][0] == "pairs-00000.tar"
    render(pairs, tmp_path / "triplets", [("same", lambda photo: photo)] * 2)
    assert {task: len(n) for task, n in Triplets(tmp_path / "triplets").sources.items()} == {
        "hazy": 2,
        "rainy": 1,
    }
    (tmp_path / "windows-00000.json").write_text('["noisy", "clean"]')
    assert Windows(tmp_path, None).sources == {"windows": ["noisy", "clean"]}
