"""The mean-reverting SDE: coefficients, denoiser, samplers, and presets of samplers."""

from pellucid.diffusion.denoiser import Denoiser
from pellucid.diffusion.presets import PRESETS, Preset
from pellucid.diffusion.randomness import gaussian
from pellucid.diffusion.samplers import SAMPLERS
from pellucid.diffusion.sde import MeanRevertingSDE

__all__ = ["PRESETS", "SAMPLERS", "Denoiser", "MeanRevertingSDE", "Preset", "gaussian"]
