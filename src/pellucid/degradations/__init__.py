"""Degradations, one file each, and their composition.

`degrade(image, word, severity, rng)` applies one of the ten degradations of DA-CLIP by its
official word. Severity 0 leaves (almost) nothing, 0.5 is medium (noise sigma 25, JPEG quality 10, a
quarter masked), 1 is as bad as it gets. For one state of `rng` the scene (streaks, flakes,
trajectory ...) stays the same and only its strength changes, so PSNR falls with severity.

Weather also says where it is: `weather(image, steps, rng)` returns its map beside the image.

`FORMS[word]` are the same degradations after several models each, with strengths of their own;
`photograph(scene, rng)` composes them in the camera's order into a training sample.
"""

from typing import TYPE_CHECKING

from pellucid.lazy import exports

if TYPE_CHECKING:
    from .camera import Sample as Sample
    from .camera import photograph as photograph
    from .compose import chain as chain
    from .compose import degrade as degrade
    from .compose import sample as sample
    from .compose import weather as weather
    from .table import FORMS as FORMS
    from .table import WEATHER as WEATHER
    from .wild_pipeline import wild as wild
    from .words import CLASSES as CLASSES
    from .words import CLEAN as CLEAN
    from .words import OVERLAY as OVERLAY
    from .words import WORDS as WORDS

_NAMES = {
    "camera": ("Sample", "photograph"),
    "compose": ("chain", "degrade", "sample", "weather"),
    "table": ("FORMS", "WEATHER"),
    "wild_pipeline": ("wild",),
    "words": ("CLASSES", "CLEAN", "OVERLAY", "WORDS"),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exports(__name__, _HOMES)
