"""Put trained `lite` weights into the package, in half precision or in whole numbers of 8 bit.

    python scripts/ship_lite.py [--runs runs]

Copies the runs in `FILES` (those that exist) to src/pellucid/weights and prints sizes and sha256
sums, which belong into `pellucid/zoo.py`. Then `python benchmarks/quality.py --accept` measures the
new weights and writes the scores that tests hold them to.
"""

import argparse
import hashlib
from pathlib import Path

import torch

from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.zoo import LITE_CLIP, LITE_PROMPTS, LITE_WEATHER, SHIPPED

FILES = {
    "lite-controller": (LITE_CLIP.name, torch.float16),
    "lite-restore": ("lite.safetensors", torch.float16),
    "lite-sde": ("lite-sde.safetensors", torch.float16),
    "weather-lite": (LITE_WEATHER.network.name, torch.int8),
    "perceive-lite-prompts": (LITE_PROMPTS.name, torch.float16),
    "perceive-lite": ("lite-perceive.safetensors", torch.int8),
}
DATA = "photographs of scripts/fetch_photos.py, training split, damaged on the fly"


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
        meta = {key: value for key, value in meta.items() if key != "train"} | {"data": DATA}
        meta |= {key: LITE_CLIP.name for key in ("tower", "semantics") if key in meta}
        target = SHIPPED / name
        save_bundle(target, state, meta, dtype)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        print(f"{name}  {target.stat().st_size / 1e6:.2f} MB  step {meta.get('step')}  {digest}")


if __name__ == "__main__":
    main()
