"""Image restoration guided by vision-language models.

    import pellucid

    pellucid.restore("photo.jpg")              # a Photo: pellucid.write(photo, "clean.jpg")
    restorer = pellucid.load("lite")           # to restore many
    restorer.diagnose("photo.jpg").words       # what is wrong with it

Importing this package is cheap: PyTorch is loaded when one of these names is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.lazy import exports

if TYPE_CHECKING:
    from pellucid.imaging.io import Photo, read, write
    from pellucid.loading import load, restore
    from pellucid.networks.contract import Guidance
    from pellucid.restoration import Restoration
    from pellucid.restorer import Restorer

__version__ = "0.1.0"

_HOMES = {
    "Guidance": "pellucid.networks.contract",
    "Photo": "pellucid.imaging.io",
    "Restoration": "pellucid.restoration",
    "Restorer": "pellucid.restorer",
    "load": "pellucid.loading",
    "read": "pellucid.imaging.io",
    "restore": "pellucid.loading",
    "write": "pellucid.imaging.io",
}
__all__ = [
    "Guidance",
    "Photo",
    "Restoration",
    "Restorer",
    "__version__",
    "list_models",
    "load",
    "read",
    "restore",
    "write",
]


def list_models() -> list[str]:
    """The names of the models that `load` knows."""
    from pellucid.zoo import MODELS

    return list(MODELS)


__getattr__, __dir__ = exports(__name__, _HOMES)
