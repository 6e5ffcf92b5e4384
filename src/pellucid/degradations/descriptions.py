"""How people call each degradation, in English: adjectives ("rainy") and nouns ("rain streaks").

The text tower of `lite` was trained with phrases made of them (`laboratory/phrases.py`), and free
words are compared with them (`pellucid.phrases`).
"""

from typing import NamedTuple


class Description(NamedTuple):
    """A photo is ADJECTIVE, a photo with NOUN; the first adjective is the degradation's word."""

    adjectives: tuple[str, ...]
    nouns: tuple[str, ...]


def listed(text: str) -> tuple[str, ...]:
    """Entries of a text that are parted by commas."""
    return tuple(" ".join(item.split()) for item in text.split(",") if item.strip())


def _described(adjectives: str, nouns: str) -> Description:
    return Description(listed(adjectives), listed(nouns))


DESCRIPTIONS: dict[str, Description] = {
    "motion-blurry": _described(
        adjectives="""
            motion-blurry, blurry, blurred, motion blurred, shaky, smeared, out of focus, unsharp,
            not sharp
        """,
        nouns="motion blur, blur, camera shake, hand shake, motion trails, smearing, shake blur",
    ),
    "hazy": _described(
        adjectives="hazy, foggy, misty, smoggy, washed out by haze, covered in fog, milky",
        nouns="haze, fog, mist, smog, smoke in the air, a veil of haze, dense fog, bad visibility",
    ),
    "jpeg-compressed": _described(
        adjectives="""
            jpeg-compressed, jpeg compressed, compressed, blocky, heavily compressed, pixelated,
            overcompressed
        """,
        nouns="""
            jpeg artifacts, compression artifacts, blocking artifacts, jpeg blocks, ringing
            artifacts, heavy compression, low jpeg quality, blockiness
        """,
    ),
    "low-light": _described(
        adjectives="""
            low-light, low light, dark, too dark, underexposed, dim, badly lit, poorly lit, unlit
        """,
        nouns="""
            low light, darkness, underexposure, too little light, poor lighting, dim light, bad
            exposure
        """,
    ),
    "noisy": _described(
        adjectives="noisy, grainy, full of noise, speckled, high iso, granular",
        nouns="""
            noise, grain, image noise, gaussian noise, sensor noise, film grain, speckles, high
            iso noise
        """,
    ),
    "raindrop": _described(
        adjectives="""
            raindrop, raindrop covered, water spotted, taken through a wet window, covered by
            water drops
        """,
        nouns="""
            raindrops on the lens, a raindrop on the glass, water drops on the lens, drops on the
            window, droplets on the camera, wet glass, water droplets, drops of water on the glass
        """,
    ),
    "rainy": _described(
        adjectives="rainy, rain streaked, taken in the rain, full of rain, stormy, pouring",
        nouns="""
            rain, rain streaks, heavy rain, falling rain, a rain shower, streaks of rain, a
            downpour, drizzle
        """,
    ),
    "shadowed": _described(
        adjectives="shadowed, shadowy, shaded, partly in shadow, covered by a shadow, in the shade",
        nouns="""
            a shadow, shadows, hard shadows, a dark shadow, cast shadows, a shadow across it,
            shade
        """,
    ),
    "snowy": _described(
        adjectives="""
            snowy, snow covered, taken in a snowstorm, full of snowflakes, taken in falling snow
        """,
        nouns="""
            snow, snowflakes, falling snow, heavy snowfall, snow flakes in the air, a blizzard,
            snowfall
        """,
    ),
    "uncompleted": _described(
        adjectives="""
            uncompleted, incomplete, masked, partly missing, unfinished, with holes, damaged with
            gaps
        """,
        nouns="""
            missing parts, missing pixels, holes, masked areas, missing regions, gaps, scribbles
            over it, parts cut out, a mask over it
        """,
    ),
    "clean": _described(
        adjectives="""
            clean, clear, sharp, undamaged, flawless, pristine, intact, unspoiled, crisp, perfect
        """,
        nouns="""
            no damage, no defects, nothing wrong, no visible flaws, perfect clarity, no artifacts
        """,
    ),
}
