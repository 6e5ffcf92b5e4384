"""A corpus of files as nobody would wish them, the same for the same seed.

`python tests/hostile.py FOLDER [SEED]` makes it for a look by hand.
"""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from pellucid.errors import ImageError
from pellucid.imaging.formats import BY_NAME

READ, REFUSED, EITHER = "read", "refused", "either"
SIZE = (32, 24)
FORMATS = {  # Pillow's name: ours, suffix, options
    "JPEG": ("JPEG", ".jpg", {"quality": 90}),
    "PNG": ("PNG", ".png", {}),
    "WEBP": ("WEBP", ".webp", {"quality": 90}),
    "TIFF": ("TIFF", ".tif", {"compression": "tiff_lzw"}),
    "BMP": ("BMP", ".bmp", {}),
    "GIF": ("GIF", ".gif", {}),
    "AVIF": ("AVIF", ".avif", {}),
    "HEIF": ("HEIF", ".heic", {}),
    "JXL": ("JXL", ".jxl", {}),
    "JPEG2000": ("JPEG2000", ".jp2", {}),
    "PPM": ("PNM", ".ppm", {}),
    "TGA": ("TGA", ".tga", {}),
    "PCX": ("PCX", ".pcx", {}),
    "SGI": ("SGI", ".sgi", {}),
}
SOME_VALUES = (0, 1, -1, 255, 65536, 1.5, 1e30, float("nan"), "", "text", "é\udcff", b"", b"\xff\0")


def damaged_fax() -> bytes:
    """A TIFF of which libtiff prints what is wrong, and which is read nevertheless."""
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).random((64, 96)) < 0.5).save(
        file, "TIFF", compression="group4"
    )
    data = bytearray(file.getvalue())
    data[100:120] = bytes(20)
    return bytes(data)


class Corpus:
    """Files in a folder, and what is to come of each by its name."""

    def __init__(self, folder: Path, seed: int = 0):
        self.folder, self.chance = folder, random.Random(seed)
        self.outcomes: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.valid = {name: picture(name, seed) for name in FORMATS if _available(name)}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, kind: str, suffix: str, data: bytes, outcome: str) -> None:
        """Write a file; its name says its kind."""
        name = f"{kind}-{len(self.outcomes):03d}{suffix}"
        (self.folder / name).write_bytes(data)
        self.note(kind, name, outcome)

    def note(self, kind: str, name: str, outcome: str) -> None:
        """A file that was made otherwise."""
        self.outcomes[name], self.kinds[name] = outcome, kind

    def fill(self, count: int = 500) -> Corpus:
        """Make all kinds, and damaged files until there are `count`."""
        self._whole()
        self._names()
        self._special()
        self._bombs()
        self._metadata()
        while len(self.outcomes) < count:
            name = self.chance.choice(list(self.valid))
            damage = self.chance.choice((_cut, _flipped, _flipped, _blank, _patched, _shuffled))
            data = damage(self.chance, self.valid[name])
            self.add(damage.__name__.strip("_"), FORMATS[name][1], data, EITHER)
        return self

    def _whole(self) -> None:
        for name, data in self.valid.items():
            self.add("whole", FORMATS[name][1], data, READ)
            self.add("misnamed", ".png" if name != "PNG" else ".jpg", data,
                     EITHER if name == "TGA" else READ)  # fmt: skip
        for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "LAB", "YCbCr", "F", "I"):
            image = Image.new(mode, SIZE)
            for format, suffix in (("PNG", ".png"), ("TIFF", ".tif"), ("JPEG", ".jpg")):
                try:
                    image.save(out := io.BytesIO(), format)
                except (OSError, ValueError):
                    continue
                read = mode not in ("F", "I")
                self.add(f"mode-{mode.replace(';', '')}", suffix, out.getvalue(),
                         READ if read else REFUSED if mode == "F" else EITHER)  # fmt: skip
        for width, height in ((1, 1), (3000, 1), (1, 3000), (7, 5)):
            Image.new("RGB", (width, height)).save(out := io.BytesIO(), "PNG")
            self.add("thin", ".png", out.getvalue(), READ)

    def _names(self) -> None:
        names = [
            " space .png",
            "-dash.png",
            "~home.png",
            "$HOME.png",
            "a'b\"c.png",
            "new\nline.png",
        ]
        names += ["\x1b[31mred.png", "写真.png", "🙂.png", "é.png", "dot..png", "[x]*?.png"]
        names += ["x" * 240 + ".png", "%s%d{}.png", "NUL.png", "a.PNG", "stdin.png"]
        for name in names:
            (self.folder / name).write_bytes(self.valid["PNG"])
            self.note("name", name, READ)
        if sys.platform == "linux":
            name = os.fsdecode(b"caf\xe9.png")
            (self.folder / name).write_bytes(self.valid["PNG"])
            self.note("name", name, READ)

    def _special(self) -> None:
        for kind, content in {
            "empty": b"",
            "text": b"buy milk\n",
            "page": b"<!DOCTYPE html><html>404</html>",
            "zeros": bytes(5000),
            "noise": self.chance.randbytes(5000),
            "zip": b"PK\x03\x04" + bytes(100),
            "pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        }.items():
            for suffix in (".jpg", ".png", ".tif", ".heic", ".jxl", ".avif", ".tga"):
                self.add(kind, suffix, content, EITHER if suffix == ".tga" else REFUSED)
        os.mkfifo(self.folder / "fifo.jpg")
        links = {"device.png": "/dev/zero", "loop.jpg": "loop.jpg", "gone.png": "nowhere"}
        for name, target in links.items():
            (self.folder / name).symlink_to(target)
        for name in ("fifo.jpg", *links):
            self.note("special", name, REFUSED)

    def _bombs(self) -> None:
        header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
        rows = zlib.compress(bytes(10**6), 9)
        self.add("bomb", ".png", png((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")), REFUSED)
        deep = struct.pack(">IIBBBBB", 1, 500_000, 16, 2, 0, 0, 0)
        lines = zlib.compress(bytes(7 * 500_000), 9)
        self.add("bomb", ".png", png((b"IHDR", deep), (b"IDAT", lines), (b"IEND", b"")), REFUSED)
        text = (b"zTXt", b"k\0\0" + zlib.compress(bytes(10**8), 9))
        small = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
        pixel = (b"IDAT", zlib.compress(bytes(4)))
        self.add("bomb", ".png", png((b"IHDR", small), text, pixel, (b"IEND", b"")), REFUSED)
        Image.new("RGB", SIZE).save(out := io.BytesIO(), "JPEG", progressive=True)
        data = out.getvalue()
        first = data.index(b"\xff\xda")
        second = data.index(b"\xff\xda", first + 2)
        self.add("bomb", ".jpg", data[:first] + 400 * data[first:second] + data[second:], REFUSED)
        pages = bytearray(b"II*\0" + struct.pack("<L", 8))
        for _ in range(20_000):
            pages += struct.pack("<HHHLLL", 1, 256, 4, 1, 8, len(pages) + 18)
        self.add("bomb", ".tif", bytes(pages), REFUSED)
        for suffix, size in ((".ppm", b"P6 99999 99999 255\n"), (".pgm", b"P5 99999 99999 65535 ")):
            self.add("bomb", suffix, size + bytes(100), REFUSED)
        self.add("bomb", ".gif", b"GIF89a\xff\xff\xff\xff\0\0\0" + bytes(40), REFUSED)
        self.add("bomb", ".qoi", b"qoif" + struct.pack(">LLBB", 2**31, 2**31, 3, 0), REFUSED)
        self.add("bomb", ".bmp", _patch(self.valid["BMP"], 18, struct.pack("<ll", 60000, 60000)),
                 REFUSED)  # fmt: skip

    def _metadata(self) -> None:
        """Whole pictures with senseless metadata: they are to be read all the same."""
        for _ in range(12):
            junk = self.chance.randbytes(self.chance.choice((1, 7, 40, 3000)))
            exif = self.chance.choice((b"Exif\0\0", b"Exif\0\0II*\0\x08\0\0\0", b"")) + junk
            for name, suffix in (("JPEG", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp")):
                options = {"exif": exif, "icc_profile": junk, "xmp": junk}
                if name == "PNG":
                    del options["xmp"]
                self.add("metadata", suffix, saved(name, **options), READ)
            self.add("metadata", ".tif", saved("TIFF", tiffinfo=self._tags()), READ)
        for dpi in ((1e9, 1e9), (1e-9, 1), (72, 1e7)):
            for name, suffix in (("TIFF", ".tif"), ("PNG", ".png")):
                try:
                    data = saved(name, dpi=dpi)
                except Exception:  # Pillow cannot write it
                    continue
                self.add("metadata", suffix, data, READ)
        for kind, body in ((b"gAMA", b"\0" * 4), (b"cHRM", b"\xff" * 32), (b"cICP", b"\xff" * 4),
                           (b"pHYs", b"\0" * 9), (b"iCCP", b"x\0\0junk"), (b"eXIf", b"junk"),
                           (b"zTXt", b"k\0\0junk"), (b"iTXt", b"k\0\1\0\0\0junk")):  # fmt: skip
            data = self.valid["PNG"]
            chunk = struct.pack(">I", len(body)) + kind + body
            chunk += struct.pack(">I", zlib.crc32(kind + body))
            strict = kind in (b"zTXt", b"iTXt", b"iCCP", b"pHYs", b"gAMA")
            self.add("chunk", ".png", data[:33] + chunk + data[33:], EITHER if strict else READ)

    def _tags(self) -> TiffImagePlugin.ImageFileDirectory_v2:
        """Tags of descriptive numbers with values and types of any kind."""
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        for _ in range(4):
            tag = self.chance.choice((271, 272, 305, 306, 315, 700, 33432, 33723, 34675, 34377))
            kind = self.chance.choice((1, 2, 3, 4, 5, 7, 9, 11, 12))
            trial = TiffImagePlugin.ImageFileDirectory_v2()
            trial.tagtype[tag] = kind
            try:
                trial[tag] = value = self.chance.choice(SOME_VALUES)
                trial.tobytes()
            except Exception:  # what Pillow cannot write, it is no use to have
                continue
            tags.tagtype[tag] = kind
            tags[tag] = value
        return tags


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file of chunks."""
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        check = struct.pack(">I", zlib.crc32(kind + body))
        data += struct.pack(">I", len(body)) + kind + body + check
    return data


def picture(format: str, seed: int) -> bytes:
    """A small whole picture."""
    samples = np.random.default_rng(seed).integers(0, 256, (*SIZE[::-1], 3)).astype(np.uint8)
    Image.fromarray(samples).save(out := io.BytesIO(), format, **FORMATS[format][2])
    return out.getvalue()


def saved(format: str, **options: object) -> bytes:
    """A plain picture with metadata."""
    Image.new("RGB", SIZE, (90, 120, 30)).save(out := io.BytesIO(), format, **options)
    return out.getvalue()


def _available(name: str) -> bool:
    try:
        BY_NAME[FORMATS[name][0]].load_plugin()
    except ImageError:
        return False
    return True


def _cut(chance: random.Random, data: bytes) -> bytes:
    return data[: chance.randrange(1, len(data))]


def _flipped(chance: random.Random, data: bytes) -> bytes:
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 8, 100))):
        broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
    return bytes(broken)


def _blank(chance: random.Random, data: bytes) -> bytes:
    start = chance.randrange(len(data))
    length = min(chance.randrange(1, 400), len(data) - start)
    return data[:start] + bytes(length) + data[start + length :]


def _patched(chance: random.Random, data: bytes) -> bytes:
    """Another number somewhere in the header."""
    number = struct.pack(
        chance.choice("<>") + "L", chance.choice((0, 1, 65535, 2**31 - 1, 2**32 - 1))
    )
    return _patch(data, chance.randrange(4, min(len(data) - 4, 120)), number)


def _patch(data: bytes, at: int, content: bytes) -> bytes:
    return data[:at] + content + data[at + len(content) :]


def _shuffled(chance: random.Random, data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + data[middle // 2 :] if chance.random() < 0.5 else data + data[:middle]


def rows(folder: Path, seed: int = 0) -> Iterator[str]:
    """Make the corpus and say what is in it."""
    corpus = Corpus(folder, seed).fill()
    for name, outcome in corpus.outcomes.items():
        yield f"{outcome:8} {name!r}"


if __name__ == "__main__":
    for row in rows(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0):
        print(row)
