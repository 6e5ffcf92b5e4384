"""The picture formats Pellucid reads and writes: one table, and the optional plugins."""

import importlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from PIL import features

from pellucid.errors import ImageError

AnyPath = TypeVar("AnyPath", bound=PurePath)
INSTALL = "pip install 'pellucid[formats]'"
RAW_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "cr3", "dng", "erf", "iiq", "kdc", "mef", "mos", "mrw", "nef"),
        *("nrw", "orf", "pef", "raf", "raw", "rw2", "srw"),
    )
)


ALL = frozenset({"exif", "icc", "xmp", "iptc", "dpi", "text"})
WEB = frozenset({"exif", "icc", "xmp"})
# of pictures that are neither read nor written here
OTHER_SUFFIXES = RAW_SUFFIXES | {
    *(".apng", ".avifs", ".bpg", ".dds", ".eps", ".exr", ".hdr", ".ico", ".jxr", ".mpo", ".pdf"),
    *(".ps", ".psd", ".svg", ".xbm", ".xcf", ".xpm"),
}


@dataclass(frozen=True)
class Format:
    """What one format can hold, and what reads it.

    `name` is Pillow's name; `plugin` is a module that registers the format with Pillow when it
    is imported.
    """

    name: str
    suffixes: tuple[str, ...]
    alpha: bool = True
    bits: int = 8  # the most a channel that it is written with
    holds: frozenset[str] = ALL  # of a photo's fields, what its writer can store
    lossy: bool = False  # has a quality setting
    writable: bool = True
    plugin: str | None = None
    longest: int | None = None  # side in pixels that can be written

    def load_plugin(self) -> None:
        """Make Pillow know the format; `ImageError` says what to install if it cannot."""
        if self.plugin is not None:
            try:
                module = importlib.import_module(self.plugin)
            except ImportError as error:
                raise ImageError(
                    f"{self.name} files need an optional package: {INSTALL} ({error})"
                ) from error
            if self.plugin == "pillow_heif":  # the other plugin registers itself on import
                module.register_heif_opener()
        elif self.name == "AVIF" and not features.check("avif"):
            raise ImageError("this Pillow was built without AVIF: pip install -U pillow")


FORMATS = (
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), alpha=False, lossy=True, longest=65500),
    Format("PNG", (".png",), bits=16),
    Format("WEBP", (".webp",), lossy=True, holds=WEB, longest=16383),
    Format("TIFF", (".tif", ".tiff"), bits=16, holds=ALL - {"text"}),
    Format("BMP", (".bmp", ".dib"), alpha=False, holds=frozenset({"dpi"})),
    Format("AVIF", (".avif",), bits=10, lossy=True, holds=WEB),
    Format(
        "HEIF", (".heic", ".heif", ".hif"), bits=10, lossy=True, holds=WEB, plugin="pillow_heif"
    ),
    # JPEG XL has a place for profiles, its plugin has not
    Format("JXL", (".jxl",), lossy=True, holds=WEB - {"icc"}, plugin="pillow_jxl"),
    Format("GIF", (".gif",), writable=False),
    Format("JPEG2000", (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"), writable=False),
    Format("PNM", (".ppm", ".pgm", ".pbm", ".pnm"), writable=False),
    Format("TGA", (".tga",), writable=False),
    Format("PCX", (".pcx",), writable=False),
    Format("SGI", (".sgi", ".rgb"), writable=False),
    Format("QOI", (".qoi",), writable=False),
)
BY_NAME = {f.name: f for f in FORMATS}
BY_SUFFIX = {suffix: f for f in FORMATS for suffix in f.suffixes}
WRITABLE_SUFFIXES = tuple(s for s, f in BY_SUFFIX.items() if f.writable)


def format_of(path: str | Path) -> Format | None:
    """The format that a file's name announces, or None."""
    return BY_SUFFIX.get(Path(path).suffix.lower())


def unreadable() -> str:
    """What is wrong with a file that is in none of these formats."""
    known = ", ".join(f.name for f in FORMATS)
    return f"not a picture in a format that can be read ({known})"


def output_format(path: str | Path) -> Format:
    """The format to write, from the suffix of `path`; `ImageError` if it cannot be written."""
    found = format_of(path)
    if found is None or not found.writable:
        suffix = Path(path).suffix
        what = f"'{suffix}' files cannot be written" if suffix else "the name has no suffix"
        raise ImageError(f"{path}: {what}; choose one of {' '.join(WRITABLE_SUFFIXES)}")
    return found


def result_names(names: Sequence[AnyPath], suffix: str | None) -> list[AnyPath]:
    """Names of results; names that a new suffix would make equal keep the old one as well.

    Args:
        names: of the pictures that are restored.
        suffix: such as ".png"; None keeps each picture's, or takes .png if it cannot be written.
    """
    wanted = [result_name(name, suffix) for name in names]
    counts = Counter(os.path.normcase(name) for name in wanted)
    return [
        old.with_name(old.name + new.suffix)
        if counts[os.path.normcase(new)] > 1 and new != old
        else new
        for old, new in zip(names, wanted, strict=True)
    ]


def result_name(name: AnyPath, suffix: str | None) -> AnyPath:
    """Name of one result; see `result_names`."""
    if suffix is not None:
        return name.with_suffix(suffix)
    return name if name.suffix.lower() in WRITABLE_SUFFIXES else name.with_suffix(".png")


def _millions(pixels: int) -> str:
    return f"{pixels / 1e6:.0f}" if pixels >= 1e9 else f"{pixels / 1e6:.4g}"


def check_size(width: int, height: int, max_pixels: int) -> None:
    """`ImageError` if a picture is larger than is allowed."""
    if width * height > max_pixels:
        raise ImageError(
            f"{width} x {height} is {_millions(width * height)} megapixels, above the limit of "
            f"{_millions(max_pixels)}; if you trust the file, raise max_pixels (--max-pixels)"
        )
