"""Blur (`motion-blurry`): the official kind is camera shake, linear light along a random path.

`FORMS` hold every blur: shake, straight and trailing motion, defocus, Gaussian, means of frames,
moving objects. Half of them carry a little grain, as every sensor gives.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from .fields import (
    GAMMA,
    convolve,
    disc_kernel,
    line_kernel,
    log_uniform,
    size,
    smooth_field,
    smoothstep,
    soften,
    splat,
    strength,
)
from .noise import field

MAX_LENGTH = 32.0  # extent of the trajectory in px at severity 1
LONGEST = 32.0  # px, of the forms
MAX_FRAMES = 17


def shake(rng: np.random.Generator, points: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """A smooth random trajectory: x, y with the larger extent scaled to 1, centred.

    Velocity is a constant drift plus an inertial random walk, so that most paths are gently bent
    and some turn back.
    """
    heading = rng.uniform(0, 2 * np.pi)
    wobble = rng.uniform(0, 1.2)
    jerk = rng.standard_normal((2, points))
    walk = np.cumsum(jerk, axis=1) / np.sqrt(points)
    velocity = np.stack([np.full(points, np.cos(heading)), np.full(points, np.sin(heading))])
    return _fine(np.cumsum(velocity + wobble * walk, axis=1))


def _fine(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre a path (2, n), scale its extent to 1, and put more points on it than pixels."""
    path = path - (path.max(axis=1, keepdims=True) + path.min(axis=1, keepdims=True)) / 2
    path /= np.ptp(path, axis=1).max() + 1e-9
    points = path.shape[1]
    fine = np.linspace(0, points - 1, 512)
    return tuple(np.interp(fine, np.arange(points), axis) for axis in path)


def motion_blurry(image: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Blur along one shake of `32 * severity` px extent, in linear light (display gamma 2.2)."""
    x, y = shake(rng)
    length = MAX_LENGTH * severity * rng.uniform(0.7, 1.0)
    kernel = splat(x * length, y * length)
    linear = convolve(image**GAMMA, kernel)
    return np.clip(linear, 0, 1) ** np.float32(1 / GAMMA)


def jolted(rng: np.random.Generator, steps: int = 192) -> tuple[np.ndarray, np.ndarray]:
    """A rough trajectory as of a hand, scaled like `shake`'s (Boracchi and Foi, TIP 2012).

    As in DeblurGAN's code: inertia, a pull to the centre, Gaussian jerks and sudden turns; the
    speed is constant.
    """
    anxiety = log_uniform(rng, 0.003, 0.1)
    pull, turning, jerk = rng.uniform(0, 0.7), rng.uniform(0, 0.2), rng.uniform(0, 10)
    jerks = anxiety * jerk * (rng.standard_normal(steps) + 1j * rng.standard_normal(steps))
    turns = rng.random(steps) < turning * anxiety
    turned = 2 * np.exp(1j * (np.pi + rng.uniform(-0.5, 0.5, steps)))
    velocity, place, path = np.exp(2j * np.pi * rng.random()), 0j, []
    for i in range(steps):
        velocity += velocity * turned[i] if turns[i] else 0
        velocity += jerks[i] - anxiety * pull * place
        velocity /= abs(velocity) + 1e-9
        place += velocity
        path.append(place)
    points = np.array(path, complex)
    return _fine(np.stack([np.real(points), np.imag(points)]))


def kernel_of_path(rng: np.random.Generator, length: float) -> np.ndarray:
    """A shake of `length` px extent, smooth or jolted, as a kernel of sum 1."""
    x, y = shake(rng) if rng.random() < 0.5 else jolted(rng)
    return splat(x * length, y * length)


def _in_some_light(
    image: np.ndarray, rng: np.random.Generator, change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Blur linear light, as the world does, or sRGB values, as many data sets do; then grain."""
    if rng.random() < 0.5:
        out = np.clip(change(image ** np.float32(GAMMA)), 0, 1) ** np.float32(1 / GAMMA)
    else:
        out = change(image)
    return _grainy(out, rng)


def _grainy(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add white noise of sigma 0.5 to 4 of 255 in half of the cases."""
    if rng.random() < 0.5:
        channels = 3 if rng.random() < 0.7 else 1
        strength = np.float32(log_uniform(rng, 0.5, 4) / 255)
        image = image + strength * field(rng, *size(image), channels)
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


def shaken(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random walk of the camera, 1.5 to 32 px."""
    kernel = kernel_of_path(rng, strength(rng, 1.5, LONGEST))
    return _in_some_light(image, rng, lambda x: convolve(x, kernel))


def straight(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Straight motion of 2 to 32 px, even or with fading ends."""
    length = strength(rng, 2, LONGEST)
    kernel = line_kernel(length, rng.uniform(0, 180))
    if rng.random() < 0.4:
        half = kernel.shape[0] // 2
        y, x = np.mgrid[-half : half + 1, -half : half + 1]
        kernel = kernel * np.exp(-0.5 * (np.hypot(x, y) / (0.3 * length + 0.3)) ** 2)
        kernel = (kernel / kernel.sum()).astype(np.float32)
    return _in_some_light(image, rng, lambda x: convolve(x, kernel))


def trailing(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Straight motion that begins at once and fades: half a Gaussian of sigma 0.3 to 12 px.

    As ImageMagick's motion blur, that of ImageNet-C. The scene lies at the sharp end, so the mean
    of the light is shifted, by 2.4 to 6.4 px at ImageNet-C's severities 1 to 3.
    """
    sigma, angle = strength(rng, 0.3, 12), rng.uniform(0, 2 * np.pi)
    t = np.linspace(0, min(3 * sigma, LONGEST), 256)
    kernel = splat(np.cos(angle) * t, np.sin(angle) * t, np.exp(-0.5 * (t / sigma) ** 2))
    return _in_some_light(image, rng, lambda x: convolve(x, kernel))


def defocused(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Defocus: a disc of radius 0.8 to 10 px, with an edge as in ImageNet-C or a softer one."""
    kernel = disc_kernel(strength(rng, 0.8, 10))
    if rng.random() < 0.5:
        kernel = soften(np.pad(kernel, 2), rng.uniform(0.1, 0.8))
    kernel = kernel / kernel.sum()
    return _in_some_light(image, rng, lambda x: convolve(x, kernel))


def gaussian_blurred(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A Gaussian of sigma 0.6 to 5 px; a third of them longer in one direction (BSRGAN)."""
    sigma = log_uniform(rng, 0.6, 5)
    if rng.random() < 2 / 3:
        return _in_some_light(image, rng, lambda x: soften(x, sigma))
    other, angle = sigma * rng.uniform(0.2, 1), rng.uniform(0, np.pi)
    reach = int(np.ceil(3 * sigma))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    kernel = np.exp(-0.5 * ((u / sigma) ** 2 + (v / other) ** 2))
    kernel /= kernel.sum()
    return _in_some_light(image, rng, lambda x: convolve(x, kernel))


def frames(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mean of up to 17 frames that move, turn and zoom, as GoPro and REDS blur is made.

    Unlike a kernel, the blur differs from place to place.
    """
    h, w = image.shape[:2]
    shift = log_uniform(rng, 0.5, 24)
    turn = np.deg2rad(log_uniform(rng, 0.05, 5)) * rng.choice((-1, 1))
    zoom = log_uniform(rng, 0.001, 0.08) * rng.choice((-1, 1))
    side = max(h, w)
    most = max(shift, abs(turn) * side / 2, abs(zoom) * side / 2)
    count = int(np.clip(np.ceil(most / 1.4) + 2, 3, MAX_FRAMES))
    path = np.stack(shake(rng))[:, np.linspace(0, 511, count).astype(int)] * shift
    pad = int(min(np.ceil(most) + 2, h, w))
    padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="symmetric")
    eight_bit = Image.fromarray((padded * 255 + 0.5).astype(np.uint8))
    cy, cx = rng.uniform(-0.2, 1.2, 2) * (h, w)  # what the camera turns about and zooms in on
    kept = (np.arange(256) / 255).astype(np.float32)
    linear = rng.random() < 0.5
    table = kept ** np.float32(GAMMA) if linear else kept
    total = np.zeros_like(image)
    for t, (dx, dy) in zip(np.linspace(-0.5, 0.5, count), path.T, strict=True):
        scale = 1 + zoom * t
        cos, sin = scale * np.cos(turn * t), scale * np.sin(turn * t)
        ox, oy = pad + dx + cx, pad + dy + cy
        # output pixel (x, y) shows the padded picture at (ox, oy) + turned (x - cx, y - cy)
        place = (cos, -sin, ox - cos * cx + sin * cy, sin, cos, oy - sin * cx - cos * cy)
        moved = eight_bit.transform(
            (w, h), Image.Transform.AFFINE, place, Image.Resampling.BILINEAR
        )
        total += table[np.asarray(moved)]
    out = total / np.float32(count)
    out = out ** np.float32(1 / GAMMA) if linear else out
    return _grainy(out, rng)


def moving_object(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One part of the scene moves by 3 to 32 px and the rest by little or not at all."""
    h, w = image.shape[:2]
    cells, cover = log_uniform(rng, 1, 6), rng.uniform(0.2, 0.7)
    part = smooth_field(rng, h, w, cells)
    part = smoothstep(0.5 + 8 * (part - np.quantile(part, 1 - cover)))[..., None]
    kernel = kernel_of_path(rng, log_uniform(rng, 3, LONGEST))
    rest = kernel_of_path(rng, log_uniform(rng, 1, 6)) if rng.random() < 0.5 else None

    def change(x: np.ndarray) -> np.ndarray:
        moved = convolve(np.concatenate([x * part, part], axis=-1), kernel)
        still = x if rest is None else convolve(x, rest)
        return moved[..., :3] + (1 - moved[..., 3:]) * still

    return _in_some_light(image, rng, change)


FORMS = (
    shaken,
    shaken,
    shaken,
    straight,
    straight,
    trailing,
    trailing,
    defocused,
    defocused,
    gaussian_blurred,
    frames,
    moving_object,
)
