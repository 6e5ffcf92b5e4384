"""Fetch 227 freely licensed photographs from public repositories on GitHub.

    python scripts/fetch_free_photos.py [--out data/free_photos]

``scripts/free_photos.tsv`` names them: source (repository, commit, path), author, licence, and the
size to which each is reduced (by two or more, so that the blocks of a JPEG are no "ground truth").
Each becomes ``OUT/NAME.png``; those that are there already are kept. The shipped weights were
trained on these and on the photographs of ``fetch_photos.py``. Nothing of this goes into the
repository or a wheel: some licences allow training, but no new collection.
"""

import argparse
import csv
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from PIL import Image

from pellucid.imaging.reader import read

TABLE = Path(__file__).with_name("free_photos.tsv")
SITE = "https://raw.githubusercontent.com"
SECONDS = 60


def address(source: str, site: str = SITE) -> str:
    """URL of ``OWNER/REPOSITORY@COMMIT:PATH``."""
    repository, _, rest = source.partition("@")
    commit, _, path = rest.partition(":")
    return f"{site}/{repository}/{commit}/{quote(path)}"


def fetch(row: dict[str, str], out: Path, site: str) -> str:
    """Fetch and reduce one photograph; returns what went wrong, empty if nothing did."""
    target = (out / row["file"]).with_suffix(".png")
    if target.exists():
        return ""
    try:
        with urlopen(address(row["source"], site), timeout=SECONDS) as answer:
            pixels = read(answer.read()).pixels
        picture = Image.fromarray((pixels * 255).round().astype("uint8"))
        size = int(row["width"]), int(row["height"])
        buffer = io.BytesIO()
        picture.resize(size, Image.Resampling.LANCZOS).save(buffer, "PNG")
        part = target.with_suffix(".part")
        part.write_bytes(buffer.getvalue())
        part.replace(target)
    except Exception as error:  # the others are still wanted, whatever happened to this one
        return f"{row['source']}: {error}"
    return ""


def main(argv: list[str] | None = None) -> int:
    """Fetch all; returns 1 if some could not be fetched."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/free_photos"))
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--site", default=SITE, help="a mirror of raw.githubusercontent.com")
    arguments = parser.parse_args(argv)
    with open(arguments.table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(4) as pool:
        problems = list(pool.map(partial(fetch, out=arguments.out, site=arguments.site), rows))
    problems = [problem for problem in problems if problem]
    print(f"{len(rows) - len(problems)} of {len(rows)} photographs in {arguments.out}")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
