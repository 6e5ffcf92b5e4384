"""What is measured is what was put in; what only looks like damage is not measured."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from pellucid.imaging.evidence import Evidence, measure, quality_of
from pellucid.imaging.regions import label
from pellucid.support import camera_noise, reweigh, supports

RNG = np.random.default_rng(7)


def scene(height=256, width=256, seed=0):
    """Smooth relief with soft-edged shapes and a little fine texture, on 256 levels."""
    rng = np.random.default_rng(seed)
    small = rng.uniform(0.2, 0.8, (height // 32 + 2, width // 32 + 2, 3))
    picture = Image.fromarray((small * 255).astype(np.uint8)).resize((2 * width, 2 * height), 3)
    draw = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y, r = rng.uniform(0, 2 * width), rng.uniform(0, 2 * height), rng.uniform(8, 60)
        colour = tuple(int(v) for v in rng.integers(20, 235, 3))
        draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)
    picture = picture.filter(ImageFilter.GaussianBlur(1.5)).resize((width, height), 4)
    values = np.asarray(picture, np.float32) + rng.normal(0, 0.4, (height, width, 3))
    return levels(values / 255)


def levels(values):
    return (np.rint(np.clip(values, 0, 1) * 255) / 255).astype(np.float32)


def noisy(picture, sigma, grey=False, seed=1):
    shape = (*picture.shape[:2], 1 if grey else 3)
    return levels(picture + np.random.default_rng(seed).normal(0, sigma / 255, shape))


def jpeg(picture, quality, subsampling=2):
    buffer = io.BytesIO()
    Image.fromarray((picture * 255 + 0.5).astype(np.uint8)).save(
        buffer, "JPEG", quality=quality, subsampling=subsampling
    )
    image = Image.open(buffer)
    tables = tuple(tuple(image.quantization[k]) for k in sorted(image.quantization))
    return np.asarray(image, np.float32) / 255, tables


# ---- noise ----


@pytest.mark.parametrize("sigma", [3, 5, 15, 25, 50])
def test_white_noise_is_measured_to_a_tenth(sigma):
    noise = measure(noisy(np.full((256, 256, 3), 0.5, np.float32), sigma)).noise
    assert noise.sigma == pytest.approx(sigma, rel=0.1)
    assert noise.fine == pytest.approx(sigma, rel=0.1)
    assert noise.channels == pytest.approx([sigma] * 3, rel=0.12)
    assert abs(noise.common) < 0.05 and abs(noise.lag) < 0.06


@pytest.mark.parametrize("sigma", [8, 15, 25])
def test_noise_on_a_scene_is_measured_to_a_fifth(sigma):
    found = measure(noisy(scene(), sigma))
    assert found.noise.sigma == pytest.approx(sigma, rel=0.2)
    assert supports(found, "noisy") > 0.85


def test_noise_of_a_scene_without_any_is_small():
    found = measure(scene())
    assert found.noise.fine < 1
    assert supports(found, "noisy") <= 0.5


def test_the_same_noise_in_all_channels_is_common():
    even = np.full((128, 128, 3), 0.5, np.float32)
    assert measure(noisy(even, 15, grey=True)).noise.common > 0.99
    assert measure(noisy(scene(), 15, grey=True)).noise.common > 0.8
    assert measure(noisy(scene(), 15)).noise.common < 0.2


@pytest.mark.parametrize("sigma", [8, 15, 50])
@pytest.mark.parametrize("grey", [False, True])
def test_gaussian_noise_is_white(sigma, grey):
    found = measure(noisy(scene(), sigma, grey=grey)).noise
    assert found.white


def test_faint_soft_growing_and_single_values_are_no_white_noise():
    rng = np.random.default_rng(6)
    even = np.full((256, 256, 3), 0.5)
    soft = ndimage.gaussian_filter(rng.normal(size=even.shape), (1, 1, 0))
    ramp = np.repeat(np.linspace(0.05, 0.95, 256)[None], 256, 0)[..., None]
    hit = rng.random((256, 256, 3)) < 0.03
    for picture in (
        noisy(even, 2),
        even + soft / soft.std() * 15 / 255,
        ramp + rng.normal(0, 20 / 255, even.shape) * ramp,
        np.where(hit, rng.integers(2, size=even.shape), even + rng.normal(0, 3 / 255, even.shape)),
    ):
        assert not measure(levels(picture)).noise.white
    assert not measure(scene()).noise.white
    assert not measure(jpeg(noisy(scene(), 8), 75)[0]).noise.white


def test_noise_blurred_over_a_pixel_has_the_correlation_of_its_kernel():
    rng = np.random.default_rng(3)
    white = rng.normal(0, 20, (257, 257, 3))
    soft = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2  # lag 1: 1/2
    noise = measure(levels(0.5 + soft / 255)).noise
    assert noise.lag == pytest.approx(0.5, abs=0.06)
    assert noise.sigma == pytest.approx(20, rel=0.12)
    assert noise.fine < 0.6 * noise.sigma


def test_coarse_noise_is_a_cameras_where_its_colours_are_independent():
    rng = np.random.default_rng(5)
    grain = np.stack([ndimage.gaussian_filter(rng.normal(size=(192, 256)), 1) for _ in range(3)])
    grain = 3 * grain.transpose(1, 2, 0) / grain.std()
    found = measure(levels(0.5 + grain / 255))
    assert supports(found, "noisy") < 0.6  # its frequencies alone say little
    assert camera_noise(found)
    grey = np.broadcast_to(grain[..., :1], grain.shape)
    assert not camera_noise(measure(levels(0.5 + grey / 255)))
    assert not camera_noise(measure(scene()))


def test_noise_that_grows_with_the_light_is_larger_in_the_bright_half():
    ramp = np.repeat(np.linspace(0.1, 0.9, 256, dtype=np.float32)[None], 256, 0)[..., None]
    noise = np.random.default_rng(0).normal(0, 1, (256, 256, 3)) * np.sqrt(ramp) * 12 / 255
    found = measure(levels(ramp + noise)).noise
    assert found.bright > 1.3 * found.dark > 0


def test_salt_and_pepper_is_counted():
    picture = np.clip(scene(), 0.2, 0.8)
    rng = np.random.default_rng(5)
    hit = rng.random(picture.shape) < 0.05
    picture = np.where(hit, rng.random(picture.shape) < 0.5, picture).astype(np.float32)
    found = measure(picture)
    assert found.impulses == pytest.approx(0.05, rel=0.1)
    assert supports(found, "noisy") == 1


def test_dots_on_a_grid_are_a_print_and_not_impulses(rng):
    picture = np.full((128, 128, 3), 0.6, np.float32)
    dots = np.zeros((128, 128), bool)
    dots[::5, ::5] = True
    scattered = rng.permutation(dots.ravel()).reshape(dots.shape)
    found = [measure(np.where(places[..., None], 0, picture)) for places in (dots, scattered)]
    assert [one.impulses for one in found] == [0.0, pytest.approx(0.04, rel=0.2)]


@pytest.mark.parametrize("name", ["stars", "halftone"])
def test_single_stars_and_halftone_are_no_noise(name):
    assert supports(measure(levels(globals()[name]())), "noisy") == 0


@pytest.mark.parametrize("quality, subsampling", [(75, 2), (90, 0), (95, 2)])
def test_stars_saved_as_a_jpeg_are_no_noise(quality, subsampling):
    picture, tables = jpeg(levels(stars()), quality, subsampling=subsampling)
    assert supports(measure(picture, tables), "noisy") < 0.35


def test_noise_beside_black_is_noise():
    night = np.zeros((256, 256, 3), np.float32)
    night[64:192] = noisy(scene(), 15)[64:192]
    assert supports(measure(levels(night)), "noisy") == 1
    assert supports(measure(*jpeg(levels(night), 85)), "noisy") > 0.9


def test_noise_saved_as_a_jpeg_of_halved_colour_is_noise_and_nothing_else():
    found = measure(*jpeg(noisy(scene(), 25), 90, subsampling=2))
    assert supports(found, "noisy") == 1
    assert all(supports(found, word) < 0.3 for word in ("uncompleted", "jpeg-compressed"))


# ---- JPEG ----


@pytest.mark.parametrize("quality", [10, 25, 40, 60, 75])
def test_the_quality_of_a_jpeg_is_read_from_its_pixels(quality):
    picture, tables = jpeg(noisy(scene(), 6), quality)
    found = measure(picture)
    assert found.grid.quality == pytest.approx(quality, abs=2)
    assert found.grid.phase == (0, 0)
    assert quality_of(tables) == pytest.approx(quality, abs=1)
    assert found.file_quality is None and found.quality == found.grid.quality


def test_a_cut_of_a_jpeg_tells_where_its_grid_lies():
    picture, _ = jpeg(noisy(scene(), 6), 30)
    found = measure(picture[3:, 5:])
    assert found.grid.phase == (5, 3)
    assert found.grid.quality == pytest.approx(30, abs=1)


def test_a_picture_that_was_no_jpeg_has_no_quality():
    for sigma in (0, 5, 25):
        found = measure(noisy(scene(seed=4), sigma))
        assert found.grid.quality is None
        assert supports(found, "jpeg-compressed") < 0.5


def test_heavy_compression_is_measured_and_light_is_not():
    heavy, _ = jpeg(noisy(scene(), 6), 20)
    light, tables = jpeg(noisy(scene(), 6), 92)
    assert supports(measure(heavy), "jpeg-compressed") == 1
    assert supports(measure(light, tables), "jpeg-compressed") < 0.3


# ---- holes ----


def spoiled(kind, colour=(255, 255, 255), size=(256, 256)):
    canvas = Image.new("1", size[::-1])
    draw = ImageDraw.Draw(canvas)
    rng = np.random.default_rng(2)
    if kind == "box":
        draw.rectangle([60, 70, 130, 160], fill=1)
    elif kind == "strokes":
        for _ in range(8):
            draw.line([tuple(p) for p in rng.integers(0, 256, (2, 2))], fill=1, width=6)
    elif kind == "scratches":
        for _ in range(8):
            draw.line([tuple(p) for p in rng.integers(0, 256, (2, 2))], fill=1, width=1)
    mask = np.asarray(canvas).copy()
    if kind == "pixels":
        mask = rng.random(size) < 0.3
    elif kind == "rows":
        mask[::2] = True
    elif kind == "all but every fourth":
        mask[:] = True
        mask[::2, ::2] = False
    elif kind == "half":
        mask[:, 128:] = True
    return np.where(mask[..., None], np.float32(np.array(colour) / 255), scene()), mask


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (10, 200, 90)])
@pytest.mark.parametrize(
    "kind", ["box", "strokes", "scratches", "pixels", "rows", "all but every fourth", "half"]
)
def test_a_hole_is_found_exactly(kind, colour):
    picture, mask = spoiled(kind, colour)
    found = measure(picture.astype(np.float32))
    np.testing.assert_array_equal(found.holes.mask, mask)
    assert found.holes.share == pytest.approx(mask.mean())
    assert found.holes.sharpness > 0.7
    assert supports(found, "uncompleted") == 1


def test_regions_are_counted():
    picture = scene()
    picture[20:40, 20:40] = picture[100:130, 90:100] = picture[200:210, 30:90] = 1
    assert measure(picture).holes.count == 3


def gradient():
    y, x = np.mgrid[0:256, 0:256] / 255
    return np.stack([0.3 + 0.3 * y, 0.5 + 0.3 * y, 0.9 - 0.1 * x], axis=2)


def over_exposed_sky():
    picture = scene()
    sky = np.clip(1.25 - np.mgrid[0:256, 0:256][0] / 160, 0, 1)[..., None]
    return np.clip(picture + sky, 0, 1)


def stars():
    picture = np.zeros((512, 512, 3))
    rng = np.random.default_rng(0)
    for y, x in rng.integers(0, 512, (150, 2)):
        picture[y, x] = rng.uniform(0.3, 1, 3)
    return picture


def photographed_stars():
    return jpeg(levels(np.asarray(smaller(stars(), 256))), 90)[0]


def smaller(values, side, filter=Image.Resampling.BOX):
    image = Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.resize((side, side), filter), np.float32) / 255


def confetti():
    canvas = Image.new("RGB", (256, 256), (250, 250, 250))
    draw, rng = ImageDraw.Draw(canvas), np.random.default_rng(0)
    for _ in range(200):
        x, y = rng.integers(0, 256, 2)
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.ellipse([x, y, x + 9, y + 9], fill=colour)
    return np.asarray(canvas, np.float32) / 255


def halftone():
    y, x = np.mgrid[0:256, 0:256]
    screen = np.sin(x * 1.1) * np.sin(y * 1.1) * 0.5 + 0.5
    return np.repeat((scene()[..., 1] > screen)[..., None], 3, axis=2).astype(np.float32)


def soft_halftone():
    return smaller(halftone(), 128)


def goods_on_white():
    canvas = np.ones((768, 768, 3))
    y, x = np.mgrid[0:768, 0:768]
    inside = np.hypot(y - 384, (x - 384) * 1.3) < 250
    canvas[inside] = (
        np.asarray(
            Image.fromarray((scene() * 255).astype(np.uint8)).resize((768, 768)), np.float32
        )[inside]
        / 255
    )
    return smaller(canvas, 256)


def goods_on_white_as_a_file():
    return jpeg(levels(goods_on_white()), 88)[0]


def letterbox():
    picture = scene()
    picture[:36] = picture[-36:] = 0
    return picture


def pillarbox():
    picture = scene()
    picture[:, :80] = picture[:, -80:] = 0
    return picture


def mount():
    picture = scene()
    picture[:20] = picture[-20:] = picture[:, :20] = picture[:, -20:] = 1
    return picture


def screenshot():
    canvas = Image.new("RGB", (256, 256), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle([0, 0, 255, 30], fill=(40, 60, 120))
    draw.rectangle([0, 31, 70, 255], fill=(240, 240, 245))
    for i in range(10):
        draw.text((80, 40 + 20 * i), "lorem ipsum dolor sit amet", fill=(20, 20, 20))
    return np.asarray(canvas, np.float32) / 255


def leaves_on_sky():
    """Dark leaves, drawn four times as large, on a sky that is burnt out."""
    canvas = Image.new("L", (1024, 1024), 255)
    draw, rng = ImageDraw.Draw(canvas), np.random.default_rng(1)
    for _ in range(400):
        x, y, a, b = *rng.integers(0, 1024, 2), *rng.integers(8, 60, 2)
        draw.ellipse([x, y, x + a, y + b], fill=int(rng.integers(10, 110)))
    return np.repeat(smaller(np.asarray(canvas) / 255, 256)[..., None], 3, axis=2)


def black_and_white_grain():
    grey = np.clip(scene()[..., 1:2] * 1.6 - 0.3, 0, 1)
    return noisy(np.repeat(grey, 3, axis=2), 40, grey=True)


def noise_as_a_file():
    return jpeg(noisy(np.clip(scene() * 1.3, 0, 1), 25), 90)[0]


def heavy_jpeg():
    return jpeg(scene(), 8)[0]


NO_HOLES = [
    scene, gradient, over_exposed_sky, stars, photographed_stars, confetti, halftone, soft_halftone,
    goods_on_white, goods_on_white_as_a_file, letterbox, pillarbox, mount, screenshot,
    leaves_on_sky, black_and_white_grain, noise_as_a_file, heavy_jpeg,
]  # fmt: skip


@pytest.mark.parametrize("make", NO_HOLES, ids=lambda make: make.__name__)
def test_what_is_no_hole_is_not_taken_for_one(make):
    found = measure(levels(make()))
    assert found.holes.mask is None
    assert found.holes.share == found.holes.count == 0
    assert supports(found, "uncompleted") == 0


def test_regions_are_eight_connected_and_their_pixels_counted():
    mask = np.array([[1, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 1], [1, 1, 0, 1]], bool)
    labels, areas = label(mask)
    assert sorted(areas[1:]) == [1, 2, 2, 2]
    assert labels[0, 0] == labels[1, 1] != labels[0, 3]


# ---- light and haze ----


def test_a_veil_raises_the_dark_channel_by_itself():
    picture = scene()
    picture[::4, ::4] = 0
    veiled = picture * 0.4 + 0.9 * 0.6
    found, before = measure(veiled), measure(picture)
    assert before.veil[2] == 0
    assert found.veil[0] == pytest.approx(0.54, abs=0.01)
    assert supports(found, "hazy") > 0.6
    assert supports(before, "hazy") == 0


def test_a_dark_picture_is_dark_and_a_bright_one_is_not():
    dark, bright = measure(levels(scene() * 0.25)), measure(levels(scene() * 0.4 + 0.6))
    assert dark.tones[1] == pytest.approx(0.25 * measure(scene()).tones[1], abs=0.01)
    assert supports(dark, "low-light") > 0.7
    assert supports(bright, "low-light") == 0


def test_white_snow_with_dark_trees_is_not_hazy():
    rng, (y, x) = np.random.default_rng(1), np.mgrid[0:256, 0:384]
    snow = 0.86 + 0.06 * np.sin(x / 37) * np.cos(y / 23) + rng.normal(0, 0.012, x.shape)
    snow[:60] = 0.75
    for left in (100, 160, 220):
        snow[150:190, left : left + 30] = 0.05
    picture = levels(np.repeat(snow[..., None], 3, axis=2))
    assert next(iter(reweigh({"clean": 0.1, "hazy": 0.9}, measure(picture)))) == "clean"


def test_a_dark_photograph_saved_as_a_jpeg_is_dark():
    assert supports(measure(*jpeg(levels(scene() * 0.15), 85)), "low-light") > 0.7


def test_stars_on_black_are_not_low_light():
    assert supports(measure(levels(stars())), "low-light") == 0


def landscape(side=256):
    """A drawing in flat, pale colours: a sky that fades, a hill and houses."""
    canvas = Image.new("RGB", (side, side))
    draw, rng = ImageDraw.Draw(canvas), np.random.default_rng(0)
    for y in range(side):
        fade = y * 61 // side
        draw.line([0, y, side, y], (150 + fade, 190 + fade // 2, 200 - fade))
    draw.ellipse([-side, side * 0.6, side * 1.5, side * 2], (200, 190, 170))
    for x in range(3, side, side // 7):
        draw.rectangle([x, side * rng.uniform(0.7, 0.9), x + side // 9, side], (150, 145, 140))
    return np.asarray(canvas, np.float32) / 255


@pytest.mark.parametrize("side", [256, 1536])
def test_a_pale_drawing_is_not_hazy(side):
    found = measure(landscape(side))
    assert found.drawing and supports(found, "hazy") == 0
    veiled = measure(landscape(side) + noisy(np.zeros((side, side, 3)), 1))
    assert not veiled.drawing and supports(veiled, "hazy") > 0.5


def test_a_dark_rendering_without_noise_is_low_light():
    """It is as even as a drawing, and has as few colours."""
    assert supports(measure(levels(0.08 * scene())), "low-light") > 0.8


@pytest.mark.parametrize("quality", [90, 50, 20])
def test_a_photograph_of_fog_saved_as_a_jpeg_is_no_drawing(quality):
    found = measure(*jpeg(0.15 * scene() + 0.7, quality))
    assert not found.drawing and supports(found, "hazy") > 0.5


def test_a_blurred_picture_is_less_sharp():
    rng = np.random.default_rng(0)
    texture = Image.fromarray(rng.integers(0, 256, (256, 256, 3), dtype=np.uint8))
    blurs = [
        measure(np.asarray(texture.filter(ImageFilter.GaussianBlur(r)), np.float32) / 255).blur
        for r in (0, 1, 2, 4)
    ]
    assert blurs == sorted(blurs) and blurs[0] < 0.3 < blurs[-1]


# ---- any picture ----


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2), (7, 9), (23, 400), (31, 33)])
def test_small_and_thin_pictures_are_measured(shape):
    found = measure(RNG.random((*shape, 3), dtype=np.float32))
    assert np.isfinite(found.noise.sigma) and np.isfinite(found.blur)


def test_an_even_picture_is_no_hole_and_has_no_noise():
    found = measure(np.full((64, 64, 3), 0.5, np.float32))
    assert found.holes.mask is None and found.noise.sigma == 0


def test_noise_of_one_brightness_has_a_sigma_in_both_halves():
    tile = np.tile(np.float32([[0.4, 0.6], [0.6, 0.4]])[..., None], (32, 32, 3))
    noise = measure(tile).noise
    assert noise.bright == noise.dark > 0


def test_the_windows_of_a_large_picture_keep_the_grid_and_the_noise():
    large = np.tile(jpeg(noisy(scene(), 6), 40)[0], (5, 4, 1))
    found = measure(large)
    assert found.grid.quality == pytest.approx(40, abs=1)
    assert found.grid.phase == (0, 0)
    hole = large.copy()
    hole[500:600, 300:420] = 0
    assert measure(hole).holes.mask.sum() == 12000


def test_bad_shapes_are_refused():
    for bad in (np.zeros((4, 4)), np.zeros((4, 4, 4)), np.zeros((0, 4, 3))):
        with pytest.raises(ValueError, match="H, W, 3"):
            measure(bad)


# ---- words ----

TOWER = {
    "clean": 0.05,
    "uncompleted": 0.6,
    "noisy": 0.1,
    "rainy": 0.1,
    "hazy": 0.05,
    "low-light": 0.05,
    "jpeg-compressed": 0.05,
}


def test_words_that_cannot_be_measured_get_no_opinion():
    found = measure(scene())
    assert supports(found, "rainy") is supports(found, "shadowed") is supports(found, "x") is None
    for word in ("noisy", "jpeg-compressed", "hazy", "low-light", "uncompleted"):
        assert 0 <= supports(found, word) <= 1


def test_holes_that_are_not_there_are_not_named():
    found = reweigh(TOWER, measure(noisy(scene(), 25)))
    assert found["uncompleted"] == 0
    assert next(iter(found)) == "noisy"


def test_holes_that_are_there_are_named_first():
    found = reweigh({**TOWER, "uncompleted": 0.0, "clean": 0.65}, measure(spoiled("box")[0]))
    assert next(iter(found)) == "uncompleted"


def test_clean_wins_when_nothing_is_certain():
    found = reweigh(TOWER, measure(scene()))
    assert next(iter(found)) == "clean"


def test_corrected_probabilities_are_probabilities():
    for picture in (scene(), noisy(scene(), 30), spoiled("box")[0], jpeg(scene(), 10)[0]):
        found = reweigh(TOWER, measure(picture))
        assert sum(found.values()) == pytest.approx(1)
        assert set(found) == set(TOWER) and min(found.values()) >= 0
        assert list(found.values()) == sorted(found.values(), reverse=True)


def test_odd_mappings_are_reweighed():
    assert reweigh({}, Evidence()) == {}
    assert reweigh({"uncompleted": 1.0}, Evidence()) == {"uncompleted": 1.0}
    assert reweigh({"rainy": 0.7, "snowy": 0.3}, Evidence()) == {"rainy": 0.7, "snowy": 0.3}
