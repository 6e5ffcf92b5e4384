"""The two teachers of the small dual encoder, and the preparation of their inputs.

* Image: TinyViT-5M (Wu et al. 2022, arXiv 2207.10666; ImageNet-22k, 224 px), as ONNX: its pooled
  320 numbers and the 7 x 7 map before pooling.
* Text: all-MiniLM-L6-v2 (sentence-transformers; mean-pooled, normalised, 384-d).

`laboratory.fetch_teachers` fetches them, `laboratory.cache_teachers` writes the caches. Neither is
needed once the student is trained. The two teachers share no embedding space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from pellucid.errors import UsageError
from pellucid.vision_language.preprocess import IMAGENET_MEAN, IMAGENET_STD

CROP, VIEW = 224, 64  # what the teacher sees, and what the student sees of the same region
_MISSING = "{} is missing; run python -m laboratory.fetch_teachers first"


class ImageTeacher:
    """TinyViT-5M on the CPU through onnxruntime.

    Args:
        path: `tiny_vit_5m_224.onnx` as `laboratory.fetch_teachers` leaves it.
        threads: CPU threads.

    Raises:
        UsageError: the file is not there.
    """

    def __init__(self, path: str | Path, threads: int = 1):
        if not Path(path).is_file():
            raise UsageError(_MISSING.format(path))
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return embeddings (B, 320) and maps (B, 7, 7, 320) of (B, 224, 224, 3) uint8 RGB."""
        mean, std = np.float32(IMAGENET_MEAN), np.float32(IMAGENET_STD)
        pixels = (pictures.astype(np.float32) / 255 - mean) / std
        inputs = {"input": pixels.transpose(0, 3, 1, 2)}
        embedding, features = self.session.run(["output", "map"], inputs)
        return embedding, features.transpose(0, 2, 3, 1)


class TextTeacher:
    """all-MiniLM-L6-v2 from a local folder (model.safetensors, config.json, tokenizer.json).

    Raises:
        UsageError: the folder is not there.
    """

    def __init__(self, folder: str | Path):
        if not (Path(folder) / "model.safetensors").is_file():
            raise UsageError(_MISSING.format(folder))
        from tokenizers import Tokenizer
        from transformers import BertModel

        self.model = BertModel.from_pretrained(str(folder)).eval()
        self.tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
        self.tokenizer.enable_truncation(64)
        self.tokenizer.enable_padding()

    @torch.inference_mode()
    def __call__(self, phrases: Sequence[str]) -> np.ndarray:
        """Return (B, 384) float32 embeddings of length 1."""
        encoded = self.tokenizer.encode_batch(list(phrases))
        tokens = torch.tensor([e.ids for e in encoded])
        mask = torch.tensor([e.attention_mask for e in encoded])
        hidden = self.model(tokens, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        pooled = (hidden * weights).sum(1) / weights.sum(1)
        return torch.nn.functional.normalize(pooled, dim=-1).numpy()


@dataclass(frozen=True)
class Projection:
    """A fixed map of a teacher's space to the student's: `normalise((x - mean) @ matrix)`.

    Subtracting the mean takes out what all samples share; without it, embeddings of one domain have
    cosines near 1 and "rainy" cannot be told from "raindrop".
    """

    mean: np.ndarray
    """(T,)"""
    matrix: np.ndarray
    """(T, D), orthonormal columns: the D leading principal components."""

    @classmethod
    def fit(cls, embeddings: np.ndarray, size: int) -> Projection:
        """Fit to teacher embeddings (N, T); D = `size` <= T."""
        mean = embeddings.mean(0, dtype=np.float64)
        centred = embeddings - mean
        _, vectors = np.linalg.eigh(centred.T @ centred)
        return cls(mean.astype(np.float32), vectors[:, ::-1][:, :size].astype(np.float32))

    def __call__(self, embeddings: np.ndarray) -> np.ndarray:
        """Map teacher embeddings (..., T) to targets (..., D) of length 1."""
        mapped = (embeddings - self.mean) @ self.matrix
        return mapped / np.linalg.norm(mapped, axis=-1, keepdims=True)

    def save(self, path: str | Path) -> None:
        """Write as npz."""
        np.savez(path, mean=self.mean, matrix=self.matrix)

    @classmethod
    def load(cls, path: str | Path) -> Projection:
        """Read what `save` wrote."""
        with np.load(path) as arrays:
            return cls(arrays["mean"], arrays["matrix"])


def crop_view(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Cut a random square out of a picture and bring it to 224 x 224.

    The side is log-uniform from 112 px (smaller, the teacher would see a magnified blur) to the
    whole shorter side: in use the student sees windows of 64 px as often as whole pictures. One
    crop in two is mirrored.
    """
    short = min(picture.size)
    side = min(short, int(CROP / 2 * (2 * short / CROP) ** rng.random()))
    left = int(rng.integers(picture.width - side + 1))
    top = int(rng.integers(picture.height - side + 1))
    view = picture.crop((left, top, left + side, top + side))
    view = view.resize((CROP, CROP), Image.Resampling.BICUBIC)
    return view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else view


def jitter(view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Change exposure (up to 15 %), contrast and colours (5 %) of an (H, W, 3) uint8 view.

    Mild on purpose: the student's embedding steers a restoration network and should keep brightness
    and colour. The teacher sees the changed view too.
    """
    pixels = view.astype(np.float32) * rng.uniform(0.85, 1.15)
    pixels = (pixels - pixels.mean()) * rng.uniform(0.95, 1.05) + pixels.mean()
    pixels *= rng.uniform(0.95, 1.05, 3).astype(np.float32)
    return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


def cut_views(picture: Image.Image, count: int, rng: np.random.Generator) -> np.ndarray:
    """Return `count` random views of a picture for the teacher, (count, 224, 224, 3) uint8."""
    return np.stack([jitter(np.asarray(crop_view(picture, rng)), rng) for _ in range(count)])


def blend(views: np.ndarray, others: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blend about every second view with a random view of another photograph.

    The teacher answers for whatever it is shown, so a blend is as good a lesson as a photograph;
    with few photographs, blends keep the student from learning those by heart (Beyer et al.,
    "Knowledge distillation: A good teacher is patient and consistent", CVPR 2022).

    Args:
        views: (N, H, W, 3) uint8.
        others: (M, H, W, 3) uint8, M >= 1, views of other photographs.
        rng: says which are blended, with what, and how much of it (10 to 60 %).
    """
    share = rng.uniform(0.1, 0.6, len(views)) * (rng.random(len(views)) < 0.5)
    share = share[:, None, None, None].astype(np.float32)
    partners = others[rng.integers(len(others), size=len(views))]
    return np.rint(views * (1 - share) + partners * share).astype(np.uint8)


def shrink(views: np.ndarray) -> np.ndarray:
    """Bring views (N, 224, 224, 3) to the student's size, (N, 64, 64, 3) uint8."""
    resize = Image.Resampling.BICUBIC
    return np.stack([np.asarray(Image.fromarray(v).resize((VIEW, VIEW), resize)) for v in views])
