"""Measure the engines on this machine; prints Markdown.

    python benchmarks/engines.py [--models lite lite-sde] [--sizes 0.25 1 12]
        [--engines torch compile onnxruntime openvino] [--precisions float32] [--device cuda]
        [--batch 1]

First the processor with its instructions for matrices and the rate of a large matrix product in
float32 and bfloat16. Then a row for each shipped model, engine, precision and image size
(megapixels, 4:3): seconds of one restoration as `pellucid restore` does it, with diagnosis, guard
and tiles; seconds a megapixel of the network's calls alone, and what its multiplications alone
would take at the rate of the matrix product, without the overlap of tiles; the peak memory of a
process that did nothing else (of the GPU, on one). Graphs are exported and code is compiled before.
`lite-sde` runs the preset `fast`. Measure on an idle machine: without, the numbers mean nothing.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from speed import cpu_name, matrix_rate, operations, photograph

REPEATS = 3
COUNTED = 160  # px along a side of the part whose multiplications are counted
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
PRECISIONS = {
    "torch": ("float32", "bfloat16"),
    "compile": ("float32", "bfloat16"),
    "onnxruntime": ("float32",),
    "openvino": ("float32", "bfloat16"),
}


def instructions() -> str:
    """Those of the processor that matter for matrices."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            words = set(info.read().split())
    except OSError:
        return "unknown"
    return " ".join(flag for flag in FLAGS if flag in words) or "none of " + " ".join(FLAGS)


def best(call: Callable[[], object], device: str, repeats: int) -> float:
    """Seconds of a call, the best of a few."""
    found = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        if device != "cpu":
            torch.cuda.synchronize()
        found = min(found, time.perf_counter() - began)
    return found


def one(model: str, engine: str, dtype: str, megapixels: float, device: str, batch: int) -> None:
    """Child process: restore a synthetic photograph and print what was measured as JSON."""
    import pellucid
    from pellucid.allocator import keep_freed_memory

    keep_freed_memory()  # as the commands do
    image = photograph(megapixels).repeat(batch, 1, 1, 1).to(device)
    restorer = pellucid.load(model, device, dtype, engine=engine)
    options = {"preset": "fast"} if restorer.is_diffusion else {}
    # the first call makes graphs, kernels and threads; a compiler wants the shape itself
    restorer.restore(image if engine == "compile" else image[..., :160, :160], **options)
    if not megapixels:
        return
    alone: list[float] = []
    call = restorer.restored

    def timed(*arguments: Any, **others: Any) -> torch.Tensor:
        began = time.perf_counter()
        result = call(*arguments, **others)
        if device != "cpu":
            torch.cuda.synchronize()
        alone.append(time.perf_counter() - began)
        return result

    restorer.restored = timed
    repeats = REPEATS if megapixels < 4 and not options else 1
    whole = best(lambda: restorer.restore(image, **options), device, repeats)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kB on Linux
    if device != "cpu":
        peak = torch.cuda.max_memory_allocated()
    counted = pellucid.load(model, device, dtype)
    part = image[:1, :, :COUNTED, :COUNTED]
    guidance = pellucid.Guidance.joined(counted.diagnose(part))
    condition = counted.condition(part, counted.completed(part, guidance))
    flops = operations(lambda: counted.restored(part, condition, **options))
    flops *= image[:, 0].numel() / part[0, 0].numel()
    pixels = image[:, 0].numel()
    row = {"seconds": whole, "alone": min(alone), "pixels": pixels, "peak": peak, "flops": flops}
    print(json.dumps(row))


def child(*arguments: object) -> dict[str, float] | str:
    """What a process of its own measures, or the last line of its error."""
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1]
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout.strip() else {}


def table(args: argparse.Namespace) -> None:
    rates = {
        name: matrix_rate(getattr(torch, name)) for name in args.precisions or PRECISIONS["torch"]
    }
    named = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in rates.items())
    print(f"{cpu_name()} ({instructions()}), {torch.get_num_threads()} threads, {named}.\n")
    print("| model | engine | precision | image | seconds | network, s/MP ", end="")
    print("| multiplications, s/MP | peak memory |\n|---|---|---|---|---|---|---|---|", flush=True)
    for model in args.models:
        for engine in args.engines:
            for dtype in PRECISIONS[engine]:
                if args.precisions and dtype not in args.precisions:
                    continue
                if trouble := child(model, engine, dtype, 0, args.device, args.batch):
                    print(f"| {model} | {engine} | {dtype} | {trouble} | | | | |", flush=True)
                    continue
                for size in args.sizes:
                    row = child(model, engine, dtype, size, args.device, args.batch)
                    if isinstance(row, str):
                        print(f"| {model} | {engine} | {dtype} | {size:g} MP: {row} | | | | |")
                        continue
                    megapixels = row["pixels"] / 1e6
                    least = row["flops"] / rates[dtype] / megapixels
                    print(
                        f"| {model} | {engine} | {dtype} | {size:g} MP | {row['seconds']:.2f} "
                        f"| {row['alone'] / megapixels:.2f} | {least:.2f} "
                        f"| {row['peak'] / 2**30:.2f} GiB |",
                        flush=True,
                    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    models = ["lite", "lite-weather", "lite-perceive", "lite-sde"]
    parser.add_argument("--models", nargs="+", default=models)
    parser.add_argument("--sizes", nargs="+", type=float, default=[0.25, 1, 12])
    parser.add_argument("--engines", nargs="+", choices=PRECISIONS, default=list(PRECISIONS))
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS["torch"])
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, default=1, help="pictures in one tensor")
    parser.add_argument("--one", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        model, engine, dtype, size, device, batch = args.one
        one(model, engine, dtype, float(size), device, int(batch))
    else:
        table(args)


if __name__ == "__main__":
    main()
