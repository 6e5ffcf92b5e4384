"""What else is in a file than the picture: XMP, IPTC, text, and what cannot be kept."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Mapping

from PIL import Image

from pellucid.imaging import iptc, jpeg_holes, jxl, metadata, tiff, xmp
from pellucid.imaging.formats import check_size
from pellucid.plural import counted

_ENDING = "the file's last bytes are missing; the picture is complete"
_PADDINGS = (bytes(64), b"\xaa" * 64)
# APP segments of a JPEG that are understood, or that only repeat
_SEGMENTS = (
    *(b"JFIF", b"JFXX", b"Exif", xmp.STANDARD, xmp.EXTENSION, b"ICC_PROFILE", b"MPF"),
    *(b"Photoshop 3.0", b"Adobe", b"Ducky"),
)
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
# boxes of a HEIC or AVIF file that hold the picture, or nothing
_PARTS = (b"ftyp", b"meta", b"mdat", b"free", b"skip", b"wide", b"moov", b"uuid", b"etyp")
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_FILM = re.compile(rb"ftyp(?:mp4|isom|M4V|qt  )")


def with_end(data: bytes, max_pixels: int) -> tuple[bytes, tuple[str, ...]]:
    """A JPEG whose end mark was lost gets one, and a note; another file is left alone.

    The picture is complete if it does not depend on the bytes that stand in for the missing ones.
    """
    if _jpeg_end(data) is not None:
        return data, ()
    pictures = []
    for padding in _PADDINGS:
        whole = data.removesuffix(b"\xff") + padding + b"\xff\xd9"
        try:
            with Image.open(io.BytesIO(whole), formats=("JPEG",)) as image:
                check_size(image.width, image.height, max_pixels)
                pictures.append(image.tobytes())
        except (OSError, SyntaxError, ValueError, struct.error):
            return data, ()
    if pictures[0] != pictures[1]:
        return data, ()
    return data.removesuffix(b"\xff") + b"\xff\xd9", (_ENDING,)


def packet(image: Image.Image) -> tuple[bytes | None, tuple[str, ...]]:
    """The XMP of a picture, whole and less what it says of further pictures, and notes on that."""
    found = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    found = found.encode("utf-8", "replace") if isinstance(found, str) else found
    found = metadata.as_bytes(found) if found else None
    if not found:
        return None, ()
    notes = []
    extension = [s for _, s in getattr(image, "applist", ()) if s.startswith(xmp.EXTENSION)]
    joined = xmp.joined(found, extension)
    if joined is None:
        notes.append("its extended XMP is damaged and was left out")
        joined = xmp.without_extension(found)
    joined, claimed = xmp.without_further(joined)
    notes += [f"its {name} was left out" for name in sorted(claimed)]
    return joined, tuple(notes)


def iptc_of(image: Image.Image) -> bytes | None:
    """IPTC data of a JPEG or PNG."""
    resources = image.info.get("photoshop")
    if isinstance(resources, dict) and isinstance(resources.get(iptc.RESOURCE), bytes):
        return resources[iptc.RESOURCE] or None
    stored = image.info.get(iptc.PNG_KEY)
    return iptc.from_png_text(stored) if isinstance(stored, str) else None


def iptc_of_tiff(data: bytes) -> tuple[bytes | None, tuple[str, ...]]:
    """IPTC data of a TIFF, whatever type its tag has, and notes."""
    found = tiff.raw(data, tiff.IPTC) or b""
    if found[3:4] == b"\x1c" and not iptc.is_iptc(found):  # written as LONG and swapped
        count = len(found) // 4
        found = struct.pack(f">{count}L", *struct.unpack(f"<{count}L", found[: 4 * count]))
    resources = iptc.resources(tiff.raw(data, tiff.PHOTOSHOP) or b"")
    notes = _resource_notes(resources)
    if iptc.is_iptc(found):
        return found, notes
    if found:
        notes = (*notes, "its IPTC data are damaged and were left out")
    return resources.get(iptc.RESOURCE) or None, notes


def text(image: Image.Image) -> dict[str, str]:
    """Text chunks of a PNG, or the comment of another file."""
    if image.format == "PNG":
        chunks = getattr(image, "text", {})
        return {
            key: str(value)
            for key, value in chunks.items()
            if key != "XML:com.adobe.xmp" and not key.startswith("Raw profile type")
        }
    comment = image.info.get("comment")
    if isinstance(comment, bytes) and comment:
        return {"Comment": comment.decode("utf-8", "replace")}
    return {}


def notes(image: Image.Image, data: bytes) -> tuple[str, ...]:
    """What of a file is not in the photograph."""
    match image.format:
        case "JPEG" | "MPO":
            return _jpeg_notes(image, data)
        case "HEIF":
            return (*_heif_notes(image), *_box_notes(data))
        case "AVIF":
            return _box_notes(data)
        case "JXL" if jxl.xmp(data)[1]:
            return ("its compressed XMP was left out",)
        case "PNG":
            end = data.find(_PNG_END) + len(_PNG_END)
            found = _trailer(data, end) if end >= len(_PNG_END) else ()
            if b"caBX" in data[: data.find(b"IDAT")]:
                found = (*found, "its content credentials (C2PA) were left out")
            return found
    return ()


def _jpeg_notes(image: Image.Image, data: bytes) -> tuple[str, ...]:
    found = []
    frames = getattr(image, "n_frames", 1)
    if image.format == "MPO" and frames > 1:
        found.append(f"{_count(frames - 1, 'further picture')} left out (a view or a preview)")
    if _FILM.search(data, data.rfind(b"\xff\xd9")) or _FILM.search(data[-(1 << 24) :]):
        found.append("its motion photo was left out")
    elif not found:
        end = _jpeg_end(data) or len(data)
        # a gain map is a JPEG behind the picture, of which the XMP speaks
        claimed = xmp.without_further(metadata.as_bytes(image.info.get("xmp")) or b"")[1]
        is_gain_map = data[end : end + 2] == b"\xff\xd8" and "gain map" in claimed
        found += () if is_gain_map else _trailer(data, end)
    if zeros := jpeg_holes.lost(data):
        found.append(f"{zeros} bytes are lost (zeros), and a part of the picture with them")
    parts = getattr(image, "applist", ())
    if not image.info.get("icc_profile") and any(b[:12] == b"ICC_PROFILE\0" for _, b in parts):
        found.append("its colour profile is damaged and was left out")
    comments = sum(name == "COM" for name, _ in parts) - 1
    if comments > 0:
        found.append(f"{_count(comments, 'further comment')} left out")
    others = {
        f"{name} {_printable(body)}".strip()
        for name, body in getattr(image, "applist", ())
        if name != "COM" and not body.startswith(_SEGMENTS)
    }
    if any("JP" in other for other in others if other.startswith("APP11")):
        others = {other for other in others if not other.startswith("APP11")}
        found.append("its content credentials (C2PA) were left out")
    if others:
        found.append(f"what other programs stored was left out: {', '.join(sorted(others))}")
    resources = image.info.get("photoshop")
    return (*found, *_resource_notes(resources if isinstance(resources, dict) else {}))


def _jpeg_end(data: bytes) -> int | None:
    """Where the first picture of a JPEG file ends; None if its end mark is missing."""
    at = 2
    while match := jpeg_holes.MARKER.search(data, at):
        at = match.end()
        if match[0] == b"\xff\xd9":
            return at
        at += int.from_bytes(data[at : at + 2], "big")
    return None


def _trailer(data: bytes, end: int) -> tuple[str, ...]:
    """A note on what follows a picture, but for zeros that fill a file up."""
    length = len(data) - end
    if not length or not data[end:].strip(b"\0\r\n"):
        return ()
    return (f"the file's last {length} bytes, behind the picture, were left out",)


def _resource_notes(resources: Mapping[int, object]) -> tuple[str, ...]:
    if resources.keys() - iptc.REPEATED:
        return ("Photoshop's settings (guides, paths, print) were left out",)
    return ()


def _heif_notes(image: Image.Image) -> tuple[str, ...]:
    found = []
    frames = getattr(image, "n_frames", 1)
    if frames > 1:
        found.append(f"{_count(frames - 1, 'further picture')} left out")
    auxiliary = " ".join(image.info.get("aux") or {}).lower()
    if "gainmap" in auxiliary:
        found.append("its gain map was left out")
    elif auxiliary:
        found.append("its auxiliary pictures were left out")
    if image.info.get("depth_images"):
        found.append("its depth map was left out")
    return tuple(found)


def _box_notes(data: bytes) -> tuple[str, ...]:
    """Notes on the boxes beside a picture in HEIC and AVIF (ISO/IEC 14496-12, 4.2)."""
    found, at = [], 0
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
        if kind == b"mpvd":
            found.append("its motion photo was left out")
        elif kind == b"uuid" and data[at + 8 : at + 24] == _C2PA:
            found.append("its content credentials (C2PA) were left out")
        elif kind not in _PARTS:
            return (*found, *_trailer(data, at))
        if length < 8:  # 0: to the end of the file
            break
        at += length
    return tuple(found)


def _count(number: int, noun: str) -> str:
    return f"{counted(number, noun)} {'was' if number == 1 else 'were'}"


def _printable(body: bytes) -> str:
    match = re.match(rb"[ -~]{0,12}", body)
    return match[0].decode() if match else ""
