"""Restoration by diffusion: a network for the mean-reverting SDE (IR-SDE; DA-CLIP section 3.4)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pellucid.diffusion import PRESETS, Denoiser, MeanRevertingSDE
from pellucid.errors import UsageError
from pellucid.losses import pixel
from pellucid.networks.contract import RestorationNetwork
from pellucid.networks.irsde_unet import UNetConfig
from pellucid.networks.table import network_of
from pellucid.training.tasks.guidance import (
    FrozenTower,
    GuidanceOptions,
    GuidedTask,
    network_meta,
)


@dataclass(frozen=True)
class SDEOptions:
    """Sizes of a `MeanRevertingSDE`; the defaults are those of all official weights."""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """How fast the picture falls to the damaged one over time."""
    steps: int = 100
    """Steps of the discretised diffusion."""
    eps: float = 0.005
    """What is left of the clean picture at the last step."""
    max_sigma: float = 50 / 255
    """Standard deviation of the noise at the last step, in [0, 1] of the range."""


@dataclass(frozen=True)
class DiffusionOptions(GuidanceOptions):
    """What a `DiffusionTask` is made of; its arguments are explained there."""

    network: Any = field(default_factory=UNetConfig)
    """Config of a diffusion network in `networks.table`."""
    sde: SDEOptions = field(default_factory=SDEOptions)
    predicts: Literal["epsilon", "x0"] = "epsilon"
    """What the network says: the noise, or the clean picture."""
    loss: Literal["matching", "l1"] = "matching"
    """`matching`: of the optimal reverse step (official); `l1`: of the clean picture."""
    own_estimates: float = 0.0
    """Share of samples whose state holds the network's own estimate."""
    preset: str = "fast"
    """How validation samples: paper, balanced or fast."""

    def build(self) -> DiffusionTask:
        """Make the task: a network with random weights, and the tower."""
        network = network_of(self.network, diffusion=True)
        return DiffusionTask(
            network,
            MeanRevertingSDE(**dataclasses.asdict(self.sde)),
            predicts=self.predicts,
            loss=self.loss,
            own_estimates=self.own_estimates,
            preset=self.preset,
            **self.guidance(network),
        )


class DiffusionTask(GuidedTask):
    """Train `network(x_t, lq, t, condition)` at random times of the SDE.

    Args:
        network: a diffusion network (`ConditionalUNet`, `DiffusionResUNet`).
        sde: the process it is trained for.
        predicts: what the network returns; the official networks: epsilon.
        loss: `matching` is the official objective: L1 between the reverse step taken and the best
            one. `l1` compares the prediction itself with the truth, the same weight at all times.
        own_estimates: share of samples whose state is made from what the network itself takes for
            the clean picture at time T, not from the truth; the target stays the truth. In use
            the states hold the errors of earlier estimates, and a network that has only met true
            ones copies them (exposure bias). Ours; needs `predicts="x0"`.
        preset: how validation samples; a name in `pellucid.diffusion.PRESETS`.
        others: those of `GuidedTask`.
    """

    def __init__(
        self,
        network: RestorationNetwork,
        sde: MeanRevertingSDE,
        tower: FrozenTower | None = None,
        context_dropout: float = 0.0,
        predicts: Literal["epsilon", "x0"] = "epsilon",
        loss: Literal["matching", "l1"] = "matching",
        own_estimates: float = 0.0,
        preset: str = "fast",
        **others: Any,
    ):
        super().__init__(network, tower, context_dropout, **others)
        if own_estimates and predicts != "x0":
            raise UsageError("own_estimates: the noise in such a state is unknown; predict x0")
        self.sde = sde
        self.predicts: Literal["epsilon", "x0"] = predicts
        self.loss = loss
        self.own_estimates = own_estimates
        self.preset = preset

    def forward(self, batch: dict, generator: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch at random times, and the PSNR of the estimates of x0."""
        mu, clean = batch["lq"], batch["gt"]
        t = self.sde.random_times(len(mu), generator)
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        condition = self.condition(batch, generator)
        shown = clean
        if self.own_estimates:
            own = torch.rand(len(mu), generator=generator, device=mu.device) < self.own_estimates
            shown = torch.where(
                own.view(-1, 1, 1, 1), self._first_estimate(mu, condition, generator), clean
            )
        x = self.sde.perturb(shown, mu, t, noise)
        prediction = self.network(x, mu, t, condition).float()
        if self.predicts == "epsilon":
            target, epsilon = noise, prediction
            estimate = self.sde.x0_from_epsilon(x, mu, t, epsilon.detach())
        else:
            target, epsilon = clean, self.sde.epsilon_from_x0(x, mu, t, prediction)
            estimate = prediction.detach()
        if self.loss == "matching":
            loss = self.sde.matching_loss(x, mu, t, epsilon, clean).mean()
        else:
            loss = pixel.l1(prediction, target)
        return loss, {"psnr": pixel.psnr(estimate, clean).mean()}

    @torch.no_grad()
    def _first_estimate(self, mu: Tensor, condition: Any, generator: torch.Generator) -> Tensor:
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        last = torch.full((len(mu),), self.sde.steps, device=mu.device)
        return self.network(self.sde.initial(mu, noise), mu, last, condition).float()

    def validate(self, batch: dict) -> tuple[dict[str, Tensor], Tensor]:
        """Return the PSNR of samples (seeded by the index) and of damaged pictures; the samples."""
        mu, clean = batch["lq"], batch["gt"]
        condition = self.condition(batch)
        denoise = Denoiser(self.sde, self.network, mu, condition, self.predicts)
        generators = [torch.Generator().manual_seed(int(i)) for i in batch["index"]]
        restored = PRESETS[self.preset].sample(self.sde, denoise, generators)
        metrics = {"psnr": pixel.psnr(restored, clean), "psnr_input": pixel.psnr(mu, clean)}
        return metrics, restored.clamp(0, 1)

    def trained(self) -> nn.Module:
        """Return the network."""
        return self.network

    def export(self) -> tuple[dict[str, Tensor], dict]:
        """Return the network's weights, its config, its SDE and what it predicts."""
        fields = [f.name for f in dataclasses.fields(self.sde) if f.init]
        sde = {name: getattr(self.sde, name) for name in fields}
        meta = {**network_meta(self.network, self.tower), "sde": sde, "predicts": self.predicts}
        return self.network.state_dict(), meta
