import json
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.utils import DistributedType
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pellucid.checkpoints.bundle import load_bundle
from pellucid.errors import PellucidError, UsageError
from pellucid.training import checkpoint, loop
from pellucid.training.batches import StepSampler, seed_of
from pellucid.training.config import EMAConfig, OptimizerConfig
from pellucid.training.tasks.restore import RestoreTask
from processes import Process
from training import tiny_run


def weights(output: Path) -> dict[str, torch.Tensor]:
    return checkpoint.newest(output)["model"]


def close(a: dict, b: dict) -> bool:
    return all(torch.allclose(a[name], b[name], rtol=1e-4, atol=1e-6) for name in a)


def test_training_lowers_the_error_and_the_averaged_weights_are_exported(tmp_path):
    fast = OptimizerConfig(lr=0.01, clip_norm=1.0)
    result = tiny_run.run(
        tmp_path, validation=tiny_run.Noisy(), steps=80, batch_size=4, save_every=80, optimizer=fast
    )
    assert result.stopped == "finished" and result.step == 80
    assert result.validation["psnr"] > result.validation["psnr_input"] + 1
    assert result.validation["psnr/noisy"] == result.validation["psnr"]
    state, meta = load_bundle(tmp_path / "weights.safetensors")
    held = checkpoint.newest(tmp_path)
    for name, value in state.items():
        assert torch.equal(value, held["ema"][f"network.{name}"])
    assert not torch.equal(held["ema"]["network.stem.weight"], held["model"]["network.stem.weight"])
    assert meta["kind"] == "resunet" and meta["step"] == 80
    assert meta["config"]["widths"] == [8, 8]
    assert meta["train"]["optimizer"]["lr"] == 0.01


def test_the_average_of_a_run_is_that_of_its_weights(tmp_path):
    """One checkpoint a step; the average recomputed from them, from the schedule's formula."""
    tiny_run.run(tmp_path, steps=6, save_every=1, keep=100, ema=EMAConfig(decay=0.7))
    states = [torch.load(path) for path in checkpoint.listed(tmp_path)]
    expected = None
    for step, state in enumerate(states, 1):
        weight = state["model"]["network.stem.weight"].double()
        decay = min(0.7, 1 - step ** (-2 / 3)) if step > 1 else 0.0
        expected = weight if expected is None else decay * expected + (1 - decay) * weight
        average = state["ema"]["network.stem.weight"].double()
        torch.testing.assert_close(average, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("in_hardware", "same_as"), [(True, "bf16"), (False, "no")])
def test_automatic_precision_is_what_the_hardware_multiplies_in(
    tmp_path, monkeypatch, in_hardware, same_as
):
    monkeypatch.setattr("pellucid.hardware.has_fast_bfloat16", lambda device: in_hardware)
    for precision in ("auto", "no", "bf16"):
        tiny_run.run(tmp_path / precision, steps=3, precision=precision)
    auto = weights(tmp_path / "auto")["network.stem.weight"]
    for precision in ("no", "bf16"):
        equal = torch.equal(auto, weights(tmp_path / precision)["network.stem.weight"])
        assert equal == (precision == same_as)


def test_a_run_leaves_its_config_metrics_pictures_and_tensorboard(tmp_path):
    tiny_run.run(tmp_path, validation=tiny_run.Noisy(), steps=8, validate_every=4)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [4, 8]
    assert [line["step"] for line in lines if "validation/psnr" in line] == [4, 8]
    assert {"loss", "psnr", "lr", "grad_norm", "samples_per_second"} <= set(lines[0])
    assert "steps: 8" in (tmp_path / "config.yaml").read_text()
    assert list((tmp_path / "tensorboard").iterdir())
    with Image.open(tmp_path / "validation" / "step-00000008.png") as grid:
        assert grid.width == 3 * 256 + 8
        rows, pixels = grid.height // (20 + 256 + 4), np.asarray(grid)
    assert rows == 5 and pixels[:20].any() and pixels[20 : 20 + 256].any()  # labels, pictures
    board = EventAccumulator(str(tmp_path / "tensorboard"), {"images": 0})
    board.Reload()
    names = [f"validation/{i} noisy" for i in range(1, 6)]
    assert board.Tags()["images"] == names
    assert [point.step for point in board.Images(names[0])] == [4, 8]
    assert board.Images(names[0])[0].height == 20 + 256 + 4


def test_accumulating_micro_batches_is_one_large_batch(tmp_path):
    tiny_run.run(tmp_path / "large", batch_size=4, steps=6)
    tiny_run.run(tmp_path / "small", batch_size=1, accumulation=4, steps=6)
    assert close(weights(tmp_path / "large"), weights(tmp_path / "small"))


def test_every_step_sees_the_same_samples_however_they_are_shared_out():
    def seen(batch_size, accumulation, world, start=0):
        config = tiny_run.config("", steps=3, batch_size=batch_size, accumulation=accumulation)
        ranks = [list(StepSampler(config, start, rank, world)) for rank in range(world)]
        assert all(len(r) == (3 - start) * accumulation for r in ranks)
        steps = [[] for _ in range(3 - start)]
        for rank in ranks:
            for i, indices in enumerate(rank):
                steps[i // accumulation] += indices
        return [sorted(step) for step in steps]

    whole = seen(8, 1, 1)
    assert whole == [list(range(8 * s, 8 * s + 8)) for s in range(3)]
    assert seen(2, 2, 2) == seen(1, 8, 1) == seen(4, 1, 2) == whole
    assert seen(2, 2, 2, start=1) == whole[1:]


def test_seeds_differ_for_every_step_process_and_micro_batch():
    seeds = {seed_of(0, s, r, m) for s in range(20) for r in range(4) for m in range(4)}
    assert len(seeds) == 320 and all(0 <= s < 2**63 for s in seeds)
    assert seed_of(0, 1, 0, 0) == seed_of(0, 1, 0, 0)


def test_two_processes_train_as_one_with_twice_the_batch(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for rank in range(2):
        folder = tmp_path / str(rank)
        folder.mkdir()
        environment = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        argv = (str(tmp_path / "two"), "steps=6", "batch_size=2", "validate=4")
        processes.append(Process(tiny_run.main, *argv, folder=folder, environment=environment))
    one = tiny_run.run(
        tmp_path / "one", steps=6, batch_size=4, validation=tiny_run.Noisy(), validate_every=4
    )
    assert [process.wait() for process in processes] == [0, 0], [p.err for p in processes]
    assert close(weights(tmp_path / "one"), weights(tmp_path / "two"))
    lines = (tmp_path / "two" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["validation/psnr"] == pytest.approx(one.validation["psnr"], abs=1e-3)


def test_soap_is_refused_where_kernels_are_cut_up(tmp_path, monkeypatch):
    def sharding(config):
        accelerator = plain(config)
        accelerator.state.distributed_type = DistributedType.FSDP
        return accelerator

    plain = loop._accelerator
    monkeypatch.setattr(loop, "_accelerator", sharding)
    with pytest.raises(UsageError, match="SOAP needs whole kernels"):
        tiny_run.run(tmp_path, optimizer=OptimizerConfig("soap"))
    assert not list(tmp_path.iterdir())


def test_a_step_whose_gradient_is_not_finite_changes_nothing(tmp_path):
    class Broken(RestoreTask):
        def forward(self, batch, generator):
            loss, metrics = super().forward(batch, generator)
            return loss * float("nan"), metrics

    task = Broken(tiny_run.network())
    with pytest.raises(PellucidError, match="not finite"):
        tiny_run.train(tiny_run.config(tmp_path, steps=100), task, tiny_run.Noisy())
    untouched = tiny_run.network().state_dict()
    assert all(torch.equal(untouched[k], v) for k, v in task.network.state_dict().items())


def test_without_an_average_the_trained_weights_are_exported(tmp_path):
    tiny_run.run(tmp_path, steps=4, ema=EMAConfig(decay=0), save_every=4)
    state, _ = load_bundle(tmp_path / "weights.safetensors")
    assert all(torch.equal(weights(tmp_path)[f"network.{k}"], v) for k, v in state.items())


def test_frozen_parameters_are_not_in_checkpoints(tmp_path):
    task = RestoreTask(tiny_run.network())
    task.tower_like = torch.nn.Linear(4, 4).requires_grad_(False)
    tiny_run.train(tiny_run.config(tmp_path, steps=3), task, tiny_run.Noisy())
    state = checkpoint.newest(tmp_path)
    assert state["model"] and not any("tower_like" in name for name in state["model"])
    assert not any("tower_like" in name for name in state["ema"])
