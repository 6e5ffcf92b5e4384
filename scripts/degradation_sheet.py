"""Draw ``docs/degradations.jpg``: every degradation at rising severity on one photograph.

python scripts/degradation_sheet.py PHOTO [--out docs/degradations.jpg]
python scripts/degradation_sheet.py PHOTO --sets [--out docs/weather_sets.jpg]   # public data sets'
python scripts/degradation_sheet.py PHOTO --forms [--out docs/forms.jpg]   # forms of each word
python scripts/degradation_sheet.py PHOTO --forms noisy --out noisy.png   # all forms of one
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from pellucid.degradations import FORMS, WORDS, chain, degrade, photograph, wild
from pellucid.degradations.nuisance import FILE, SCENE
from pellucid.degradations.sets import PUBLIC_SETS

SEVERITIES = (0.1, 0.25, 0.5, 0.75, 1.0)
CELL = 176
LABEL = 128
SEED = 7
COLUMNS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photo", type=Path)
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--sets", action="store_true", help="weather as in public data sets")
    kind.add_argument(
        "--forms",
        nargs="?",
        const="all",
        choices=("all", *WORDS, "nuisance", "photograph"),
        help="forms of every degradation, or all forms of one, each on its own draws",
    )
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    photo = Image.open(args.photo).convert("RGB")
    side = min(photo.size)
    left, top = (photo.width - side) // 2, (photo.height - side) // 2
    # Flakes and streaks have their size in px.
    cell = 2 * CELL if args.sets else CELL
    photo = photo.crop((left, top, left + side, top + side)).resize((cell, cell), Image.LANCZOS)
    image = np.asarray(photo, np.float32) / 255
    if args.sets:
        draws = range(3)
        rows = [(n, [make(image, _seeded(i)) for i in draws]) for n, make in PUBLIC_SETS.items()]
        headings = [f"draw {i + 1}" for i in draws]
    elif args.forms:
        rows, headings = by_form(image, args.forms), [""] * COLUMNS
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
    name = "weather_sets" if args.sets else "forms" if args.forms else "degradations"
    out = args.out or Path("docs") / f"{name}.jpg"
    sheet.save(out, quality=88)
    print(out)


def by_severity(image: np.ndarray) -> list[tuple[str, list[np.ndarray]]]:
    rows = [(w, [degrade(image, w, s, _seeded(SEED)) for s in SEVERITIES]) for w in WORDS]
    pair = ("rainy", "noisy")
    pairs = [chain(image, [(w, s) for w in pair], _seeded(SEED)) for s in SEVERITIES]
    wilds = [wild(image, _seeded(s))[0] for s in range(len(SEVERITIES))]
    return [*rows, (" + ".join(pair), pairs), ("wild, five seeds", wilds)]


def by_form(image: np.ndarray, which: str) -> list[tuple[str, list[np.ndarray]]]:
    draws = range(COLUMNS)
    nuisance = [change for change, _ in (*SCENE, *FILE)]
    if which == "photograph":
        made = [[photograph(image, _seeded(row, i)).lq for i in draws] for row in range(8)]
        return [("", row) for row in made]
    if which == "all":  # of each word as many forms as there are columns
        rows = []
        for word, forms in FORMS.items():
            kinds = list(dict.fromkeys(forms))
            rows.append((word, [kinds[i % len(kinds)](image, _seeded(SEED, i)) for i in draws]))
        changes = [nuisance[i * len(nuisance) // COLUMNS] for i in draws]
        return [*rows, ("nuisance", [np.clip(c(image, _seeded(SEED)), 0, 1) for c in changes])]
    forms = nuisance if which == "nuisance" else dict.fromkeys(FORMS[which])
    return [
        (form.__name__, [np.clip(form(image, _seeded(SEED, i)), 0, 1) for i in draws])
        for form in forms
    ]


def _seeded(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


if __name__ == "__main__":
    main()
