"""Drops on the lens (``raindrop``): I = (1 - M) J + R (Qian et al.), each drop showing the scene
refracted.

A drop is a small wide-angle lens: it shows a much larger part of the scene, upside down and out of
focus, a little brighter in the middle and darker at its rim.
"""

import numpy as np

from .fields import convolve, gaussian_kernel, smoothstep

MAX_DROPS = 40  # on an image of the reference size at severity 1
REFERENCE = 256  # px along the shorter side; more drops on longer images


def raindrop(
    image: np.ndarray, severity: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Put up to 40 drops (per 256 x 256 px) on the lens; their number grows with ``severity``.

    Also returns M, ``(H, W)`` in [0, 1].
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
