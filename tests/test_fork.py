import os

import numpy as np
import pytest
import torch

import tiny
from processes import Process


def restore_and_fork():
    torch.set_num_threads(2)
    model = tiny.restorer()
    picture = np.random.default_rng(0).integers(0, 256, (600, 600, 3)).astype(np.uint8)
    before = model.restore(picture)
    child = os.fork()
    if child == 0:
        same = np.abs(model.restore(picture).astype(int) - before).max() <= 1
        os._exit(7 if same else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_after_use_with_threads_restores_too(tmp_path):
    first = Process(restore_and_fork, folder=tmp_path)
    assert first.wait(120) == 0 and first.out == "7\n", first.err
