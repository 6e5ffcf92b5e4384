"""The forms of every degradation: ``FORMS[word]`` are functions ``form(image, rng) -> image``.

An image is ``(H, W, 3)`` float32 sRGB in [0, 1]; so is the result. A form draws its own strength,
from hardly visible to heavy. Those named more often are drawn more often.
"""

from collections.abc import Callable
from importlib import import_module

import numpy as np

from .blur import FORMS as BLUR
from .jpeg import FORMS as JPEG
from .low_light import FORMS as LOW_LIGHT
from .mask import FORMS as MASK
from .noise import FORMS as NOISE

Form = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _of(name: str, official: str) -> tuple[Form, ...]:
    """The forms of a module, or until it has some, its official degradation at any severity."""
    module = import_module(f".{name}", __package__)

    def form(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        made = getattr(module, official)(image, rng.uniform(0.05, 1), rng)
        return made[0] if isinstance(made, tuple) else made

    return getattr(module, "FORMS", (form,))


FORMS: dict[str, tuple[Form, ...]] = {
    "motion-blurry": BLUR,
    "hazy": _of("haze", "hazy"),
    "jpeg-compressed": JPEG,
    "low-light": LOW_LIGHT,
    "noisy": NOISE,
    "raindrop": _of("raindrop", "raindrop"),
    "rainy": _of("rain", "rainy"),
    "shadowed": _of("shadow", "shadowed"),
    "snowy": _of("snow", "snowy"),
    "uncompleted": MASK,
}
