"""Train a tower: `pellucid train` with the laboratory's recipes.

python -m laboratory.train lite_image_tower [--name value ...]
python -m laboratory.train lite_text_tower [--name value ...]
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from laboratory.recipes import RECIPES
from pellucid import cli, recipes


def main(argv: Sequence[str]) -> int:
    recipes.RECIPES.update(RECIPES)
    return cli.main(["train", *argv])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
