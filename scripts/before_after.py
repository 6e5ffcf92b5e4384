"""Draw ``docs/before_after.png``: example photographs and what the default model makes of them.

python scripts/before_after.py [--names noisy rainy ...] [--out docs/before_after.png]
python scripts/before_after.py --model NETWORK --maps --names rainy snowy raindrop hazy --out FILE
                                # of a weather network: the map of the damage in the middle
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import pellucid
from pellucid.imaging.heat import heat
from pellucid.imaging.reader import from_pil

NAMES = ("noisy", "rainy", "snowy", "low-light", "hazy", "uncompleted")
WIDTH, HEIGHT, BAR = 300, 200, 22


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--names", nargs="*", default=NAMES)
    parser.add_argument("--model", default="auto")
    parser.add_argument("--maps", action="store_true", help="networks with a SAR encoder")
    parser.add_argument("--examples", type=Path, default=Path("examples"))
    parser.add_argument("--out", type=Path, default=Path("docs/before_after.png"))
    args = parser.parse_args()
    restorer = pellucid.load(args.model)
    columns, shown = (1, 3) if args.maps else (2, 2)
    rows = -(-len(args.names) // columns)
    sheet = Image.new("RGB", (columns * (shown * WIDTH + 8), rows * (HEIGHT + BAR)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for index, name in enumerate(args.names):
        (path,) = args.examples.glob(f"{name}.*")
        before = Image.open(path).convert("RGB")
        found = restorer.diagnose(before)
        after = restorer.restore(before, guidance=found)
        left = (index % columns) * (shown * WIDTH + 8)
        top = (index // columns) * (HEIGHT + BAR)
        pictures = [before, after]
        if args.maps:
            where = restorer.damage(before, guidance=found)
            shown_where = heat(from_pil(before), where).pixels
            pictures.insert(1, Image.fromarray((255 * shown_where).round().astype(np.uint8)))
        for place, picture in enumerate(pictures):
            scale = max(WIDTH / picture.width, HEIGHT / picture.height)
            picture = picture.resize(
                (round(picture.width * scale), round(picture.height * scale)), Image.LANCZOS
            )
            x, y = (picture.width - WIDTH) // 2, (picture.height - HEIGHT) // 2
            sheet.paste(
                picture.crop((x, y, x + WIDTH, y + HEIGHT)), (left + place * WIDTH, top + BAR)
            )
        word, share = next(iter(found.probabilities.items()))
        draw.text((left + 4, top + 3), f"{name}: named {word} ({share:.0%})", "black", font)
    sheet.save(args.out, optimize=True)
    print(args.out)


if __name__ == "__main__":
    main()
