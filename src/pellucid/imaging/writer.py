"""Writing a photograph: complete or not at all, and never over the file it was read from."""

import errno
import io
import os
import secrets
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from pellucid.errors import ImageError, UsageError
from pellucid.imaging import metadata, png16, tiff
from pellucid.imaging.colour import to_srgb
from pellucid.imaging.formats import BY_NAME, Format, output_format
from pellucid.imaging.photo import Photo

QUALITY = 95
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the disk quota is used up"}


def write(
    photo: Photo, path: str | Path, quality: int | None = None, overwrite: bool = False
) -> Path:
    """Write ``photo`` in the format of the suffix; return the path, or raise ``ImageError``.

    The file appears complete or not at all: it is written under a temporary name in the same folder
    and renamed. The file that the photograph was read from is never replaced, ``overwrite`` or not,
    nor anything else without it.

    ``quality`` (1..100) is for JPEG, WebP, AVIF, HEIC and JPEG XL; see :func:`encode`.
    """
    path = Path(path)
    format = output_format(path)
    refuse_input(photo.path, path)
    if path.exists() and not overwrite:
        raise ImageError(f"{path}: exists already; choose another name or allow overwriting")
    try:
        data = encode(photo, format.name, quality)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error.__cause__
    return write_bytes(data, path)


def refuse_input(source: Path | None, path: Path) -> None:
    """``ImageError`` if ``path`` is the file ``source``, by whatever name or link."""
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise ImageError(
            f"{path}: is the input itself, which is never overwritten; choose another name"
        )


def write_bytes(data: bytes, path: Path) -> Path:
    """Write a whole file or nothing, making folders; ``ImageError`` says why it failed."""
    temporary = path.with_name(f".pellucid-{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:  # Ctrl-C too must leave nothing behind
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        reason = _FULL.get(error.errno, error.strerror or str(error))
        raise ImageError(f"{path}: could not be written, nothing was changed ({reason})") from error
    return path


def check(photo: Photo, format: Format) -> None:
    """``ImageError`` if the format cannot hold the picture. Cheap: call it before the work."""
    if photo.alpha is not None and not format.alpha and (photo.alpha < 1).any():
        able = ", ".join(f.name for f in BY_NAME.values() if f.alpha and f.writable)
        raise ImageError(
            f"the picture is transparent in places, which {format.name} cannot store ({able} can)"
        )


def encode(photo: Photo, format: str, quality: int | None = None) -> bytes:
    """The bytes of a file in ``format`` (Pillow's name).

    EXIF, XMP, ICC profile and resolution go along wherever the format has a place for them (BMP:
    resolution only); where there is none for the profile, the colours are converted to sRGB. PNG
    and TIFF keep 16 bits; other formats get 8.

    ``quality`` 1..100. JPEG: without chroma subsampling, 95 when not given, or the tables of the
    JPEG it was read from if those are finer. WebP: 95, or lossless if the input was, or for 100.
    Others: 95.
    """
    kind = BY_NAME[format]
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"quality {quality} is not in 1..100")
    check(photo, kind)
    kind.load_plugin()
    if not kind.alpha and photo.alpha is not None:
        photo = replace(photo, alpha=None)  # opaque everywhere, as check() saw
    samples = photo.samples(16 if kind.deep and photo.bit_depth == 16 else 8)
    icc = _fitting(photo)
    if icc is not None and not kind.profile:
        samples, icc = _in_srgb(samples, icc), None
    if format == "TIFF":
        tags = metadata.tiff_tags(photo.exif) if photo.exif else {}
        return tiff.encode(samples, tags, icc, photo.xmp, photo.dpi)
    options = {"icc_profile": icc, "exif": photo.exif, "xmp": photo.xmp, "dpi": photo.dpi}
    options = {key: value for key, value in options.items() if value is not None}
    if format == "PNG":
        options["pnginfo"] = _text_chunks(photo)
        if samples.dtype == np.uint16:
            one_pixel = (samples[:1, :1] >> 8).astype(np.uint8)
            return png16.encode(samples, _save(one_pixel, "PNG", options))
    elif format == "JPEG":
        options |= _jpeg_options(photo, quality)
    elif format == "WEBP":
        lossless = quality == 100 or (quality is None and photo.lossless)
        # "exact" keeps the colours of pixels that are fully transparent
        options |= {"quality": quality or QUALITY, "lossless": lossless, "exact": True}
    elif kind.lossy:
        options["quality"] = quality or QUALITY
    return _save(samples, format, options)


def _save(samples: np.ndarray, format: str, options: dict[str, object]) -> bytes:
    out = io.BytesIO()
    try:
        to_pil(samples).save(out, format, **options)
    except (OSError, ValueError, SystemError, RuntimeError) as error:  # e.g. too wide for WebP
        raise ImageError(f"could not be encoded as {format} ({error})") from error
    return out.getvalue()


def to_pil(samples: np.ndarray) -> Image.Image:
    """A Pillow image of uint8 samples ``(H, W, C)``: mode L, LA, RGB or RGBA by C."""
    return Image.fromarray(samples[..., 0] if samples.shape[2] == 1 else samples)


def _fitting(photo: Photo) -> bytes | None:
    """The colour profile, unless it is one for grey and the picture is in colour."""
    grey_profile = photo.icc is not None and photo.icc[16:20] == b"GRAY"
    return None if grey_profile and not photo.grey else photo.icc


def _in_srgb(samples: np.ndarray, icc: bytes) -> np.ndarray:
    colours = 1 if samples.shape[2] < 3 else 3
    converted = np.asarray(to_srgb(to_pil(samples[..., :colours]), icc))
    return np.concatenate(
        [converted.reshape(*samples.shape[:2], colours), samples[..., colours:]], 2
    )


def _jpeg_options(photo: Photo, quality: int | None) -> dict[str, object]:
    options: dict[str, object] = {"subsampling": 0, "quality": quality or QUALITY}
    if photo.exif:
        options["exif"] = b"Exif\0\0" + photo.exif
    if comment := photo.text.get("Comment"):
        options["comment"] = comment.encode()
    tables = photo.quantisation
    if (
        quality is None
        and tables
        and _coarseness(tables) < _coarseness(_default_tables(photo.grey))
    ):
        del options["quality"]
        options["qtables"] = [list(table) for table in tables]
    return options


def _coarseness(tables: tuple[tuple[int, ...], ...]) -> float:
    return sum(sum(table) for table in tables) / len(tables)


def _default_tables(grey: bool) -> tuple[tuple[int, ...], ...]:
    out = io.BytesIO()
    Image.new("L" if grey else "RGB", (8, 8)).save(out, "JPEG", quality=QUALITY)
    with Image.open(out) as image:
        return tuple(tuple(table) for table in image.quantization.values())


def _text_chunks(photo: Photo) -> PngImagePlugin.PngInfo:
    chunks = PngImagePlugin.PngInfo()
    for key, value in photo.text.items():
        chunks.add_text(key, value)  # as international text where Latin-1 cannot hold it
    if photo.xmp:
        chunks.add_itxt("XML:com.adobe.xmp", photo.xmp.decode("utf-8", "replace"))
    return chunks
