"""What of a photograph goes into a file of a format: decided, and said, before any work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from pellucid.errors import ImageError
from pellucid.imaging import deep, profiles
from pellucid.imaging.colour import to_srgb
from pellucid.imaging.encoder import encode_fitting, to_pil
from pellucid.imaging.formats import BY_NAME, INSTALL, Format
from pellucid.imaging.photo import Photo

_NAMES = {
    "exif": "EXIF",
    "icc": "colour profile",
    "xmp": "XMP",
    "iptc": "IPTC data",
    "dpi": "resolution",
    "text": "text",
}
_PROBE = 64  # pixels, a side


def fit(photo: Photo, format: str) -> Photo:
    """The photograph with what a file of `format` (Pillow's name) can hold; its notes say the
    rest.

    Cheap: call it before the work. A profile stays until the file is written, where colours are
    converted to sRGB if the format has no place for it. Metadata count as writable if the encoder
    takes them with a tiny picture.

    Raises:
        ImageError: the picture is transparent in places, which the format cannot store; or its
            sides are too long; or the format needs a package that is not installed.
    """
    kind = BY_NAME[format]
    kind.load_plugin()
    if photo.alpha is not None and not kind.alpha and (photo.alpha < 1).any():
        able = ", ".join(f.name for f in BY_NAME.values() if f.alpha and f.writable)
        raise ImageError(
            f"the picture is transparent in places, which {format} cannot store ({able} can)"
        )
    if kind.longest is not None and max(photo.width, photo.height) > kind.longest:
        raise ImageError(
            f"{photo.width} x {photo.height}: {format} files have sides of {kind.longest} pixels "
            "at most; choose another format"
        )
    empty = {name: None for name in ("exif", "icc", "xmp", "iptc") if not getattr(photo, name)}
    photo = _with_fitting_profile(replace(photo, **empty))
    if photo.icc is not None and "icc" not in kind.holds and not _is_srgb(photo.icc):
        photo = photo.with_notes(f"colours become sRGB: {format} is written without a profile")
    if photo.bit_depth > (bits := deep.writable_bits(format)):
        reason = f", the most that {format} is written with"
        if bits < kind.bits:
            reason = f" (to keep {kind.bits}: {INSTALL})"
        photo = photo.with_notes(f"{photo.bit_depth} bits a channel become {bits}{reason}")
    return _with_writable_metadata(photo, kind)


def _is_srgb(icc: bytes) -> bool:
    """Whether colours keep their values, but for rounding, in sRGB."""
    steps = np.linspace(0, 255, 6).astype(np.uint8)
    samples = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(6, -1, 3)
    if profiles.space(icc) == "GRAY":
        samples = samples[..., :1]
    converted = np.asarray(to_srgb(to_pil(samples), icc)).reshape(samples.shape)
    return int(np.abs(converted.astype(int) - samples).max()) <= 1


def _with_fitting_profile(photo: Photo) -> Photo:
    """With a profile for grey where the picture is grey, for RGB where it is not, or with none."""
    if photo.icc is None:
        return photo
    space = profiles.space(photo.icc)
    if space == ("GRAY" if photo.grey else "RGB"):
        return photo
    if photo.grey and space == "RGB" and (grey := profiles.grey_profile(photo.icc)):
        return replace(photo, icc=grey)
    reason = f"is for {space}" if space else "is damaged"
    return replace(photo, icc=None).with_notes(f"its colour profile {reason} and was left out")


def _with_writable_metadata(photo: Photo, kind: Format) -> Photo:
    for field in _NAMES:
        if field not in kind.holds and field != "icc" and getattr(photo, field):
            photo = _without(photo, field, f"{kind.name} has no place for it")
    if photo.text:
        photo = _with_writable_text(photo, kind)
    if not photo.quantisation and not any(getattr(photo, field) for field in _NAMES):
        return photo
    side = (_PROBE, _PROBE)
    alpha = None if photo.alpha is None else np.ones(side, np.float32)
    bare = {"exif": None, "icc": None, "xmp": None, "iptc": None, "dpi": None, "text": {}}
    probe = replace(photo, pixels=np.zeros((*side, 3), np.float32), alpha=alpha)
    if not _fault(probe, kind):
        return photo
    for field in _NAMES:
        if getattr(photo, field):
            only = {**bare, field: getattr(photo, field)}
            if fault := _fault(replace(probe, quantisation=None, **only), kind):
                photo = _without(photo, field, fault)
    if photo.quantisation and _fault(replace(probe, **bare), kind):
        photo = replace(photo, quantisation=None)
    return photo


def _fault(probe: Photo, kind: Format) -> str | None:
    """Why a photograph cannot be encoded (None: it can)."""
    try:
        encode_fitting(probe, kind.name)
    except ImageError as error:
        said = str(cause) if isinstance(cause := error.__cause__, ImageError) else ""
        return f"{kind.name} cannot store it" + (f" ({said})" if said else "")
    return None


def _without(photo: Photo, field: str, reason: str) -> Photo:
    empty = {} if field == "text" else None
    note = f"its {_NAMES[field]} was left out: {reason}"
    return replace(photo, **{field: empty}).with_notes(note)


def _with_writable_text(photo: Photo, kind: Format) -> Photo:
    """With the entries that a PNG's rules for keywords allow; of a JPEG the comment only."""

    def allowed(key: str) -> bool:
        if kind.name == "JPEG":
            return key == "Comment"
        latin = key.isprintable() and all(ord(c) < 256 for c in key)
        return latin and 0 < len(key) < 80 and key == " ".join(key.split())

    kept = {key: value for key, value in photo.text.items() if allowed(key)}
    if len(kept) == len(photo.text):
        return photo
    lost = ", ".join(repr(key) for key in list(photo.text) if key not in kept)
    lost = lost if len(lost) < 60 else lost[:57] + "..."
    return replace(photo, text=kept).with_notes(
        f"text was left out, for which {kind.name} has no place: {lost}"
    )
