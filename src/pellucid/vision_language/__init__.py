"""CLIP towers, the DA-CLIP controller, and what is computed with them."""

from pellucid.lazy import exports

_NAMES = {
    "clip": ("CLIP", "CLIPConfig", "TextConfig", "VisionConfig"),
    "controller": ("DaCLIP",),
    "dinov2": ("DINOv2",),
    "image_tower": ("ImageTower",),
    "preprocess": ("embed",),
    "prompts": ("QualityPerceiver", "QualityPrompts"),
    "resnet": ("CLIPResNet", "CLIPResNetConfig"),
    "semantics": ("TowerSemantics",),
    "tokenizer": ("Tokenizer",),
    "towers": ("TOWERS",),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exports(__name__, _HOMES)
