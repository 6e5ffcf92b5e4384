"""Image restoration guided by vision-language models.

    import pellucid

    pellucid.restore("photo.jpg")              # a Photo: pellucid.write(photo, "clean.jpg")
    restorer = pellucid.load("lite")           # to restore many
    restorer.diagnose("photo.jpg").words       # what is wrong with it

Importing this package is cheap: PyTorch is loaded when one of these names is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.imaging.io import Photo, read, write
    from pellucid.restorer import Guidance, Restorer, load, restore

__version__ = "0.1.0"

_HOMES = {
    "Guidance": "pellucid.restorer",
    "Photo": "pellucid.imaging.io",
    "Restorer": "pellucid.restorer",
    "load": "pellucid.restorer",
    "read": "pellucid.imaging.io",
    "restore": "pellucid.restorer",
    "write": "pellucid.imaging.io",
}
__all__ = [
    "Guidance",
    "Photo",
    "Restorer",
    "__version__",
    "list_models",
    "load",
    "read",
    "restore",
    "write",
]


def list_models() -> list[str]:
    """The names that :func:`load` knows."""
    from pellucid.zoo import MODELS

    return list(MODELS)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pellucid' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
