"""The table of weights with their origin and licence.

Importing this module is cheap; PyTorch is loaded only when weights are fetched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pellucid.checkpoints.download import RemoteFile, cache_folder, fetch
from pellucid.errors import CheckpointError, UsageError, look_up

AUTO = "auto"  # a model is chosen by the degradations of the picture
DEFAULT = "lite"  # if none of the specialists is
SHIPPED = Path(__file__).parent / "weights"

_DACLIP = (
    "Luo et al., Controlling Vision-Language Models for Multi-Task Image Restoration, ICLR 2024"
)
_WILD = (
    "Luo et al., Photo-Realistic Image Restoration in the Wild with Controlled Vision-Language "
    "Models, CVPRW 2024"
)
_PERCEIVE = (
    "Zhang et al., Perceive-IR: Learning to Perceive Degradation Better for All-in-One Image "
    "Restoration, IEEE TIP 2026"
)
_PERCEIVE_PAGE = "https://pan.baidu.com/s/1r04w7uSwXZ6V8bE1X9BbMQ (code k4uc)"
_DACLIP_HUB = "weblzw/daclip-uir-ViT-B-32-irsde"


@dataclass(frozen=True)
class ShippedFile:
    """A bundle inside the package."""

    name: str
    sha256: str | None = None
    licence: str = "Apache-2.0"
    paper: str = ""

    @property
    def path(self) -> Path:
        """Path of the file in the installed package."""
        return SHIPPED / self.name


@dataclass(frozen=True)
class ManualFile:
    """A file that must be downloaded with a browser; converted, it belongs in the cache.

    `originals`: the names under which it was published.
    """

    name: str
    originals: tuple[str, ...]
    url: str
    licence: str = ""
    paper: str = ""
    size: int | None = None
    sha256: str | None = None

    @property
    def path(self) -> Path:
        """Path of the converted file."""
        return cache_folder() / self.name


WeightFile = RemoteFile | ShippedFile | ManualFile


@dataclass(frozen=True)
class ModelEntry:
    """One row: a restoration network and the tower that guides it.

    `recipe`: the function in `pellucid.recipes` that trains it, if any. `covers`: degradations for
    which `auto` chooses this model, if a picture has no others (noise alone: if it is white).
    `also`: others that such a specialist learned.
    `samples`: whether it draws noise.
    """

    name: str
    summary: str
    network: WeightFile
    tower: WeightFile
    recipe: str = ""
    covers: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    samples: bool = False

    @property
    def licence(self) -> str:
        """Licence of the network's weights."""
        return self.network.licence

    @property
    def paper(self) -> str:
        """The network's paper."""
        return self.network.paper

    @property
    def shipped(self) -> bool:
        """Whether it works without a network connection from the start."""
        return isinstance(self.network, ShippedFile) and isinstance(self.tower, ShippedFile)


def _official(
    name: str, paper: str, size: int | None = None, sha256: str | None = None
) -> RemoteFile:
    return RemoteFile(_DACLIP_HUB, name, size, sha256, licence="MIT", paper=paper)


# Sizes and sha256 are those published; a file without one is checked by the hub's own size alone.
DACLIP_B32 = _official(
    "daclip_ViT-B-32.pt",
    _DACLIP,
    sha256="ea948854d4293f2d222ead043fd5b4090fba984c8e2db8656934d768dc4f8230",
)
DACLIP_B32_MIX = _official("daclip_ViT-B-32_mix.pt", _DACLIP)
DACLIP_L14_WILD = _official(
    "wild-daclip_ViT-L-14.pt",
    _WILD,
    size=5_661_040_338,
    sha256="35db86f3cf74a42360b7346a124d3484605d24bcbdc33057e74449eab65fe246",
)
UNIVERSAL_IR = _official(
    "universal-ir.pth",
    _DACLIP,
    sha256="87575b2559ca122d27b56fe7f24fe63d8099795cdd5b16af2bab41ecc2bb02a8",
)
UNIVERSAL_IR_MIX = _official("universal-ir-mix.pth", _DACLIP)
WILD_IR = _official(
    "wild-ir.pth",
    _WILD,
    size=197_969_027,
    sha256="a8eea3b6945904de174123bc8220214990b67e85eac7214ad425f6b6ef46fdc5",
)
LITE_PROMPTS = ShippedFile(  # of quality
    "lite-perceive-prompts.safetensors",
    sha256="6efeaf6f414ba3d716b8b377c05d35df33c01bc7a3f0ee94776c2d67a02683d9",
)
LITE_TOKENIZER = ShippedFile("lite-tokenizer.json")
LITE_INSTRUCTIONS = ShippedFile(
    "lite-instructions.safetensors",
    sha256="3e69df650b98daa744ae961067c55b016a74cef6a40f1eccff7b2d1309ecb0af",
)
LITE_CLIP = ShippedFile(
    "lite-clip.safetensors",
    sha256="c62c48fb330032cb71d82006d3d723b282dda08b3d475854c20323bdeec3c3f7",
)
LITE_BLUR = ModelEntry(
    "lite-blur",
    "blur; works offline",
    ShippedFile(
        "lite-blur.safetensors",
        sha256="d75731c957415a3296548319934a46a98b3011ade2537feb0938d4a14e60ef15",
    ),
    LITE_CLIP,
    recipe="lite_blur",
    covers=("motion-blurry",),
)
LITE_DETAIL = ModelEntry(
    "lite-detail",
    "blur, noise and JPEG; works offline",
    ShippedFile(
        "lite-detail.safetensors",
        sha256="7f0db3c791377e7268e919bb6ce687cb20db0761f13cd633072e8f91cae9aacb",
    ),
    LITE_CLIP,
    recipe="lite_detail_light",
    covers=("noisy", "jpeg-compressed", "motion-blurry"),
)
LITE_JPEG = ModelEntry(
    "lite-jpeg",
    "JPEG; works offline",
    ShippedFile(
        "lite-jpeg.safetensors",
        sha256="290dfb8b7390785badfaab26f1b55da493de6069b4a97d5d283ff636e2d1e8f1",
    ),
    LITE_CLIP,
    recipe="lite_jpeg",
    covers=("jpeg-compressed",),
)
LITE_LIGHT = ModelEntry(
    "lite-light",
    "soft shadows, also with haze; works offline",
    ShippedFile(
        "lite-light.safetensors",
        sha256="9c7513354b2bbf6e0aa642cda56b71197eee2e823600340f68a7dc5c6451d13c",
    ),
    LITE_CLIP,
    recipe="lite_light",
    covers=("hazy", "shadowed"),
    also=("low-light",),
)
LITE_NOISE = ModelEntry(
    "lite-noise",
    "white noise; works offline",
    ShippedFile(
        "lite-noise.safetensors",
        sha256="12894bf674946fc25843666851e85a64ea898a63ef9d7b685610f169fa39a648",
    ),
    LITE_CLIP,
    recipe="lite_noise_dense",
    covers=("noisy",),
)
LITE_OVERLAY = ModelEntry(
    "lite-overlay",
    "rain, snow and drops; works offline",
    ShippedFile(
        "lite-overlay.safetensors",
        sha256="69c85ae2e0360432ad07b95ac6a9db4c384137e11895ee4d6dbe88e32484947f",
    ),
    LITE_CLIP,
    recipe="lite_overlay_rain",
    covers=("rainy", "snowy", "raindrop"),
)
LITE_WEATHER = ModelEntry(
    "lite-weather",
    "haze, also with rain, snow or drops; maps the damage; works offline",
    ShippedFile(
        "lite-weather.safetensors",
        sha256="d3238073d7c3d74cfd92f1b2d6cbf96b7f821ebc8d5d5c21b2b39cc83dfe1a9f",
    ),
    LITE_CLIP,
    recipe="weather_lite_mixed",
    covers=("hazy", "rainy", "snowy", "raindrop"),
)

MODELS = {
    entry.name: entry
    for entry in (
        ModelEntry(
            "lite",
            "small and fast, one pass; works offline",
            ShippedFile(
                "lite.safetensors",
                sha256="5085df5d66ac690a09183787f4c4396b82570d834468778f8aeee383050c2b29",
            ),
            LITE_CLIP,
            recipe="lite",
        ),
        LITE_BLUR,  # these three before the one that covers all of theirs
        LITE_JPEG,
        LITE_NOISE,
        LITE_DETAIL,
        LITE_OVERLAY,  # before the one that covers all of its words, too
        LITE_WEATHER,
        LITE_LIGHT,
        ModelEntry(
            "lite-sde",
            "small, samples with the mean-reverting SDE; works offline",
            ShippedFile(
                "lite-sde.safetensors",
                sha256="90bcd8458432a1a4045da30c793d2d00e224cf4222a9d6d13da7df099201df5e",
            ),
            LITE_CLIP,
            recipe="lite_sde",
            samples=True,
        ),
        ModelEntry(
            "lite-perceive",
            "lite with semantic guidance, trained on by Perceive-IR's losses; works offline",
            ShippedFile(
                "lite-perceive.safetensors",
                sha256="05d2a5833627b3ec3157635452fba25cfede576699a69975f8110fd443c5671d",
            ),
            LITE_CLIP,
            recipe="perceive_lite",
        ),
        ModelEntry(
            "daclip",
            "the official ten-degradation model (ViT-B/32, 100 steps)",
            UNIVERSAL_IR,
            DACLIP_B32,
            samples=True,
        ),
        ModelEntry(
            "daclip-mix",
            "the official model retrained by its authors with mixed degradations",
            UNIVERSAL_IR_MIX,
            DACLIP_B32_MIX,
            samples=True,
        ),
        ModelEntry(
            "daclip-wild",
            "the official model for photographs from the wild (ViT-L/14)",
            WILD_IR,
            DACLIP_L14_WILD,
            samples=True,
        ),
        *(
            ModelEntry(
                f"perceive-ir-{tasks}task",
                f"the official model for {words} (Perceive-IR)",
                ManualFile(
                    f"perceive-ir-{tasks}task.safetensors",
                    (f"AIO-{tasks}D.pth", f"perceiveIR_{tasks}task.pth"),
                    _PERCEIVE_PAGE,
                    licence="Apache-2.0",
                    paper=_PERCEIVE,
                ),
                LITE_CLIP,  # names the damage; the network does not ask
                recipe=f"perceive_{tasks}task",
            )
            for tasks, words in ((3, "noise, haze, rain"), (5, "these, blur and low light"))
        ),
    )
}


def published_names(file: WeightFile) -> tuple[str, ...]:
    """Names that a file has where its authors offer it; empty for files in this package."""
    if isinstance(file, ShippedFile):
        return ()
    return file.originals if isinstance(file, ManualFile) else (file.name,)


def by_file(name: str) -> ModelEntry | None:
    """The model whose network was published under a file's name, whatever its suffix now."""
    for row in MODELS.values():
        if Path(name).stem in {Path(known).stem for known in published_names(row.network)}:
            return row
    return None


class Paths(NamedTuple):
    """Bundles on this machine."""

    network: Path
    tower: Path


def entry(name: str) -> ModelEntry:
    """Return the row of a model.

    Raises:
        UsageError: there is none (names the nearest), or it is `AUTO`, a choice of several.
    """
    if name == AUTO:
        raise UsageError(f"{AUTO} is a choice of models for each picture: name one of them")
    look_up(dict.fromkeys((AUTO, *MODELS)), name, "model")
    return MODELS[name]


def resolve(name: str = DEFAULT) -> Paths:
    """Return the local files of a model, fetched and converted if this is their first use.

    Raises:
        UsageError: unknown name.
        CheckpointError: a file cannot be fetched, or is not what it should be.
    """
    row = entry(name)
    return Paths(_local(row.network), _local(row.tower))


def resolve_tower(name: str) -> Path:
    """Return the local file of a model's tower, as `resolve` does, without its network.

    Raises: as `resolve`.
    """
    return _local(entry(name).tower)


def _local(file: WeightFile) -> Path:
    if isinstance(file, RemoteFile):
        return fetch(file)
    if isinstance(file, ManualFile) and not file.path.exists():
        raise CheckpointError(
            f"fetch {' or '.join(file.originals)} from {file.url} by hand, then run\n"
            f"  pellucid convert {file.originals[0]} {file.path}"
        )
    if not file.path.exists():
        raise CheckpointError(f"{file.path} is not in this installation; reinstall the package")
    return file.path
