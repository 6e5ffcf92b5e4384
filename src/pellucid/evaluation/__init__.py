"""Numbers that mean one thing: metrics with explicit settings, published protocols, reports."""

from pellucid.lazy import exports

_NAMES = {
    "fid": ("Inception", "frechet_distance"),
    "folder_scores": ("score_folder",),
    "lpips": ("LPIPS",),
    "metrics": ("MetricSettings", "psnr", "ssim"),
    "protocols": ("PROTOCOLS", "protocol"),
    "run": ("Evaluation",),
    "scoring": ("FolderSource", "ModelSource"),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exports(__name__, _HOMES)
