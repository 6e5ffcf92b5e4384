"""Training losses, one file a family."""

from pellucid.lazy import exports

_NAMES = {
    "contrastive": ("daclip_loss", "degradation_contrastive"),
    "distillation": ("SoftResidualDistillation",),
    "perceptual": ("VGG16", "difficulty_adaptive", "difficulty_weight"),
    "pixel": ("charbonnier", "l1", "negative_psnr", "psnr"),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exports(__name__, _HOMES)
