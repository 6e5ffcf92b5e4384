import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sys, torch, numpy as np, tiny
torch.set_num_threads(2)
model = tiny.restorer()
picture = np.random.default_rng(0).integers(0, 256, (600, 600, 3)).astype(np.uint8)
before = model.restore(picture)
child = os.fork()
if child == 0:
    same = np.abs(model.restore(picture).astype(int) - before).max() <= 1
    os._exit(7 if same else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_forked_after_use_with_threads_restores_too():
    tests = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": f"{tests.parent / 'src'}{os.pathsep}{tests}"}
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, timeout=120
    )
    assert done.stdout.split() == [b"7"], done.stderr
