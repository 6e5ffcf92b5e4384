"""Join the two distilled towers into one bundle, and measure them on held-out samples.

    python -m laboratory.join_towers [--out runs/lite-clip-base.safetensors]

The bundle is what the controller's training starts from. Its two towers know nothing of each other,
so it is a dual encoder of our own and not CLIP weights. The measured numbers go into its metadata.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from laboratory.distill import (
    CachedCrops,
    CachedPhrases,
    agreement,
    join_towers,
    separation,
)
from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.degradations import CLASSES
from pellucid.recipes.lite import LITE
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER


def measure_image(clip: CLIP, folder: Path) -> dict[str, float]:
    crops = CachedCrops(folder, "held_out", LITE)
    photo = torch.from_numpy(np.load(folder / "held_out-photo.npy"))
    embedded = []
    for start in range(0, len(crops), 64):
        batch = [crops[i]["pixels"] for i in range(start, min(start + 64, len(crops)))]
        embedded.append(clip.encode_image(torch.stack(batch)))
    student, target = torch.cat(embedded), torch.from_numpy(crops.targets.astype(np.float32))
    other = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    return {
        "crops": len(crops),
        "photographs": len(photo.unique()),
        "cosine_to_teacher": float(F.cosine_similarity(student, target).mean()),
        "neighbours_shared_of_5": agreement(student, target, photo),
        "neighbours_shared_by_chance": agreement(student[other], target, photo),
        "norm": float(student.norm(dim=-1).mean()),
    }


def measure_text(clip: CLIP, folder: Path) -> dict[str, float]:
    scores = {}
    for split in ("held_out", "unseen"):
        phrases = CachedPhrases(folder, split, LITE)
        student = torch.cat([clip.encode_text(part) for part in phrases.tokens.split(256)])
        target = torch.from_numpy(phrases.targets.astype(np.float32))
        scores[f"{split}_phrases"] = len(phrases)
        scores[f"{split}_cosine_to_teacher"] = float(F.cosine_similarity(student, target).mean())
        rows = torch.arange(min(len(phrases), 1000))
        shared = agreement(student[rows], target[rows], rows, k=5)
        scores[f"{split}_neighbours_shared_of_5"] = shared
    tokenize = Tokenizer.from_file(LITE_TOKENIZER.path, LITE.text.context_length)
    words = clip.encode_text(tokenize(CLASSES))
    cosines = separation(words).fill_diagonal_(-1)
    row, column = divmod(int(cosines.argmax()), len(CLASSES))
    print(f"nearest class words: {CLASSES[row]}, {CLASSES[column]}")
    scores["class_words_largest_cosine"] = float(cosines.max())
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--teachers", type=Path, default=Path("data/teachers"))
    parser.add_argument("--out", type=Path, default=Path("runs/lite-clip-base.safetensors"))
    arguments = parser.parse_args()
    image, text = (
        load_bundle(arguments.runs / f"lite-{tower}-tower" / "weights.safetensors")[0]
        for tower in ("image", "text")
    )
    clip = join_towers(image, text, LITE)
    with torch.inference_mode():
        scores = {
            "image": measure_image(clip, arguments.teachers / "crops"),
            "text": measure_text(clip, arguments.teachers / "phrases"),
        }
    print(json.dumps(scores, indent=1))
    meta = {
        "kind": "clip",
        "config": dataclasses.asdict(LITE),
        "recipe": "lite_image_tower + lite_text_tower",
        "note": "image and text tower distilled apart; captions and pictures are not aligned",
        "teachers": ["TinyViT-5M (ImageNet-22k)", "all-MiniLM-L6-v2"],
        "scores": scores,
    }
    save_bundle(arguments.out, clip.state_dict(), meta)
    print(f"{arguments.out}  {arguments.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
