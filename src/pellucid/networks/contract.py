"""Interface of restoration networks, and their guidance.

A network is a `RestorationNetwork`. Once a picture it makes a condition of the whole picture and
of the `Guidance`; then it restores the picture tile by tile. To add one, write its config and its
class in one file and give it a row in `networks.table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from dataclasses import replace as replaced
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Guidance:
    """What is known of B pictures, beside their pixels. Missing inputs are None.

    `words` and `probabilities` are of one picture; a network never reads them.
    """

    content: Tensor | None = None
    """DA-CLIP's embedding of the clean content, (B, D), not normalised."""
    degradation: Tensor | None = None
    """DA-CLIP's embedding of the degradation, (B, D), not normalised."""
    words: tuple[str, ...] = ()
    """Degradations that were found or told; empty for a clean picture."""
    probabilities: dict[str, float] | None = None
    """Of every known word, most probable first; they sum to 1."""
    semantics: Tensor | None = None
    """Vectors of the network's own image tower, (B, L, D), L layers, shallow first."""
    told: bool = False
    """Whether a person named `words`."""
    kept: tuple[str, ...] = ()
    """Degradations that are to stay, found or not: a person named them."""
    white: bool = False
    """Whether the picture's noise was measured to be white; False without a guard."""

    @property
    def explaining(self) -> dict[str, float]:
        """Probabilities of the words that may explain a change: of all that are not kept."""
        shares = self.probabilities or {}
        return {word: share for word, share in shares.items() if word not in self.kept}

    def to(self, device: torch.device | str) -> Guidance:
        """The same with its tensors on a device."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        moved = {n: v.to(device) for n, v in values.items() if isinstance(v, Tensor)}
        return replaced(self, **moved)

    def of(self, index: int, picture: Guidance) -> Guidance:
        """One picture of a batch; `words` and `probabilities` are those of `picture`."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        rows = {n: v[index : index + 1] for n, v in values.items() if isinstance(v, Tensor)}
        return replaced(picture, **rows)

    @staticmethod
    def joined(pictures: Sequence[Guidance]) -> Guidance:
        """The guidance of a batch, without words and probabilities.

        A tensor that one of the pictures lacks is None.
        """
        columns = {}
        for field in fields(Guidance):
            parts = [getattr(picture, field.name) for picture in pictures]
            if all(isinstance(part, Tensor) for part in parts):
                columns[field.name] = torch.cat(parts)
        return Guidance(**columns)


class RestorationNetwork(nn.Module):
    """Base of all restoration networks.

    A diffusion network is called as `network(x, mu, t, condition)`: state and damaged tile
    (B, 3, H, W), times (B,). The other networks are called as below. Any H, W >= 1 are taken.
    """

    needs: frozenset[str] = frozenset()
    """Names of the `Guidance` fields that `condition` uses."""
    multiple: int = 1
    """Sides are padded to multiples of this; tiles lie on its grid."""
    overlap: int = 64
    """Pixels that neighbouring tiles share. The receptive field of a convolutional network. With
    attention or averages over the whole input a tile never equals the whole, and 64 is a choice."""
    dtypes: tuple[torch.dtype, ...] = (torch.bfloat16,)
    """Reduced precisions that autocast may use without harm."""
    maps_damage: bool = False
    """Whether `damage` is implemented."""
    unguided: bool = False
    """Whether it restores without guidance what it sees, not only what words ask for."""
    whole: bool = False
    """Whether `forward` takes whole pictures only, never tiles."""
    graphs: bool = True
    """Whether it can be exported, and so be computed by other engines than PyTorch."""
    config: Any
    """Frozen dataclass of sizes."""

    @property
    def word_embeddings(self) -> Tensor | None:
        """Buffer (n, D) for the text embeddings of `degradations.CLASSES`, filled before training.

        None if the network has none.
        """
        return None

    def condition(self, image: Tensor, guidance: Guidance) -> Any:
        """Prepare what is the same for all tiles of a picture.

        Args:
            image: the whole damaged picture, (B, 3, H, W) in [0, 1].
            guidance: of B pictures.

        Returns:
            The second argument of `forward`. The condition of one picture serves a batch of its
            tiles.
        """
        return None

    def forward(self, tile: Tensor, condition: Any) -> Tensor:
        """Restore (B, 3, H, W) in [0, 1]; the result is not clamped."""
        raise NotImplementedError

    def damage(self, tile: Tensor, condition: Any) -> Tensor:
        """Map the damage in (B, 3, H, W): (B, 1, H, W) in [0, 1], 1 is surely damaged."""
        raise NotImplementedError

    def terms(self, damaged: Tensor, clean: Tensor, condition: Any) -> dict[str, Tensor]:
        """Terms that a training adds to the loss of the restored pictures, by name.

        Args:
            damaged: whole pictures `(B, 3, H, W)` in [0, 1].
            clean: likewise.
            condition: of the damaged pictures.
        """
        return {}

    @classmethod
    def official(cls, state: Mapping[str, Tensor]) -> tuple[Any, Mapping[str, Tensor]] | None:
        """Recognise an official state dict by its keys and shapes.

        Returns:
            The config, and the weights under the names of this class; None for other networks.
        """
        return None

    def start_from(
        self, kind: str, config: Mapping[str, Any], state: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Translate the weights of another kind of network into names of this one.

        Args:
            kind: row of `networks.table`; empty if unknown.
            config: its sizes, as in a bundle.
            state: its weights.

        Returns:
            Weights to begin training with; `state` itself where nothing needs translation.
        """
        return state
