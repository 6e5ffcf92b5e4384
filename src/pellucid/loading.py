"""From a model's name or a file to the parts of a ``Restorer``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pellucid import zoo
from pellucid.checkpoints.build import load_network
from pellucid.checkpoints.load import load_daclip, load_file, load_prompts
from pellucid.checkpoints.semantics import load_semantics
from pellucid.degradations import CLASSES, WORDS
from pellucid.diffusion.sde import MeanRevertingSDE
from pellucid.errors import CheckpointError, UsageError
from pellucid.networks.layers import needs_semantics
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.dinov2 import BASE
from pellucid.vision_language.prompts import QualityPerceiver
from pellucid.vision_language.tokenizer import Tokenizer

_CLIP_VOCABULARY = 49408
# CLIP's tokens of the ten words: classification by official weights needs no tokenizer
_OFFICIAL_TOKENS = {
    "motion-blurry": (7860, 268, 21977),
    "hazy": (32655,),
    "jpeg-compressed": (73, 11207, 268, 42359),
    "low-light": (1042, 268, 1395),
    "noisy": (33495,),
    "raindrop": (3128, 3387),
    "rainy": (10222,),
    "shadowed": (15243, 538),
    "snowy": (14191,),
    "uncompleted": (569, 5976),
}


def load_parts(name_or_path: str | Path, tower: str | Path | None = None) -> dict[str, Any]:
    """The arguments of ``Restorer``, without device and dtype; errors as in ``restorer.load``."""
    path, default_tower = _paths(name_or_path)
    network, meta = load_network(path)
    tower = Path(tower) if tower is not None else default_tower or _named_tower(path, meta)
    controller, text_features, words = None, None, ()
    if tower is not None:
        controller, text_features, words = load_tower(tower)
        _check_sizes(network, controller, path, tower)
    semantics = perceiver = None
    if tower == zoo.LITE_CLIP.path and zoo.LITE_PROMPTS.path.exists():
        prompts = load_prompts(zoo.LITE_PROMPTS.path, controller.clip)
        perceiver = QualityPerceiver(controller.clip, prompts)
    if needs_semantics(network):
        source = meta.get("semantics", BASE)
        semantics = load_semantics(network, _near(path, source) or source)
    return {
        "network": network,
        "semantics": semantics,
        "perceiver": perceiver,
        "controller": controller,
        "text_features": text_features,
        "words": words,
        "predicts": meta["predicts"],
        "sde": MeanRevertingSDE(**meta.get("sde", {})),
        "name": str(name_or_path) if default_tower else path.stem,
    }


def load_tower(path: Path) -> tuple[DaCLIP, Tensor | None, tuple[str, ...]]:
    """The tower of a file, and embeddings of the words that it tells apart."""
    controller = load_daclip(path)
    config = controller.config
    if config.text.vocab_size == _CLIP_VOCABULARY:
        if config.embed_dim != 512:  # the "wild" tower was trained with other words
            return controller, None, ()
        words, tokens = WORDS, _official_tokens(config.text.context_length)
    else:
        words = tuple(load_file(path)[1].get("words", CLASSES))
        file = _tokenizer_file(path)
        tokens = Tokenizer.from_file(file, config.text.context_length)(words)
        if tokens.max() >= config.text.vocab_size:
            raise CheckpointError(f"{file} is not the tokenizer of {path}: it has more tokens")
    with torch.inference_mode():
        return controller, controller.encode_text(tokens).float(), words


def _official_tokens(length: int) -> Tensor:
    tokens = torch.zeros(len(WORDS), length, dtype=torch.long)
    for row, word in zip(tokens, WORDS, strict=True):
        ids = (_CLIP_VOCABULARY - 2, *_OFFICIAL_TOKENS[word], _CLIP_VOCABULARY - 1)
        row[: len(ids)] = torch.tensor(ids)
    return tokens


def _tokenizer_file(tower: Path) -> Path:
    beside = tower.with_name("tokenizer.json")
    return beside if beside.exists() else zoo.SHIPPED / "lite-tokenizer.json"


def _paths(name_or_path: str | Path) -> tuple[Path, Path | None]:
    """The network's file and, for a model in the zoo, its tower's."""
    if isinstance(name_or_path, str) and name_or_path in zoo.MODELS:
        found = zoo.resolve(name_or_path)
        return found.network, found.tower
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path, None
    if path.suffix in (".safetensors", ".pt", ".pth") or len(path.parts) > 1:
        raise UsageError(f"there is no weights file {path}")
    zoo.entry(str(name_or_path))  # raises, and names the nearest
    raise UsageError(f"unknown model {name_or_path}")


def _named_tower(path: Path, meta: dict[str, Any]) -> Path | None:
    """The tower that a network was trained with: None if without, that of "lite" if unsaid or if
    the true words stood in for a tower."""
    task = meta.get("train", {}).get("task", {})
    name = meta.get("tower", task.get("tower", zoo.LITE_CLIP.path))
    if not name and task.get("words"):  # in training it was told the words that "lite" finds
        name = zoo.LITE_CLIP.path
    if not name:
        return None
    if found := _near(path, name):
        return found
    raise CheckpointError(
        f"{path} was trained with the tower {name}, which is not there; name one, or put it beside"
    )


def _near(path: Path, name: str | Path) -> Path | None:
    """A file that another one names: where it says, beside it, or in this package."""
    places = (Path(name), path.parent / Path(name).name, zoo.SHIPPED / Path(name).name)
    return next((place for place in places if place.is_file()), None)


def _check_sizes(network, controller: DaCLIP, path: Path, tower: Path) -> None:
    needed = getattr(network.config, "context_dim", 0)
    if needed and needed != controller.config.embed_dim:
        raise UsageError(
            f"{path} is guided by embeddings of length {needed}, but those of {tower} have "
            f"{controller.config.embed_dim}; name its own tower (--tower)"
        )
