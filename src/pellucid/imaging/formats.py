"""The picture formats Pellucid reads and writes: one table, and the optional plugins."""

import importlib
from dataclasses import dataclass
from pathlib import Path

from PIL import features

from pellucid.errors import ImageError

INSTALL = "pip install 'pellucid[formats]'"
RAW_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3fr", "arw", "cr2", "cr3", "dng", "erf", "iiq", "kdc", "mef", "mos", "mrw", "nef"),
        *("nrw", "orf", "pef", "raf", "raw", "rw2", "srw"),
    )
)


@dataclass(frozen=True)
class Format:
    """What one format can hold, and what reads it.

    ``name`` is Pillow's name; ``plugin`` is a module that registers the format with Pillow when it
    is imported.
    """

    name: str
    suffixes: tuple[str, ...]
    alpha: bool = True
    deep: bool = False  # can hold 16 bits a channel
    profile: bool = True  # has a place for a colour profile (JPEG XL has, its plugin has not)
    lossy: bool = False  # has a quality setting
    writable: bool = True
    plugin: str | None = None

    def load_plugin(self) -> None:
        """Make Pillow know the format; ``ImageError`` says what to install if it cannot."""
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
    Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif"), alpha=False, lossy=True),
    Format("PNG", (".png",), deep=True),
    Format("WEBP", (".webp",), lossy=True),
    Format("TIFF", (".tif", ".tiff"), deep=True),
    Format("BMP", (".bmp", ".dib"), alpha=False, profile=False),
    Format("AVIF", (".avif",), lossy=True),
    Format("HEIF", (".heic", ".heif", ".hif"), lossy=True, plugin="pillow_heif"),
    Format("JXL", (".jxl",), lossy=True, profile=False, plugin="pillow_jxl"),
    Format("GIF", (".gif",), writable=False),
)
BY_NAME = {f.name: f for f in FORMATS}
BY_SUFFIX = {suffix: f for f in FORMATS for suffix in f.suffixes}
WRITABLE_SUFFIXES = tuple(s for s, f in BY_SUFFIX.items() if f.writable)


def format_of(path: str | Path) -> Format | None:
    """The format that a file's name announces, or None."""
    return BY_SUFFIX.get(Path(path).suffix.lower())


def output_format(path: str | Path) -> Format:
    """The format to write, from the suffix of ``path``; ``ImageError`` if it cannot be written."""
    found = format_of(path)
    if found is None or not found.writable:
        suffix = Path(path).suffix
        what = f"'{suffix}' files cannot be written" if suffix else "the name has no suffix"
        raise ImageError(f"{path}: {what}; choose one of {' '.join(WRITABLE_SUFFIXES)}")
    return found


def sniff(data: bytes) -> Format | None:
    """The format of a file's content, from its first bytes (None: not one of ours)."""
    head = data[:32]
    if head.startswith(b"\xff\xd8\xff"):
        name = "JPEG"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        name = "PNG"
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        name = "WEBP"
    elif head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        name = "TIFF"
    elif head[:2] == b"BM":
        name = "BMP"
    elif head[:4] == b"GIF8":
        name = "GIF"
    elif head[:2] == b"\xff\x0a" or head[4:8] == b"JXL ":
        name = "JXL"
    elif head[4:12] in (b"ftypavif", b"ftypavis"):
        name = "AVIF"
    elif head[4:8] == b"ftyp" and head[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1"):
        # phones and libavif may write AVIF under the general brand "mif1"
        name = "AVIF" if b"avif" in data[:64] else "HEIF"
    else:
        return None
    return BY_NAME[name]
