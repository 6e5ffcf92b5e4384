"""Photographs in and out: the names to import."""

from pellucid.imaging.fit import fit
from pellucid.imaging.formats import BY_NAME, FORMATS, Format, format_of, output_format
from pellucid.imaging.photo import Photo
from pellucid.imaging.reader import MAX_PIXELS, from_pil, read
from pellucid.imaging.writer import encode, write, write_all

__all__ = [
    "BY_NAME",
    "FORMATS",
    "MAX_PIXELS",
    "Format",
    "Photo",
    "encode",
    "fit",
    "format_of",
    "from_pil",
    "output_format",
    "read",
    "write",
    "write_all",
]
