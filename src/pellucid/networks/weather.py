"""Weather U-Net: a spatially-adaptive residual (SAR) encoder and a weather prior in a U-Net.

Paper: Tan et al., "Exploring the Application of Large-scale Pre-trained Models on Adverse Weather
Removal" (IEEE TIP 2024, arXiv 2306.09008). Independent implementation of the published idea: its
code is not public, and we know its abstract alone, which asks for "a Spatially-Adaptive Residual
(SAR) Encoder to extract degraded areas adaptively" and for an embedding of CLIP's weather prior by
cross-attention (`vision_language/prior.py`). No label of the weather is asked for.

Inferred, ours: the U-Net; a gated residual branch at every level of the encoder, before
down-sampling, that feeds both the skip and the next level, or of the decoder, which knows more of
the damage; a gate that is a soft map of it, which can be shown and taught
(`losses/distillation.py`); the prior at the bottleneck and at every level of the decoder. The
paper's parts plug into any U-Net, so there are two: one of NAFNet's blocks, with a global residual,
and the residual-convolution one for CPUs (`networks/resunet.py`: 2 x 2 pixel blocks, an affine map
of every pixel). Either starts as the identity.

The sample of the prior is CLIP's embedding of the picture or, ours, DA-CLIP's embedding of its
damage. That one can also modulate the blocks, as it does in `lite`, whose weights then are a start
(`checkpoints/weather.py`): a gain and a shift for each word of damage, mixed by its likeness.

Weights: none published.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.layers import pad_to_multiple
from pellucid.networks.nafnet import NAFBlock
from pellucid.networks.resunet import Prompt, ResBlock
from pellucid.vision_language.prior import PriorAttention, PriorConfig, WeatherPrior


@dataclass(frozen=True)
class WeatherConfig:
    """Sizes of a `WeatherUNet` and how "SAR encoder" is read.

    `sar`: how a level's extracted residual E meets its features f: "add", f + alpha E with a
    learned alpha; "subtract", f - E; "parallel", a second encoder beside the plain one, and the
    decoder sees both, [f; E] -> 1x1; "decoder", f + alpha E at the end of each level of the
    decoder, and the gate is also told what the encoder saw there; "none", a plain U-Net. `gate`:
    one number a pixel, or one for each channel of it. `context_dim`: 0, the sample is CLIP's
    embedding of the picture; else it is DA-CLIP's of the damage, of this length. `words`: how many
    words of damage modulate the blocks (of the residual host).
    """

    host: Literal["naf", "residual"] = "naf"
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)  # the last one is the bottleneck's
    encoder_blocks: tuple[int, ...] = (2, 2, 4, 6)
    middle_blocks: int = 4
    decoder_blocks: tuple[int, ...] = (2, 2, 2, 2)  # same order as the encoder: level 0 first
    sar: Literal["add", "subtract", "parallel", "decoder", "none"] = "add"
    gate: Literal["pixel", "channel"] = "pixel"
    prior: PriorConfig | None = field(default_factory=PriorConfig)  # None = no prior
    context_dim: int = 0
    words: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.prior, dict):  # read back from the JSON in a weights bundle
            object.__setattr__(self, "prior", PriorConfig(**self.prior))
        if self.words and not (self.context_dim and self.host == "residual"):
            raise ValueError(f"words need context_dim, and the residual host: {self}")
        if self.prior and self.context_dim and self.prior.sample_dim not in (0, self.context_dim):
            raise ValueError(f"the prior's sample is of length {self.context_dim}, too: {self}")


class WeatherContext(NamedTuple):
    """What conditions the network, computed once a picture by `WeatherUNet.context`."""

    tokens: Tensor | None  # (B or 1, N, width) of the prior
    words: Tensor | None  # (B or 1, words), summing to 1


class SpatialResidual(NamedTuple):
    """What the SAR of a level extracted; height and width are the level's."""

    features: Tensor  # f, (B, C, h, w): what the residual was extracted from
    residual: Tensor  # E = A * r, (B, C, h, w)
    gate: Tensor  # A, (B, 1 or C, h or more, w or more) in (0, 1): where the picture is damaged


class SAR(nn.Module):
    """One level of the SAR encoder: r = branch(f), A = gate([f; r]), E = A r, f + alpha E.

    `sar`, `gate`: of `WeatherConfig`; with "decoder" the gate's input is [what it is told; f; r].
    `cells`: a place has cells x cells gates, for finer ones than the features; r meets their mean.
    """

    def __init__(self, channels: int, sar: str, gate: str, cells: int = 1):
        super().__init__()
        self.cells = cells
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )
        gates = channels if gate == "channel" else cells**2
        self.gate = nn.Sequential(
            nn.Conv2d((3 if sar == "decoder" else 2) * channels, max(1, channels // 2), 1),
            nn.GELU(),
            nn.Conv2d(max(1, channels // 2), gates, 3, padding=1),
        )
        nn.init.constant_(self.gate[-1].bias, -2.0)  # A starts near 0.12: most areas are sound
        # Not 0: else the pixel loss would teach the gate nothing at first.
        first = torch.full((1, channels, 1, 1), 0.1)
        self.alpha = None if sar == "subtract" else nn.Parameter(first)

    def forward(self, features: Tensor, *told: Tensor) -> tuple[Tensor, SpatialResidual]:
        """Map (B, C, h, w) to the corrected features, and say what was extracted."""
        r = self.branch(features)
        gate = self.gate(torch.cat([*told, features, r], dim=1)).sigmoid()
        gate = F.pixel_shuffle(gate, self.cells)
        residual = F.avg_pool2d(gate, self.cells) * r
        correction = -residual if self.alpha is None else self.alpha * residual
        return features + correction, SpatialResidual(features, residual, gate)


class WeatherUNet(nn.Module):
    """Deterministic restorer `net(image, context)`; every picture of a batch on its own.

    `strides[i]` is how many px of the picture, along a side, a place of level i of the encoder
    stands for, and `gate_strides[i]` a gate: 1 px at level 0, but where gates are one a channel.
    `overlap` is a choice: channel attention averages over the whole input.
    `guided_by` says what `context` takes.
    """

    overlap = 64

    def __init__(self, config: WeatherConfig | None = None):
        super().__init__()
        self.config = config = config or WeatherConfig()
        widths, levels = config.widths, len(config.widths) - 1
        self.block_px = {"naf": 1, "residual": 2}[config.host]
        self.strides = tuple(self.block_px * 2**level for level in range(levels))
        finest = self.strides[0] if config.gate == "channel" else 1
        self.gate_strides = (finest, *self.strides[1:])
        self.multiple = self.block_px * 2**levels
        pixels = 3 * self.block_px**2
        predicted = {"naf": pixels, "residual": 2 * pixels}[config.host]  # residual; gain, residual

        def blocks(counts: tuple[int, ...]) -> nn.ModuleList:
            block = {"naf": NAFBlock, "residual": ResBlock}[config.host]
            return nn.ModuleList(
                nn.ModuleList(block(width, config.words or None) for _ in range(count))
                for count, width in zip(counts, widths, strict=False)
            )

        def downs() -> nn.ModuleList:
            return nn.ModuleList(
                nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(levels)
            )

        self.stem = nn.Conv2d(pixels, widths[0], 3, padding=1)
        *encoder, middle = blocks((*config.encoder_blocks, config.middle_blocks))
        self.encoder, self.middle = nn.ModuleList(encoder), middle
        self.down = downs()
        self.up = nn.ModuleList(
            nn.Conv2d(widths[i + 1], 4 * widths[i], 1, bias=False) for i in range(levels)
        )
        self.decoder = blocks(config.decoder_blocks)
        self.head = nn.Conv2d(widths[0], predicted, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if config.sar != "none":
            self.sar = nn.ModuleList(
                SAR(width, config.sar, config.gate, self.strides[level] // self.gate_strides[level])
                for level, width in enumerate(widths[:-1])
            )
        if config.sar == "parallel":
            self.sar_stem = nn.Conv2d(pixels, widths[0], 3, padding=1)
            self.sar_down = downs()
            self.join = nn.ModuleList(nn.Conv2d(2 * width, width, 1) for width in widths)
        if config.words:
            self.register_buffer("words", torch.zeros(config.words, config.context_dim))
        if config.prior is not None:
            self.prior = WeatherPrior(config.prior)
            self.attend = nn.ModuleList(  # the bottleneck's is the last
                PriorAttention(width, config.prior.width, config.prior.query) for width in widths
            )

    @property
    def maps_damage(self) -> bool:
        """Whether `damage` works."""
        return self.config.sar != "none"

    @property
    def guided_by(self) -> tuple[str, ...]:
        """What `context` takes."""
        prior, damage = self.config.prior, self.config.context_dim
        if prior is None and not self.config.words:
            return ()
        sample = "degradation" if damage else "semantics"
        return (sample, "places") if prior is not None and prior.grid_dim else (sample,)

    def context(self, sample: Tensor | None = None, grid: Tensor | None = None) -> WeatherContext:
        """Read a picture's embedding (B, D) and, where the prior asks, its places; None: zeros.

        Once for a picture: the context of one serves a batch of its tiles.
        """
        tokens = words = None
        if self.config.prior is not None:
            tokens = self.prior(sample, grid)
        if self.config.words:
            if sample is None:
                sample = self.words.new_zeros(1, self.config.context_dim)
            likeness = F.normalize(sample, dim=-1) @ F.normalize(self.words, dim=-1).T
            words = (Prompt.SHARPNESS * likeness).softmax(dim=-1)
        return WeatherContext(tokens, words)

    def damage(self, image: Tensor, context: WeatherContext | None = None) -> Tensor:
        """Say where (B, 3, H, W) in [0, 1] is damaged: (B, 1, H, W) in (0, 1).

        The gate of the finest level: its AUROC was above that of the mean of all levels.
        """
        h, w = image.shape[-2:]
        gate = self(image, context, maps=True)[1][0].gate.mean(dim=1, keepdim=True)
        scale = float(self.gate_strides[0])
        return F.interpolate(gate, scale_factor=scale, mode="bilinear")[..., :h, :w]

    def forward(
        self, image: Tensor, context: WeatherContext | None = None, maps: bool = False
    ) -> Tensor | tuple[Tensor, tuple[SpatialResidual, ...]]:
        """Restore (B, 3, H, W) in [0, 1], any H, W >= 1; not clamped.

        With `maps`, also return what the SAR of each level extracted, finest first; level i
        is ceil(H / strides[i]) high, its gate ceil(H / gate_strides[i]). Without a SAR encoder
        there is nothing to return.
        """
        if context is None:
            context = self.context()
        h, w = image.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(image, self.multiple), self.block_px)
        tokens, words = context
        x, skips, found = self._encode(x, words)
        for block in self.middle:
            x = block(x, words)
        if tokens is not None:
            x = self.attend[-1](x, tokens)
        for level in reversed(range(len(self.up))):
            x, skip = F.pixel_shuffle(self.up[level](x), 2), skips[level]
            x = x + skip
            if tokens is not None:
                x = self.attend[level](x, tokens)
            for block in self.decoder[level]:
                x = block(x, words)
            if self.config.sar == "decoder":
                x, extracted = self.sar[level](x, skip)
                found.insert(0, extracted)
        restored = self._applied(F.pixel_shuffle(self.head(x), self.block_px)[..., :h, :w], image)
        if not maps:
            return restored

        def cut(x: Tensor, stride: int) -> Tensor:
            return x[..., : -(-h // stride), : -(-w // stride)]

        return restored, tuple(
            SpatialResidual(
                cut(level.features, stride), cut(level.residual, stride), cut(level.gate, fine)
            )
            for level, stride, fine in zip(found, self.strides, self.gate_strides, strict=False)
        )

    def _encode(
        self, pixels: Tensor, words: Tensor | None
    ) -> tuple[Tensor, list[Tensor], list[SpatialResidual]]:
        """The bottleneck's input, the skips and what was extracted, finest level first."""
        sar = self.config.sar
        x = self.stem(pixels)
        damage = self.sar_stem(pixels) if sar == "parallel" else None
        skips, found = [], []
        for level, blocks in enumerate(self.encoder):
            for block in blocks:
                x = block(x, words)
            skip = x
            if sar == "parallel":
                damage, extracted = self.sar[level](damage)
                skip = self.join[level](torch.cat([x, extracted.residual], dim=1))
                damage = self.sar_down[level](damage)
                found.append(extracted)
            elif sar in ("add", "subtract"):
                skip, extracted = self.sar[level](x)
                x = skip
                found.append(extracted)
            skips.append(skip)
            x = self.down[level](x)
        if sar == "parallel":
            x = self.join[-1](torch.cat([x, damage], dim=1))
        return x, skips, found

    def _applied(self, predicted: Tensor, image: Tensor) -> Tensor:
        if self.config.host == "naf":
            return image + predicted
        gain, residual = predicted.chunk(2, dim=1)
        return image + torch.addcmul(residual, image, gain)
