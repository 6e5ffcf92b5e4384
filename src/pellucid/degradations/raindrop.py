"""Drops on the lens (`raindrop`): I = (1 - M) J + R (Qian et al.), each drop showing the scene
refracted.

A drop is a small wide-angle lens: it shows a much larger part of the scene, upside down and out of
focus, a little brighter in the middle and darker at its rim.

`raindrop` has a severity; `FORMS` are for training, each `(H, W, 3)` float32 RGB in [0, 1] to the
same, from hardly visible to heavy. They draw a height map of the water and bend the light by its
slope.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from .fields import (
    convolve,
    disc_kernel,
    gaussian_kernel,
    log_uniform,
    resize,
    smooth_field,
    smoothstep,
    soften,
)
from .layers import bounded, grains, plasma, tint, top_share

MAX_DROPS = 40  # on an image of the reference size at severity 1
REFERENCE = 256  # px along the shorter side; more drops on longer images


def raindrop(
    image: np.ndarray, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Put up to 40 drops (per 256 x 256 px) on the lens; their number grows with `severity`.

    Also returns M, `(H, W)` in [0, 1].
    """
    h, w = image.shape[:2]
    area = h * w / REFERENCE**2
    count = max(1, round(MAX_DROPS * area))
    centre_y, centre_x = rng.uniform(0, h, count), rng.uniform(0, w, count)
    radius = 4 + 16 * rng.beta(1.2, 3.0, count)
    stretch = rng.uniform(1.0, 1.5, count)  # drops hang: taller than wide
    lean = rng.uniform(-0.25, 0.25, count)
    opacity = rng.uniform(0.75, 1.0, count)
    gain = rng.uniform(0.9, 1.2, count)
    blurred = convolve(image, gaussian_kernel(2.0))
    out = image.copy()
    clear = np.ones((h, w), np.float32)  # 1 - M
    for i in range(max(1, round(count * severity)) if severity > 0 else 0):
        r, tall = radius[i], radius[i] * stretch[i]
        top, bottom = max(0, int(centre_y[i] - tall - 3)), min(h, int(centre_y[i] + tall + 4))
        left, right = max(0, int(centre_x[i] - r - 3)), min(w, int(centre_x[i] + r + 4))
        if top >= bottom or left >= right:
            continue
        y, x = np.mgrid[top:bottom, left:right].astype(np.float32)
        v = (y - centre_y[i]) / tall
        u = (x - centre_x[i]) / r - lean[i] * v
        u = u * (1 + 0.25 * np.clip(-v, 0, 1))  # narrower above, fuller below
        distance = np.hypot(u, v)
        mask = smoothstep((1.08 - distance) * r / 3.0)[..., None] * np.float32(opacity[i])
        # Refraction: bend grows towards the rim, and the picture inside stands on its head.
        bend = 2.5 * (1 + 1.5 * np.clip(distance, 0, 1) ** 2)
        source_y = np.clip(centre_y[i] - v * tall * bend, 0, h - 1).astype(int)
        source_x = np.clip(centre_x[i] - u * r * bend, 0, w - 1).astype(int)
        inside = blurred[source_y, source_x] * np.float32(gain[i])
        inside *= (1 - 0.45 * smoothstep((distance - 0.6) / 0.45))[..., None]
        patch = out[top:bottom, left:right]
        out[top:bottom, left:right] = patch * (1 - mask) + np.clip(inside, 0, 1) * mask
        clear[top:bottom, left:right] *= 1 - mask[..., 0]
    return np.clip(out, 0, 1).astype(np.float32), 1 - clear


class Water(NamedTuple):
    """Water on the glass, `(H, W)` each."""

    height: np.ndarray  # px; a drop of radius r is r / 2 (1 - d^2) high, d from 0 to 1 at the rim
    mask: np.ndarray  # in [0, 1], exactly 0 outside
    rim: np.ndarray  # d


def sharp_drops(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drops in focus that refract the scene and have a dark or a lit rim (Roser and Geiger, ICCV
    workshops 2009; von Bernuth et al., 2018). Outside of them nothing changes."""
    h, w = image.shape[:2]
    water = drops(rng, h, w, log_uniform(rng, 0.03, 0.5))
    inside = lit(refracted(image, water, rng), water, rng)
    alpha = (water.mask * log_uniform(rng, 0.3, 1))[..., None]
    return bounded(image * (1 - alpha) + inside * alpha)


def defocused_drops(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same drops while the camera looks at the scene behind: the drop's picture is blurred, not
    the scene's."""
    h, w = image.shape[:2]
    radius = some_radius(rng, h, w)
    water = drops(rng, h, w, log_uniform(rng, 0.03, 0.5), radius)
    inside = lit(refracted(image, water, rng), water, rng)
    sigma = radius * rng.uniform(0.1, 0.7)
    alpha = (water.mask * log_uniform(rng, 0.35, 1))[..., None]
    return bounded(image * (1 - soften(alpha, sigma)) + soften(inside * alpha, sigma))


def pale_patches(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Round soft regions that show the surroundings as an even blur, brighter or darker than the
    scene: how most drops of Qian et al. (CVPR 2018) look; form ours."""
    h, w = image.shape[:2]
    radius = some_radius(rng, h, w)
    water = drops(rng, h, w, log_uniform(rng, 0.05, 0.7), radius)
    around = soften(image, rng.uniform(0.3, 1.5) * radius)
    sky = tint(rng, 0.45, 1, 0.06)
    share = rng.uniform(0, 0.8)
    inside = (1 - share) * around * rng.uniform(0.8, 1.2) + share * sky
    varied = 1 + rng.uniform(0, 0.5) * (smooth_field(rng, h, w, 6) - 0.5)
    alpha = soften(water.mask, radius * rng.uniform(0.08, 0.6)) * rng.uniform(0.3, 1)
    alpha = np.clip(alpha * varied, 0, 1)[..., None]
    return bounded(image * (1 - alpha) + inside * alpha)


def far_out_of_focus(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drops all over the glass, so far out of focus that each is a pale disc through which the
    scene is half seen: Qian et al. (CVPR 2018) where the lens is wide open; form ours."""
    h, w = image.shape[:2]
    radius = min(log_uniform(rng, 4, 30), min(h, w) / 4)
    water = drops(rng, h, w, log_uniform(rng, 0.1, 0.9), radius)
    aperture = disc_kernel(radius * rng.uniform(0.2, 0.9))
    cover = convolve(water.mask, aperture / aperture.sum())
    varied = 1 - rng.uniform(0, 0.6) * smooth_field(rng, h, w, max(h, w) / (2 * radius))
    alpha = np.clip(cover * varied * rng.uniform(0.35, 1), 0, 1)[..., None]
    # A drop sees far more of the scene than the camera, upside down.
    small = resize(image, -(-h // 4), -(-w // 4), Image.Resampling.BOX)
    around = soften(small, radius / 4 * log_uniform(rng, 0.5, 3))
    turned = rng.uniform(0, 0.7)
    around = (1 - turned) * around + turned * soften(around[::-1], 0.05 * h)
    around = resize(around, h, w, Image.Resampling.BILINEAR)
    sky = tint(rng, 0.4, 1, 0.08)
    share = rng.uniform(0.1, 0.8)
    inside = (1 - share) * around * rng.uniform(0.85, 1.3) + share * sky
    return bounded(image * (1 - alpha) + inside * alpha)


def running_water(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drops that run down the glass with a trail of smaller ones; in focus or not (as the streaks
    of Raindrop Clarity, Jin et al., ECCV 2024)."""
    h, w = image.shape[:2]
    radius = min(some_radius(rng, h, w), 25)
    water = drops(rng, h, w, log_uniform(rng, 0.02, 0.2), radius, running=True)
    inside = lit(refracted(image, water, rng), water, rng)
    sigma = radius * rng.choice((0, rng.uniform(0.05, 0.6)))
    alpha = (water.mask * log_uniform(rng, 0.35, 1))[..., None]
    return bounded(image * (1 - soften(alpha, sigma)) + soften(inside * alpha, sigma))


def spatter(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Small irregular splashes: thresholded blurred noise with an edge light, clear or slightly
    coloured (the kind of ImageNet-C, ICLR 2019; form and ranges ours)."""
    h, w = image.shape[:2]
    size = log_uniform(rng, 2, 16)
    noise = grains(rng, h, w, size) + rng.uniform(0, 0.5) * grains(rng, h, w, size / 2)
    body = soften(top_share(noise, log_uniform(rng, 0.005, 0.25), 0.7), rng.uniform(0, 0.8))
    gy, gx = np.gradient(soften(body, 0.25 * size**0.5))
    angle = rng.uniform(0, 2 * np.pi)
    slope = size * (np.cos(angle) * gx + np.sin(angle) * gy)
    both = rng.uniform(0, 1)
    light = np.maximum(slope, 0) + both * np.abs(slope)
    light -= rng.uniform(0, 0.8) * np.maximum(-slope, 0)
    light = light * (body > 0.01) + rng.uniform(0, 0.35) * body
    water = Water(size / 2 * body, np.clip(10 * body - 0.2, 0, 1), 1 - body)
    seen = image
    if rng.random() < 0.5:
        seen = image + water.mask[..., None] * (refracted(image, water, rng) - image)
    colour = 1 - rng.uniform(0, 0.4) * np.array([1, 0.1, 0.1], np.float32) * rng.random()
    return bounded(seen + log_uniform(rng, 0.12, 0.9) * light[..., None] * colour)


def mud(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Opaque brown or grey dirt in splashes (the second kind of ImageNet-C's spatter)."""
    h, w = image.shape[:2]
    size = log_uniform(rng, 3, 24)
    noise = grains(rng, h, w, size) + rng.uniform(0, 0.8) * grains(rng, h, w, size / 3)
    alpha = top_share(noise, log_uniform(rng, 0.005, 0.3), rng.uniform(0.1, 0.8))
    alpha = soften(alpha, rng.uniform(0, 2))[..., None] * rng.uniform(0.4, 1)
    brown = rng.uniform(0.08, 0.45) * np.array([1, rng.uniform(0.6, 1), rng.uniform(0.3, 0.9)])
    brown = brown.astype(np.float32) * (1 + 0.15 * grains(rng, h, w, 2)[..., None])
    return bounded(image * (1 - alpha) + brown * alpha)


def fogged_glass(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Breath on a pane: part of the frame is pale and soft, with fine droplets; form ours."""
    h, w = image.shape[:2]
    share = rng.uniform(0.15, 0.95)
    where = top_share(plasma(rng, h, w, 2.2), share, rng.uniform(0.6, 2.5))[..., None]
    where = where * rng.uniform(0.3, 1)
    pale = rng.uniform(0.05, 0.6)
    frosted = soften(image, log_uniform(rng, 0.5, 8)) * (1 - pale) + pale * tint(rng, 0.5, 1, 0.05)
    if rng.random() < 0.6:
        size = log_uniform(rng, 1.5, 5)
        beads = top_share(grains(rng, h, w, size), rng.uniform(0.05, 0.4))
        gy, gx = np.gradient(beads)
        frosted = frosted + rng.uniform(0.05, 0.4) * size * (gx + gy)[..., None]
    return bounded(image * (1 - where) + frosted * where)


def some_radius(rng: np.random.Generator, h: int, w: int) -> float:
    """Radius of drops in px: 1.5 to 40, at most a third of the window."""
    return min(log_uniform(rng, 1.5, 40), min(h, w) / 3)


def drops(
    rng: np.random.Generator,
    h: int,
    w: int,
    share: float,
    radius: float | None = None,
    running: bool = False,
) -> Water:
    """Lay drops that cover about `share` of the glass, at least 1, at most 60.

    Some consist of circles that ran into one another; `running` ones leave a trail above them.
    """
    radius = some_radius(rng, h, w) if radius is None else radius
    share = share / (4 if running else 1.3)
    count = int(np.clip(share * h * w / (np.pi * radius**2), 1, 20 if running else 60))
    height, mask = np.zeros((h, w), np.float32), np.zeros((h, w), np.float32)
    rim = np.ones((h, w), np.float32)
    joined, ragged = rng.uniform(0, 0.6), rng.uniform(0, 0.25)
    for _ in range(count):
        y, x = rng.uniform(0, h), rng.uniform(0, w)
        r = radius * log_uniform(rng, 0.4, 1.5)
        stretch = rng.uniform(0.9, 1.6)
        circles = [(y, x, r)]
        if running:
            at, lean = y, rng.uniform(-0.3, 0.3)
            for _ in range(rng.integers(3, 10)):
                at -= r * rng.uniform(0.5, 1.6)
                x += r * (lean + rng.uniform(-0.15, 0.15))
                circles.append((at, x, r * rng.uniform(0.25, 0.7)))
        elif rng.random() < joined:
            for _ in range(rng.integers(1, 4)):
                dy, dx = r * rng.uniform(-1, 1, 2)
                circles.append((y + dy, x + dx, r * rng.uniform(0.4, 0.9)))
        for circle in circles:
            add_drop(height, mask, rim, *circle, stretch, ragged * rng.uniform(-1, 1, 4))
    return Water(height, mask, rim)


def add_drop(height, mask, rim, cy, cx, r, stretch, ragged) -> None:
    """Add one cap of radius `r` px, `stretch` times as tall as wide, its rim out of round."""
    h, w = height.shape
    reach = 1.4 * r * max(stretch, 1) + 2
    top, bottom = max(0, int(cy - reach)), min(h, int(cy + reach) + 1)
    left, right = max(0, int(cx - reach)), min(w, int(cx + reach) + 1)
    if top >= bottom or left >= right:
        return
    v = ((np.arange(top, bottom, dtype=np.float32) - cy) / (r * stretch))[:, None]
    u = ((np.arange(left, right, dtype=np.float32) - cx) / r)[None]
    d2 = u * u + v * v + 1e-6
    # Lobes of two and three, by the double and triple angle.
    lobes = ragged[0] * (u * u - v * v) / d2 + ragged[1] * 2 * u * v / d2
    lobes = lobes + ragged[2] * u * (u * u - 3 * v * v) / d2**1.5
    d = np.sqrt(d2) / (1 + lobes)
    window = np.s_[top:bottom, left:right]
    cap = np.maximum(r / 2 * (1 - d * d), 0).astype(np.float32)
    higher = cap > height[window]
    np.copyto(rim[window], np.minimum(d, 1), where=higher)
    np.copyto(height[window], cap, where=higher)
    edge = np.clip((1 - d) * r + 0.5, 0, 1)
    np.maximum(mask[window], edge, out=mask[window], casting="unsafe")


def refracted(image: np.ndarray, water: Water, rng: np.random.Generator) -> np.ndarray:
    """What the water shows: the scene where its slope bends the light, out of focus or not.

    A cap of radius r has the slope -d at its distance d, so a bend of r takes all its light from
    the middle, and beyond that the scene stands on its head.
    """
    h, w = image.shape[:2]
    gy, gx = np.gradient(water.height)
    bend = log_uniform(rng, 0.25, 4) * max(float(2 * water.height.max()), 1)
    steeper = bend * (1 + rng.uniform(0, 1.5) * water.rim**2)
    behind = soften(image, rng.choice((0, rng.uniform(0.3, 4))))
    y, x = np.nonzero(water.mask)
    out = image.copy()
    sy = folded(y + (steeper * gy)[y, x], h)
    sx = folded(x + (steeper * gx)[y, x], w)
    out[y, x] = behind[sy, sx]
    return soften(out, 0.6)


def folded(position: np.ndarray, n: int) -> np.ndarray:
    """Whole positions inside `[0, n)`, mirrored at the borders."""
    period = max(2 * (n - 1), 1)
    at = np.abs(np.rint(position).astype(int)) % period
    return np.minimum(at, period - at) if n > 1 else np.zeros_like(at)


def lit(inside: np.ndarray, water: Water, rng: np.random.Generator) -> np.ndarray:
    """Shade drops: gain, a dark or bright rim, light on the side of a lamp, a highlight."""
    gain = rng.uniform(0.7, 1.4)
    shade = smoothstep((water.rim - rng.uniform(0.3, 0.85)) / 0.3) * rng.uniform(-0.25, 0.7)
    out = inside * (gain * (1 - shade))[..., None]
    gy, gx = np.gradient(water.height)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.clip(np.cos(angle) * gx + np.sin(angle) * gy, 0, 1)
    if rng.random() < 0.6:
        out = out + (rng.uniform(0, 0.8) * slope**2)[..., None]
    if rng.random() < 0.4:
        spot = smoothstep((slope - 0.45) / 0.1) * smoothstep((0.75 - slope) / 0.1)
        across = np.abs(np.cos(angle) * gy - np.sin(angle) * gx)
        out = out + (rng.uniform(0.2, 0.9) * spot * (across < 0.15))[..., None]
    return out


FORMS = (
    sharp_drops,
    defocused_drops,
    pale_patches,
    far_out_of_focus,
    far_out_of_focus,  # twice: most photographs of drops look like this
    running_water,
    spatter,
    mud,
    fogged_glass,
)
