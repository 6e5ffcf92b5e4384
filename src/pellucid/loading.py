"""From a model's name or a file of weights to a `Restorer`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pellucid import zoo
from pellucid.checkpoints.load import (
    SUFFIXES,
    daclip,
    load_image_tower,
    load_network,
    load_prompts,
)
from pellucid.checkpoints.weights import read_weights
from pellucid.degradations import CLASSES, WORDS
from pellucid.diffusion.sde import MeanRevertingSDE
from pellucid.errors import CheckpointError, UsageError
from pellucid.hardware import resolve_device, resolve_dtype
from pellucid.imaging.convert import Picture
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.table import Prediction
from pellucid.restorer import Restorer
from pellucid.routing import Router, Specialists
from pellucid.runtimes.run import check_engine
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.hub import DINOV2_BASE
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.prompts import QualityPerceiver
from pellucid.vision_language.semantics import TowerSemantics
from pellucid.vision_language.tokenizer import CLIP_VOCABULARY, CLIP_VOCABULARY_SIZE, Tokenizer
from pellucid.zoo import AUTO

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


@dataclass(frozen=True, eq=False)
class Tower:
    """A DA-CLIP tower with what it tells apart; see `Restorer` for the fields."""

    controller: DaCLIP
    text_features: Tensor | None = None
    words: tuple[str, ...] = ()
    perceiver: QualityPerceiver | None = None
    tokenizer: Callable[[], Tokenizer] | None = None


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a `Restorer`, under the names of its arguments."""

    network: RestorationNetwork
    controller: DaCLIP | None
    text_features: Tensor | None
    words: tuple[str, ...]
    perceiver: QualityPerceiver | None
    tokenizer: Callable[[], Tokenizer] | None
    semantics: ImageTower | None
    predicts: Prediction | None
    sde: MeanRevertingSDE
    name: str
    learned: tuple[str, ...] = ()


def load(
    name_or_path: str | Path = AUTO,
    device: str | torch.device = "auto",
    dtype: str | torch.dtype = "auto",
    tower: str | Path | None = None,
    semantics: str | Path | None = None,
    guard: bool | None = None,
    engine: str = "torch",
) -> Restorer:
    """Load a restorer by a model's name (see `list_models`) or from a file of weights.

    Args:
        name_or_path: "auto": "lite", and each picture that a shipped specialist covers goes to that
            one; to that for white noise only with a guard, which measures it. Shipped models need
            no network connection; official weights are fetched on first use. A file is a bundle of
            ours, or an official checkpoint, which is recognised by its keys.
        device: see `Restorer`.
        dtype: see `Restorer`.
        tower: the file of the DA-CLIP tower that guides the network of a file; if not given, the
            one in the file's metadata, for an official network its published tower beside it or in
            the cache, else that of "lite".
        semantics: for networks that need semantics, what reads the picture: a folder with DINOv2 or
            its name on the hub, or the file of a CLIP; if not given, the one in the file's
            metadata, the folder dinov2-base beside the file, or DINOv2 from the hub.
        guard: see `Restorer`; if not given, True for the models in the package and False
            for others, whose results are then the network's own.
        engine: see `Engine`.

    Raises:
        UsageError: unknown name, device or engine.
        CheckpointError: a file is missing, damaged, unsafe, or does not fit.
    """
    device = resolve_device(device)  # a wrong name is found before anything is fetched
    precision = resolve_dtype(dtype, device)
    if engine != "auto":
        check_engine(engine, device, None if dtype == "auto" else precision)
    if guard is None:
        row = zoo.MODELS.get(str(name_or_path))
        guard = name_or_path == AUTO or (row is not None and row.shipped)
    machine: dict[str, Any] = {
        "device": device,
        "dtype": dtype,
        "guard": guard,
        "engine": engine,
    }
    if name_or_path != AUTO:
        return Restorer(**vars(load_parts(name_or_path, tower, semantics)), **machine)
    towers: dict[Path, Tower] = {}
    parts = replace(load_parts(zoo.DEFAULT, tower, semantics, towers), name=AUTO)

    def specialist(name: str) -> Restorer:
        return Restorer(**vars(load_parts(name, tower, semantics, towers)), **machine)

    covering = {row.covers: row.name for row in zoo.MODELS.values() if row.covers}
    loaders = {words: partial(specialist, name) for words, name in covering.items()}
    options = {"specialists": Specialists(loaders), "default": zoo.DEFAULT}
    return Router(**vars(parts), **options, **machine)


@lru_cache(maxsize=2)
def _shared(name: str, device: str, dtype: str) -> Restorer:
    return load(name, device, dtype)


def restore(
    image: Picture, model: str = AUTO, device: str = "auto", dtype: str = "auto", **options: Any
) -> Any:
    """Restore one picture; the model stays loaded for the next call.

    `options` and the answer are those of `Restorer.restore`.
    """
    return _shared(str(model), device, dtype).restore(image, **options)


def load_parts(
    name_or_path: str | Path,
    tower: str | Path | None = None,
    semantics: str | Path | None = None,
    towers: dict[Path, Tower] | None = None,
) -> Parts:
    """Load the parts of a `Restorer`; arguments and errors are those of `load`.

    `towers` holds the towers that earlier calls have loaded.
    """
    towers = {} if towers is None else towers
    path, default_tower = _paths(name_or_path)
    loaded = load_network(path)
    network = loaded.network
    file = Path(tower) if tower is not None else default_tower or _named_tower(path, loaded.meta)
    guide = None
    if file is not None:
        guide = towers.get(file) or towers.setdefault(file, load_tower(file))
        _check_embeddings(network, guide.controller, path, file)
    reads = None
    if semantics is not None and "semantics" not in network.needs:
        raise UsageError(f"{name_or_path} reads no semantics: leave out --semantics")
    if "semantics" in network.needs:
        source = semantics or _semantics(path, loaded.meta.get("semantics") or DINOV2_BASE)
        if guide is not None and file is not None and _same_file(file, source):
            reads = TowerSemantics(guide.controller)
        else:
            reads = load_image_tower(source)
        _check_semantics(network, reads, path, source)
    return Parts(
        network=network,
        controller=guide and guide.controller,
        text_features=None if guide is None else guide.text_features,
        words=() if guide is None else guide.words,
        perceiver=guide and guide.perceiver,
        tokenizer=guide and guide.tokenizer,
        semantics=reads,
        predicts=loaded.predicts,
        sde=_sde(path, loaded.sde),
        name=str(name_or_path) if default_tower else _called(path),
        learned=_learned(path),
    )


def _learned(path: Path) -> tuple[str, ...]:
    """The degradations that a shipped specialist learned; of other files nothing is known."""
    for row in zoo.MODELS.values():
        if isinstance(row.network, zoo.ShippedFile) and _same_file(path, row.network.path):
            return row.covers + row.also
    return ()


def _called(path: Path) -> str:
    """Name of a network in a file; the weights of a training are called as its folder."""
    path = path.resolve()
    return path.parent.name if path.name == "weights.safetensors" else path.stem


def _sde(path: Path, arguments: dict[str, Any]) -> MeanRevertingSDE:
    try:
        return MeanRevertingSDE(**arguments)
    except Exception as error:  # whatever wrong arguments make it stumble over
        raise CheckpointError(f"{path} names a diffusion that cannot be ({error})") from error


def _semantics(path: Path, name: str) -> str | Path:
    """What a network's file names: a file or folder near it, or one of DINOv2's own names.

    Nothing else is fetched because a file says so.
    """
    folders = (Path(name), path.parent / Path(name).name)
    found = next((folder for folder in folders if folder.is_dir()), None) or _near(path, name)
    if found is None and not name.startswith("facebook/dinov2-"):
        raise CheckpointError(f"{path} is guided by {name}, which is not there; put it beside")
    return found or name


def load_tower(path: Path) -> Tower:
    """The DA-CLIP tower of a file, embeddings of its words, and its quality prompts if shipped."""
    weights = read_weights(path)
    controller = daclip(weights)
    config = controller.config
    perceiver = None
    if path == zoo.LITE_CLIP.path and zoo.LITE_PROMPTS.path.exists():
        prompts = load_prompts(zoo.LITE_PROMPTS.path, controller.clip)
        perceiver = QualityPerceiver(controller.clip, prompts)
    if config.text.vocab_size == CLIP_VOCABULARY_SIZE:
        if config.embed_dim != 512:  # the "wild" tower was trained with other words
            return Tower(controller)
        words, tokens = WORDS, _official_tokens(config.text.context_length)
        tokenizer = partial(Tokenizer.from_clip, _vocabulary(path))
    else:
        words = tuple(weights.meta.get("words", CLASSES))
        file = _tokenizer_file(path)
        tokenizer = partial(Tokenizer.from_file, file, config.text.context_length)
        tokens = tokenizer()(words)
        if tokens.max() >= config.text.vocab_size:
            raise CheckpointError(f"{file} is not the tokenizer of {path}: it has more tokens")
    with torch.no_grad():
        features = controller.encode_text(tokens).float()
    return Tower(controller, features, words, perceiver, tokenizer)


def tower_file(name: str) -> str:
    """The tower's file of a model in the zoo; any other name is returned as it is."""
    return str(zoo.resolve_tower(name)) if name in zoo.MODELS else name


def prompts_file(name: str) -> str:
    """The quality prompts of a model in the zoo; any other name is returned as it is."""
    row = zoo.MODELS.get(name)
    return str(zoo.LITE_PROMPTS.path) if row and row.tower is zoo.LITE_CLIP else name


def tokenizer_of(name: str, context_length: int, tower: str = "") -> Tokenizer:
    """The tokenizer in a file of the `tokenizers` library, or of a model's tower in the zoo.

    A folder holds CLIP's own vocabulary. An empty name is that, too: beside the file `tower`, else
    from the hub.
    """
    if name in zoo.MODELS:
        name = str(zoo.LITE_TOKENIZER.path) if zoo.MODELS[name].tower is zoo.LITE_CLIP else ""
    if name and not Path(name).is_dir():
        return Tokenizer.from_file(name, context_length)
    return Tokenizer.from_clip(name or _vocabulary(Path(tower)))


def _official_tokens(length: int) -> Tensor:
    tokens = torch.zeros(len(WORDS), length, dtype=torch.long)
    for row, word in zip(tokens, WORDS, strict=True):
        ids = (CLIP_VOCABULARY_SIZE - 2, *_OFFICIAL_TOKENS[word], CLIP_VOCABULARY_SIZE - 1)
        row[: len(ids)] = torch.tensor(ids)
    return tokens


def _tokenizer_file(tower: Path) -> Path:
    beside = tower.with_name("tokenizer.json")
    return beside if beside.exists() else zoo.LITE_TOKENIZER.path


def _vocabulary(tower: Path) -> str | Path:
    """Of CLIP, beside the tower or on the hub."""
    files = (tower.parent / name for name in ("vocab.json", "merges.txt"))
    return tower.parent if tower.is_file() and all(map(Path.exists, files)) else CLIP_VOCABULARY


def _paths(name_or_path: str | Path) -> tuple[Path, Path | None]:
    """The network's file and, for a model in the zoo, its tower's."""
    if isinstance(name_or_path, str) and name_or_path in zoo.MODELS:
        found = zoo.resolve(name_or_path)
        return found.network, found.tower
    path = Path(name_or_path).expanduser()
    if path.is_file():
        return path, None
    if path.suffix.lower() in SUFFIXES or len(path.parts) > 1:
        row = zoo.by_file(path.name)
        where = f"; `pellucid models {row.name}` says where it is from" if row else ""
        raise UsageError(f"there is no weights file {path}{where}")
    zoo.entry(str(name_or_path))  # raises, and names the nearest
    raise UsageError(f"unknown model {name_or_path}")


def _named_tower(path: Path, meta: dict[str, Any]) -> Path | None:
    """The tower that a network was trained with.

    None if it was trained without. That of an official network is known by the name of its file.
    That of "lite" if the file does not say, or if the true words stood in for a tower in training.
    """
    source = meta.get("source")  # of a converted file
    known = zoo.by_file(source if isinstance(source, str) else path.name)
    if known is not None and "tower" not in meta:
        return _official_tower(path, known)
    task = meta.get("train", {}).get("task", {})
    name = meta.get("tower", task.get("tower", zoo.LITE_CLIP.path))
    if not name and task.get("words"):
        name = zoo.LITE_CLIP.path
    if not name:
        return None
    if found := _near(path, name):
        return found
    if str(name) in zoo.MODELS:
        return _official_tower(path, zoo.MODELS[str(name)])
    raise CheckpointError(
        f"{path} was trained with the tower {name}, which is not there; name one (--tower), or put "
        "it beside"
    )


def _official_tower(path: Path, row: zoo.ModelEntry) -> Path:
    """The published tower of a published network: beside it, or in the cache."""
    if isinstance(row.tower, zoo.ShippedFile):
        return row.tower.path
    (name,) = zoo.published_names(row.tower)
    cache = zoo.cache_folder()
    for folder in (path.parent, cache, cache / "incoming"):
        for file in (folder / Path(name).with_suffix(".safetensors"), folder / name):
            if file.is_file():
                return file
    raise CheckpointError(
        f"{path} is guided by {name}, which is neither beside it nor in {cache}; name that file "
        f"(--tower), or use the model {row.name} once, which fetches it"
    )


def _near(path: Path, name: str | Path) -> Path | None:
    """Another file that a file names: where it says, beside it, or in this package.

    The name of a model in the package stands for its tower.
    """
    if (row := zoo.MODELS.get(str(name))) is not None and isinstance(row.tower, zoo.ShippedFile):
        return row.tower.path
    places = (Path(name), path.parent / Path(name).name, zoo.SHIPPED / Path(name).name)
    found = (place for place in places if place.is_file())
    return next((place for place in found if not place.samefile(path)), None)


def _same_file(a: Path, b: str | Path) -> bool:
    return Path(b).is_file() and a.samefile(b)


def _check_embeddings(
    network: RestorationNetwork, controller: DaCLIP, path: Path, tower: Path
) -> None:
    if not network.needs & {"content", "degradation"}:
        return
    needed, given = network.config.context_dim, controller.config.embed_dim
    if needed != given:
        raise UsageError(
            f"{path} is guided by embeddings of length {needed}, but those of {tower} have "
            f"{given}; name its own tower (--tower)"
        )


def _check_semantics(
    network: RestorationNetwork, tower: ImageTower, path: Path, source: str | Path
) -> None:
    needed = network.config.semantic_dim
    if needed and needed != tower.dim:
        raise UsageError(
            f"{path} reads semantic vectors of length {needed}, but those of {source} have "
            f"{tower.dim}; name its own tower (--semantics)"
        )
