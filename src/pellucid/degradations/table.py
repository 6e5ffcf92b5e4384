"""The table of degradations: their functions and forms by word, and their order in a camera.

An image is `(H, W, 3)` float32 sRGB in [0, 1], at least 16 px a side; the result is the same. A
form draws its own strength, from hardly visible to heavy. Those named more often are drawn more
often.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .blur import FORMS as BLUR
from .blur import motion_blurry
from .haze import FORMS as HAZE
from .haze import hazy
from .jpeg import FORMS as JPEG
from .jpeg import jpeg_compressed
from .low_light import FORMS as LOW_LIGHT
from .low_light import low_light
from .mask import FORMS as MASK
from .mask import uncompleted
from .noise import FORMS as NOISE
from .noise import noisy
from .rain import FORMS as RAIN
from .rain import rainy
from .raindrop import FORMS as RAINDROP
from .raindrop import raindrop
from .shadow import FORMS as SHADOW
from .shadow import shadowed
from .snow import FORMS as SNOW
from .snow import snowy

Form = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class Row(NamedTuple):
    """What damages a picture by one word."""

    degrade: Callable[[np.ndarray, float, np.random.Generator], Any]
    """`degrade(image, severity, rng)`, after DA-CLIP's code: the image, or with `maps` the
    image and where it is damaged, `(H, W)` in [0, 1]."""
    forms: tuple[Form, ...]
    """Functions `form(image, rng)` that training draws from."""
    maps: bool = False


TABLE: dict[str, Row] = {  # in the order of `words.WORDS`
    "motion-blurry": Row(motion_blurry, BLUR),
    "hazy": Row(hazy, HAZE, maps=True),
    "jpeg-compressed": Row(jpeg_compressed, JPEG),
    "low-light": Row(low_light, LOW_LIGHT),
    "noisy": Row(noisy, NOISE),
    "raindrop": Row(raindrop, RAINDROP, maps=True),
    "rainy": Row(rainy, RAIN, maps=True),
    "shadowed": Row(shadowed, SHADOW),
    "snowy": Row(snowy, SNOW, maps=True),
    "uncompleted": Row(uncompleted, MASK),
}
# scene -> air -> lens -> exposure -> sensor -> file -> damage to the picture
PHYSICAL_ORDER: tuple[str, ...] = (
    "shadowed",
    "hazy",
    "rainy",
    "snowy",
    "raindrop",
    "motion-blurry",
    "low-light",
    "noisy",
    "jpeg-compressed",
    "uncompleted",
)
FORMS = {word: row.forms for word, row in TABLE.items()}
"""The forms of each word: functions `form(image, rng)` that training draws from."""
WEATHER = tuple(word for word, row in TABLE.items() if row.maps)
"""The words whose generator also says where the damage is: haze, drops, rain and snow."""
