"""Guidance of networks in training: frozen towers, embeddings of words, and their files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pellucid.checkpoints.load import load_clip, load_daclip, load_image_tower
from pellucid.degradations import CLASSES
from pellucid.errors import UsageError
from pellucid.loading import tokenizer_of, tower_file
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.table import kind_of
from pellucid.training.tasks.base import Task
from pellucid.vision_language.clip import CLIP, CLIPConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.preprocess import embed, preprocess

RANDOM = "random"  # in place of a file: untrained weights
ALIKE = 1 - 1e-6  # cosine above which two embeddings are the same


class WordEmbeddings(nn.Module):
    """A frozen text tower's embeddings of degradations.

    Args:
        clip: its text tower is used.
        tokenize: texts -> token ids (B, context_length).
    """

    def __init__(self, clip: CLIP, tokenize: Callable[[list[str]], Tensor]):
        super().__init__()
        self.clip, self.tokenize = clip, tokenize
        self._known: dict[str, Tensor] = {}  # computed when first met

    @torch.no_grad()
    def forward(self, words: Sequence[str]) -> Tensor:
        """Return (B, D) float32; the chain "rainy+noisy" reads "rainy, noisy".

        Raises:
            UsageError: two words have the same embedding.
        """
        for word in words:
            if word not in self._known:  # one by one: a resumed run must find the same rounding
                tokens = self.tokenize([word.replace("+", ", ")])
                tokens = tokens.to(self.clip.text_projection.device)
                with torch.autocast(tokens.device.type, enabled=False):
                    embedded = self.clip.encode_text(tokens)[0].float()
                for other, known in self._known.items():
                    if F.cosine_similarity(embedded, known, dim=0) > ALIKE:
                        raise UsageError(
                            f"the text tower embeds {word!r} and {other!r} alike: is the "
                            "tokenizer that of another tower?"
                        )
                self._known[word] = embedded
        return torch.stack([self._known[word] for word in words])


def training_views(pictures: Tensor, config: CLIPConfig) -> Tensor:
    """Return a tower's input (B, V, 3, S, S) from crops (B, 3, H, W) in [0, 1].

    As in the official code, in training the tower sees the crop that the network sees, in use the
    picture. A tower with windows sees those of the crop. For another one the crop is resized
    (bicubic, antialiased), its longer side cut to a square; V is 1.

    Args:
        pictures: float32 RGB.
        config: of the tower.
    """
    if config.views == "windows":
        return preprocess(pictures, config)
    size, (height, width) = config.vision.image_size, pictures.shape[-2:]
    if (height, width) != (size, size):
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pictures = pictures[..., top : top + side, left : left + side]
        pictures = F.interpolate(pictures, (size, size), mode="bicubic", antialias=True)
        pictures = pictures.clamp(0, 1)
    mean, std = (pictures.new_tensor(v).view(3, 1, 1) for v in (config.mean, config.std))
    return ((pictures - mean) / std)[:, None]


def view_means(encode: Callable[[Tensor], Any], views: Tensor) -> Any:
    """Encode views (B, V, 3, S, S) and return the float32 mean of each picture's embeddings.

    `encode` takes (N, 3, S, S) and gives embeddings (N, D), or a tuple of such.
    """
    embedded = encode(views.flatten(0, 1))
    if isinstance(embedded, Tensor):
        return embedded.float().unflatten(0, views.shape[:2]).mean(dim=1)
    return tuple(e.float().unflatten(0, views.shape[:2]).mean(dim=1) for e in embedded)


class FrozenTower(nn.Module):
    """Give the content and degradation embeddings of damaged pictures; never trained.

    In training (a crop) `forward` is called, in validation (a whole picture) `picture`, which is
    what inference does.

    """

    def __init__(self, model: DaCLIP, path: str = ""):
        super().__init__()
        self.path = path  # of its file, for the meta of the network's weights
        self.model = model.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FrozenTower:
        """Stay in evaluation mode."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        """Return float32 (content, degradation), each (B, D), of crops (B, 3, H, W) in [0, 1]."""
        views = training_views(lq, self.model.config)
        return view_means(partial(self.model.encode_image, control=True), views)

    def picture(self, lq: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same of whole pictures, with the tower's own views and resizing."""
        return embed(self.model, lq)


class Semantics(nn.Module):
    """Read damaged pictures for a network that needs semantics; never trained.

    Args:
        model: the image tower.
        source: its file, folder or name, for the meta of the network's weights.
    """

    def __init__(self, model: ImageTower, source: str = ""):
        super().__init__()
        self.model, self.source = model.requires_grad_(False).eval(), source

    def train(self, mode: bool = True) -> Semantics:
        """Stay in evaluation mode."""
        return super().train(False)


def guide(
    network: RestorationNetwork,
    tower: FrozenTower | None,
    lq: Tensor,
    dropout: float = 0.0,
    generator: torch.Generator | None = None,
    semantics: Semantics | None = None,
    told: Tensor | None = None,
    view: Tensor | None = None,
) -> Any:
    """Return `network.condition` of damaged pictures (B, 3, H, W) and what the network needs.

    Args:
        network: missing guidance is None.
        tower: gives the embeddings `degradation` and `content`.
        lq: the pictures.
        dropout: share of samples whose two embeddings are zeroed, so that the network can also work
            unguided.
        generator: says that these are training crops, and draws which ones; None = whole pictures.
        semantics: gives the vectors of the network's own image tower.
        told: degradation embeddings (B, D) in place of the tower's.
        view: what `semantics` is shown instead of crops: the whole pictures, turned as they are.
    """
    needs = network.needs
    content, degradation = None, told
    if told is None and tower is not None and needs & {"degradation", "content"}:
        content, degradation = tower(lq) if generator is not None else tower.picture(lq)
        if dropout and generator is not None:
            draw = torch.rand(len(content), 1, generator=generator, device=content.device) < dropout
            content, degradation = (torch.where(draw, 0.0, e) for e in (content, degradation))
    vectors = None
    if semantics is not None and "semantics" in needs:
        vectors = semantics.model.encode(lq if view is None else view)
    return network.condition(lq, Guidance(content, degradation, semantics=vectors))


def network_meta(
    network: RestorationNetwork,
    tower: FrozenTower | None = None,
    semantics: Semantics | None = None,
) -> dict:
    """Return what a bundle says of a network.

    That is `kind`, `config`, and where its `tower` and its `semantics` are, if it has them.
    """
    meta = {"kind": kind_of(network), "config": dataclasses.asdict(network.config)}
    meta |= {} if tower is None else {"tower": tower.path}
    return meta if semantics is None else {**meta, "semantics": semantics.source}


def frozen_tower(path: str) -> FrozenTower | None:
    """Load a DA-CLIP file, or that of a model in `pellucid.zoo`; "" gives None."""
    if not path:
        return None
    return FrozenTower(load_daclip(tower_file(path)), _lasting(path))


def frozen_semantics(source: str) -> Semantics | None:
    """Load an image tower, see `load_image_tower`; "" gives None.

    A model's name in `pellucid.zoo` stands for its tower.
    """
    if not source:
        return None
    return Semantics(load_image_tower(tower_file(source)), _lasting(source))


def _lasting(source: str) -> str:
    """A name that is true in any folder; one of the zoo or of the hub stays."""
    return str(Path(source).resolve()) if Path(source).exists() else source


def word_embeddings(path: str, tokenizer: str) -> WordEmbeddings:
    """Load the text tower of a CLIP (see `load_clip`), frozen; an empty `tokenizer` is CLIP's own.

    A model's name in `pellucid.zoo` stands for its tower.
    """
    clip = load_clip(tower_file(path))
    length = clip.config.text.context_length
    return WordEmbeddings(clip, tokenizer_of(tokenizer, length, tower_file(path)))


def teach_words(network: RestorationNetwork, clip: CLIP, tokenizer: str) -> None:
    """Give a network that has word embeddings those of the classes, in their order.

    Raises:
        UsageError: it has another number of words, or two have the same embedding.
    """
    buffer = network.word_embeddings
    if buffer is None:
        return
    if len(buffer) != len(CLASSES):
        raise UsageError(f"the network asks for {len(buffer)} words; there are {len(CLASSES)}")
    tokenize = tokenizer_of(tokenizer, clip.config.text.context_length)
    buffer.copy_(WordEmbeddings(clip, tokenize)(CLASSES))


@dataclass(frozen=True)
class GuidanceOptions:
    """How a network is guided in training; explained in `GuidedTask`."""

    tower: str = ""
    """File of a DA-CLIP tower, or a model's name in `pellucid.zoo`; empty = no guidance."""
    semantics: str = ""
    """For networks that need semantics: DINOv2 (a folder, or a name on the hub), the file of a CLIP
    whose image tower is read, or a model's name in `pellucid.zoo`; for the weather network the
    official RN50.pt."""
    words: str = ""
    """File of a CLIP whose embeddings of the true words guide instead of a tower."""
    tokenizer: str = ""
    """Of the text tower: JSON file of the `tokenizers` library, or a model in `pellucid.zoo`;
    empty = CLIP's own vocabulary."""
    context_dropout: float = 0.0
    """Share of samples whose embeddings are zero."""
    wrong_words: float = 0.0
    """Share of samples that are told a wrong word."""
    always_told: tuple[str, ...] = ()
    """Words whose samples are always told the truth."""

    def guidance(self, network: RestorationNetwork) -> dict[str, Any]:
        """Make the arguments of `GuidedTask` beside the network, which learns the words.

        Raises:
            UsageError: the network needs semantics, and `semantics` is empty.
        """
        tower = frozen_tower(self.tower)
        words = word_embeddings(self.words, self.tokenizer) if self.words else None
        text = words or (tower and tower.model)
        if text is not None:
            teach_words(network, text.clip, self.tokenizer)
        reads = "semantics" in network.needs
        if reads and not self.semantics:
            name = type(network).__name__
            raise UsageError(f"{name} needs semantics: name an image tower with --task.semantics")
        return {
            "tower": tower,
            "context_dropout": self.context_dropout,
            "words": words,
            "semantics": frozen_semantics(self.semantics) if reads else None,
            "wrong_words": self.wrong_words,
            "always_told": self.always_told,
        }


class GuidedTask(Task):
    """A task whose network is guided by DA-CLIP or by true words.

    Args:
        network: is trained.
        tower: frozen DA-CLIP giving (content, degradation) of the damaged crop; None = no guidance.
        context_dropout: share of samples whose two embeddings are zeroed, so that the network also
            works unguided.
        words: embeddings of the true degradations, which guide in place of a tower. A controller is
            trained to give the same ones, so this is a start that need not wait for it.
        semantics: for a network that needs it. Reads `batch["view"]`, the whole damaged picture
            turned as the crop is, where the data has it, else the crop.
        wrong_words: share of samples that are told another sample's words, so that the network
            looks before it believes.
        always_told: words whose samples are always told right. A picture does not show what they
            ask for: it may be dark at night, and fog may be wanted. So the network learns to
            change the light only when it is told to.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        tower: FrozenTower | None = None,
        context_dropout: float = 0.0,
        words: WordEmbeddings | None = None,
        semantics: Semantics | None = None,
        wrong_words: float = 0.0,
        always_told: Sequence[str] = (),
    ):
        super().__init__()
        self.network = network
        self.tower = tower
        self.context_dropout = context_dropout
        self.words = words
        self.semantics = semantics
        self.wrong_words = wrong_words
        self.always_told = frozenset(always_told)

    def condition(self, batch: dict, generator: torch.Generator | None = None) -> Any:
        """Return the network's condition; see `guide`."""
        told = None
        if self.words is not None:
            told = self._told(self.words(batch["word"]), batch["word"], generator)
        return guide(
            self.network,
            self.tower,
            batch["lq"],
            self.context_dropout,
            generator,
            self.semantics,
            told,
            batch.get("view"),
        )

    def _told(self, told: Tensor, words: list[str], generator: torch.Generator | None) -> Tensor:
        """Embeddings of the true words; in training some are missing (zeros), some are wrong."""
        if generator is None:
            return told
        draw = torch.rand(len(told), 1, generator=generator, device=told.device)
        sure = [not self.always_told.isdisjoint(word.split("+")) for word in words]
        draw[torch.tensor(sure, device=draw.device)] = 1.0
        others = told.roll(1, dims=0)
        told = torch.where(draw < self.context_dropout + self.wrong_words, others, told)
        return torch.where(draw < self.context_dropout, 0.0, told)
