"""Degradations, one file each, and their composition.

``degrade(image, word, severity, rng)`` applies one of the ten degradations of DA-CLIP by its
official word. Severity 0 leaves (almost) nothing, 0.5 is medium (noise sigma 25, JPEG quality 10, a
quarter masked), 1 is as bad as it gets. For one state of ``rng`` the scene (streaks, flakes,
trajectory ...) stays the same and only its strength changes, so PSNR falls with severity.

Weather also says where it is: ``weather(image, steps, rng)`` returns its map beside the image.

``FORMS[word]`` are the same degradations after several models each, with strengths of their own;
``photograph(scene, rng)`` composes them in the camera's order into a training sample.
"""

from collections.abc import Sequence

import numpy as np

from pellucid.errors import UsageError

from .blur import motion_blurry
from .camera import Sample, photograph
from .compose import CLEAN, chain, sample
from .forms import FORMS
from .haze import hazy
from .jpeg import jpeg_compressed
from .low_light import low_light
from .mask import uncompleted
from .noise import noisy
from .rain import rainy
from .raindrop import raindrop
from .shadow import shadowed
from .snow import snowy
from .wild import wild

DEGRADATIONS = {
    "motion-blurry": motion_blurry,
    "hazy": hazy,
    "jpeg-compressed": jpeg_compressed,
    "low-light": low_light,
    "noisy": noisy,
    "raindrop": raindrop,
    "rainy": rainy,
    "shadowed": shadowed,
    "snowy": snowy,
    "uncompleted": uncompleted,
}
WORDS = tuple(DEGRADATIONS)  # the official order
CLASSES = (*WORDS, CLEAN)
WEATHER = ("hazy", "raindrop", "rainy", "snowy")  # their functions return (image, map)


def degrade(image: np.ndarray, word: str, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Degrade ``(H, W, 3)`` float32 RGB in [0, 1]; the result has the same shape, type and range.

    Raises ``ValueError`` for an unknown word or a severity outside [0, 1], and ``UsageError`` for
    an array of another type. ``clean`` returns the image as it is.
    """
    if not (isinstance(image, np.ndarray) and image.dtype == np.float32 and image.ndim == 3):
        given = getattr(image, "dtype", type(image).__name__)
        raise UsageError(f"the image must be a float32 array (H, W, 3) in [0, 1], not {given}")
    if not 0 <= severity <= 1:
        raise ValueError(f"severity {severity} is outside [0, 1]")
    if word == CLEAN:
        return image
    if word not in DEGRADATIONS:
        raise ValueError(f"unknown degradation '{word}'; known: {', '.join(CLASSES)}")
    made = DEGRADATIONS[word](image, severity, rng)
    return (made[0] if word in WEATHER else made).astype(np.float32, copy=False)


def weather(
    image: np.ndarray, steps: Sequence[tuple[str, float]], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Apply ``(word, severity)`` steps of ``WEATHER`` as ``chain`` does; also say where they are.

    The map ``(H, W)`` in [0, 1] is the share of the light that the weather put in the scene's place
    (z of snow, M of drops, 1 - t of haze) or, for streaks, added to it; of several steps what none
    of them left alone.
    """
    alone = np.ones(image.shape[:2], np.float32)
    for word, severity in steps:
        image, where = DEGRADATIONS[word](image, severity, rng)
        alone *= 1 - where
    return image.astype(np.float32, copy=False), 1 - alone


__all__ = [
    "CLASSES",
    "CLEAN",
    "DEGRADATIONS",
    "FORMS",
    "WEATHER",
    "WORDS",
    "Sample",
    "chain",
    "degrade",
    "photograph",
    "sample",
    "weather",
    "wild",
]
