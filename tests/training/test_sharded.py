import torch

from processes import Process
from training import sharded_run
from training.test_resume import same


def test_a_network_sharded_over_two_processes_trains_saves_and_restores_as_a_whole_one(tmp_path):
    places = (str(tmp_path / "store"), str(tmp_path / "result"))
    processes = []
    for rank in range(2):
        folder = tmp_path / str(rank)
        folder.mkdir()
        processes.append(Process(sharded_run.main, rank, *places, folder=folder))
    one = sharded_run.train(0, 1)
    assert one["refused"] == [True, True]
    assert [process.wait() for process in processes] == [0, 0], [p.err for p in processes]
    two = torch.load(tmp_path / "result")
    assert same(two["again"], two["state"])
    assert two["state"]["optimizer"]["state"].keys() == one["state"]["optimizer"]["state"].keys()
    for part in ("model", "ema"):
        torch.testing.assert_close(two["state"][part], one["state"][part], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(two["weights"], one["weights"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(two["psnr"], one["psnr"], rtol=1e-4, atol=1e-4)
