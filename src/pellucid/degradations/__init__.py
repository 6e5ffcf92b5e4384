"""Degradations, one file each, and their composition.

`degrade(image, word, severity, rng)` applies one of the ten degradations of DA-CLIP by its
official word. Severity 0 leaves (almost) nothing, 0.5 is medium (noise sigma 25, JPEG quality 10, a
quarter masked), 1 is as bad as it gets. For one state of `rng` the scene (streaks, flakes,
trajectory ...) stays the same and only its strength changes, so PSNR falls with severity.

Weather also says where it is: `weather(image, steps, rng)` returns its map beside the image.

`FORMS[word]` are the same degradations after several models each, with strengths of their own;
`photograph(scene, rng)` composes them in the camera's order into a training sample.
"""

from .camera import Sample, photograph
from .compose import chain, degrade, sample, weather
from .table import CLASSES, CLEAN, FORMS, WEATHER, WORDS
from .wild import wild

__all__ = [
    "CLASSES",
    "CLEAN",
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
