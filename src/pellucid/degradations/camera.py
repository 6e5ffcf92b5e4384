"""One photograph from scene to file: the composition of all forms in the camera's order."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .fields import levels
from .nuisance import black_and_white, vary_file, vary_scene
from .old_photo import old_photo
from .table import FORMS, PHYSICAL_ORDER
from .words import CLEAN

WEIGHTS: dict[str, float] = dict.fromkeys(PHYSICAL_ORDER, 1.0)
OLD = ("noisy", "uncompleted")  # the words of an old photograph


@dataclass(frozen=True)
class Sample:
    """A damaged picture, its ground truth, and the words of the dominant damage in order.

    `lq` and `gt` are `(H, W, 3)` float32 in [0, 1] on the 256 levels of a file.
    """

    lq: np.ndarray
    gt: np.ndarray
    words: tuple[str, ...]


def photograph(
    scene: np.ndarray,
    rng: np.random.Generator,
    weights: Mapping[str, float] = WEIGHTS,
    clean: float = 1 / 9,
    chains: float = 0.2,
    old: float = 0.02,
    nuisance: bool = True,
    margin: int = 0,
    vary: bool = True,
) -> Sample:
    """Make a training sample of a clean scene: damage it as a camera, its file and time would.

    The scene is varied; then nothing happens, one degradation, or two or three in physical order
    (light, air, lens, exposure, sensor, file, damage to the picture); then the file is varied.
    Everything is a function of `rng`.

    Args:
        scene: a clean photograph or a window of it, `(H, W, 3)` float32 sRGB in [0, 1].
        rng: source of all randomness.
        weights: chances of the degradations relative to each other; those left out never happen.
        clean: share of samples without a degradation; their words are `("clean",)`.
        chains: share with two or three.
        old: share of old photographs.
        nuisance: vary scene and file; without, a clean sample is the scene itself.
        margin: px cut from each side after the degradations and before the file, so that blur
            brings in what lies beside the window instead of its reflection.
        vary: vary the scene, not only its file.

    Raises:
        ValueError: the margin leaves nothing of the scene.
    """
    if min(scene.shape[:2]) <= 2 * margin:
        raise ValueError(f"a margin of {margin} px leaves nothing of a scene {scene.shape[:2]}")
    if nuisance and vary:
        scene = vary_scene(scene, rng)
    inner = np.s_[margin : scene.shape[0] - margin, margin : scene.shape[1] - margin]
    if rng.random() < old and all(weights.get(word, 0) > 0 for word in OLD):
        if rng.random() < 0.7:  # colours that a print never had cannot come back
            scene = black_and_white(scene, rng)
        picture, words = old_photo(scene, rng)[inner], OLD
        picture = vary_file(picture, rng) if nuisance else picture
    else:
        words = draw_words(rng, weights, clean, chains)
        picture, words = _damaged(scene, words, inner, rng, nuisance)
    return Sample(levels(picture), levels(scene[inner]), words)


def draw_words(
    rng: np.random.Generator,
    weights: Mapping[str, float] = WEIGHTS,
    clean: float = 1 / 9,
    chains: float = 0.2,
) -> tuple[str, ...]:
    """Draw the words of one sample, in physical order; see `photograph`."""
    names = [word for word in PHYSICAL_ORDER if weights.get(word, 0) > 0]
    unknown = set(weights) - set(PHYSICAL_ORDER)
    if unknown:
        raise ValueError(f"unknown degradations {sorted(unknown)}; known: {list(PHYSICAL_ORDER)}")
    kind = rng.random()
    if kind < clean or not names:
        return (CLEAN,)
    count = 1
    if kind < clean + chains:
        count = min(2 if rng.random() < 0.75 else 3, len(names))
    shares = np.array([weights[name] for name in names], float)
    chosen = rng.choice(len(names), count, replace=False, p=shares / shares.sum())
    return tuple(names[i] for i in sorted(chosen))


def _damaged(
    scene: np.ndarray,
    words: tuple[str, ...],
    inner: tuple[slice, slice],
    rng: np.random.Generator,
    nuisance: bool,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """One form of each word, the file, and holes last; also the words that can be seen."""
    holes = "uncompleted" in words
    picture, found = scene, []
    for word in words:
        if word not in (CLEAN, "uncompleted"):
            before, picture = picture, _form(word, rng)(picture, rng)
            found += [word] * _differ(before[inner], picture[inner])
    picture = picture[inner]
    # Holes are cut into a file. What is known comes back as it is, so most files are spotless.
    if nuisance and (not holes or rng.random() < 0.25):
        picture = vary_file(picture, rng)
    if _is_grey(scene):  # a grey file has one channel, and one field of noise
        picture = np.repeat(picture[..., 1:2], 3, axis=-1)
    if holes:
        before, picture = picture, _form("uncompleted", rng)(picture, rng)
        found += ["uncompleted"] * _differ(before, picture)
    return picture, tuple(found) or (CLEAN,)


def _differ(before: np.ndarray, after: np.ndarray) -> bool:
    """False where a degradation did nothing: a white hole in white, drops beside the window."""
    return not np.array_equal(levels(before), levels(after))


def _is_grey(image: np.ndarray) -> bool:
    red, green, blue = np.moveaxis(image, -1, 0)
    return max(np.abs(red - green).max(), np.abs(blue - green).max()) < 0.5 / 255


def _form(word: str, rng: np.random.Generator):
    forms = FORMS[word]
    return forms[rng.integers(len(forms))]
