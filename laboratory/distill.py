"""Distil two small towers of our own into the CLIP classes, one tower a run.

The image tower learns the embeddings of TinyViT-5M, the text tower those of all-MiniLM-L6-v2, each
through a fixed projection (`laboratory.teachers`). The teachers share no embedding space, nor do
the students: a caption and its picture are NOT near each other, and the result must not be called
CLIP weights. The training of the controller later aligns degradation words with pictures.

The objective is our own: cosine to the teacher's embedding, the batch's matrix of similarities (the
relational part, as in Park et al., "Relational Knowledge Distillation", CVPR 2019) and, for
pictures, cosine of each patch to the teacher's map. The image tower sees a random part of the
patches in each step (as in Li et al., "Scaling Language-Image Pre-training via Masking", CVPR
2023): that is cheaper, and less is learnt by heart.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from laboratory.phrases import QUALITY, damage_phrases, quality_phrases
from pellucid.checkpoints.load import load_into
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.training.config import TrainConfig
from pellucid.training.tasks import Task
from pellucid.vision_language.clip import CLIP, CLIPConfig
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER


@dataclass(frozen=True)
class DistillOptions:
    """Which tower of which CLIP is trained, and how; `DistillTask` explains the rest."""

    tower: Literal["image", "text"] = "image"
    clip: CLIPConfig = field(default_factory=CLIPConfig)
    relation: float = 5.0
    patches: float = 1.0
    shown: float = 0.3

    def build(self) -> DistillTask:
        """Make the task: random weights, but for the image tower's patches."""
        clip = CLIP(self.clip)
        kernel = clip.visual.conv1.weight
        with torch.no_grad():
            whitening = whitening_patches(self.clip.vision.patch_size)[: len(kernel)]
            kernel[: len(whitening)] = whitening
        return DistillTask(clip, self.tower, self.relation, self.patches, self.shown)

    def datasets(self, config: TrainConfig) -> tuple[Dataset, Dataset]:
        """Open the training and the held-out part of the cache in `config.data.root`."""
        data = CachedCrops if self.tower == "image" else CachedPhrases
        root, seed = config.data.root, config.seed
        return data(root, "train", self.clip, seed), data(root, "held_out", self.clip, seed)


class DistillTask(Task):
    """Train one tower of a CLIP towards unit target embeddings; the other tower stays as it is.

    Args:
        clip: both towers.
        tower: "image" or "text".
        relation: weight of the relational part of the loss.
        patches: weight of the patches' part, image tower only; it goes through a linear head of its
            own that is not exported.
        shown: least share of the patches that a step shows the image tower; the share is random.
    """

    def __init__(
        self,
        clip: CLIP,
        tower: str,
        relation: float = 5.0,
        patches: float = 1.0,
        shown: float = 0.3,
    ):
        super().__init__()
        self.clip, self.tower, self.relation = clip, tower, relation
        self.patches, self.shown = patches, shown
        if tower == "image":
            self.patch_head = nn.Linear(clip.config.vision.width, clip.config.embed_dim)
        for name, parameter in clip.named_parameters():
            # The patch embedding is fixed: no teacher needs the fine structure that shows damage.
            trained = tower_of(name) == tower and name != "visual.conv1.weight"
            parameter.requires_grad_(trained)

    def embed(self, batch: dict) -> Tensor:
        """Return the student's embeddings (B, D), float32, not normalised."""
        if self.tower == "image":
            return self.clip.encode_image(batch["pixels"]).float()
        return self.clip.encode_text(batch["tokens"]).float()

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and its mean cosine to the teacher."""
        local = None
        if self.tower == "image":
            student, local, shown = self.embed_part(batch["pixels"], generator)
        else:
            student = self.embed(batch)
        with torch.autocast(student.device.type, enabled=False):
            loss, cosine = distillation(student, batch["target"], self.relation)
            metrics = {"cosine": cosine}
            if local is not None:
                target = batch["patches"][:, shown]
                metrics["patch_cosine"] = F.cosine_similarity(local.float(), target, dim=-1).mean()
                loss = loss + self.patches * (1 - metrics["patch_cosine"])
        return loss, metrics

    def embed_part(
        self, pixels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Embed pictures of which a random part of the patches is shown, the same in all of them.

        Returns:
            Embeddings (B, D), embeddings of the patches shown (B, P, D), and their places (P,).
        """
        visual = self.clip.visual
        tokens = visual.stem(pixels)
        count, device = tokens.shape[1] - 1, tokens.device
        share = self.shown + (1 - self.shown) * float(
            torch.rand((), generator=generator, device=device)
        )
        shown = torch.randperm(count, generator=generator, device=device)
        shown = shown[: max(1, round(share * count))]
        tokens = torch.cat([tokens[:, :1], tokens[:, 1:][:, shown]], dim=1)
        tokens = visual.transformer(tokens)
        local = self.patch_head(visual.ln_post(tokens[:, 1:]))
        return visual.head(tokens).float(), local, shown

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], None]:
        """Return the cosine to the teacher, one value a sample."""
        return {"cosine": F.cosine_similarity(self.embed(batch), batch["target"])}, None

    def trained(self) -> nn.Module:
        """Return the CLIP that the tower belongs to."""
        return self.clip

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the trained tower's weights alone; `join_towers` puts two towers together."""
        state = self.clip.state_dict()
        state = {name: value for name, value in state.items() if tower_of(name) == self.tower}
        return state, {
            "kind": f"{self.tower}-tower",
            "config": dataclasses.asdict(self.clip.config),
        }


def whitening_patches(size: int) -> Tensor:
    """Patch kernels that see all frequencies alike, (3 * size^2, 3, size, size), coarse ones first.

    Ours. A patch of a photograph is nearly all brightness; noise, block edges and lost sharpness
    are thousandths of its variance, and a tower with random patches is slow to notice them.
    These kernels are the orthonormal DCT-II in opponent colours (brightness, red against blue,
    green against both), each divided by the standard deviation that photographs have there, for
    normalised pixels: variance 170 at frequency 0, 5 f^-2.8 above, 0.08 and 0.03 of that for the
    colours (fitted to the training photographs); 0.02 keeps the finest ones bounded.
    """
    k = torch.arange(size, dtype=torch.float64)
    basis = torch.cos(torch.pi * (2 * k + 1) * k[:, None] / (2 * size)) * (2 / size) ** 0.5
    basis[0] /= 2**0.5
    opponent = torch.tensor([[1, 1, 1], [1, 0, -1], [1, -2, 1]], dtype=torch.float64)
    opponent /= opponent.norm(dim=1, keepdim=True)
    kernels = torch.einsum("oc,uy,vx->ouvcyx", opponent, basis, basis)
    frequency = torch.hypot(k[:, None], k)
    variance = 5 * frequency.clamp(min=1) ** -2.8
    variance[0, 0] = 170
    variance = torch.tensor([1, 0.08, 0.03])[:, None, None] * variance
    kernels = kernels / (variance + 0.02).sqrt()[..., None, None, None]
    order = variance.flatten().argsort(descending=True, stable=True)
    return kernels.flatten(0, 2)[order].float()


def tower_of(name: str) -> str | None:
    """Say which tower a parameter of `CLIP` is of: "image", "text", or None (`logit_scale`)."""
    if name == "logit_scale":
        return None
    return "image" if name.startswith("visual.") else "text"


def distillation(student: Tensor, target: Tensor, relation: float) -> tuple[Tensor, Tensor]:
    """Return the loss of student embeddings (B, D) for unit targets (B, D), and the mean cosine.

    `1 - cos + relation * mse(similarity matrices) + 0.1 * (|student| / sqrt(D) - 1)^2`; the last
    part only fixes the scale: embeddings are used un-normalised, with components of order 1.
    """
    unit = F.normalize(student, dim=-1)
    cosine = (unit * target).sum(-1).mean()
    relational = F.mse_loss(unit @ unit.T, target @ target.T)
    length = (student.norm(dim=-1) / student.shape[-1] ** 0.5 - 1).square().mean()
    return 1 - cosine + relation * relational + 0.1 * length, cosine.detach()


def join_towers(image: dict[str, Tensor], text: dict[str, Tensor], config: CLIPConfig) -> CLIP:
    """Build a CLIP from the exported image tower and the exported text tower.

    Raises:
        CheckpointError: a weight is missing, left over or of another shape.
    """
    clip = CLIP(config)
    state = {**image, **text, "logit_scale": clip.logit_scale.detach()}
    return load_into(clip, state, "the pair of towers").eval()


class CachedCrops(Dataset):
    """Views of photographs with their embeddings by the teacher.

    Args:
        folder: written by `python -m laboratory.cache_teachers image`.
        split: "train" (shuffled anew in each pass, mirrored at random) or "held_out" (as stored).
        config: for the normalisation.

    Yields dict(pixels=(3, S, S) normalised, target=(D,) of length 1, word="photo") and, in
    training, patches=(N, D) of length 1: the teacher's map at the tower's N patches.
    """

    def __init__(self, folder: str | Path, split: str, config: CLIPConfig, seed: int = 0):
        self.pixels = _open(Path(folder) / f"{split}-pixels.npy")
        self.targets = _open(Path(folder) / f"{split}-targets.npy")
        self.mean = torch.tensor(config.mean).view(3, 1, 1)
        self.std = torch.tensor(config.std).view(3, 1, 1)
        self.train, self.seed = split == "train", seed
        self.grid = config.vision.image_size // config.vision.patch_size
        if self.train:
            self.maps = _open(Path(folder) / f"{split}-maps.npy")

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> dict:
        place = shuffled(index, len(self), self.seed) if self.train else index
        pixels = torch.from_numpy(self.pixels[place].astype(np.float32)) / 255
        pixels = (pixels - self.mean) / self.std
        target = torch.from_numpy(self.targets[place].astype(np.float32))
        sample = {"pixels": pixels, "target": target, "word": "photo"}
        if self.train:
            features = torch.from_numpy(self.maps[place].astype(np.float32)).permute(2, 0, 1)
            size = (self.grid, self.grid)
            features = F.interpolate(features[None], size, mode="bilinear", align_corners=False)[0]
            if np.random.default_rng((self.seed, index)).random() < 0.5:
                sample["pixels"], features = pixels.flip(-1), features.flip(-1)
            sample["patches"] = F.normalize(features.flatten(1).T, dim=-1)
        return sample


class CachedPhrases(Dataset):
    """Phrases as token ids with their embeddings by the teacher.

    In training, one sample in eight is a phrase about damage or quality from the fixed lists and
    one in 64 is a class word, whatever their share of the corpus: those are the ones that matter
    most.

    Yields dict(tokens=(context,) int64, target=(D,) of length 1, word="phrase").
    """

    def __init__(
        self,
        folder: str | Path,
        split: str,
        config: CLIPConfig,
        seed: int = 0,
        tokenizer: str | Path = LITE_TOKENIZER.path,
    ):
        path = Path(folder) / f"{split}.txt"
        self.targets = _open(Path(folder) / f"{split}-targets.npy")
        self.phrases = path.read_text(encoding="utf-8").splitlines()
        self.tokens = Tokenizer.from_file(tokenizer, config.text.context_length)(self.phrases)
        self.train, self.seed = split == "train", seed
        fixed = {p for word in CLASSES for p in damage_phrases(word)}
        fixed |= {p for tier in QUALITY for p in quality_phrases(tier)}
        self.fixed = [i for i, p in enumerate(self.phrases) if p in fixed]
        self.words = [i for i, p in enumerate(self.phrases) if p in CLASSES]

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> dict:
        place = index
        if self.train:
            place = shuffled(index, len(self), self.seed)
            if index % 64 == 1 and self.words:
                place = self.words[index // 64 % len(self.words)]
            elif index % 8 == 0 and self.fixed:
                place = self.fixed[shuffled(index // 8, len(self.fixed), self.seed)]
        target = torch.from_numpy(self.targets[place].astype(np.float32))
        return {"tokens": self.tokens[place], "target": target, "word": "phrase"}


def shuffled(index: int, size: int, seed: int) -> int:
    """Map sample `index` (0, 1, ... without end) to 0 ... size - 1, in a new order in each pass."""
    epoch, place = divmod(index, size)
    return int(_order(seed, epoch, size)[place])


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, size: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch, size)).permutation(size)


def _open(path: Path) -> np.ndarray:
    if not path.is_file():
        raise UsageError(f"{path} is missing; run python -m laboratory.cache_teachers first")
    return np.load(path, mmap_mode="r")


def agreement(student: Tensor, target: Tensor, groups: Tensor, k: int = 5) -> float:
    """Return the mean share of the teacher's k nearest neighbours among the student's k nearest.

    Args:
        student, target: embeddings (N, D) of the same samples.
        groups: (N,) int; samples of one group (views of one photograph) are no neighbours.
        k: neighbours looked at.
    """

    def nearest(x: Tensor) -> Tensor:
        x = F.normalize(x.float(), dim=-1)
        similarity = (x @ x.T).masked_fill(groups[:, None] == groups[None], -2)
        return similarity.topk(k).indices

    ours, theirs = nearest(student), nearest(target)
    return float((ours[:, :, None] == theirs[:, None]).any(1).float().mean())


def separation(embeddings: Tensor) -> Tensor:
    """Return the cosine matrix (N, N) of embeddings (N, D)."""
    unit = F.normalize(embeddings.float(), dim=-1)
    return unit @ unit.T
