"""Compare the engines' pictures with PyTorch's in float32; prints Markdown.

    python benchmarks/engine_agreement.py DATA [--model lite] [--sets SET ...] [--limit 3]
        [--engines torch:bfloat16 onnxruntime:float32 openvino:float32 openvino:bfloat16]

DATA holds `SET/{lq,gt}` with pictures of equal names; files in `lq` may be of another format. Each
picture is diagnosed once and restored by the network alone, without the guard. A row for each set:
the mean PSNR to `gt`, of 8-bit pictures, in float32 by PyTorch, and what each engine adds or takes,
in dB. Last, the largest difference of a pixel in 8-bit levels.
"""

import argparse
from pathlib import Path

import torch

import pellucid
from pellucid.evaluation import MetricSettings, psnr
from pellucid.networks.contract import Guidance

MOST = 640  # px along a side; larger pictures are cropped
DEFAULT = ("torch:bfloat16", "onnxruntime:float32", "openvino:float32", "openvino:bfloat16")


def picture(path: Path) -> torch.Tensor:
    pixels = pellucid.read(path).pixels[:MOST, :MOST]
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]


def pairs(folder: Path, limit: int) -> list[tuple[Path, Path]]:
    """Damaged and clean picture of the same name, evenly spread over a set."""
    clean = {path.stem: path for path in sorted((folder / "gt").iterdir())}
    found = [(p, clean[p.stem]) for p in sorted((folder / "lq").iterdir()) if p.stem in clean]
    return found[:: max(1, len(found) // limit)][:limit]


def quality(result: torch.Tensor, truth: torch.Tensor) -> float:
    """PSNR of an 8-bit picture, at most 99 dB."""
    return min(99.0, float(psnr(levels(result) / 255, truth, MetricSettings())))


def levels(image: torch.Tensor) -> torch.Tensor:
    return (image * 255).round()


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="lite")
    parser.add_argument("--sets", nargs="+", help="folders of DATA; all if not given")
    parser.add_argument("--limit", type=int, default=3, help="pictures of a set")
    parser.add_argument("--engines", nargs="+", default=DEFAULT)
    args = parser.parse_args()
    named = [name.split(":") for name in args.engines]
    first = pellucid.load(args.model, "cpu", "float32", guard=False)
    others = [pellucid.load(args.model, "cpu", d, guard=False, engine=e) for e, d in named]
    print(f"| {args.model} | n | torch float32 | {' | '.join(args.engines)} |")
    print("|---|---|---|" + "---|" * len(others), flush=True)
    most = [0.0] * len(others)
    for folder in sorted(args.data.iterdir()):
        if not all((folder / part).is_dir() for part in ("lq", "gt")):
            continue
        if args.sets and folder.name not in args.sets:
            continue
        scores = []
        for damaged, clean in pairs(folder, args.limit):
            image, truth = picture(damaged), picture(clean)
            guidance = first.completed(image, Guidance.joined(first.diagnose(image)))
            condition = first.condition(image, guidance)
            right = first.restored(image, condition)
            row = [quality(right, truth)]
            for i, other in enumerate(others):
                result = other.restored(image, condition)
                row.append(quality(result, truth))
                most[i] = max(most[i], float((levels(result) - levels(right)).abs().max()))
            scores.append(row)
        means = torch.tensor(scores).mean(0).tolist()
        changes = " | ".join(f"{value - means[0]:+.3f}" for value in means[1:])
        print(f"| {folder.name} | {len(scores)} | {means[0]:.2f} | {changes} |", flush=True)
    print(f"| most levels | | | {' | '.join(f'{value:.0f}' for value in most)} |")


if __name__ == "__main__":
    main()
