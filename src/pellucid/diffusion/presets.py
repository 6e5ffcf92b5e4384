"""Sampling presets, by their number of network calls.

| preset     | calls | sampler     |                                                          |
|------------|-------|-------------|----------------------------------------------------------|
| `paper`    | 100   | `posterior` | the official default; another seed gives other details   |
| `balanced` | 20    | `dpmpp_2m`  | a fifth of the time; the seed matters for the start only |
| `fast`     | 5     | `dpmpp_2m`  | for CPUs and previews                                    |

The ICLR paper's own tables came from the older sampler `sde`, also with 100 calls. MR-Sampler (ICLR
2025) reports that a second-order solver needs few calls with the official weights: LPIPS on low
light is 0.080 for `posterior` with 100 calls, and 0.079, 0.084 and 0.078 for their solver with 20,
10 and 5.
"""

from dataclasses import dataclass

from torch import Tensor

from pellucid.diffusion import samplers
from pellucid.diffusion.randomness import Randomness, gaussian
from pellucid.diffusion.sde import MeanRevertingSDE


@dataclass(frozen=True)
class Preset:
    """A sampler and its times: the arguments of `MeanRevertingSDE.times`."""

    sampler: samplers.Sampler
    """A function of `SAMPLERS`."""
    evaluations: int | None
    """Calls of the network; None = one for each training time."""
    power: float = 1.0
    """How the times are spread."""

    def sample(
        self,
        sde: MeanRevertingSDE,
        denoise: samplers.Denoise,
        noise: Randomness = None,
        steps: int | None = None,
    ) -> Tensor:
        """Restore `denoise.mu`; the first draw of `noise` makes the initial state.

        Args:
            sde: the SDE that the network was trained with.
            denoise: a `Denoiser`.
            noise: see `gaussian`.
            steps: number of network calls, 1..T, instead of the preset's.

        Returns:
            The restored image, `(B, 3, H, W)`, not clamped.
        """
        draw = gaussian(denoise.mu, noise)
        x = sde.initial(denoise.mu, draw())
        times = sde.times(self.evaluations if steps is None else steps, self.power)
        return self.sampler(sde, denoise, x, times, draw)


PRESETS = {
    "paper": Preset(samplers.posterior, None),
    "balanced": Preset(samplers.dpmpp_2m, 20),
    "fast": Preset(samplers.dpmpp_2m, 5),
}
"""The presets by name."""
