"""Weather U-Net: a spatially-adaptive residual (SAR) encoder and a weather prior in a U-Net.

Paper: Tan et al., "Exploring the Application of Large-scale Pre-trained Models on Adverse Weather
Removal" (IEEE TIP 2024, arXiv 2306.09008). Independent implementation of the published idea: its
code is not public, and we know its abstract alone, which asks for "a Spatially-Adaptive Residual
(SAR) Encoder to extract degraded areas adaptively" and for an embedding of CLIP's weather prior by
cross-attention (`networks/prior.py`). No label of the weather is asked for.

Inferred, ours: the U-Net; a gated residual branch at every level of the encoder, before
down-sampling, that feeds both the skip and the next level, or of the decoder, which knows more of
the damage; a gate that is a soft map of it, which can be shown and taught
(`losses/distillation.py`); the prior at the bottleneck and at every level of the decoder. The
paper's parts plug into any U-Net, so there are two: one of NAFNet's blocks, with a global residual,
and the residual-convolution one for CPUs (`networks/resunet.py`: 2 x 2 pixel blocks, an affine map
of every pixel). Either starts as the identity.

The sample of the prior is CLIP's embedding of the picture or, ours, DA-CLIP's embedding of its
damage. That one can also modulate the blocks, as it does in `lite`, whose weights then are a start
(`WeatherUNet.start_from`): a gain and a shift for each word of damage, mixed by its likeness.

Weights: none published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import Blocks, pad_to_multiple, zeroed
from pellucid.networks.nafnet import NAFBlock
from pellucid.networks.prior import PriorAttention, PriorConfig, WeatherPrior
from pellucid.networks.resunet import Prompt, ResBlock, Statistics


@dataclass(frozen=True)
class WeatherConfig:
    """Sizes of a `WeatherUNet` and how "SAR encoder" is read.

    A level's extracted residual E is added to its features f: f + alpha E, with a learned alpha.
    """

    host: Literal["naf", "residual"] = "naf"
    """Blocks: those of NAFNet, or residual ones as in `ResUNet`."""
    widths: tuple[int, ...] = (32, 64, 128, 256, 512)
    """Channels of each level, finest first; the last is the bottleneck's."""
    encoder_blocks: tuple[int, ...] = (2, 2, 4, 6)
    """Blocks of each level of the encoder, finest first."""
    middle_blocks: int = 4
    """Blocks of the bottleneck."""
    decoder_blocks: tuple[int, ...] = (2, 2, 2, 2)
    """Blocks of each level of the decoder, finest first, too."""
    sar: Literal["add", "decoder", "none"] = "add"
    """Where E is added: "add", in the encoder; "decoder", at the end of each level of the decoder,
    whose gates then read the encoder's features, too; "none", nowhere: a plain U-Net."""
    prior: PriorConfig | None = field(default_factory=PriorConfig)
    """Sizes of the weather prior; None = no prior."""
    context_dim: int = 0
    """Length of DA-CLIP's embedding of the damage, the prior's sample; 0 = the sample is CLIP's
    embedding of the picture."""
    words: int = 0
    """How many words of damage modulate the blocks (of the residual host); 0 = none."""

    def __post_init__(self) -> None:
        if self.words and not (self.context_dim and self.host == "residual"):
            raise ValueError(f"words need context_dim, and the residual host: {self}")
        if self.prior and self.context_dim and self.prior.sample_dim not in (0, self.context_dim):
            raise ValueError(f"the prior's sample is of length {self.context_dim}, too: {self}")

    @property
    def semantic_dim(self) -> int:
        """Length of CLIP's embedding of the picture; 0 if it is not used."""
        return 0 if self.context_dim or self.prior is None else self.prior.sample_dim


class WeatherCondition(NamedTuple):
    """What conditions the network, computed once a picture by `WeatherUNet.condition`."""

    tokens: Tensor | None  # (B or 1, N, width) of the prior
    words: Tensor | None  # (B or 1, words), summing to 1


class SpatialResidual(NamedTuple):
    """What the SAR of a level extracted; height and width are the level's."""

    features: Tensor  # f, (B, C, h, w): what the residual was extracted from
    residual: Tensor  # E = A * r, (B, C, h, w)
    gate: Tensor  # A, (B, 1, h or more, w or more) in (0, 1): where the picture is damaged


class SAR(nn.Module):
    """One level of the SAR encoder: r = branch(f), A = gate([f; r]), E = A r, f + alpha E.

    With `told`, the gate's input is [features of the encoder; f; r]. `cells`: a place has cells x
    cells gates, for finer ones than the features; r is multiplied by their mean.
    """

    def __init__(self, channels: int, told: bool = False, cells: int = 1):
        super().__init__()
        self.cells = cells
        self.branch = nn.Sequential(
            nn.Conv2d(channels, channels, 1),
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 1),
        )
        inputs, middle = (3 if told else 2) * channels, max(1, channels // 2)
        last = nn.Conv2d(middle, cells**2, 3, padding=1)
        self.gate = nn.Sequential(nn.Conv2d(inputs, middle, 1), nn.GELU(), last)
        assert last.bias is not None
        nn.init.constant_(last.bias, -2.0)  # A starts near 0.12: most areas are sound
        # Not 0: else the pixel loss would teach the gate nothing at first.
        self.alpha = nn.Parameter(torch.full((1, channels, 1, 1), 0.1))

    def forward(self, features: Tensor, *told: Tensor) -> tuple[Tensor, SpatialResidual]:
        """Map (B, C, h, w) to the corrected features and what was extracted."""
        r = self.branch(features)
        gate = self.gate(torch.cat([*told, features, r], dim=1)).sigmoid()
        gate = F.pixel_shuffle(gate, self.cells)
        residual = F.avg_pool2d(gate, self.cells) * r
        return features + self.alpha * residual, SpatialResidual(features, residual, gate)


class WeatherUNet(RestorationNetwork):
    """Deterministic restorer `net(image, condition)`; every picture of a batch on its own.

    `strides[i]` is how many px of the picture, along a side, a place of level i of the encoder
    stands for, and `gate_strides[i]` a gate: 1 px at level 0.
    """

    words: Tensor

    def __init__(self, config: WeatherConfig | None = None):
        super().__init__()
        self.config = config = config or WeatherConfig()
        widths, levels = config.widths, len(config.widths) - 1
        self.block_px = {"naf": 1, "residual": 2}[config.host]
        self.strides = tuple(self.block_px * 2**level for level in range(levels))
        self.gate_strides = (1, *self.strides[1:])
        self.multiple = self.block_px * 2**levels
        self.maps_damage = config.sar != "none"
        self.needs = self._needs(config)
        pixels = 3 * self.block_px**2
        predicted = {"naf": pixels, "residual": 2 * pixels}[config.host]  # residual; gain, residual

        def blocks(counts: tuple[int, ...]) -> nn.ModuleList:
            block = {"naf": NAFBlock, "residual": ResBlock}[config.host]
            return nn.ModuleList(
                Blocks(block(width, config.words or None) for _ in range(count))
                for count, width in zip(counts, widths, strict=False)
            )

        self.stem = nn.Conv2d(pixels, widths[0], 3, padding=1)
        *encoder, middle = blocks((*config.encoder_blocks, config.middle_blocks))
        self.encoder, self.middle = nn.ModuleList(encoder), middle
        self.down = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(levels)
        )
        self.up = nn.ModuleList(
            nn.Conv2d(widths[i + 1], 4 * widths[i], 1, bias=False) for i in range(levels)
        )
        self.decoder = blocks(config.decoder_blocks)
        self.head = zeroed(nn.Conv2d(widths[0], predicted, 3, padding=1))
        if config.sar != "none":
            self.sar = nn.ModuleList(
                SAR(width, config.sar == "decoder", stride // fine)
                for width, stride, fine in zip(
                    widths, self.strides, self.gate_strides, strict=False
                )
            )
        if config.words:
            self.register_buffer("words", torch.zeros(config.words, config.context_dim))
        if config.prior is not None:
            self.prior = WeatherPrior(config.prior)
            self.attend = nn.ModuleList(  # the bottleneck's is the last
                PriorAttention(width, config.prior.width) for width in widths
            )

    @property
    def word_embeddings(self) -> Tensor | None:
        """See `RestorationNetwork`."""
        return self.words if self.config.words else None

    @staticmethod
    def _needs(config: WeatherConfig) -> frozenset[str]:
        prior, found = config.prior, set()
        if prior is not None or config.words:
            found.add("degradation" if config.context_dim else "semantics")
        return frozenset(found)

    def condition(self, image: Tensor, guidance: Guidance) -> WeatherCondition:
        """Read the sample of the prior; the image itself is not used.

        The sample is `guidance.degradation`, or the last vector of `guidance.semantics` if
        `context_dim` is 0. A missing one counts as zeros.
        """
        if self.config.context_dim:
            sample = guidance.degradation
        else:
            sample = None if guidance.semantics is None else guidance.semantics[:, -1]
        tokens = words = None
        if self.config.prior is not None:
            tokens = self.prior(sample)
        if self.config.words:
            if sample is None:
                sample = self.words.new_zeros(1, self.config.context_dim)
            likeness = F.normalize(sample, dim=-1) @ F.normalize(self.words, dim=-1).T
            words = (Prompt.SHARPNESS * likeness).softmax(dim=-1)
        return WeatherCondition(tokens, words)

    def damage(self, image: Tensor, condition: WeatherCondition) -> Tensor:
        """Say where (B, 3, H, W) in [0, 1] is damaged: (B, 1, H, W) in (0, 1).

        The gate of the finest level: its AUROC was above that of the mean of all levels.
        """
        h, w = image.shape[-2:]
        gate = self(image, condition, maps=True)[1][0].gate.mean(dim=1, keepdim=True)
        scale = float(self.gate_strides[0])
        return F.interpolate(gate, scale_factor=scale, mode="bilinear")[..., :h, :w]

    def forward(self, image: Tensor, condition: WeatherCondition, maps: bool = False) -> Any:
        """Restore (B, 3, H, W) in [0, 1], any H, W >= 1; not clamped.

        With `maps`, also return what the SAR of each level extracted, a tuple of `SpatialResidual`,
        finest first; level i is ceil(H / strides[i]) high, its gate ceil(H / gate_strides[i]).
        Without a SAR encoder the tuple is empty.
        """
        h, w = image.shape[-2:]
        x = F.pixel_unshuffle(pad_to_multiple(image, self.multiple), self.block_px)
        tokens, words = condition
        x, skips, found = self._encode(x, words)
        x = self.middle(x, words)
        if tokens is not None:
            x = self.attend[-1](x, tokens)
        for level in reversed(range(len(self.up))):
            x, skip = F.pixel_shuffle(self.up[level](x), 2), skips[level]
            x = x + skip
            if tokens is not None:
                x = self.attend[level](x, tokens)
            x = self.decoder[level](x, words)
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
        x = self.stem(pixels)
        skips, found = [], []
        for level, blocks in enumerate(self.encoder):
            x = blocks(x, words)
            if self.config.sar == "add":
                x, extracted = self.sar[level](x)
                found.append(extracted)
            skips.append(x)
            x = self.down[level](x)
        return x, skips, found

    def _applied(self, predicted: Tensor, image: Tensor) -> Tensor:
        if self.config.host == "naf":
            return image + predicted
        gain, residual = predicted.chunk(2, dim=1)
        return image + torch.addcmul(residual, image, gain)

    def start_from(
        self, kind: str, config: Mapping[str, Any], state: Mapping[str, Tensor]
    ) -> Mapping[str, Tensor]:
        """Translate the weights of a `ResUNet` with words, for the residual host.

        A block's modulation becomes one gain and shift a word: exact for a picture with one word, a
        straight mixture for others. Without `config.words` their mean is folded into the
        convolutions. Of statistics only what an even spread of brightness gives is kept, so a
        network that has them is not met exactly. The content embedding is left out; SAR encoder and
        prior are missing.
        """
        if kind != "resunet":
            return state
        prompt = Prompt(config["context_dim"], config["embed_dim"], config["words"])
        parts = {n.removeprefix("prompt."): v for n, v in state.items() if n.startswith("prompt.")}
        prompt.load_state_dict(parts)
        words = prompt.words
        left = ("prompt.", "cross_attention.", "statistics.")
        kept = {n: v for n, v in state.items() if not n.startswith(left)}
        with torch.no_grad():
            told = prompt(words)
            if config.get("statistics"):
                told = told + _read_evenly(state, told)
        for weight in [name for name in kept if name.endswith("modulation.weight")]:
            bias, block = weight.replace("weight", "bias"), weight.removesuffix("modulation.weight")
            moved = told @ kept[weight].float().T + kept[bias].float()  # (words, 2 C)
            if self.config.words:
                kept[weight] = (moved - kept[bias].float()).T.contiguous()
                continue
            gain, shift = moved.mean(dim=0).chunk(2)
            conv, offset = f"{block}conv1.weight", f"{block}conv1.bias"
            kept[conv] = kept[conv].float() * (1 + gain).view(-1, 1, 1, 1)
            kept[offset] = kept[offset].float() * (1 + gain) + shift
            del kept[weight], kept[bias]
        return {**kept, "words": words.clone()} if self.config.words else kept


def _read_evenly(state: Mapping[str, Tensor], prompts: Tensor) -> Tensor:
    """What `Statistics` reads beside the prompts where every brightness is as frequent."""
    reads = Statistics(prompts.shape[1])
    start = "statistics."
    reads.load_state_dict(
        {n.removeprefix(start): v for n, v in state.items() if n.startswith(start)}
    )
    even = torch.linspace(0, 1, Statistics.MOST).repeat_interleave(Statistics.BLOCK)
    return reads(even.view(1, 1, -1, 1).expand(len(prompts), 3, -1, Statistics.BLOCK), prompts)
