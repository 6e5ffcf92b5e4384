"""Draw ``docs/degradations.jpg``: every degradation at rising severity on one photograph.

python scripts/degradation_sheet.py PHOTO [--out docs/degradations.jpg]
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pellucid.degradations import WORDS, chain, degrade, wild

SEVERITIES = (0.1, 0.25, 0.5, 0.75, 1.0)
CELL = 176
LABEL = 128
SEED = 7


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/degradations.jpg"))
    args = parser.parse_args()
    photo = Image.open(args.photo).convert("RGB")
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    photo = photo.crop((left, top, left + side, top + side)).resize((CELL, CELL), Image.LANCZOS)
    image = np.asarray(photo, np.float32) / 255

    def seeded() -> np.random.Generator:
        return np.random.default_rng(SEED)

    rows = [(w, [degrade(image, w, s, seeded()) for s in SEVERITIES]) for w in WORDS]
    pair = ("rainy", "noisy")
    rows.append(
        (" + ".join(pair), [chain(image, [(w, s) for w in pair], seeded()) for s in SEVERITIES])
    )
    rows.append(("wild, five seeds", [wild(image, np.random.default_rng(s))[0] for s in range(5)]))
    sheet = Image.new("RGB", (LABEL + CELL * len(SEVERITIES), 20 + CELL * len(rows)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, severity in enumerate(SEVERITIES):
        draw.text((LABEL + CELL * column + 6, 2), f"severity {severity:g}", "black", font)
    for row, (name, cells) in enumerate(rows):
        draw.text((4, 20 + CELL * row + CELL // 2 - 8), name, "black", font)
        for column, cell in enumerate(cells):
            eight_bit = Image.fromarray((cell * 255).round().astype(np.uint8))
            sheet.paste(eight_bit, (LABEL + CELL * column, 20 + CELL * row))
    sheet.save(args.out, quality=88)
    print(args.out)


if __name__ == "__main__":
    main()
