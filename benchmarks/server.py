"""Many clients at once on loopback: requests a second, times, memory, and that no answer is wrong.

    python benchmarks/server.py [--clients 50] [--seconds 120] [--model lite] [--side 128]

`pellucid serve` runs as a process of its own. Every client posts one of four pictures, waits for
the answer, compares it with the one that a single client got before, and posts the next. An answer
of 429 is no error: the client waits as long as `Retry-After` says. Fails if an answer is lost or
wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter

import httpx
import numpy as np
import psutil

from pellucid.imaging.io import Photo, encode

PICTURES = 4


def pictures(side: int) -> list[bytes]:
    """Smooth pictures with noise, as PNG."""
    made = []
    for seed in range(PICTURES):
        generator = np.random.default_rng(seed)
        ramp = np.linspace(0, 1, side, dtype=np.float32)
        ground = np.stack(
            [ramp[:, None] + 0 * ramp, ramp + 0 * ramp[:, None], 0.5 + 0 * ramp[:, None] * ramp], -1
        )
        noisy = ground + generator.normal(0, 0.1, ground.shape)
        made.append(encode(Photo(np.clip(noisy, 0, 1).astype(np.float32)), "PNG"))
    return made


class Memory(threading.Thread):
    """Peak of a process's resident memory in bytes, looked at ten times a second."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.process, self.peak = psutil.Process(pid), 0

    def run(self) -> None:
        while self.process.is_running():
            try:
                self.peak = max(self.peak, self.process.memory_info().rss)
            except psutil.Error:
                return
            time.sleep(0.1)


async def client(number: int, url: str, given: list[bytes], wanted: list[bytes], end: float):
    times, kinds = [], Counter()
    async with httpx.AsyncClient(timeout=600) as asking:
        turn = number
        while time.monotonic() < end:
            picture = turn % PICTURES
            began = time.monotonic()
            try:
                answer = await asking.post(url, files={"image": given[picture]})
            except httpx.HTTPError:
                kinds["lost"] += 1
                continue
            if answer.status_code == 429:
                kinds["asked to come back"] += 1
                await asyncio.sleep(float(answer.headers["Retry-After"]))
                continue
            right = answer.status_code == 200 and answer.content == wanted[picture]
            kinds["right" if right else "wrong"] += 1
            times.append(time.monotonic() - began)
            turn += 1
    return times, kinds


async def load(url: str, clients: int, seconds: float, given: list[bytes]):
    wanted = [httpx.post(url, files={"image": data}, timeout=600).content for data in given]
    began = time.monotonic()
    end = began + seconds
    jobs = [client(number, url, given, wanted, end) for number in range(clients)]
    results = await asyncio.gather(*jobs)
    times = sorted(t for part, _ in results for t in part)
    return times, sum((kinds for _, kinds in results), Counter()), time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--queue", type=int, default=64)
    args = parser.parse_args()
    command = [sys.executable, "-m", "pellucid", "serve", "--port", "0", "--model", args.model]
    command += ["--queue", str(args.queue)]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        memory = Memory(server.pid)
        memory.start()
        given = pictures(args.side)
        url = f"{address}/api/restore"
        times, kinds, took = asyncio.run(load(url, args.clients, args.seconds, given))
        counted = httpx.get(f"{address}/metrics").text
    finally:
        server.terminate()
        status = server.wait(120)
    print(
        json.dumps(
            {
                "clients": args.clients,
                "seconds": round(took, 1),
                "picture": f"{args.side} x {args.side}",
                "model": args.model,
                "answers": dict(kinds),
                "requests a second": round(len(times) / took, 2),
                "p50 s": round(times[len(times) // 2], 2),
                "p95 s": round(times[int(len(times) * 0.95)], 2),
                "peak memory MB": round(memory.peak / 1e6),
                "exit status": status,
                "still at work": re.search(r"^pellucid_jobs (\S+)", counted, re.M)[1],
            },
            indent=2,
        )
    )
    return int(bool(kinds["wrong"] or kinds["lost"] or status))


if __name__ == "__main__":
    raise SystemExit(main())
