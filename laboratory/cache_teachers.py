"""Run the teachers of the small dual encoder once and store their embeddings.

    python -m laboratory.cache_teachers text                  # data/teachers/phrases
    python -m laboratory.cache_teachers image                 # data/teachers/crops

`text` also trains the tokenizer and replaces the package's. Photographs are read
from data/photos/train and data/photos/held_out; a photograph of the second folder never enters
training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from laboratory.phrases import UNSEEN, corpus, held_out
from laboratory.teachers import (
    ImageTeacher,
    Projection,
    TextTeacher,
    blend,
    cut_views,
    shrink,
)
from laboratory.word_pieces import train_word_pieces
from pellucid.zoo import LITE_TOKENIZER

SPLITS = ("train", "held_out")


def cache_text(arguments: argparse.Namespace) -> None:
    teacher = TextTeacher(arguments.teachers / "minilm")
    # Frequent words of the teacher's vocabulary: the student meets more than our word lists.
    words = (arguments.teachers / "minilm/vocab.txt").read_text(encoding="utf-8").split("\n")
    words = [w for w in words[1996:12000] if w.isascii() and w.isalpha() and len(w) > 2]
    phrases = corpus(arguments.phrases, vocabulary=words)
    train_word_pieces([p for p in phrases if not held_out(p)] + words).save(
        str(arguments.tokenizer)
    )
    order = sorted(range(len(phrases)), key=lambda i: len(phrases[i]))  # little padding
    embeddings = np.empty((len(phrases), 384), np.float32)
    for start in range(0, len(order), 256):
        part = order[start : start + 256]
        embeddings[part] = teacher([phrases[i] for i in part])
        if start % 10240 == 0:
            print(f"{start} of {len(order)}", flush=True)
    out = arguments.teachers / "phrases"
    out.mkdir(exist_ok=True)
    kept = np.array([held_out(p) for p in phrases])
    projection = Projection.fit(embeddings[~kept], 256)
    projection.save(out / "projection.npz")
    for split, chosen in zip(SPLITS, (~kept, kept), strict=True):
        text = "\n".join(p for p, c in zip(phrases, chosen, strict=True) if c)
        (out / f"{split}.txt").write_text(text + "\n", encoding="utf-8")
        np.save(out / f"{split}-targets.npy", projection(embeddings[chosen]).astype(np.float16))
    (out / "unseen.txt").write_text("\n".join(UNSEEN) + "\n", encoding="utf-8")
    np.save(out / "unseen-targets.npy", projection(teacher(UNSEEN)).astype(np.float16))


def cache_image(arguments: argparse.Namespace) -> None:
    teacher = ImageTeacher(arguments.teachers / "tiny_vit_5m_224.onnx")
    out = arguments.teachers / "crops"
    out.mkdir(exist_ok=True)
    counts = dict(zip(SPLITS, (arguments.crops, arguments.crops // 10), strict=True))
    for split, total in counts.items():
        paths = sorted((arguments.photos / split).glob("*.png"))
        share = -(-total // len(paths))
        order = np.random.default_rng(0).permutation(len(paths))
        small, taught, photo, pool = [], [], [], []
        for done, number in enumerate(order):
            rng = np.random.default_rng((SPLITS.index(split), number))
            large = cut_views(Image.open(paths[number]).convert("RGB"), share, rng)
            if split == "train":
                pool = [*pool[-8:], large]
                large = blend(large, np.concatenate(pool[:-1] or pool), rng)
            small.append(shrink(large).transpose(0, 3, 1, 2))
            taught += [teacher(large[i : i + 8]) for i in range(0, share, 8)]
            photo += [number] * share
            if done % 20 == 0:
                print(f"{split}: {done} of {len(paths)} photographs", flush=True)
        pooled, maps = (np.concatenate(part) for part in zip(*taught, strict=True))
        if split == "train":
            whole, local = Projection.fit(pooled, 256), Projection.fit(maps.reshape(-1, 320), 256)
            whole.save(out / "projection.npz")
            local.save(out / "map-projection.npz")
        np.save(out / f"{split}-pixels.npy", np.concatenate(small))
        np.save(out / f"{split}-targets.npy", whole(pooled).astype(np.float16))
        np.save(out / f"{split}-maps.npy", local(maps).astype(np.float16))
        np.save(out / f"{split}-photo.npy", np.array(photo, np.int32))
        names = "\n".join(path.name for path in paths)
        (out / f"{split}-photos.txt").write_text(names + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("text", "image"))
    parser.add_argument("--teachers", type=Path, default=Path("data/teachers"))
    parser.add_argument("--photos", type=Path, default=Path("data/photos"))
    parser.add_argument("--phrases", type=int, default=90_000)
    parser.add_argument("--crops", type=int, default=5_220)
    parser.add_argument("--tokenizer", type=Path, default=LITE_TOKENIZER.path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    (cache_text if arguments.what == "text" else cache_image)(arguments)


if __name__ == "__main__":
    main()
