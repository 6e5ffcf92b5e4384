"""Measure time and memory on this machine; prints Markdown.

    python benchmarks/speed.py [--models lite lite-sde] [--sizes 0.25 1 12] [--skip-official]

First the CPU seconds that loading a model takes after `import torch` (the aim for `lite` is 0.4).
For each shipped model and image size (megapixels, 4:3): seconds of one restoration, with guidance
and tiling, the best of a few, and the peak resident memory of a process that did nothing else. "At
matrix rate" is what its multiplications alone would take at the rate of a large float32 matrix
product, measured first: what a network so large can hope for on this machine in float32. Then
the official-size network of Perceive-IR at 256 px with arbitrary weights: its formulas written out,
in float32, against the network as it is, and a megapixel in one piece. Last, the official-size
U-Net at 256 px with arbitrary weights: the paper's 100 float32 steps as the official code runs them
(embeddings processed, one-token cross-attention evaluated in every step) against the preset `fast`.
The slow one is timed over a few steps and multiplied.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

REPEATS = 3
STEPS_TIMED = 4


def cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            return next(line.split(":")[1].strip() for line in info if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def matrix_rate(dtype: torch.dtype = torch.float32) -> float:
    """Floating-point operations a second of a large matrix product."""
    matrix = torch.rand(2048, 2048).to(dtype)
    matrix @ matrix
    began = time.perf_counter()
    for _ in range(10):
        matrix @ matrix
    return 20 * 2048**3 / (time.perf_counter() - began)


def operations(call: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions in a call."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops()


def photograph(megapixels: float) -> torch.Tensor:
    """A synthetic photograph, (1, 3, H, W), 4:3; at least 160 px high."""
    height = max(160, round((megapixels * 1e6 * 3 / 4) ** 0.5))
    width = round(height * 4 / 3)
    generator = torch.Generator().manual_seed(0)
    small = torch.rand(1, 3, height // 16 + 1, width // 16 + 1, generator=generator)
    return torch.nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 1)


def one(model: str, megapixels: float, preset: str | None) -> None:
    """Child process: restore a synthetic photograph and print seconds and peak memory as JSON."""
    import pellucid
    from pellucid.allocator import keep_freed_memory

    keep_freed_memory()  # as the commands do
    image = photograph(megapixels)
    restorer = pellucid.load(model)
    options = {"preset": preset} if preset else {}
    restorer.restore(image[..., :128, :128], **options)  # first call: threads, kernels
    repeats = REPEATS if megapixels < 4 and not preset else 1
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        restorer.restore(image, **options)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # kB on Linux
    flops = operations(lambda: restorer.restore(image, **options))
    row = {"seconds": min(seconds), "pixels": image[0, 0].numel(), "peak": peak, "flops": flops}
    print(json.dumps(row))


def loading(model: str) -> None:
    """Child process: load a model and print the CPU seconds as JSON."""
    import pellucid

    began = time.process_time()
    pellucid.load(model)
    print(json.dumps({"seconds": time.process_time() - began}))


def child(*arguments: str) -> dict[str, float]:
    """What a process of its own measures."""
    command = [sys.executable, __file__, *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def load_table(models: list[str]) -> None:
    print("| loading | CPU seconds, the best of a few |")
    print("|---|---|")
    for model in models:
        best = min(child("--load", model)["seconds"] for _ in range(REPEATS))
        print(f"| {model} | {best:.2f} |", flush=True)
    print()


def table(models: list[str], sizes: list[float], rate: float) -> None:
    print("| model | image | seconds | at matrix rate | seconds / MP | peak memory |")
    print("|---|---|---|---|---|---|")
    for model in models:
        preset = "fast" if model.endswith("-sde") else None
        name = f"{model} ({preset})" if preset else model
        for size in sizes:
            row = child("--one", model, str(size), preset or "")
            print(
                f"| {name} | {size:g} MP | {row['seconds']:.2f} | {row['flops'] / rate:.2f} "
                f"| {row['seconds'] / row['pixels'] * 1e6:.2f} | {row['peak'] / 2**30:.2f} GiB |",
                flush=True,
            )


@torch.inference_mode()
def official(rate: float) -> None:
    from pellucid.diffusion.denoiser import Denoiser
    from pellucid.diffusion.presets import PRESETS
    from pellucid.diffusion.sde import MeanRevertingSDE
    from pellucid.hardware import resolve_dtype
    from pellucid.networks.contract import Guidance
    from pellucid.networks.irsde_attention import TransformerBlock
    from pellucid.networks.irsde_unet import UNIVERSAL, ConditionalUNet

    torch.manual_seed(0)
    net = ConditionalUNet(UNIVERSAL).eval()
    mu = torch.rand(1, 3, 256, 256)
    guidance = Guidance(torch.randn(1, 512), torch.randn(1, 512))
    sde = MeanRevertingSDE()

    def attend(block: TransformerBlock, args: tuple) -> None:
        # What the official code computes besides: queries and keys of the one-token attention.
        tokens, attn = args[0], block.attn2
        q, k = attn.to_q(block.norm2(tokens)), attn.to_k(guidance.content)[:, None]
        (q @ k.mT).softmax(dim=-1) * attn.to_v(guidance.content)[:, None]

    hooks = [
        m.register_forward_pre_hook(attend)
        for m in net.modules()
        if isinstance(m, TransformerBlock)
    ]
    x = sde.initial(mu, torch.randn_like(mu))
    seconds = []
    for t in range(100, 100 - STEPS_TIMED - 1, -1):
        began = time.perf_counter()
        denoise = Denoiser(sde, net, mu, net.condition(mu, guidance))
        x = sde.posterior(x, mu, t, denoise(x, t))[0]
        seconds.append(time.perf_counter() - began)
    paper = 100 * sum(seconds[1:]) / STEPS_TIMED  # the first call warms up
    for hook in hooks:
        hook.remove()

    net.to(memory_format=torch.channels_last)
    dtype = resolve_dtype("auto", torch.device("cpu"))
    mu = mu.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        condition = net.condition(mu, guidance)

        def fast() -> None:
            noise = torch.Generator().manual_seed(0)
            PRESETS["fast"].sample(sde, Denoiser(sde, net, mu, condition), noise)

        times = []
        for _ in range(2):
            began = time.perf_counter()
            fast()
            times.append(time.perf_counter() - began)
        floor = operations(fast) / rate
    print("\n| official-size U-Net, 256 x 256 px | seconds |\n|---|---|")
    print(f"| 100 steps, float32, as the official code ({STEPS_TIMED} timed) | {paper:.1f} |")
    print(f"| `fast`, {PRESETS['fast'].evaluations} evaluations, {dtype} | {min(times):.2f} |")
    print(f"| `fast` at matrix rate, float32 | {floor:.2f} |")
    print(f"\n`fast` is {paper / min(times):.0f} times faster.")


@torch.inference_mode()
def perceive_megapixel() -> None:
    """Child process: Perceive-IR on a whole megapixel, without what reads its semantics."""
    from pellucid.allocator import keep_freed_memory
    from pellucid.networks.contract import Guidance
    from pellucid.networks.perceive_ir import PerceiveIR

    keep_freed_memory()
    net, image = PerceiveIR().eval(), torch.rand(1, 3, 864, 1152)
    net, image = (x.to(memory_format=torch.channels_last) for x in (net, image))
    condition = net.condition(image, Guidance(semantics=torch.randn(1, 4, 768)))
    began = time.perf_counter()
    net(image, condition)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - began, "peak": peak}))


@torch.inference_mode()
def perceive(rate: float) -> None:
    from contextlib import ExitStack, nullcontext
    from unittest.mock import patch

    from torch.nn.functional import normalize

    from pellucid.hardware import has_fast_bfloat16
    from pellucid.networks import perceive_ir, restormer
    from pellucid.networks.contract import Guidance

    megapixel = child("--perceive-megapixel")  # first: a child's peak begins at its parent's size

    def attend(read, temperature, project):
        ((q, k, v),) = read
        heads, shape = len(temperature), q.shape
        q, k, v = (x.flatten(2).unflatten(1, (heads, -1)) for x in (q, k, v))
        a = ((normalize(q, dim=-1) @ normalize(k, dim=-1).mT) * temperature).softmax(dim=-1)
        return project((a @ v).reshape(shape))

    def norm(self, x):
        mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
        gain, bias = (p.view(-1, 1, 1) for p in (self.body.weight, self.body.bias))
        return (x - mean) * torch.rsqrt(variance + 1e-5) * gain + bias

    torch.manual_seed(0)
    net = perceive_ir.PerceiveIR().eval()
    image = torch.rand(1, 3, 256, 256)
    condition = net.condition(image, Guidance(semantics=torch.randn(1, 4, 768)))

    def seconds(image: torch.Tensor, reduced: bool = False, repeats: int = REPEATS) -> float:
        times = []
        for _ in range(repeats):
            began = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16) if reduced else nullcontext():
                net(image, condition)
            times.append(time.perf_counter() - began)
        return min(times)

    with ExitStack() as written_out:
        for patched in (
            patch.object(restormer, "attend", attend),
            patch.object(perceive_ir, "attend", attend),
            patch.object(restormer.LayerNorm, "forward", norm),
            patch.object(restormer, "BAND", 2**60),
            patch.object(torch, "channels_last", torch.contiguous_format),
        ):
            written_out.enter_context(patched)
        formulas = seconds(image)
    net, image = (x.to(memory_format=torch.channels_last) for x in (net, image))
    print("\n| Perceive-IR, official size, 256 x 256 px | seconds |\n|---|---|")
    print(f"| formulas written out, float32 | {formulas:.2f} |")
    print(f"| as it is, float32 | {seconds(image):.2f} |")
    with patch.object(restormer, "BAND", 2**60):
        floor = operations(lambda: net(image, condition)) / rate
    print(f"| at matrix rate, float32 | {floor:.2f} |")
    native = has_fast_bfloat16(torch.device("cpu"))
    reduced = seconds(image, reduced=True, repeats=REPEATS if native else 1)
    print(f"| as it is, bfloat16{'' if native else ', only emulated here'} | {reduced:.2f} |")
    print(
        f"| 1 MP in one piece, float32, {megapixel['peak'] / 2**30:.2f} GiB of memory "
        f"| {megapixel['seconds']:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=["lite", "lite-sde"])
    parser.add_argument("--sizes", nargs="*", type=float, default=[0.25, 1, 12])
    parser.add_argument("--skip-official", action="store_true")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    parser.add_argument("--perceive-megapixel", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.perceive_megapixel:
        perceive_megapixel()
        return
    if args.load:
        loading(args.load)
        return
    if args.one:
        one(args.one[0], float(args.one[1]), args.one[2] or None)
        return
    rate = matrix_rate()
    print(
        f"{cpu_name()}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}, "
        f"{rate / 1e9:.0f} GFLOP/s in a float32 matrix product\n"
    )
    load_table(args.models)
    table(args.models, args.sizes, rate)
    if not args.skip_official:
        perceive(rate)
        official(rate)


if __name__ == "__main__":
    main()
