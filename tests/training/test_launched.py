import json
import re
import socket
from pathlib import Path

import pytest
import torch
from accelerate.commands import launch
from accelerate.utils.launch import prepare_multi_gpu_env

from pellucid.checkpoints.bundle import load_bundle
from pellucid.training import checkpoint
from pellucid.training.loop import train
from pellucid.training.tasks.restore import RestoreTask
from processes import Process
from training import launched_run, tiny_run

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "examples" / "many_gpus" / "fsdp2.yaml"


def launched(output: Path) -> str:
    """`launched_run` as two processes with the environment that accelerate makes of the config.

    Its launcher itself would only start two interpreters more.
    """
    arguments = ["--config_file", str(CONFIG), "--num_processes", "2", launched_run.__file__]
    args, _, _ = launch._validate_launch_command(
        launch.launch_command_parser().parse_args(arguments)
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **{name: str(value) for name, value in prepare_multi_gpu_env(args).items()},
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"},
    }
    processes = []
    for rank in range(2):
        folder = output.with_name(f"rank-{rank}")
        folder.mkdir()
        own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
        started = Process(launched_run.main, str(output), folder=folder, environment=own)
        processes.append(started)
    assert [process.wait(600) for process in processes] == [0, 0], [p.err for p in processes]
    return processes[0].out


def test_a_run_goes_on_sharded_over_two_processes_and_in_one_again_as_if_it_had_stayed_one(
    tmp_path,
):
    def run(name, dataset=None, steps=launched_run.STEPS):
        config = launched_run.config(tmp_path / name, steps=steps)
        noisy = dataset or tiny_run.Noisy()
        return train(config, RestoreTask(tiny_run.network()), noisy, tiny_run.Noisy())

    whole = run("whole")
    assert run("moved", tiny_run.Noisy(terminate=11)).step == 3
    said = re.search(r"(\d+) sharded, (\d+) recomputed", launched(tmp_path / "moved"))
    blocks = sum(type(m).__name__ == "ResBlock" for m in tiny_run.network().modules())
    assert int(said[1]) > int(said[2]) == blocks > 1  # each block, and the root in shards

    a, b = (checkpoint.newest(tmp_path / name) for name in ("whole", "moved"))
    assert b["step"] == launched_run.STEPS and (a["processes"], b["processes"]) == (1, 2)
    for part in ("model", "ema"):
        torch.testing.assert_close(b[part], a[part], rtol=1e-4, atol=1e-6)
    assert a["optimizer"]["state"].keys() == b["optimizer"]["state"].keys()
    for name, held in a["optimizer"]["state"].items():
        moved = b["optimizer"]["state"][name]["exp_avg"]
        torch.testing.assert_close(moved, held["exp_avg"], rtol=1e-3, atol=1e-6)
    weights = (load_bundle(tmp_path / n / "weights.safetensors")[0] for n in ("moved", "whole"))
    torch.testing.assert_close(*weights, rtol=1e-4, atol=1e-6)
    last = json.loads((tmp_path / "moved" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["validation/psnr"] == pytest.approx(whole.validation["psnr"], abs=1e-3)

    for name in ("whole", "moved"):  # from two processes to one
        assert run(name, steps=8).step == 8
    a, b = (checkpoint.newest(tmp_path / name) for name in ("whole", "moved"))
    torch.testing.assert_close(b["model"], a["model"], rtol=1e-4, atol=1e-6)
