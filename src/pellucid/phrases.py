"""From phrases of one's own, such as "film grain", to the degradations that they mean.

    restorer = pellucid.load()
    phrases = read(["rain streaks", "film grain", "fog"], restorer)
    found = restorer.diagnose("photo.jpg").probabilities
    {phrase.text: phrase.probability(found) for phrase in phrases}    # {"rain streaks": 0.93, ...}

The text tower compares a phrase with the descriptions of each degradation that the controller was
trained with (`degradations.descriptions`); the nearest description of each counts (ours):

    P(phrase | picture) = sum over words of P(word | phrase) * P(word | picture)

DA-CLIP's README compares the picture with the phrase itself. With the small tower that finds less
(`docs/measurements/phrases.md`): its controller learned the words alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from pellucid.degradations.descriptions import DESCRIPTIONS
from pellucid.errors import UsageError
from pellucid.restorer import Restorer
from pellucid.vision_language.tokenizer import Tokenizer

SURE = 0.6  # least P(word | phrase) of a phrase that is understood


@dataclass(frozen=True)
class Phrase:
    """A phrase and what it means."""

    text: str
    """The phrase."""
    means: dict[str, float]
    """P(word | phrase) of every word that the model knows, largest first; they sum to 1."""
    nearest: str
    """The description that it is most like."""

    @property
    def word(self) -> str:
        """The degradation that it most likely means."""
        return next(iter(self.means))

    @property
    def understood(self) -> bool:
        """Whether it surely means one degradation. Others are about something else, or unknown."""
        return self.means[self.word] >= SURE

    def probability(self, probabilities: Mapping[str, float]) -> float:
        """That a picture has it, in [0, 1], by the picture's probabilities of the known words.

        Those of several phrases need not sum to 1.
        """
        return sum(share * probabilities[word] for word, share in self.means.items())


@torch.no_grad()
def read(texts: Sequence[str], restorer: Restorer) -> list[Phrase]:
    """Read phrases in English by the text tower of a restorer, in their order.

    Raises:
        UsageError: a phrase is empty, too long or has characters that are not of English, or the
            model has no text tower that tells degradations apart.
        CheckpointError: the tower is an official one and CLIP's vocabulary cannot be read.
    """
    controller = restorer.controller
    if controller is None or restorer.tokenizer is None or not restorer.words:
        raise UsageError(f"the model {restorer.name} does not tell degradations apart; try lite")
    tokenizer = restorer.tokenizer()
    texts = [_checked(text, tokenizer) for text in texts]
    groups = [
        tuple(dict.fromkeys([word, *sum(DESCRIPTIONS.get(word, ()), ())]))
        for word in restorer.words
    ]
    described = [text for group in groups for text in group]
    tokens = tokenizer([*texts, *described]).to(controller.logit_scale.device)
    features = F.normalize(controller.encode_text(tokens).float(), dim=-1)
    likeness = features[: len(texts)] @ features[len(texts) :].T
    most = [part.amax(dim=-1) for part in likeness.split([len(group) for group in groups], dim=1)]
    shares = (controller.logit_scale.exp() * torch.stack(most, dim=-1)).softmax(dim=-1).tolist()
    nearest = [described[place] for place in likeness.argmax(dim=-1).tolist()]
    return [
        Phrase(text, dict(sorted(zip(restorer.words, row, strict=True), key=_falling)), like)
        for text, row, like in zip(texts, shares, nearest, strict=True)
    ]


def _falling(pair: tuple[str, float]) -> float:
    return -pair[1]


def _checked(text: str, tokenizer: Tokenizer) -> str:
    text = " ".join(text.split())
    if not text:
        raise UsageError('a phrase is empty; give some such as "rain streaks,film grain,fog"')
    if foreign := [c for c in text if not (c.isascii() and c.isprintable())]:
        raise UsageError(
            f'"{text}": the text tower reads English, and does not know {foreign[0]!r}; '
            "use letters from a to z"
        )
    count = len(tokenizer.pieces.encode(text, add_special_tokens=False).ids)
    most = tokenizer.context_length - 2
    if count > most:
        start = text if len(text) <= 40 else f"{text[:40]}..."
        raise UsageError(
            f'"{start}" is too long: the text tower reads {most} tokens, it has {count}; '
            "a phrase has a few words, and a comma parts two phrases"
        )
    return text
