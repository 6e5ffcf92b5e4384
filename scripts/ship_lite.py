"""Put trained `lite` weights into the package, in half precision or in whole numbers of 8 bit.

    python scripts/ship_lite.py [--runs runs]

Copies the runs in `FILES` (those that exist) to src/pellucid/weights and prints sizes and sha256
sums, which belong into `pellucid/zoo.py`. Then `python benchmarks/quality.py --accept` measures the
new weights and writes the scores that tests hold them to.
"""

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.data.photos import CleanPhotos
from pellucid.loading import tower_file
from pellucid.zoo import (
    LITE_BLUR,
    LITE_CLIP,
    LITE_DETAIL,
    LITE_INSTRUCTIONS,
    LITE_JPEG,
    LITE_LIGHT,
    LITE_NOISE,
    LITE_OVERLAY,
    LITE_PROMPTS,
    LITE_WEATHER,
    MODELS,
    SHIPPED,
    resolve,
)

FILES = {
    "lite-words": (LITE_CLIP.name, torch.float16),
    "lite-stage3": ("lite.safetensors", torch.float16),
    "lite-wiener": (LITE_BLUR.network.name, torch.float16),
    "lite-detail-light": (LITE_DETAIL.network.name, torch.int8),
    "lite-jpeg": (LITE_JPEG.network.name, torch.int8),
    "lite-noise-dense": (LITE_NOISE.network.name, torch.int8),
    "lite-light": (LITE_LIGHT.network.name, torch.float16),
    "lite-overlay-rain": (LITE_OVERLAY.network.name, torch.int8),
    "lite-sde": ("lite-sde.safetensors", torch.float16),
    "weather-lite-mixed": (LITE_WEATHER.network.name, torch.int8),
    "perceive-lite-prompts": (LITE_PROMPTS.name, torch.float16),
    "lite-instructions": (LITE_INSTRUCTIONS.name, torch.float16),
    "lite-perceive": ("lite-perceive.safetensors", torch.int8),
}
DATA = "photographs of scripts/fetch_photos.py, training split, damaged on the fly"
SENTENCES = "instructions drawn by laboratory/instructions.py"
PHOTOGRAPHS = "photographs of scripts/fetch_photos.py (train) and fetch_free_photos.py"
WINDOWS = f"{PHOTOGRAPHS}, in windows"


def lineage(meta: dict[str, Any]) -> list[dict[str, Any]]:
    """The runs that made weights, the first one first: recipe, steps, sizes, seed, data.

    ``windows`` is the hash of the photographs that windows were made of, ``photographs`` of those
    that were damaged on the fly; ``parents`` are the runs of an average, with their shares. A run
    that began with a model in the zoo begins with its lineage, as far as its file tells it.
    """
    config = meta.get("train")
    if config is None:
        if "parents" in meta:
            return [{"parents": meta["parents"]}]
        held = meta.get("lineage")
        return held or [{"recipe": meta.get("recipe"), "steps": meta.get("step")}]
    data, start = config["data"], config["init_from"]
    run = {"recipe": meta["recipe"], "steps": meta["step"], "seed": config["seed"]}
    batch = config["batch_size"] * config["accumulation"] * meta.get("processes", 1)
    run |= {"batch": batch, "crop": data["crop"]}
    made = Path(data["root"]) / "windows.json"
    if made.exists():
        settings = json.loads(made.read_text())
        run["windows"] = settings["photos"]
        run |= {"words": settings["words"]} if "words" in settings else {}
    elif data["kind"] == "generated" and Path(data["root"]).is_dir():
        run["photographs"] = CleanPhotos(data["root"]).fingerprint()
        run |= {"words": list(data["words"]), "grey": data.get("grey", 0.0)}
    before = []
    if start:
        path = start
        if start in MODELS:
            is_tower = meta["kind"] == "daclip"
            path = str(tower_file(start) if is_tower else resolve(start).network)
        before = lineage(load_bundle(path)[1])
        if run in before:  # the model of that name has been replaced by this very run
            before = before[: before.index(run)]
    return [*before, run]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    args = parser.parse_args()
    for run, (name, dtype) in FILES.items():
        source = args.runs / run / "weights.safetensors"
        if not source.exists():
            print(f"{source} is missing, {name} stays as it is")
            continue
        state, meta = load_bundle(source)
        runs = lineage(meta)
        windows = "windows" in runs[-1]
        for parent in meta.get("parents", ()):
            if "train" in parent:
                parent["lineage"] = lineage({"kind": meta["kind"], **parent})
                del parent["train"]
        meta = {key: value for key, value in meta.items() if key != "train"}
        data = SENTENCES if name == LITE_INSTRUCTIONS.name else WINDOWS if windows else DATA
        data = f"{PHOTOGRAPHS}, damaged on the fly" if name == LITE_NOISE.network.name else data
        meta |= {"data": data, "lineage": runs}
        meta |= {key: LITE_CLIP.name for key in ("tower", "semantics") if key in meta}
        target = SHIPPED / name
        save_bundle(target, state, meta, dtype)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        print(f"{name}  {target.stat().st_size / 1e6:.2f} MB  step {meta.get('step')}  {digest}")


if __name__ == "__main__":
    main()
