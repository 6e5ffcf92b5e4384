"""XMP packets: what they say of turning, size and further pictures; long ones in JPEG files.

Source: Adobe's XMP specification, part 1 (packets) and part 3, section 1.1.3 (JPEG).
"""

from __future__ import annotations

import hashlib
import re
import struct
from xml.etree import ElementTree

from pellucid.errors import ImageError

STANDARD = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
MOST_IN_JPEG = 65502  # bytes of the packet in one APP1 segment, as Pillow counts
_PART = 65400  # bytes of an extension in one segment
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NOTE = "http://ns.adobe.com/xmp/note/"
# Namespaces that describe further pictures or films in the file. They are not written back, so what
# is said of them would be wrong. The last two only list the file's parts.
_FURTHER = {
    b"http://ns.adobe.com/hdr-gain-map/1.0/": "gain map",
    b"http://ns.apple.com/HDRGainMap/1.0/": "gain map",
    b"http://ns.google.com/photos/1.0/camera/": "motion photo",
    b"http://ns.google.com/photos/1.0/container/": "",
    b"http://ns.google.com/photos/1.0/container/item/": "",
}
_CAMERA = rb"Motion|MicroVideo"  # of Google's camera namespace only these


def split_orientation(xmp: bytes) -> tuple[bytes, int | None]:
    """XMP that says "upright", and the orientation it had (None: it says nothing of it)."""
    pattern = rb"(tiff:Orientation(?:\s*=\s*[\"']|>))([1-8])"
    found = re.search(pattern, xmp)
    return re.sub(pattern, rb"\g<1>1", xmp), int(found[2]) if found else None


def with_size(xmp: bytes, width: int, height: int) -> bytes:
    """XMP with this size wherever it gives the picture's size."""
    for names, value in (
        (rb"exif:PixelXDimension|tiff:ImageWidth", width),
        (rb"exif:PixelYDimension|tiff:ImageLength", height),
    ):
        pattern = rb"((?:" + names + rb")(?:\s*=\s*[\"']|>))\d+"
        xmp = re.sub(pattern, rb"\g<1>%d" % value, xmp)
    return xmp


def without_further(xmp: bytes) -> tuple[bytes, set[str]]:
    """XMP less its claims of a gain map or a film in the file, and what it claimed."""
    claimed = set()
    for space, meaning in _FURTHER.items():
        for prefix in set(re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']" + re.escape(space), xmp)):
            names = rb"(?:" + _CAMERA + rb")\w*" if meaning == "motion photo" else rb"\w+"
            name = re.escape(prefix) + rb":" + names
            if meaning and re.search(name + rb"[\s=>]", xmp):
                claimed.add(meaning)
            xmp = re.sub(
                rb"<(" + name + rb")(?:\s[^<>]*)?(?:/>|>.*?</\1\s*>)", b"", xmp, flags=re.S
            )
            xmp = re.sub(rb"\s" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
    return xmp, claimed


def without_extension(xmp: bytes) -> bytes:
    """XMP that names no extension."""
    return re.sub(rb"\s[\w.-]+:HasExtendedXMP\s*=\s*[\"'][^\"']*[\"']", b"", xmp)


def joined(xmp: bytes, segments: list[bytes]) -> bytes | None:
    """One packet of a JPEG's standard packet and its APP1 segments; None: they do not fit.

    Segments that the standard packet does not name are left out, as the specification asks.
    """
    found = re.search(rb"HasExtendedXMP(?:\s*=\s*[\"']|>)\s*([0-9A-Fa-f]{32})", xmp)
    if found is None:
        return xmp
    guid, parts = found[1], {}
    for segment in segments:
        body = segment[len(EXTENSION) :]
        if body[:32].upper() == guid.upper() and len(body) >= 40:
            length, offset = struct.unpack_from(">LL", body, 32)
            parts[offset] = body[40:]
    whole = b""
    for offset in sorted(parts):
        if offset != len(whole):
            return None
        whole += parts[offset]
    if not parts or len(whole) != length:
        return None
    try:
        standard = _parse(xmp)
        target = _rdf(standard)
        target.extend(list(_rdf(_parse(whole))))
        for description in target:
            description.attrib.pop(f"{{{_NOTE}}}HasExtendedXMP", None)
            for child in description.findall(f"{{{_NOTE}}}HasExtendedXMP"):
                description.remove(child)
    except (ElementTree.ParseError, UnicodeError, ValueError):
        return None
    return ElementTree.tostring(standard)


def parted(xmp: bytes) -> tuple[bytes, list[bytes]]:
    """The standard packet and the further APP1 segments of a JPEG file.

    The largest properties go into the extension until the rest fits.

    Raises:
        ImageError: the packet is too long and cannot be understood.
    """
    if len(xmp) <= MOST_IN_JPEG:
        return xmp, []
    try:
        standard = _parse(xmp)
        rdf = _rdf(standard)
        extension = ElementTree.Element(f"{{{_RDF}}}RDF")
        moved = ElementTree.SubElement(extension, f"{{{_RDF}}}Description")
        first = rdf[0]
        moved.set(f"{{{_RDF}}}about", first.get(f"{{{_RDF}}}about", ""))
        first.set(f"{{{_NOTE}}}HasExtendedXMP", "0" * 32)
        left = len(ElementTree.tostring(standard))
        for size, description, child, key in _properties(rdf):
            if left <= MOST_IN_JPEG - 1000:
                break
            if child is not None:
                description.remove(child)
                moved.append(child)
            else:
                moved.set(key, description.attrib.pop(key))
            left -= size
        body = ElementTree.tostring(extension)
        guid = hashlib.md5(body, usedforsecurity=False).hexdigest().upper().encode()
        first.set(f"{{{_NOTE}}}HasExtendedXMP", guid.decode())
        packet = ElementTree.tostring(standard)
    except (ElementTree.ParseError, IndexError, UnicodeError, ValueError) as error:
        raise ImageError(f"{len(xmp)} bytes that cannot be parted") from error
    if len(packet) > MOST_IN_JPEG:
        raise ImageError(f"{len(xmp)} bytes that cannot be parted")
    parts = range(0, len(body), _PART)
    head = EXTENSION + guid
    return packet, [
        head + struct.pack(">LL", len(body), at) + body[at : at + _PART] for at in parts
    ]


def _properties(rdf):
    """Size, description, and child or attribute of all properties, the largest first."""
    rows = []
    for description in rdf:
        rows += [(len(ElementTree.tostring(c)), description, c, None) for c in description]
        rows += [
            (len(value.encode()), description, None, key)
            for key, value in description.attrib.items()
            if not key.startswith(f"{{{_RDF}}}") and not key.startswith(f"{{{_NOTE}}}")
        ]
    return sorted(rows, key=lambda row: -row[0])


def _rdf(root: ElementTree.Element) -> ElementTree.Element:
    found = root if root.tag == f"{{{_RDF}}}RDF" else root.find(f".//{{{_RDF}}}RDF")
    if found is None:
        raise ValueError("no RDF in it")
    return found


def _parse(xmp: bytes) -> ElementTree.Element:
    for prefix, space in re.findall(rb"xmlns:([\w.-]+)\s*=\s*[\"']([^\"']*)", xmp):
        if not re.fullmatch(rb"ns\d+", prefix):  # which ElementTree keeps for itself
            ElementTree.register_namespace(prefix.decode(), space.decode())
    return ElementTree.fromstring(xmp.strip(b"\0 \r\n\t"))
