"""The words of the degradations, without their code: restoring a picture needs no more."""

WORDS = (  # in the official order
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
CLEAN = "clean"
CLASSES = (*WORDS, CLEAN)
