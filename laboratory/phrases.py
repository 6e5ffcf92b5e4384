"""The text tower's training corpus, made by rule: phrases about damaged pictures.

For each of the ten degradations and `clean` there are adjectives ("rainy"), nouns ("rain streaks")
and remedies ("remove the rain"). `damage_phrases` combines them; `corpus` mixes them with quality
words and with descriptions of scenes (`laboratory.scenes`). Everything follows from the
seed, and no text of another data set is in it.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from laboratory.scenes import describe, scene
from pellucid.degradations import CLASSES
from pellucid.degradations.descriptions import DESCRIPTIONS, listed


@dataclass(frozen=True)
class Damage:
    """How one class is named: "a {adjective} photo", "a photo with {noun}", orders to undo it."""

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]
    remedies: tuple[str, ...]


_REMEDIES = {
    "motion-blurry": """
            remove the blur, deblur the photo, deblur, make it sharp, make it sharper, sharpen the
            picture, fix the camera shake, undo the motion blur, make it less blurry
        """,
    "hazy": """
            remove the haze, dehaze the photo, dehaze, clear the fog, remove the fog, make the
            view clear, cut through the mist, defog the picture
        """,
    "jpeg-compressed": """
            remove the jpeg artifacts, remove the compression artifacts, undo the jpeg
            compression, remove the blocks, deblock the picture, fix the compression, clean up the
            jpeg
        """,
    "low-light": """
            make it brighter, brighten the photo, brighten it, light it up, enhance the low light,
            fix the exposure, increase the brightness, lighten the dark picture, more light
        """,
    "noisy": """
            remove the noise, denoise the photo, denoise, reduce the noise, clean the grain,
            remove the grain, get rid of the noise, make it less grainy
        """,
    "raindrop": """
            remove the raindrops from the lens, remove the water drops, wipe the drops off the
            glass, remove the droplets, clean the wet lens, take the drops away
        """,
    "rainy": """
            remove the rain, derain the photo, derain, remove the rain streaks, take away the
            rain, make it stop raining, get rid of the rain, clear the rainy weather
        """,
    "shadowed": """
            remove the shadow, remove the shadows, delete the shadow, lift the shadow, deshadow
            the photo, erase the cast shadow, get rid of the shade
        """,
    "snowy": """
            remove the snow, desnow the photo, desnow, remove the snowflakes, take away the
            falling snow, get rid of the snow, make it stop snowing
        """,
    "uncompleted": """
            fill in the missing parts, inpaint the photo, inpaint, complete the picture, fill the
            holes, restore the missing pixels, repair the gaps, fill the masked areas
        """,
    "clean": """
            leave it as it is, do nothing, nothing to fix, keep the photo unchanged, it is already
            clean, no restoration needed
        """,
}
DAMAGE = {word: Damage(*DESCRIPTIONS[word], listed(text)) for word, text in _REMEDIES.items()}

QUALITY: dict[str, tuple[str, ...]] = {
    tier: listed(words)
    for tier, words in {
        "terrible": """
            terrible, awful, horrible, very bad, worst, unusable, ruined, very poor, severely
            damaged
        """,
        "poor": """
            poor, bad, low, low quality, degraded, damaged, ugly, disappointing, heavily damaged
        """,
        "mediocre": """
            mediocre, average, fair, ordinary, acceptable, so-so, medium, moderate, slightly
            damaged
        """,
        "good": "good, nice, decent, fine, pleasing, high quality, well taken, mostly clean",
        "excellent": """
            excellent, outstanding, superb, great, best, very good, brilliant, professional,
            perfect
        """,
    }.items()
}

# Written by hand, not by the rules, and never trained on: a measure of how far the student carries.
UNSEEN = (
    "two kids chasing each other along the shore",
    "a plate of scrambled eggs and toast",
    "the cat knocked a plant off the shelf",
    "an empty subway car late in the evening",
    "snow on the peaks behind the village",
    "an old violin lying in its case",
    "skyscrapers reflected in the water",
    "somebody fixing a bike in the garage",
    "a goalkeeper diving for the ball",
    "a bowl full of cherries on the kitchen table",
    "tourists with umbrellas in front of the cathedral",
    "a steam train crossing a stone bridge",
    "wild horses galloping through shallow water",
    "the baby laughs at a soap bubble",
    "red lanterns hang over a narrow alley",
    "my photo came out way too dark",
    "everything is fuzzy because i moved the camera",
    "there are ugly squares all over the image after saving it",
    "it was pouring and you can see the streaks",
    "water got on my lens",
    "you can barely see the hills through the fog",
    "big flakes hide her face",
    "the tree throws a dark patch on the wall",
    "somebody scratched out part of the picture",
    "lots of grain at iso 6400",
    "nothing is wrong with this one",
    "get rid of the fog please",
    "can this be made any sharper",
    "the worst picture i ever took",
    "a really wonderful shot",
)

_PICTURES = listed("photo, picture, image, photograph, shot, scene, snapshot, frame")
_DEGREES = listed(
    "slightly, very, extremely, a bit, badly, quite, heavily, somewhat, terribly, mildly"
)
_AMOUNTS = listed(
    "a little, some, strong, heavy, severe, a lot of, light, slight, extreme, visible"
)
_REQUESTS = ("", "", "please ", "can you ", "could you ", "i want you to ", "try to ")
_HELD_OUT = 20  # one sentence in so many is kept for validation


def damage_phrases(word: str) -> tuple[str, ...]:
    """Return the phrases of one class without any scene, the class word itself first.

    Raises:
        KeyError: a word that is not in `pellucid.degradations.CLASSES`.
    """
    damage = DAMAGE[word]
    phrases = [word, *damage.adjectives, *damage.nouns, *damage.remedies]
    for adjective in damage.adjectives:
        for picture in _PICTURES:
            phrases += [f"{adjective} {picture}", f"the {picture} is {adjective}"]
    for noun in damage.nouns:
        for picture in _PICTURES:
            phrases += [f"a {picture} with {noun}", f"{noun} in the {picture}"]
    return tuple(dict.fromkeys(phrases))


def quality_phrases(tier: str) -> tuple[str, ...]:
    """Return the phrases of one quality tier, a key of `QUALITY`."""
    phrases = [tier, f"{tier} quality"]
    for word in QUALITY[tier]:
        phrases += [word, f"{word} quality"]
        for picture in _PICTURES:
            phrases += [f"a {word} {picture}", f"a {picture} of {word} quality"]
    return tuple(dict.fromkeys(phrases))


def sentence(rng: random.Random) -> str:
    """Draw a sentence that says something about damage or quality, of a scene or not."""
    one = rng.choice
    damage, frame, picture = DAMAGE[one(CLASSES)], rng.random(), one(_PICTURES)
    adjective, noun = one(damage.adjectives), one(damage.nouns)
    if frame < 0.20:
        return f"{one(_REQUESTS)}{one(damage.remedies)}"
    if frame < 0.35:
        return f"{one(('a', 'the', 'my'))} {one(_DEGREES)} {adjective} {picture}"
    if frame < 0.50:
        opening = one(("", f"a {picture} with ", f"the {picture} has ", "there is "))
        counted = noun.split()[0] in ("a", "too", "no", "nothing", "poor", "bad", "low", "heavy")
        return opening + (noun if counted else f"{one(_AMOUNTS)} {noun}")
    if frame < 0.65:
        return f"a {adjective} {picture} of {scene(rng)}"
    if frame < 0.72:
        return f"{describe(rng)}, {adjective}"
    if frame < 0.80:
        return f"{describe(rng)} with {noun}"
    if frame < 0.88:
        other = DAMAGE[one(CLASSES)]
        return one(
            (
                f"{adjective} and {one(other.adjectives)} {picture}",
                f"{noun} and {one(other.nouns)}",
                f"{one(damage.remedies)} and {one(other.remedies)}",
            )
        )
    word = one(QUALITY[one(tuple(QUALITY))])
    return one(
        (
            f"a {word} {picture} of {scene(rng)}",
            f"the quality is {word}",
            f"a {word} {picture} with {noun}",
            f"{one(_DEGREES)} {word} {picture}",
        )
    )


def corpus(size: int, seed: int = 0, vocabulary: Sequence[str] = ()) -> list[str]:
    """Return at least `size` distinct lower-case phrases: all fixed ones, then drawn sentences.

    Three drawn sentences in ten are about damage or quality, the others describe scenes. With a
    `vocabulary` (single words), two in ten use one of its words instead of a word list's.
    """
    phrases = dict.fromkeys(phrase for word in CLASSES for phrase in damage_phrases(word))
    phrases.update(dict.fromkeys(phrase for tier in QUALITY for phrase in quality_phrases(tier)))
    rng = random.Random(seed)
    while len(phrases) < size:
        draw = rng.random()
        if draw < 0.3:
            phrases[sentence(rng)] = None
        elif draw < 0.8 or not vocabulary:
            phrases[describe(rng)] = None
        else:
            word, frame = (
                rng.choice(vocabulary),
                rng.choice(("{}", "{}", "a photo of {}", "{} and {}")),
            )
            phrases[frame.format(word, scene(rng))] = None
    return list(phrases)


def held_out(phrase: str) -> bool:
    """Say whether a phrase is kept for validation: one in twenty, never a class word itself."""
    return phrase not in CLASSES and zlib.crc32(phrase.encode()) % _HELD_OUT == 0
