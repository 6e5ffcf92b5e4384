"""Weather, drops, shadows and old photographs as training draws them."""

import numpy as np
import pytest

from pellucid.degradations import haze, old_photo, rain, raindrop, shadow, snow
from pellucid.degradations.fields import GAMMA

FORMS = [
    pytest.param(form, id=f"{module.__name__.rsplit('.', 1)[1]}-{form.__name__}")
    for module in (haze, rain, snow, raindrop, shadow)
    for form in module.FORMS
] + [pytest.param(old_photo.old_photo, id="old_photo")]


def scene(h=72, w=96):
    """Middling greys with edges, a gradient, texture and some colour, in [0.05, 0.8]."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    base = 0.25 + 0.3 * x / w + 0.1 * np.sign(np.sin(x / 9) * np.cos(y / 7))
    base = base[..., None] * (0.9, 1.0, 1.1) + 0.03 * rng.standard_normal((h, w, 3))
    return np.clip(base, 0.05, 0.8).astype(np.float32)


def psnr(a, b):
    return -10 * np.log10(max(float(((a - b) ** 2).mean()), 1e-7))


@pytest.mark.parametrize("form", FORMS)
def test_shape_range_type_and_one_result_for_one_seed(form):
    for h, w in ((64, 64), (64, 101), (130, 66)):
        image = scene(h, w)
        before = image.copy()
        for seed in range(2):
            made = form(image, np.random.default_rng(seed))
            assert made.shape == image.shape and made.dtype == np.float32
            assert made.min() >= 0 and made.max() <= 1  # NaN fails, too
            assert np.array_equal(made, form(image, np.random.default_rng(seed)))
        assert np.array_equal(image, before)


@pytest.mark.parametrize("form", FORMS)
def test_black_white_and_single_colours_do_not_break_it(form):
    for value in (0.0, 1.0):
        image = np.full((64, 64, 3), value, np.float32)
        for seed in range(8):
            made = form(image, np.random.default_rng(seed))
            assert np.isfinite(made).all() and made.min() >= 0 and made.max() <= 1


@pytest.mark.parametrize("form", FORMS)
def test_strength_reaches_from_slight_to_heavy(form):
    image = scene(64, 64)
    values = [psnr(form(image, np.random.default_rng(seed)), image) for seed in range(60)]
    assert np.ptp(values) >= 10
    assert np.quantile(values, 0.05) < 26 and np.quantile(values, 0.1) < 28
    assert np.mean(np.asarray(values) > 50) < 0.1  # nearly nothing is seldom


@pytest.mark.parametrize("module", [haze, rain, snow, raindrop, shadow])
def test_at_least_five_forms_of_different_names(module):
    assert len({form.__name__ for form in module.FORMS}) == len(set(module.FORMS)) >= 5


VEILS = [haze.indoors, haze.outdoors, haze.even_veil, haze.machine_fog, haze.patchy, haze.coloured]


@pytest.mark.parametrize("form", VEILS)
def test_haze_takes_contrast_away(form):
    image = scene()
    fine = lambda x: np.abs(np.diff(x, axis=1)).mean()  # noqa: E731
    for seed in range(30):
        assert fine(form(image, np.random.default_rng(seed))) < fine(image)


@pytest.mark.parametrize("form", [haze.indoors, haze.outdoors, haze.even_veil, haze.coloured])
def test_haze_moves_each_pixel_towards_an_airlight(form):
    """Black and white pictures give A (1 - t) and t + A (1 - t); any other lies on that line."""
    image = scene()
    for seed in range(20):
        made = [
            form(np.full_like(image, value), np.random.default_rng(seed)) for value in (0.0, 1.0)
        ]
        t = made[1] - made[0]
        assert t.min() >= -1e-6 and t.max() <= 1 + 1e-6
        assert (made[0] <= (1 - t) + 1e-5).all()  # A <= 1
    t = haze.some_depth(np.random.default_rng(0), image)
    airlight = np.array([0.9, 0.8, 0.7], np.float32)
    made = haze.veiled(image, t, airlight)
    assert (np.abs(made - airlight) <= np.abs(image - airlight) + 1e-6).all()
    assert np.allclose(made - airlight, (image - airlight) * t[..., None], atol=1e-6)


def test_depth_lies_in_0_to_1_and_varies():
    fields = [haze.some_depth(np.random.default_rng(seed), scene()) for seed in range(60)]
    assert all(d.min() > 0 and d.max() <= 1 + 1e-6 for d in fields)
    ranges = [np.ptp(d) for d in fields]
    assert min(ranges) < 0.05 and max(ranges) > 0.7


@pytest.mark.parametrize("form", [rain.thin_streaks, rain.crossing_streaks])
def test_added_rain_never_darkens(form):
    image = scene()
    for seed in range(30):
        made = form(image, np.random.default_rng(seed))
        assert (made >= image - 1e-6).all() and (made > image + 0.02).any()


def test_streaks_are_longer_along_their_direction():
    def correlation(x, dy, dx):
        a, b = x[: x.shape[0] - dy, : x.shape[1] - dx], x[dy:, dx:]
        return np.corrcoef(a.ravel(), b.ravel())[0, 1]

    for seed in range(5):
        layer = rain.clear_streaks(np.random.default_rng(seed), 128, 128, 90.0, 0.1)
        assert correlation(layer, 3, 0) > correlation(layer, 0, 3) + 0.1


def test_rain_before_a_sky_can_be_dark():
    image = np.full((96, 96, 3), 0.95, np.float32)
    darker = [
        (rain.lit_streaks(image, np.random.default_rng(seed)) < 0.8).any() for seed in range(40)
    ]
    assert 0 < np.mean(darker) < 1


def test_snow_covers_by_the_share_asked_for():
    cover = [
        np.mean([snow.flakes(np.random.default_rng(s), 96, 96, share, (1, 4)) for s in range(10)])
        for share in (0.02, 0.1, 0.4)
    ]
    assert cover[0] < cover[1] < cover[2] and 0.01 < cover[1] < 0.2


def test_sharp_drops_leave_what_is_beside_them_untouched():
    image = scene()
    untouched = []
    for seed in range(30):
        made = raindrop.sharp_drops(image, np.random.default_rng(seed))
        untouched.append(np.mean((made == image).all(-1)))
    assert min(untouched) > 0.05 and np.mean(untouched) > 0.5
    assert max(untouched) < 1


def test_a_drop_turns_the_scene_over():
    """A cap of radius r bends by its slope: at twice the distance beyond the middle, mirrored."""
    height, mask = np.zeros((2, 81, 81), np.float32)
    rim = np.ones((81, 81), np.float32)
    raindrop.add_drop(height, mask, rim, 40.0, 40.0, 20.0, 1.0, np.zeros(4))
    gy, gx = np.gradient(height)
    y, x = np.mgrid[0:81, 0:81] - 40
    inner = np.hypot(y, x) < 15
    assert np.allclose(gy[inner], -y[inner] / 20, atol=1e-3)
    assert np.allclose(gx[inner], -x[inner] / 20, atol=1e-3)
    assert mask[40, 40] == 1 and mask[0, 0] == 0 and (mask[np.hypot(y, x) > 21.5] == 0).all()


def test_positions_are_mirrored_into_the_picture():
    assert raindrop.folded(np.array([-2.0, 0, 3, 4, 6]), 5).tolist() == [2, 0, 3, 4, 2]


@pytest.mark.parametrize(
    "form", [shadow.hard_shadow, shadow.soft_shadow, shadow.tinted_shadow, shadow.deep_shade]
)
def test_a_shadow_takes_shares_of_linear_light_whatever_the_texture(form):
    image, even = scene(), np.full((72, 96, 3), 0.5, np.float32)
    for seed in range(20):
        rng = [np.random.default_rng(seed) for _ in range(2)]
        ratio, plain = ((form(x, r) / x) ** GAMMA for x, r in zip((image, even), rng, strict=True))
        assert np.allclose(ratio, plain, atol=2e-3)
        assert (ratio <= 1 + 1e-5).all()


def test_the_ratio_is_constant_in_the_umbra_and_1_outside():
    image = scene()
    mask = np.zeros(image.shape[:2], np.float32)
    mask[:, 40:] = 1
    left = np.array([0.2, 0.25, 0.4])
    ratio = (shadow.shaded(image, mask, left) / image) ** GAMMA
    assert np.allclose(ratio[:, 40:], left, atol=1e-4) and np.allclose(ratio[:, :40], 1)
    shares = []
    for seed in range(30):
        ratio = (shadow.hard_shadow(image, np.random.default_rng(seed)) / image) ** GAMMA
        red = ratio[..., 0]
        shares.append((np.mean(red <= red.min() + 0.01), np.mean(red >= 0.99)))
    assert (np.quantile(shares, 0.1, axis=0) > 0.01).all()  # thin ones may have no umbra
    assert (np.mean(shares, axis=0) > 0.2).all()


def test_shadows_cover_from_little_to_nearly_all():
    cover = [shadow.some_mask(np.random.default_rng(s), 72, 96).mean() for s in range(100)]
    assert min(cover) >= 0.05 and max(cover) <= 0.9
    assert min(cover) < 0.15 and max(cover) > 0.8


def test_every_shape_of_shadow_is_a_mask():
    for shape in (*shadow.SHAPES, shadow.dapples):
        for seed in range(10):
            mask = shape(np.random.default_rng(seed), 64, 80)
            assert mask.shape == (64, 80) and mask.min() >= 0 and mask.max() <= 1


def test_each_damage_of_old_photographs_changes_the_picture():
    image = scene()
    for _, damage in old_photo.CHAIN:
        changed = [
            np.abs(damage(image, np.random.default_rng(seed)) - image).mean() for seed in range(10)
        ]
        assert max(changed) > 2e-3, damage.__name__
