import itertools

import numpy as np
import pytest
from PIL import Image
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from pellucid.degradations import FORMS, WORDS, blur, fields, jpeg, mask, noise, nuisance, raw

EVERY = [(word, form) for word, forms in FORMS.items() for form in dict.fromkeys(forms)]
NAMES = [f"{word}-{form.__name__}" for word, form in EVERY]
each_form = pytest.mark.parametrize(("word", "form"), EVERY, ids=NAMES)
CHANGES = [change for change, _ in (*nuisance.SCENE, *nuisance.FILE)]


def scene(h=96, w=96):
    """Edges, slopes and texture at several scales, none of it on the levels of a file."""
    rng = np.random.default_rng(1)
    parts = [fields.smooth_field(rng, h, w, cells) for cells in (2, 2, 2, 12, 40)]
    image = np.stack(parts[:3], axis=-1) * 0.6 + 0.2 * np.stack(parts[3:4] * 3, axis=-1)
    image += 0.15 * (parts[4] > 0.5)[..., None] + 0.02 * rng.standard_normal((h, w, 1))
    return np.clip(image, 0, 1).astype(np.float32)


SCENE = scene()


def psnr(a, b):
    return -10 * np.log10(np.mean((a - b) ** 2) + 1e-12)


def seeded(seed):
    return np.random.default_rng(seed)


def test_every_word_has_at_least_three_forms():
    assert tuple(FORMS) == WORDS
    for word in ("motion-blurry", "jpeg-compressed", "low-light", "noisy", "uncompleted"):
        assert len(set(FORMS[word])) >= 3


@each_form
def test_a_form_keeps_shape_type_and_range_and_its_input(word, form):
    for (h, w), seed in itertools.product(((16, 16), (40, 17), (96, 96)), range(4)):
        image = SCENE[:h, :w].copy()
        out = form(image, seeded(seed))
        assert out.shape == image.shape and out.dtype == np.float32
        assert out.min() >= 0 and out.max() <= 1 and np.isfinite(out).all()
        assert np.array_equal(image, SCENE[:h, :w])


@each_form
def test_a_form_is_a_function_of_the_generator(word, form):
    assert np.array_equal(form(SCENE, seeded(3)), form(SCENE, seeded(3)))
    assert not np.array_equal(form(SCENE, seeded(3)), form(SCENE, seeded(4)))


# PSNR in dB that the strongest of thirty draws stays below, and the weakest goes above; the forms
# of the scene have theirs in `test_scene_forms.py`
STRENGTH = {
    "motion-blurry": (24, 29),
    "jpeg-compressed": (24, 27),
    "low-light": (13, 17),
    "noisy": (26, 34),
    "uncompleted": (15, 18),
}


@pytest.mark.parametrize(
    ("word", "form"), [(word, form) for word, form in EVERY if word in STRENGTH]
)
def test_strengths_go_from_light_to_heavy(word, form):
    strongest, weakest = STRENGTH[word]
    scores = [psnr(form(SCENE, seeded(seed)), SCENE) for seed in range(30)]
    assert min(scores) < strongest and max(scores) > weakest, sorted(scores)


# ---- noise ----

GREY = np.full((256, 256, 3), 0.5, np.float32)


@pytest.mark.parametrize("form", [noise.gaussian, noise.gaussian_grey, noise.correlated])
def test_gaussian_noise_has_its_sigma(form, monkeypatch):
    monkeypatch.setattr(noise, "sigma", lambda *_: np.float32(20 / 255))
    made = form(GREY, seeded(0)) - GREY
    assert abs(made.std() * 255 - 20) < 0.4 and abs(made.mean() * 255) < 0.6
    same = np.ptp(made, axis=-1).max() == 0
    assert same == (form is noise.gaussian_grey)


def test_sigma_covers_2_to_75_of_255():
    rng = seeded(0)
    drawn = np.sort([255 * noise.sigma(rng) for _ in range(2000)])
    assert 2 <= drawn[0] < 2.5 and 73 < drawn[-1] <= 75
    # uniform in the square root: half below ((sqrt 2 + sqrt 75) / 2)^2
    assert abs(drawn[1000] - ((2**0.5 + 75**0.5) / 2) ** 2) < 3


def test_correlated_noise_is_correlated_and_white_noise_is_not():
    soft, white = (noise.field(seeded(0), 256, 256, 1, s)[..., 0] for s in (1.0, 0))
    lag = [np.mean(x[:, 1:] * x[:, :-1]) / x.var() for x in (soft, white)]
    # of noise blurred with sigma s, the autocorrelation at distance d is exp(-d^2 / 4 s^2)
    assert abs(lag[0] - np.exp(-1 / 4)) < 0.03 and abs(lag[1]) < 0.02


def test_shot_noise_has_the_variance_of_photons(monkeypatch):
    monkeypatch.setattr(noise, "log_uniform", lambda *_: 100.0)
    for value in (0.1, 0.4):
        made = noise.shot(np.full_like(GREY, value), seeded(1))
        assert made.var() == pytest.approx(value / 100, rel=0.03)
        assert made.mean() == pytest.approx(value, rel=0.01)


def test_impulses_leave_the_other_pixels_alone():
    for seed in range(8):
        out = noise.impulse(SCENE, seeded(seed))
        assert 0.002 < np.mean(out != SCENE) < 0.45


def test_raw_and_back_is_the_same_picture():
    for seed in range(5):
        camera = raw.Camera.draw(seeded(seed))
        assert np.abs(camera.process(camera.unprocess(SCENE)) - SCENE).max() < 1e-3
        white = camera.unprocess(np.ones((1, 1, 3), np.float32))
        assert np.allclose(white * camera.gains, 1, atol=1e-5)  # the matrix keeps white


def test_raw_noise_grows_with_the_signal():
    for value in (0.0, 0.1, 0.6):
        values = np.full((256, 256, 3), value, np.float32)
        made = raw.sensor_noise(values, 0.004, 0.0002, seeded(0), mosaic=False)
        assert made.var() == pytest.approx(0.004 * value + 0.0002, rel=0.02)


def test_demosaicking_is_bilinear():
    y, x = np.mgrid[0:32, 0:32].astype(np.float32)
    plane = np.stack([x + 2 * y, 3 * x - y, y - x], axis=-1)
    for start in itertools.product((0, 1), repeat=2):
        inner = raw.demosaic(plane, np.array(start))[1:-1, 1:-1]
        assert np.allclose(inner, plane[1:-1, 1:-1], atol=1e-4)
    # A mean of n independent values has 1 / n of the variance: green is measured at half of the
    # pixels and a mean of 4 elsewhere; red is measured, a mean of 2, 2 and 4.
    made = raw.demosaic(seeded(0).standard_normal((512, 512, 3), np.float32), np.array([0, 0]))
    expected = [(1 + 1 / 2 + 1 / 2 + 1 / 4) / 4, (1 + 1 / 4) / 2]
    assert np.allclose(made.var(axis=(0, 1)), [expected[0], expected[1], expected[0]], rtol=0.03)


# ---- JPEG ----


def coefficients(image):
    luma = np.round(image[..., 0] * 255) - 128
    h, w = (n // 8 * 8 for n in luma.shape)
    blocks = luma[:h, :w].reshape(h // 8, 8, w // 8, 8).swapaxes(1, 2)
    return dctn(blocks, axes=(2, 3), norm="ortho")


def off_the_steps(image, table):
    """How far coefficients are from whole steps; 1/4 of a step if they are anywhere."""
    steps = coefficients(image) / table
    return np.abs(steps - np.round(steps)).mean()


def test_compressed_pictures_have_the_steps_of_the_quality(tmp_path):
    grey = np.repeat(SCENE[..., :1] * 0.6 + 0.2, 3, axis=-1)
    for q, scale in ((10, 5.0), (25, 2.0), (50, 1.0)):
        # libjpeg: table (Annex K of the standard) times 50 / q below quality 50
        annex_k = np.minimum(np.array([16, 11, 10, 16, 24, 40, 51, 61]) * scale, 255)
        Image.new("L", (8, 8)).save(tmp_path / "x.jpg", quality=q)
        table = np.array(Image.open(tmp_path / "x.jpg").quantization[0]).reshape(8, 8)
        assert np.array_equal(table[0], annex_k)
        assert off_the_steps(jpeg.compress(grey, q, seeded(0)), table) < 0.05


def test_a_shifted_grid_begins_elsewhere(tmp_path):
    grey = np.repeat(SCENE[..., :1] * 0.6 + 0.2, 3, axis=-1)
    Image.new("L", (8, 8)).save(tmp_path / "x.jpg", quality=20)
    table = np.array(Image.open(tmp_path / "x.jpg").quantization[0]).reshape(8, 8)
    made = jpeg.shifted(grey, 20, seeded(2))
    top, left = (-n % 8 for n in seeded(2).integers(8, size=2))
    assert (top, left) != (0, 0)
    assert off_the_steps(made[top:, left:], table) < 0.05 < off_the_steps(made, table)


# ---- blur ----


@pytest.mark.parametrize("form", dict.fromkeys(blur.FORMS))
def test_blur_without_grain_keeps_an_even_picture(form, monkeypatch):
    monkeypatch.setattr(blur, "_grainy", lambda image, rng: image)
    flat = np.full((48, 64, 3), 102 / 255, np.float32)  # 102: a mean of 8-bit frames is exact
    for seed in range(6):
        assert np.abs(form(flat, seeded(seed)) - flat).max() < 1e-3


def test_paths_are_centred_with_extent_1_and_their_kernels_sum_to_1():
    for seed, path in itertools.product(range(6), (blur.shake, blur.jolted)):
        x, y = path(seeded(seed))
        assert max(np.ptp(x), np.ptp(y)) == pytest.approx(1, abs=0.01)
        assert abs(x.max() + x.min()) < 0.01 and abs(y.max() + y.min()) < 0.01
        kernel = fields.splat(12 * x, 12 * y)
        assert kernel.sum() == pytest.approx(1, abs=1e-5) and kernel.min() >= 0
        height, width = np.ptp(np.argwhere(kernel > 0), axis=0)
        assert 12 <= max(height, width) <= 14


def test_soften_is_scipy_s_gaussian_filter():
    for sigma, image in itertools.product((0.3, 1.5, 6), (SCENE, SCENE[:3, :5])):
        radius = max(1, int(np.ceil(3 * sigma)))
        golden = gaussian_filter(image, sigma, mode="reflect", radius=radius, axes=(0, 1))
        assert np.allclose(fields.soften(image, sigma), golden, atol=1e-5)


# ---- holes ----


@pytest.mark.parametrize("form", dict.fromkeys(mask.FORMS))
def test_holes_are_exactly_even_and_the_rest_is_untouched(form):
    # On no level of a file, so that every filled pixel differs.
    image = (SCENE * 250 // 1 + np.float32(0.5)) / np.float32(255)
    shares = []
    for seed in range(20):
        out = form(image, seeded(seed))
        missing = (out != image).any(axis=-1)
        assert missing.any() and not missing.all()
        assert len(np.unique(out[missing], axis=0)) == 1
        assert (out[missing] != image[missing]).all()
        colour = out[missing][0] * 255
        assert np.allclose(colour, np.round(colour), atol=1e-4)
        shares.append(missing.mean())
    assert max(shares) > 0.05 and max(shares) > 2 * min(shares)


def test_holes_are_white_black_grey_and_of_any_colour():
    drawn = [tuple(np.round(255 * mask._colour(seeded(seed)))) for seed in range(300)]
    for colour, share in (((255,) * 3, 0.35), ((0,) * 3, 0.25)):
        assert abs(drawn.count(colour) / 300 - share) < 0.08
    assert sum(len(set(colour)) > 1 for colour in drawn) > 20


# ---- nuisance ----


@pytest.mark.parametrize("change", CHANGES)
def test_a_nuisance_keeps_shape_and_is_a_function_of_the_generator(change):
    for (h, w), seed in itertools.product(((1, 1), (3, 20), (96, 96)), range(4)):
        image = SCENE[:h, :w].copy()
        out = change(image, seeded(seed))
        assert out.shape == image.shape and np.isfinite(out).all()
        assert np.array_equal(out, change(image, seeded(seed)))
        assert np.array_equal(image, SCENE[:h, :w])


def test_file_nuisance_is_slight_and_not_always_there():
    scores = np.array([psnr(nuisance.vary_file(SCENE, seeded(s)), SCENE) for s in range(120)])
    assert scores.min() > 23 and np.median(scores) > 32
    assert 0.2 < np.mean(scores > 100) < 0.6  # nothing happened


def test_grain_stays_below_3_of_255():
    made = [(nuisance.grain(GREY, seeded(s)) - GREY).std() * 255 for s in range(60)]
    assert 0.2 < min(made) < 0.6 and 2 < max(made) < 3.3


def test_black_and_white_is_grey():
    assert np.ptp(nuisance.black_and_white(SCENE, seeded(0)), axis=-1).max() == 0
