"""The tensor core: run a restoration network on pictures, in tiles and in reduced precision."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pellucid.diffusion.denoiser import Denoiser
from pellucid.diffusion.presets import PRESETS
from pellucid.diffusion.sde import MeanRevertingSDE
from pellucid.errors import PellucidError
from pellucid.hardware import resolve_device, resolve_dtype
from pellucid.imaging.tiling import Tiler
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.table import Prediction
from pellucid.runtimes.choice import AUTO, fastest
from pellucid.runtimes.graph import digest
from pellucid.runtimes.run import ENGINES, Torch, check_engine
from pellucid.vision_language.image_tower import ImageTower

Progress = Callable[[float], None]

DEFAULT_PRESET = "balanced"
SMALLEST_TILE, LARGEST_TILE = 1024, 2048  # px along a side, where the caller names no tile
log = logging.getLogger(__name__)


class Engine:
    """A restoration network with its image tower, on a machine.

    Pictures are float32 `(B, 3, H, W)` in [0, 1]; results are on the device of the pictures.

    Args:
        network: deterministic or (with `predicts`) diffusion.
        semantics: image tower for a network that needs `semantics`.
        predicts: "epsilon" or "x0" for a diffusion network, None for a deterministic one.
        sde: of a diffusion network; the official one if not given.
        name: what reports call the model.
        device: "auto" (CUDA, else Apple's, else CPU) or a name PyTorch knows.
        dtype: "auto" (bfloat16 where that is faster and the network allows it, else
            float32), "bfloat16", "float16" or "float32". Weights stay float32; lower precision is
            autocast, and a tile that comes out infinite or undefined is computed again in float32.
        engine: what computes the network's calls: "torch", "compile" (its compiler), "onnxruntime"
            or "openvino" (CPU only), or "auto": the fastest of those that are installed, tried once
            on this machine against PyTorch and remembered in the cache.

    Raises:
        UsageError: the device, precision or engine is unknown, missing, or does not fit the others.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        semantics: ImageTower | None = None,
        predicts: Prediction | None = None,
        sde: MeanRevertingSDE | None = None,
        name: str = "custom",
        device: str | torch.device = "auto",
        dtype: str | torch.dtype = "auto",
        engine: str = "torch",
    ):
        self.device = resolve_device(device)
        self.dtype = resolve_dtype(dtype, self.device)
        if engine != AUTO:
            check_engine(engine, self.device, None if dtype == "auto" else self.dtype)
        computes = ENGINES.get(engine, Torch).dtypes
        if dtype == "auto" and self.dtype not in {*network.dtypes} & {*computes}:
            self.dtype = torch.float32
        self.engine = engine
        self._computing: Any = None  # of `ENGINES`, made at the first call
        self.network = network.eval().requires_grad_(False)
        self.network.to(self.device, memory_format=torch.channels_last)  # pyright: ignore
        self.semantics = semantics
        if semantics is not None:
            semantics.eval().requires_grad_(False).to(self.device)
        self.predicts: Prediction | None = predicts
        self.sde = sde or MeanRevertingSDE()
        self.name = name

    @property
    def is_diffusion(self) -> bool:
        """Whether `steps`, `preset` and `seed` mean anything."""
        return self.predicts is not None

    def fingerprint(self) -> str:
        """Hexadecimal sha256 of all weights by name, the same whatever file they came from."""
        return digest(*self._modules())

    def _modules(self) -> tuple[torch.nn.Module | None, ...]:
        return self.network, self.semantics

    def completed(self, batch: Tensor, guidance: Guidance) -> Guidance:
        """Add the vectors of the network's image tower that it needs and `guidance` lacks."""
        guidance = guidance.to(self.device)
        needed = "semantics" in self.network.needs and guidance.semantics is None
        if self.semantics is None or not needed:
            return guidance
        return replace(guidance, semantics=self.semantics.encode(batch.to(self.device)))

    @torch.no_grad()
    def condition(self, batch: Tensor, guidance: Guidance) -> Any:
        """The network's condition of whole pictures: what is the same for all their tiles."""
        return self.network.condition(batch.to(self.device), guidance.to(self.device))

    @torch.no_grad()
    def restored(
        self,
        batch: Tensor,
        condition: Any,
        *,
        steps: int | None = None,
        preset: str | None = None,
        seed: int = 0,
        tile: int | None = None,
        progress: Progress | None = None,
    ) -> Tensor:
        """Restore pictures by common network calls; in [0, 1].

        Args:
            batch: damaged pictures.
            condition: from `condition`, of the same pictures.
            steps: network calls of a diffusion model, instead of the preset's.
            preset: of a diffusion model, a name in `diffusion.PRESETS`.
            seed: of a diffusion model's noise, the same for each picture.
            tile: longest side of a tile in pixels; None chooses, 0 never tiles. Networks that need
                whole pictures never do.
            progress: is called with the share that is done, in [0, 1].

        Raises:
            PellucidError: too little memory, or the network gives no finite answer.
        """
        tiler = self._tiler(batch, tile)
        if self.predicts is None:
            result = tiler(lambda part: self._call(condition, part), batch, progress=progress)
            return result.to(batch.device).clamp_(0, 1)
        mu = batch.to(self.device)  # and so the state: neither moves between the steps
        chosen = PRESETS[preset or DEFAULT_PRESET]
        calls = len(self.sde.times(steps or chosen.evaluations)) - 1  # they end with 0
        done = 0

        def network(x: Tensor, mu: Tensor, t: Tensor, condition: Any) -> Tensor:
            nonlocal done
            told = None if progress is None else share_of(progress, done / calls, 1 / calls)
            prediction = tiler(lambda x, mu: self._call(condition, x, mu, t), x, mu, progress=told)
            done += 1
            return prediction

        denoise = Denoiser(self.sde, network, mu, condition, self.predicts)
        noise = [torch.Generator().manual_seed(seed) for _ in batch]
        return chosen.sample(self.sde, denoise, noise, steps).to(batch.device).clamp_(0, 1)

    @torch.no_grad()
    def mapped(self, batch: Tensor, condition: Any, tile: int | None = None) -> Tensor:
        """Map the damage, `(B, H, W)` in [0, 1]; for networks with `maps_damage`."""
        tiler = self._tiler(batch, tile)
        result = tiler(lambda part: self.network.damage(part.to(self.device), condition), batch)
        return result[:, 0].float().to(batch.device).clamp_(0, 1)

    @property
    def side(self) -> int:
        """Side of the largest square that is restored in one piece, in pixels."""
        # neighbours share about `overlap` pixels, so a far-seeing network needs larger tiles
        return min(max(5 * self.network.overlap, SMALLEST_TILE), LARGEST_TILE)

    def _tiler(self, batch: Tensor, tile: int | None) -> Tiler:
        if self.network.whole:
            return Tiler(None, 0, 1, smallest=max(batch.shape[-2:]))
        if tile is None and batch.shape[-2] * batch.shape[-1] > self.side**2:
            tile = self.side
        return Tiler(tile or None, self.network.overlap, self.network.multiple)

    def _call(self, condition: Any, image: Tensor, *others: Tensor) -> Tensor:
        """One network call on a tile; float32 and finite."""
        parts = [
            part.to(self.device, memory_format=torch.channels_last) if part.ndim == 4 else part
            for part in (image, *others)
        ]
        if self._computing is None or self._computing.network is not self.network:
            self._computing = self._chosen(parts, condition)
        result = self._computing(parts, condition)
        if torch.isfinite(result).all():
            return result
        if self.dtype != torch.float32 or self.engine != "torch":
            log.warning("numbers that are not finite; repeating in float32 by PyTorch")
            result = Torch(self.network, self.device, torch.float32)(parts, condition)
            if torch.isfinite(result).all():
                return result
        raise PellucidError(
            f"the model {self.name} gives no finite numbers for this picture, not even in float32; "
            "are its weights damaged?"
        )

    def _chosen(self, parts: list[Tensor], condition: Any) -> Any:
        """The engine; "auto" is decided here, where an example of a condition is at hand."""
        if self.network.whole or not self.network.graphs:
            # A graph would hold maps of the whole picture, PyTorch bands of it.
            self.engine = "torch"
        if self.engine == AUTO:
            self.engine = fastest(
                self.name, self.network, self.device, self.dtype, parts, condition
            )
            if self.dtype not in ENGINES[self.engine].dtypes:
                self.dtype = torch.float32
        return ENGINES[self.engine](self.network, self.device, self.dtype)


def share_of(progress: Progress, before: float, share: float) -> Progress:
    """Progress of a part that begins at `before` and is this share of the whole."""
    return lambda done: progress(min(1.0, before + share * done))
