"""Measure what `pellucid bulk` costs beside `pellucid restore` on this machine; prints Markdown.

    python benchmarks/bulk.py [--few 16] [--many 64] [--megapixels 1] [--workers 1 2] [--cluster]
    python benchmarks/bulk.py --bound 2000 [--megapixels 0.06] [--workers 2] [--cluster]

The first form: each command restores few pictures, then many, into new folders; the difference,
divided by the pictures between, is the time of one picture. So the start of Python and of Ray does
not count; the table says it apart. "CPU" is the processor time of the command and of all that it
started, which means something on a busy machine, too. The second form: the memory of a worker and
of Ray's object store while many pictures go through.

`--cluster` starts Ray on two nodes of this machine, one core each, and gives its `--address`.
Bulk also rates the quality of each picture before and after unless told not to; here it does not,
as `restore` does not. Run it on an idle machine; needs pip install 'pellucid[dev]'.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import torch
from PIL import Image
from speed import photograph

Rows = Iterator[tuple[str, list[str]]]
CORES = str(len(os.sched_getaffinity(0)))
EVERY = 0.5  # seconds between two looks at the processes


class Watch(threading.Thread):
    """Notes processor time and memory of all that this process has started, inside a `with`."""

    def __init__(self, results: Path):
        super().__init__(daemon=True)
        self.results, self.ended = results, threading.Event()
        self.times: dict[tuple[int, float], float] = {}
        self.held: list[tuple[int, float, float]] = []  # results, MB of a worker, of the store

    def run(self):
        while not self.ended.wait(EVERY):
            self.look()

    def look(self):
        worker = store = 0.0
        for process in psutil.Process().children(recursive=True):
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    self.times[process.pid, process.create_time()] = times.user + times.system
                    name = " ".join(process.cmdline()[:1])
                    if name.startswith("ray::MapWorker"):
                        worker = max(worker, process.memory_info().rss / 1e6)
                    elif name.endswith("/raylet"):
                        store += process.memory_info().shared / 1e6
            except psutil.Error:
                continue
        self.held.append((sum(1 for _ in self.results.rglob("*.jpg")), worker, store))

    def __enter__(self):
        self.look()
        self.before = dict(self.times)
        self.began = time.perf_counter()
        self.start()
        return self

    def __exit__(self, *error):
        self.seconds = time.perf_counter() - self.began
        self.ended.set()
        self.join()
        self.look()
        self.cpu = sum(value - self.before.get(key, 0.0) for key, value in self.times.items())


def pictures(folder: Path, count: int, megapixels: float) -> None:
    pixels = photograph(megapixels)[0]
    noise = torch.Generator().manual_seed(1)
    for i in range(count):
        noisy = pixels + 0.08 * torch.randn(pixels.shape, generator=noise)
        values = (255 * noisy.clamp(0, 1)).byte().permute(1, 2, 0).contiguous().numpy()
        Image.fromarray(values).save(folder / f"{i:05d}.jpg", quality=95)


def watched(command: list[str], count: int, megapixels: float) -> Watch:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "in").mkdir()
        pictures(folder / "in", count, megapixels)
        whole = [sys.executable, "-m", "pellucid", *command[:1], str(folder / "in")]
        whole += ["-o", str(folder / "out"), "--device", "cpu", "--quiet", *command[1:]]
        with Watch(folder / "out") as watch:
            started = subprocess.Popen(whole)
            code = started.wait()
        assert code == 0 and watch.held[-1][0] == count, f"{whole} failed"
        return watch


@contextmanager
def two_nodes():
    """The address of a Ray cluster of two nodes with one core each."""
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": 200 << 20}
    head = {**node, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    cluster.add_node(**node)
    yield cluster.address
    cluster.shutdown()


def commands(args: argparse.Namespace) -> Iterator[tuple[str, list[str]]]:
    """Each row's name and command; the cluster stands while its command is measured, no longer.

    It comes before the commands that start a Ray of their own: those leave a token behind, with
    which a cluster cannot be reached (docs/scale.md).
    """
    shared = ["bulk", "--model", "lite", "--no-rating"]
    if not args.bound:
        yield "restore", ["restore", "--model", "lite"]
    if args.cluster:
        with two_nodes() as address:
            yield "bulk, 2 nodes", [*shared, "--address", address, "--workers", "2"]
    for count in args.workers:
        yield f"bulk, {count} workers", [*shared, "--cpus", CORES, "--workers", str(count)]


def overhead(rows: Rows, few: int, many: int, megapixels: float) -> None:
    print("| command | seconds a picture | CPU | beside restore | CPU | start, s | CPU |")
    print("|---|---|---|---|---|---|---|")
    plain = None
    for name, command in rows:
        a, b = (watched(command, count, megapixels) for count in (few, many))
        wall = (b.seconds - a.seconds) / (many - few)
        cpu = (b.cpu - a.cpu) / (many - few)
        plain = plain or (wall, cpu)
        print(
            f"| {name} | {wall:.3f} | {cpu:.3f} | {wall / plain[0] - 1:+.0%} "
            f"| {cpu / plain[1] - 1:+.0%} | {a.seconds - few * wall:.1f} "
            f"| {a.cpu - few * cpu:.1f} |",
            flush=True,
        )


def bound(rows: Rows, count: int, megapixels: float) -> None:
    print(f"| {count} pictures by | after | a worker, MB | object store, MB |\n|---|---|---|---|")
    for name, command in rows:
        watch = watched(command, count, megapixels)
        for share in (0.1, 0.25, 0.5, 0.75, 0.95):
            done, worker, store = next(held for held in watch.held if held[0] >= share * count)
            print(f"| {name} | {done} | {worker:.0f} | {store:.1f} |", flush=True)
        print(f"| {name} | {watch.seconds:.0f} s, {watch.cpu:.0f} s CPU | | |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=16)
    parser.add_argument("--many", type=int, default=64)
    parser.add_argument("--bound", type=int)
    parser.add_argument("--megapixels", type=float, default=1.0)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--cluster", action="store_true")
    args = parser.parse_args()
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
    print(f"{args.megapixels:g} MP, {CORES} cores, load {os.getloadavg()[0]:.1f} at the start\n")
    if args.bound:
        bound(commands(args), args.bound, args.megapixels)
    else:
        overhead(commands(args), args.few, args.many, args.megapixels)


if __name__ == "__main__":
    main()
