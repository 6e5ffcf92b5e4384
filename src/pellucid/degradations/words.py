"""The words of the degradations, without their code: restoring a picture needs no more."""

WORDS = (
    "motion-blurry",
    "hazy",
    "jpeg-compressed",
    "low-light",
    "noisy",
    "raindrop",
    "rainy",
    "shadowed",
    "snowy",
    "uncompleted",
)
"""The ten degradations of DA-CLIP, by their official words in the official order."""
CLEAN = "clean"
"""The word of a picture without damage (ours)."""
CLASSES = (*WORDS, CLEAN)
"""All words that a picture can be given."""
OVERLAY = frozenset({"rainy", "snowy", "raindrop"})
"""What lies over a picture, in some places (ours)."""
