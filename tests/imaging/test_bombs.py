"""Small files that ask for much memory or time are refused by their headers."""

import io
import os
import socket
import struct
import subprocess
import sys
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import ImageError
from pellucid.imaging import jxl
from pellucid.imaging.io import read

from .pictures import available, saved, scene, source


def refused(data, words, seconds=2.0):
    began = time.process_time()
    with pytest.raises(ImageError, match=words):
        read(data)
    assert time.process_time() - began < seconds


def png(chunks):
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        check = struct.pack(">I", zlib.crc32(kind + body))
        data += struct.pack(">I", len(body)) + kind + body + check
    return data


@pytest.mark.parametrize("size", [(56, 40), (1, 1), (3000, 2), (640, 480), (8, 8), (520, 8)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_in_a_jpeg_xl_header_is_that_of_the_picture(size, container):
    available("JXL")
    out = io.BytesIO()
    Image.new("RGB", size).save(out, "JXL", use_container=container)
    header = jxl.read_header(out.getvalue())
    assert header[:3] == (*size, False) and header.bits == 8


def test_jpeg_xl_bomb():
    bits = "".join(f"{value:0{count}b}"[::-1] for value, count in
                   ((0, 1), (2, 2), (39999, 18), (0, 3), (2, 2), (39999, 18), (1, 1)))  # fmt: skip
    data = b"\xff\x0a" + int(bits[::-1], 2).to_bytes(len(bits) // 8 + 1, "little") + bytes(99)
    header = jxl.read_header(data)
    assert (header.width, header.height) == (40000, 40000)
    available("JXL")
    refused(data, "1600 megapixels, above the limit")


def test_animated_jpeg_xl_is_refused_by_its_header():
    available("JXL")
    fields = ((1, 1), (0, 5), (1, 3), (0, 1), (1, 1), (0, 3), (0, 1), (0, 1), (1, 1))
    bits = "".join(f"{value:0{count}b}"[::-1] for value, count in fields)
    data = b"\xff\x0a" + int(bits[::-1], 2).to_bytes(len(bits) // 8 + 1, "little") + bytes(99)
    refused(data, "holds an animation")


def test_many_scans():
    # each scan gives a pixel's worth of work for every pixel: 300 of them took 47 s
    data = saved(scene(), "JPEG", progressive=True)
    first = data.index(b"\xff\xda")
    second = data.index(b"\xff\xda", first + 2)
    scan = data[first:second]
    refused(data[:first] + 300 * scan + data[second:], "scans, above the limit of 100")
    assert read(data).width == 56


def test_many_pages():
    # each directory is empty but for a link to the next
    data = bytearray(b"II*\0" + struct.pack("<L", 8))
    for _ in range(100_000):
        at = len(data) + 18
        data += struct.pack("<HHHLLL", 1, 256, 4, 1, 8, at)
    data[-4:] = bytes(4)
    refused(bytes(data), "holds 100000 pictures")


def test_pages_that_lead_back_to_the_first_end():
    data = bytearray(saved(scene(), "TIFF"))
    (at,) = struct.unpack_from("<L", data, 4)
    (entries,) = struct.unpack_from("<H", data, at)
    struct.pack_into("<L", data, at + 2 + 12 * entries, at)
    assert read(bytes(data)).width == 56


def test_a_thin_16_bit_png():
    header = struct.pack(">IIBBBBB", 1, 1_500_000, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(7 * 1_500_000))), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        data += (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )
    refused(data, "may have sides of 200000 pixels")


def test_a_tiff_of_many_channels():
    tifffile = pytest.importorskip("tifffile")
    out = io.BytesIO()
    tifffile.imwrite(out, np.zeros((8, 8, 40), np.uint16), photometric="rgb", planarconfig="contig")
    refused(out.getvalue(), "40 channels")


def test_text_that_inflates_without_end():
    body = b"zTXtNotes\0\0" + zlib.compress(bytes(100_000_000), 9)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    data = source("PNG")
    refused(data[:33] + chunk + data[33:], "text or profile takes more than 64 MB")


def test_a_file_longer_than_any_picture_is_not_read(tmp_path):
    path = tmp_path / "hole.png"
    path.write_bytes(source("PNG"))
    os.truncate(path, 10**12)
    began = time.monotonic()
    with pytest.raises(ImageError, match="1000000 MB are more than a picture"):
        read(path)
    assert time.monotonic() - began < 1


def test_special_files_are_never_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as end:
        here = os.getcwd()
        os.chdir(tmp_path)  # a socket's name is short
        end.bind("socket.jpg")
        os.chdir(here)
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    words = {
        "pipe.jpg": "pipe",
        "socket.jpg": "a socket",
        "zero.png": "device",
        "loop.jpg": "leads back to itself",
    }
    for name, wanted in {**words, "gone.jpg": "leads nowhere", "x" * 300: "too long"}.items():
        with pytest.raises(ImageError, match=wanted):
            read(tmp_path / name)
    with pytest.raises(ImageError, match="no such file"):
        read("a\0b.png")


BYTES_A_PIXEL = 30  # 12 for the answer, 3 decoded, 3 turned, and a copy of the answer in between


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "deep PNG"])
def test_memory_for_a_picture_of_many_pixels_is_bounded(format, tmp_path):
    path = tmp_path / "picture"
    pixels = 2000 * 1500
    if format == "deep PNG":
        lines = zlib.compress(bytes((1 + 6 * 2000) * 1500))
        header = struct.pack(">IIBBBBB", 2000, 1500, 16, 2, 0, 0, 0)
        path.write_bytes(png([(b"IHDR", header), (b"IDAT", lines), (b"IEND", b"")]))
    else:
        Image.new("RGB", (2000, 1500), (1, 2, 3)).save(path, format)
    script = (
        "import resource, sys\nfrom pellucid.imaging.io import read\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024\n"
        "before = peak(); read(sys.argv[1]); print(peak() - before)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, path], capture_output=True, text=True, env=environment
    )
    assert int(done.stdout) < BYTES_A_PIXEL * pixels, int(done.stdout) / pixels
