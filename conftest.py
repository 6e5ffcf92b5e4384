"""What all tests share."""

import os

# Processes of `pytest -n` share the cores. PyTorch would start a thread for every core in each of
# them, and threads that wait for one another keep the cores busy.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
