"""Draw ``docs/degradations.jpg``: every degradation at rising severity on one photograph.

python scripts/degradation_sheet.py PHOTO [--out docs/degradations.jpg]
python scripts/degradation_sheet.py PHOTO --sets [--out docs/weather_sets.jpg]   # public data sets'
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pellucid.degradations import WORDS, chain, degrade, wild
from pellucid.degradations.sets import SETS

SEVERITIES = (0.1, 0.25, 0.5, 0.75, 1.0)
CELL = 176
LABEL = 128
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--sets", action="store_true", help="weather as in public data sets")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    photo = Image.open(args.photo).convert("RGB")
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    cell = 2 * CELL if args.sets else CELL  # flakes and streaks have their size in px
    photo = photo.crop((left, top, left + side, top + side)).resize((cell, cell), Image.LANCZOS)
    image = np.asarray(photo, np.float32) / 255
    if args.sets:
        draws = range(3)
        rows = [(n, [make(image, _seeded(i)) for i in draws]) for n, make in SETS.items()]
        headings = [f"draw {i + 1}" for i in draws]
    else:
        rows, headings = by_severity(image), [f"severity {s:g}" for s in SEVERITIES]
    sheet = Image.new("RGB", (LABEL + cell * len(headings), 20 + cell * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, heading in enumerate(headings):
        draw.text((LABEL + cell * column + 6, 2), heading, "black", font)
    for row, (name, cells) in enumerate(rows):
        draw.text((4, 20 + cell * row + cell // 2 - 8), name, "black", font)
        for column, pixels in enumerate(cells):
            eight_bit = Image.fromarray((pixels * 255).round().astype(np.uint8))
            sheet.paste(eight_bit, (LABEL + cell * column, 20 + cell * row))
    out = args.out or Path("docs") / ("weather_sets.jpg" if args.sets else "degradations.jpg")
    sheet.save(out, quality=88)
    print(out)


def by_severity(image: np.ndarray) -> list[tuple[str, list[np.ndarray]]]:
    rows = [(w, [degrade(image, w, s, _seeded(SEED)) for s in SEVERITIES]) for w in WORDS]
    pair = ("rainy", "noisy")
    pairs = [chain(image, [(w, s) for w in pair], _seeded(SEED)) for s in SEVERITIES]
    wilds = [wild(image, _seeded(s))[0] for s in range(len(SEVERITIES))]
    return [*rows, (" + ".join(pair), pairs), ("wild, five seeds", wilds)]


def _seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


if __name__ == "__main__":
    main()
