"""Restoration networks, one file each: config, blocks, network."""

from pellucid.lazy import exports

_NAMES = {
    "bilateral": ("BilateralGrid", "BilateralGridConfig"),
    "contract": ("Guidance", "RestorationNetwork"),
    "guided": (
        "GuidedNAFNet",
        "GuidedNAFNetConfig",
        "GuidedResUNet",
        "GuidedResUNetConfig",
        "GuidedUNet",
        "GuidedUNetConfig",
    ),
    "irsde_unet": ("ConditionalUNet", "DirectUNet", "UNetConfig"),
    "nafnet": ("NAFNet", "NAFNetConfig"),
    "perceive_ir": ("PerceiveIR", "PerceiveIRConfig"),
    "restormer": ("Restormer", "RestormerConfig", "RestormerMedium", "RestormerMediumConfig"),
    "resunet": ("DiffusionResUNet", "ResUNet", "ResUNetConfig"),
    "table": ("NETWORKS", "network_of"),
    "weather": ("WeatherConfig", "WeatherUNet"),
    "wiener": ("WienerUNet", "WienerUNetConfig"),
}
_HOMES = {name: f"{__name__}.{home}" for home, names in _NAMES.items() for name in names}
__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]
__getattr__, __dir__ = exports(__name__, _HOMES)
