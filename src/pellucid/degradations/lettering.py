"""Random letters, for holes and for pictures that hold text."""

from functools import lru_cache

import numpy as np
from PIL import ImageFont

_LETTERS = np.array(
    list("eeeetttaaaooinnnsshhrrdlucmfwygpbvkxqjz" * 4 + "EASTNORI0123456789.,-:!?&")
)


@lru_cache(maxsize=128)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font at `size` px."""
    return ImageFont.load_default(max(4, size))


def random_text(rng: np.random.Generator, length: int) -> str:
    """Words of random letters, `length` characters in all."""
    letters = rng.choice(_LETTERS, max(1, length))
    letters[rng.random(len(letters)) < 0.17] = " "
    return "".join(letters)
