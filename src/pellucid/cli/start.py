"""A quick start of the commands that restore."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType
from typing import Any

META = "torch._meta_registrations"
COLLECTED = 100_000  # objects made between two collections


def collect_rarely() -> None:
    """Let Python look for garbage less often: nearly all that a command makes early on stays."""
    gc.set_threshold(COLLECTED)


def import_little(model: str, engine: str, semantics: str | None) -> None:
    """Leave out what PyTorch imports for compilers only, a fifth of its import's time.

    Those are the shapes of results, in Python (`torch._meta_registrations`): compilers, exporters
    and the device "meta" ask for them. A model in the package needs none of these, but
    `torch.Generator` does: one that draws noise.

    Args:
        model: a name in the zoo, "auto" or a file; nothing is left out for what is not shipped.
        engine: nothing is left out for other engines than "torch".
        semantics: nothing is left out if another library loads an image tower.
    """
    from pellucid import zoo

    row = zoo.MODELS.get(zoo.DEFAULT if model == "auto" else model)
    known = row is not None and row.shipped and not row.samples and semantics is None
    if not known or engine != "torch" or "torch" in sys.modules:
        return

    def real(name: str) -> Any:  # if another version of PyTorch wants one of its names
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(META, None)
        return getattr(importlib.import_module(META), name)

    empty = ModuleType(META)
    empty.__dict__["__getattr__"] = real
    sys.modules[META] = empty
