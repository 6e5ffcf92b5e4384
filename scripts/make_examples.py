"""Make the pictures of ``examples/`` from held-out photographs (run ``fetch_photos.py`` first).

    python scripts/make_examples.py [--photos data/photos] [--out examples]

Each photograph gets one degradation at test strength: the official one where there is one (noise
sigma 50, JPEG quality 10, 30 % missing), else medium severity. One stays clean, and one was never
degraded on purpose.
"""

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pellucid.degradations import CLEAN, degrade

LONG_SIDE = 512


@dataclass(frozen=True)
class Example:
    """A photograph (the end of its file name), what is done to it, and what it shows."""

    photo: str
    word: str
    severity: float
    title: str


EXAMPLES = (
    Example("sklearn-china", "motion-blurry", 0.5, "Summer Palace"),
    Example("picosdeeuropa-by-aitzol-berasategi", "hazy", 0.5, "Picos de Europa"),
    Example("skimage-chelsea", "jpeg-compressed", 0.5, "Chelsea the cat"),
    Example("skimage-coffee", "low-light", 0.5, "Coffee cup"),
    Example("skimage-astronaut", "noisy", 1.0, "Eileen Collins"),
    Example("greentock-by-peter-nerlich", "raindrop", 0.6, "Greentock"),
    Example("dragonfly-by-bolly", "rainy", 0.5, "Dragonfly"),
    Example("sklearn-flower", "shadowed", 0.6, "Dahlia"),
    Example("kleiber-by-lukas-baubkus", "snowy", 0.5, "Nuthatch"),
    Example("picture-0b-by-freespace", "uncompleted", 0.6, "Picture 0B"),
    Example("bridge-by-sander-klootwijk", CLEAN, 0.0, "Bridge"),
    Example("skimage-rocket", "as it is", 0.0, "Falcon 9 at dusk"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photos", type=Path, default=Path("data/photos"))
    parser.add_argument("--out", type=Path, default=Path("examples"))
    args = parser.parse_args()
    with (args.photos / "photos.tsv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    args.out.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Example photographs",
        "",
        "Held-out photographs (no restorer of this project was trained on them), reduced to "
        f"{LONG_SIDE} px and damaged",
        "by `scripts/make_examples.py`; each file stays under the licence of its photograph.",
        "",
        "| file | damage | severity | photograph | author | licence | from |",
        "|---|---|---|---|---|---|---|",
    ]
    for index, example in enumerate(EXAMPLES):
        (row,) = [
            r
            for r in rows
            if Path(r["file"]).stem.endswith(example.photo) and r["split"] == "held_out"
        ]
        photo = Image.open(args.photos / row["file"]).convert("RGB")
        photo.thumbnail((LONG_SIDE, LONG_SIDE), Image.Resampling.LANCZOS)
        image = np.asarray(photo, np.float32) / 255
        if example.word != "as it is":
            rng = np.random.default_rng(index)
            image = degrade(image, example.word, example.severity, rng)
        name = f"{example.word.replace(' ', '-')}.png"
        if example.word in ("jpeg-compressed", "as it is"):
            name = name.replace(".png", ".jpg")  # a photograph that came as JPEG stays one
        target = args.out / name
        eight_bit = Image.fromarray((image * 255).round().astype(np.uint8))
        if example.word == "jpeg-compressed":
            # save the clean photograph at the very quality: a second encoding would damage it twice
            photo.save(target, quality=10, subsampling=2)
        elif target.suffix == ".jpg":
            eight_bit.save(target, quality=95, subsampling=0)
        else:
            eight_bit.save(target, optimize=True)
        damage = "none on purpose" if example.word == "as it is" else example.word
        lines.append(
            f"| `{name}` | {damage} | {example.severity:g} | {example.title} | {row['author']} "
            f"| {row['licence']} | {row['package']} |"
        )
    (args.out / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(EXAMPLES)} pictures in {args.out}")


if __name__ == "__main__":
    main()
