"""Measure a model on held-out photographs: PSNR gain, naming of the damage, retrieval.

    python benchmarks/quality.py [--model lite] [--photos data/photos/held_out] [--json FILE]

One window of 256 x 256 px from the middle of each photograph is damaged by each degradation at
severity 0.25, 0.5 (medium) and 0.75, seeded by the photograph and the degradation, and stored as 8
bit. PSNR is RGB, whole window, of the 8-bit result; the gain is over the damaged input. Printed as
Markdown for the model card.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track

import pellucid
import pellucid.restorer
from pellucid.degradations import CLASSES, CLEAN, WORDS, degrade
from pellucid.vision_language.preprocess import preprocess

SIDE = 256
SEVERITIES = (0.25, 0.5, 0.75)
MEDIUM = 0.5


def window(path: Path) -> np.ndarray:
    image = Image.open(path).convert("RGB")
    left, top = (image.width - SIDE) // 2, (image.height - SIDE) // 2
    return np.asarray(image.crop((left, top, left + SIDE, top + SIDE)), np.float32) / 255


def damaged(clean: np.ndarray, word: str, severity: float, photo: int) -> np.ndarray:
    rng = np.random.default_rng([photo, CLASSES.index(word)])
    return np.round(degrade(clean, word, severity, rng) * 255) / np.float32(255)


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.transpose(2, 0, 1).copy())[None]


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    error = (a.double() - b.double()).square().mean().item()
    return 99.0 if error == 0 else -10 * np.log10(error)


def eight_bit(x: torch.Tensor) -> torch.Tensor:
    return (x.clamp(0, 1) * 255).round() / 255


@torch.inference_mode()
def uncontrolled(tower: torch.nn.Module, image: torch.Tensor) -> torch.Tensor:
    """The frozen tower's own embedding (1, D), averaged over the same views."""
    return tower.encode_image(preprocess(image, tower.config)[0]).mean(0, keepdim=True)


def top1(queries: list[tuple[int, torch.Tensor]], gallery: torch.Tensor) -> float:
    """Share of queries (index, embedding) whose nearest gallery row by cosine is their own."""
    gallery = torch.nn.functional.normalize(gallery, dim=-1)
    return float(np.mean([int((q @ gallery.T).argmax()) == index for index, q in queries]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="lite")
    parser.add_argument("--preset", default=None, help="of a diffusion model")
    parser.add_argument("--photos", type=Path, default=Path("data/photos/held_out"))
    parser.add_argument("--limit", type=int, default=None, help="use the first N photographs")
    parser.add_argument("--medium-only", action="store_true", help="skip severities 0.25 and 0.75")
    parser.add_argument("--json", type=Path, default=None)
    args = parser.parse_args()
    restorer = pellucid.load(args.model)
    options = {"preset": args.preset} if args.preset else {}
    files = sorted(args.photos.glob("*.png"))[: args.limit]
    clean = [window(f) for f in files]
    severities = (MEDIUM,) if args.medium_only else SEVERITIES
    gains = {w: {s: [] for s in severities} for w in WORDS}
    before = {w: {s: [] for s in severities} for w in WORDS}
    right = {w: {s: 0 for s in severities} for w in WORDS}

    def restore(
        image: torch.Tensor, guidance: pellucid.restorer.Guidance, seed: int
    ) -> torch.Tensor:
        return restorer.restore(image, guidance=guidance, seed=seed, **options)

    identity, clean_right = [], 0
    controlled, plain, targets = [], [], []
    tower = restorer.controller
    for index, image in enumerate(track(clean, "photographs")):
        truth = tensor(image)
        (found,) = restorer.diagnose(truth)
        identity.append(psnr(eight_bit(restore(truth, found, index)), truth))
        clean_right += next(iter(found.probabilities)) == CLEAN
        targets.append(uncontrolled(tower, truth))
        for word in WORDS:
            for severity in severities:
                lq = tensor(damaged(image, word, severity, index))
                (found,) = restorer.diagnose(lq)
                out = eight_bit(restore(lq, found, index))
                before[word][severity].append(psnr(lq, truth))
                gains[word][severity].append(psnr(out, truth) - before[word][severity][-1])
                right[word][severity] += next(iter(found.probabilities)) == word
                if severity == MEDIUM:
                    controlled.append((index, found.content))
                    plain.append((index, uncontrolled(tower, lq)))

    gallery = torch.cat(targets)
    n = len(files)
    medium_right = sum(right[w][MEDIUM] for w in WORDS) + clean_right
    summary = {
        "model": args.model,
        "preset": args.preset,
        "photographs": n,
        "clean_psnr": float(np.mean(identity)),
        "named_right_medium": medium_right / (n * len(CLASSES)),
        "retrieval_top1_controlled": top1(controlled, gallery),
        "retrieval_top1_plain": top1(plain, gallery),
        "words": {
            w: {
                str(s): {
                    "input": float(np.mean(before[w][s])),
                    "gain": float(np.mean(gains[w][s])),
                    "worse": float(np.mean(np.array(gains[w][s]) < 0)),
                    "named_right": right[w][s] / n,
                }
                for s in severities
            }
            for w in WORDS
        },
    }
    heads = " | ".join(f"gain at {s:g}" for s in severities)
    print(f"\n| degradation | input at medium | {heads} | made worse | named right |")
    print("|---|---|" + "---|" * len(severities) + "---|---|")
    for word in WORDS:
        row = summary["words"][word]
        cells = " | ".join(f"{row[str(s)]['gain']:+.2f}" for s in severities)
        middle = row[str(MEDIUM)]
        print(
            f"| {word} | {middle['input']:.2f} dB | {cells} | {middle['worse']:.0%} "
            f"| {middle['named_right']:.1%} |"
        )
    print(
        f"\n{n} photographs. Clean input stays {summary['clean_psnr']:.2f} dB from itself and is "
        f"named right in {clean_right / n:.1%}. Damage named right over {len(CLASSES)} classes at "
        f"medium severity: {summary['named_right_medium']:.1%}. A damaged window finds its own "
        f"clean one (top-1 of {n}): {summary['retrieval_top1_controlled']:.1%} controlled, "
        f"{summary['retrieval_top1_plain']:.1%} uncontrolled."
    )
    if args.json:
        args.json.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
