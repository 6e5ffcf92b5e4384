"""The training of the reader of instructions, over the text tower of `lite-clip`."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset

from laboratory.instructions import instruction
from pellucid.checkpoints.load import load_clip
from pellucid.checkpoints.weights import READER
from pellucid.degradations import WORDS
from pellucid.loading import tokenizer_of, tower_file
from pellucid.training.config import TrainConfig
from pellucid.training.tasks import Task
from pellucid.vision_language.instructions import (
    ALL,
    FILLER,
    OTHER,
    REST,
    InstructionReader,
    ReaderConfig,
    split,
)

MARKS = {"": FILLER, "other": OTHER, "all": ALL, "rest": REST}
IGNORED = -100
BATCHES = 16


@dataclass(frozen=True)
class ReadingOptions:
    """The tower that is read, and the sizes of the reader."""

    tower: str = "lite"
    reader: ReaderConfig = field(default_factory=lambda: ReaderConfig(words=WORDS))

    def build(self) -> ReadingTask:
        """Make the task."""
        return ReadingTask(self.tower, InstructionReader(self.reader))

    def datasets(self, config: TrainConfig) -> tuple[Dataset, Dataset]:
        """Instructions without end, and others for validation."""
        sizes = config.seed, config.batch_size * config.accumulation
        return Instructions(self, *sizes), Instructions(self, *sizes, held_out=True)


class Instructions(Dataset):
    """Drawn instructions: dict(pieces, owners, labels), each `(length,)` int64.

    They are drawn in groups of `BATCHES` batches. Batches of a group are of instructions of like
    length, since what is padded costs as much as what is read.
    """

    def __init__(self, options: ReadingOptions, seed: int, batch: int, held_out: bool = False):
        self.config, self.batch = options.reader, batch
        self.key = f"{seed}-{'held out' if held_out else 'train'}"
        self.tokenizer = tokenizer_of(options.tower, self.config.window + 2)
        self._group = lru_cache(maxsize=2)(self._drawn)

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, index: int) -> dict:
        group, place = divmod(index, BATCHES * self.batch)
        return self._group(group)[place]

    def _drawn(self, group: int) -> list[dict]:
        rng = random.Random(f"{self.key}-{group}")
        drawn = [self._one(rng) for _ in range(BATCHES * self.batch)]
        drawn.sort(key=lambda sample: int((sample["pieces"] > 0).sum()))
        batches = [drawn[i : i + self.batch] for i in range(0, len(drawn), self.batch)]
        rng.shuffle(batches)
        return [sample for batch in batches for sample in batch]

    def _one(self, rng: random.Random) -> dict:
        while True:
            parts = instruction(rng)
            words = [(word, mark) for text, mark in parts for word in text.split()]
            text = " ".join(word for word, _ in words)
            try:
                pieces, owners, found = split(text, self.tokenizer, self.config.length)
            except ValueError:
                continue
            # signs stand alone at times, and are no words
            marked = [(w, m) for w, m in words if any(c.isalnum() for c in w)]
            if found and len(found) == len(marked):
                break
        labels = torch.full((self.config.length,), IGNORED)
        labels[: len(found)] = torch.tensor([self._label(mark) for _, mark in marked])
        return {"pieces": pieces, "owners": owners, "labels": labels, "word": "instruction"}

    def _label(self, mark: str) -> int:
        if mark in MARKS:
            return MARKS[mark]
        return self.config.wanted(mark[1:]) + (mark[0] == "-")


class ReadingTask(Task):
    """Train an `InstructionReader` by cross-entropy over words; the tower stays frozen."""

    def __init__(self, tower: str, reader: InstructionReader):
        super().__init__()
        self.clip = load_clip(tower_file(tower))
        self.reader = reader

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and the share of words with the right label."""
        logits, labels = self._logits(batch)
        loss = F.nll_loss(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)
        right = (logits.argmax(-1) == labels)[labels != IGNORED].float().mean()
        return loss, {"right": right}

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], None]:
        """Whether all words of an instruction have the right label."""
        logits, labels = self._logits(batch)
        right = (logits.argmax(-1) == labels) | (labels == IGNORED)
        return {"instructions_right": right.all(dim=1).float()}, None

    def _logits(self, batch: dict) -> tuple[Tensor, Tensor]:
        logits = self.reader(self.clip, batch["pieces"], batch["owners"])
        return logits, batch["labels"][:, : logits.shape[1]]

    def trained(self) -> nn.Module:
        """Return the reader."""
        return self.reader

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return its weights."""
        config = dataclasses.asdict(self.reader.config)
        return self.reader.state_dict(), {"kind": READER, "config": config}
