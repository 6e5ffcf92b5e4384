"""Read an instruction: which degradations it wants removed, which kept, what is neither (ours).

A frozen CLIP text tower reads the sentence; a small recurrent network in both directions, over what
the tower knows of each piece, gives each word of the sentence one label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.tokenizer import Tokenizer

FILLER, OTHER, ALL, REST = range(4)
"""Labels: says nothing; is not about degradations; everything is wanted; all else is kept."""
WORD = re.compile(r"\w+(?:['’-]\w+)*")


@dataclass(frozen=True)
class ReaderConfig:
    """Sizes of an `InstructionReader`, and the degradations that it knows, in order.

    `text_width` is the width of the text tower, `window` how many pieces it reads at once,
    `windows` how many of these an instruction may have.
    """

    words: tuple[str, ...] = ()
    text_width: int = 128
    width: int = 64
    layers: int = 2
    window: int = 30
    windows: int = 3

    @property
    def length(self) -> int:
        """Most pieces of an instruction."""
        return self.window * self.windows

    def wanted(self, word: str) -> int:
        """The label of "this degradation is to be removed"; the next one is "is to stay"."""
        return 4 + 2 * self.words.index(word)


class InstructionReader(nn.Module):
    """Labels the words of instructions: `FILLER`, `OTHER`, `ALL`, `REST`, and two a degradation."""

    def __init__(self, config: ReaderConfig):
        super().__init__()
        self.config = config
        width = config.width
        self.enter = nn.Linear(2 * config.text_width, width)
        self.passes = nn.GRU(width, width, config.layers, batch_first=True, bidirectional=True)
        self.topic = nn.Linear(2 * width, 4 + len(config.words))
        # one sign for all degradations: "not" means the same for each
        self.stays = nn.Linear(2 * width, 1)

    def forward(self, clip: CLIP, pieces: Tensor, owners: Tensor) -> Tensor:
        """Label words.

        Args:
            clip: the tower that the reader was trained with.
            pieces: ids `(B, config.length)` from `split`.
            owners: of the same shape, the word that each piece is a part of, or -1.

        Returns:
            Logarithms `(B, W, L)` of the probabilities of the L labels of W words; of words that
            are not there they mean nothing.
        """
        lengths = (pieces > 0).sum(dim=1).clamp(min=1).cpu()
        most = int(lengths.max())
        x, owners = self.enter(self._read(clip, pieces, most)), owners[:, :most]
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        x, _ = pad_packed_sequence(self.passes(packed)[0], batch_first=True)
        parts = owners[:, None] == torch.arange(max(1, int(owners.max()) + 1))[:, None]
        parts = parts.to(x) / parts.sum(dim=-1, keepdim=True).clamp(min=1)
        x = parts @ x
        topic, stays = self.topic(x).log_softmax(dim=-1), self.stays(x)
        signs = torch.cat([logsigmoid(-stays), logsigmoid(stays)], dim=-1)  # to go, to stay
        named = (topic[..., 4:, None] + signs[..., None, :]).flatten(-2)
        return torch.cat([topic[..., :4], named], dim=-1)

    def _read(self, clip: CLIP, pieces: Tensor, most: int) -> Tensor:
        """Embeddings of pieces, and the tower's states at them, `(B, most, 2 * text_width)`.

        The tower is causal: what stands behind a piece changes nothing.
        """
        size = min(self.config.window, most)
        count = -(-most // size)
        ids = pieces[:, : count * size]
        start = torch.full((len(ids) * count, 1), clip.config.text.vocab_size - 2)
        with torch.no_grad():
            states = clip.read(torch.cat([start, ids.reshape(-1, size)], dim=1))[:, 1:]
            embedded = clip.token_embedding(ids)
        states = states.reshape(len(ids), count * size, -1)
        return torch.cat([embedded, states], dim=-1)[:, :most]


def split(text: str, tokenizer: Tokenizer, length: int) -> tuple[Tensor, Tensor, list[str]]:
    """Split a sentence into pieces and words.

    Args:
        text: in any case; curly quotes and the like are fine.
        tokenizer: of the tower.
        length: the pieces are padded to this number.

    Returns:
        Ids of the pieces and the word that each is a part of (-1 is a sign), int64 `(length,)`, and
        the words.

    Raises:
        ValueError: there are more pieces.
    """
    words = list(WORD.finditer(text))
    encoding = tokenizer.pieces.encode(text, add_special_tokens=False)
    if len(encoding.ids) > length:
        raise ValueError(f"{len(encoding.ids)} pieces, at most {length} are read")
    ids = torch.zeros(length, dtype=torch.long)
    owners = torch.full((length,), -1)
    for i, (piece, (_, end)) in enumerate(zip(encoding.ids, encoding.offsets, strict=True)):
        ids[i] = piece
        inside = (n for n, word in enumerate(words) if word.start() < end <= word.end())
        owners[i] = next(inside, -1)
    return ids, owners, [word.group() for word in words]
