"""The mean-reverting SDE: coefficients, denoiser, samplers, and presets of samplers."""

from pellucid.lazy import exports

_NAMES = {
    "denoiser": ("Denoiser",),
    "presets": ("PRESETS", "Preset"),
    "randomness": ("gaussian",),
    "samplers": ("SAMPLERS",),
    "sde": ("MeanRevertingSDE",),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exports(__name__, _HOMES)
