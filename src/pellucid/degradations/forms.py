"""The forms of every degradation: ``FORMS[word]`` are functions ``form(image, rng) -> image``.

An image is ``(H, W, 3)`` float32 sRGB in [0, 1], at least 16 px a side; the result is the same. A
form draws its own strength, from hardly visible to heavy. Those named more often are drawn more
often.
"""

from collections.abc import Callable

import numpy as np

from .blur import FORMS as BLUR
from .haze import FORMS as HAZE
from .jpeg import FORMS as JPEG
from .low_light import FORMS as LOW_LIGHT
from .mask import FORMS as MASK
from .noise import FORMS as NOISE
from .rain import FORMS as RAIN
from .raindrop import FORMS as RAINDROP
from .shadow import FORMS as SHADOW
from .snow import FORMS as SNOW

Form = Callable[[np.ndarray, np.random.Generator], np.ndarray]
FORMS: dict[str, tuple[Form, ...]] = {
    "motion-blurry": BLUR,
    "hazy": HAZE,
    "jpeg-compressed": JPEG,
    "low-light": LOW_LIGHT,
    "noisy": NOISE,
    "raindrop": RAINDROP,
    "rainy": RAIN,
    "shadowed": SHADOW,
    "snowy": SNOW,
    "uncompleted": MASK,
}
