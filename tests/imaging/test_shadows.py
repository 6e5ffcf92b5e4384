import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pellucid.imaging.evidence import measure
from pellucid.imaging.shadows import cast_shadow, relit

SKY = np.array([0.16, 0.21, 0.29], np.float32)  # what is left of the light, bluer than the sun


def ground(height=300, width=400, seed=0):
    """Linear light of sunny concrete: grey, with grain."""
    rng = np.random.default_rng(seed)
    grain = np.zeros((height, width), np.float32)
    for size, strength in ((11, 0.06), (3, 0.15)):  # coarse and fine, but not as fine as noise
        drawn = rng.normal(0, strength, (height // size, width // size)).astype(np.float32)
        grain += Image.fromarray(drawn).resize((width, height), Image.Resampling.BICUBIC)
    return (0.45 * np.exp(grain)).astype(np.float32)[..., None] * np.float32([1, 0.97, 0.9])


def covered(height=300, width=400, soft=1.5):
    """Share of the sun that is covered, `(H, W, 1)`: a cross with a half-shadow around it."""
    image = Image.new("L", (width, height))
    draw = ImageDraw.Draw(image)
    draw.rectangle((width * 0.3, 0, width * 0.5, height * 0.8), fill=255)
    draw.rectangle((width * 0.2, height * 0.3, width * 0.6, height * 0.5), fill=255)
    return np.asarray(image.filter(ImageFilter.GaussianBlur(soft)), np.float32)[..., None] / 255


def shown(linear):
    return (np.rint(np.sqrt(linear.clip(0, 1)) * 255) / 255).astype(np.float32)


def shaded(scene, left=SKY, **size):
    return shown(scene * (1 - covered(*scene.shape[:2], **size) * (1 - left)))


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2))


@pytest.mark.parametrize("size", [(300, 400), (120, 160), (1500, 2000)])
def test_a_cast_shadow_is_found_and_gets_its_light_back(size):
    scene = ground(*size)
    damaged, clean = shaded(scene), shown(scene)
    shadow = cast_shadow(damaged)
    assert shadow is not None
    assert shadow.missing == pytest.approx(-np.log(SKY), abs=0.25)
    restored = relit(damaged, shadow)
    assert restored.shape == damaged.shape and restored.dtype == np.float32
    assert psnr(restored, clean) > psnr(damaged, clean) + 8
    far = covered(*size, soft=size[1] / 10)[..., 0] == 0
    assert far.any() and np.array_equal(restored[far], damaged[far])
    assert cast_shadow(restored) is None


def test_what_has_not_all_signs_is_no_cast_shadow():
    scene = ground()
    where = covered() > 0.5
    rng = np.random.default_rng(1)
    patches = np.repeat(np.repeat(rng.uniform(0.05, 0.9, (10, 10, 3)), 30, 0), 40, 1)
    others = {
        "no shadow": scene,
        "as dark in all colours": scene * np.where(where, 0.2, 1),
        "a dark thing without the texture": np.where(where, 0.45 * SKY, scene),
        "a dark thing with a texture of its own": np.where(where, ground(seed=2) ** 4 * SKY, scene),
        "a reddish thing": scene * np.where(where, SKY[::-1], 1),
        "a blue thing": scene * np.where(where, [0.1, 0.3, 0.9], 1),
        "a pale blue thing": scene * np.where(where, [0.3, 0.5, 1.0], 1),
        "blue with a texture of its own": np.where(where, ground(seed=2) * [0.1, 0.2, 0.4], scene),
        "of every place another ratio": np.where(where, scene * SKY, patches.astype(np.float32)),
        "too small": scene * np.where(where & (np.arange(400)[:, None] > 236), SKY, 1),
        "hardly darker": scene * np.where(where, SKY**0.2, 1),
    }
    for name, linear in others.items():
        assert cast_shadow(shown(linear)) is None, name


def test_the_strangest_pictures_hold_no_shadow():
    for size in ((1, 1), (3, 400), (19, 19), (64, 64)):
        for value in (0.0, 0.5, 1.0):
            assert cast_shadow(np.full((*size, 3), value, np.float32)) is None


def test_a_shadow_is_measured_with_the_rest():
    assert measure(shaded(ground())).shadow is not None
    assert measure(shown(ground())).shadow is None
