"""From an instruction to the degradations that it wants removed and those it wants kept.

    understand("take the rain away but keep it dark").wanted    # ("rainy",)
    understand("take the rain away but keep it dark").kept      # ("low-light",)

What is wanted is removed, found by the diagnosis or not; what is kept is not touched. On what is
not named the diagnosis decides if nothing is wanted by name, or everything is. What is not about
degradations is not guessed at: it is named in `not_understood`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import torch

from pellucid import zoo
from pellucid.checkpoints.load import load_daclip, load_reader
from pellucid.errors import UsageError
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.instructions import ALL, OTHER, REST, InstructionReader, split
from pellucid.vision_language.tokenizer import Tokenizer

SURE = 0.6  # least probability of a word's label that is acted upon
EXAMPLE = "write, for example: take the rain away but keep it dark"


@dataclass(frozen=True)
class Understood:
    """What an instruction asks for; words are those of `degradations.WORDS`."""

    text: str
    """The instruction."""
    wanted: tuple[str, ...] = ()
    """Degradations to be removed, found by the diagnosis or not."""
    kept: tuple[str, ...] = ()
    """Degradations to be left as they are, found by the diagnosis or not."""
    everything: bool = False
    """Whether also what the diagnosis finds is to be removed."""
    not_understood: tuple[str, ...] = ()
    """Its parts that are not about degradations, or not surely; nothing is done about them."""

    @property
    def weights(self) -> dict[str, float]:
        """1 for what is wanted, 0 for what is kept; of others the diagnosis or nobody decides."""
        return dict.fromkeys(self.wanted, 1.0) | dict.fromkeys(self.kept, 0.0)

    @property
    def diagnosed(self) -> bool:
        """Whether the diagnosis decides on the degradations that are not named."""
        return self.everything or not self.wanted

    def __str__(self) -> str:
        """One line for people."""
        remove = [*self.wanted, *(["what is found"] if self.diagnosed else [])]
        said = f"remove {', '.join(remove)}"
        said += f"; keep {', '.join(self.kept)}" if self.kept else ""
        quoted = ", ".join(f'"{part}"' for part in self.not_understood)
        return said + (f"; not understood: {quoted}" if quoted else "")


def understand(text: str) -> Understood:
    """Read an instruction in English, such as "take the rain away but keep it dark".

    Raises:
        UsageError: nothing in it was understood, it contradicts itself, it asks for no change, or
            it is too long.
    """
    found = read(text)
    if set(found.wanted) & set(found.kept):
        both = ", ".join(word for word in found.wanted if word in found.kept)
        raise UsageError(f'"{text}" asks to remove and to keep: {both}')
    if not (found.wanted or found.kept or found.everything):
        raise UsageError(f'nothing to remove or to keep was understood in "{text}"; {EXAMPLE}')
    return found


def read(text: str) -> Understood:
    """What the reader makes of an instruction, contradictions and all.

    Raises:
        UsageError: it is empty or too long.
    """
    clip, reader, tokenizer = _parts()
    config = reader.config
    try:
        pieces, owners, words = split(text, tokenizer, config.length)
    except ValueError as error:
        raise UsageError(f"the instruction is too long: {error}") from error
    if not words:
        raise UsageError(f"the instruction is empty; {EXAMPLE}")
    with torch.no_grad():
        shares, labels = reader(clip, pieces[None], owners[None])[0].exp().max(-1)
    sure = [
        OTHER if label >= ALL and share < SURE else int(label)
        for label, share in zip(labels, shares.tolist(), strict=True)
    ]
    named: dict[bool, list[str]] = {True: [], False: []}
    for label in sure:
        if label > REST:
            named[(label - 4) % 2 == 0].append(config.words[(label - 4) // 2])
    runs = groupby(zip(sure, words, strict=True), key=lambda row: row[0])
    other = [" ".join(word for _, word in run) for label, run in runs if label == OTHER]
    return Understood(
        text,
        tuple(dict.fromkeys(named[True])),
        tuple(dict.fromkeys(named[False])),
        ALL in sure,
        tuple(other),
    )


@lru_cache(maxsize=1)
def _parts() -> tuple[CLIP, InstructionReader, Tokenizer]:
    clip = load_daclip(zoo.LITE_CLIP.path).clip
    length = clip.config.text.context_length
    tokenizer = Tokenizer.from_file(zoo.LITE_TOKENIZER.path, length)
    return clip, load_reader(zoo.LITE_INSTRUCTIONS.path), tokenizer
