import os
import subprocess
import sys
from pathlib import Path

import torch

from training import sharded_run
from training.test_resume import same


def test_a_network_sharded_over_two_processes_trains_saves_and_restores_as_a_whole_one(tmp_path):
    script = Path(sharded_run.__file__)
    source = f"{script.parents[2] / 'src'}{os.pathsep}{script.parents[1]}"
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                str(script),
                str(rank),
                str(tmp_path / "store"),
                str(tmp_path / "out"),
            ],
            env={**os.environ, "PYTHONPATH": source},
        )
        for rank in range(2)
    ]
    one = sharded_run.train(0, 1)
    assert one["refused"] == [True, True]
    assert [process.wait(120) for process in processes] == [0, 0]
    two = torch.load(tmp_path / "out")
    assert same(two["again"], two["state"])
    assert two["state"]["optimizer"]["state"].keys() == one["state"]["optimizer"]["state"].keys()
    for part in ("model", "ema"):
        torch.testing.assert_close(two["state"][part], one["state"][part], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(two["weights"], one["weights"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(two["psnr"], one["psnr"], rtol=1e-4, atol=1e-4)
