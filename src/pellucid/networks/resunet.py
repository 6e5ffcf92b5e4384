"""A plain residual-convolution U-Net with DA-CLIP conditioning: the fast network for CPUs.

Ours; no paper describes it. It is built from what CPU matrix units like (dense 3x3 convolutions on
64 or more channels, no normalisation, no attention, no depthwise convolution), works on 2x2 pixel
blocks (pixel-unshuffle, as FFDNet does) and predicts what to do with each pixel: an affine map,
`x * (1 + gain) + residual`, since haze, darkness and shadow multiply the light. The conditioning
follows DA-CLIP (ICLR 2024, sections 3.3 and 3.4 and the official U-Net): the degradation embedding
selects from a learned prompt and modulates every block by scale and shift, together with the time
embedding in the diffusion version; the content embedding enters the deeper levels by cross-
attention over one token, which is a bias per image. Both start at zero, so the untrained
conditioning changes nothing. With `statistics` the light of the whole picture modulates every
block as well, with or without a prompt.

Weights: the project's own `lite` and `lite-sde` (Apache-2.0).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import Blocks, pad_to_multiple, sinusoidal, zeroed


@dataclass(frozen=True)
class ResUNetConfig:
    """Sizes of a `ResUNet`; level `i` works at 1 / 2^(i+1) of the image's resolution."""

    widths: tuple[int, ...] = (48, 80, 128, 192)
    """Channels of each level, finest first; the last is the bottleneck's."""
    encoder_blocks: tuple[int, ...] = (1, 2, 2)
    """Blocks of each level of the encoder, finest first."""
    middle_blocks: int = 2
    """Blocks of the bottleneck."""
    decoder_blocks: tuple[int, ...] = (1, 2, 2)
    """Blocks of each level of the decoder, finest first, too."""
    context_dim: int = 256
    """Length of the DA-CLIP embeddings."""
    embed_dim: int = 128
    """Length of the vector that modulates the blocks."""
    content_levels: int = 2
    """How many of the deepest levels receive the content embedding."""
    words: int = 0
    """Words that the degradation embedding is read as; 0 = as it is (DA-CLIP)."""
    statistics: bool = False
    """Whether picture-wide statistics modulate the blocks, too."""


class Condition(NamedTuple):
    """What conditions the network, computed once per image by `ResUNet.condition`."""

    embedding: Tensor  # (B, embed_dim)
    content: tuple[Tensor, ...]  # one (B, C, 1, 1) bias per content level, deepest last


class ResBlock(nn.Module):
    """`x + conv(silu(modulate(conv(x))))`; the second convolution starts at zero.

    With `embed_dim` None there is no modulation, and the embedding is None.
    """

    def __init__(self, channels: int, embed_dim: int | None):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        if embed_dim is not None:
            self.modulation = zeroed(nn.Linear(embed_dim, 2 * channels))
        nn.init.kaiming_normal_(self.conv1.weight, nonlinearity="relu")
        zeroed(self.conv2)

    def forward(self, x: Tensor, embedding: Tensor | None) -> Tensor:
        h = self.conv1(x)
        if embedding is not None:
            scale, shift = self.modulation(embedding)[:, :, None, None].chunk(2, dim=1)
            h = torch.addcmul(shift, h, 1 + scale)
        return x + self.conv2(F.silu(h, inplace=not torch.is_grad_enabled()))


class OneTokenCrossAttention(nn.Module):
    """Cross-attention over a single token: softmax over one key is 1, so only value and output
    remain."""

    def __init__(self, context_dim: int, channels: int):
        super().__init__()
        self.to_v = nn.Linear(context_dim, channels, bias=False)
        self.to_out = zeroed(nn.Linear(channels, channels))

    def forward(self, content: Tensor) -> Tensor:
        return self.to_out(self.to_v(content))[:, :, None, None]


class Prompt(nn.Module):
    """DA-CLIP's prompt module: the degradation embedding weighs a learned prompt (official U-Net
    code).

    Ours: with `words`, embeddings `(n, context_dim)` of the words of damage, the embedding is
    first replaced by their mean, weighted by `softmax(SHARPNESS * cosine)`. So the network meets
    little else than what it was trained on; a single embedding off that set can make a network
    without norms overflow.
    """

    SHARPNESS = 30.0
    words: Tensor

    def __init__(self, context_dim: int, embed_dim: int, words: int = 0):
        super().__init__()
        self.weigh = nn.Sequential(
            nn.Linear(context_dim, embed_dim), nn.SiLU(), nn.Linear(embed_dim, embed_dim)
        )
        self.prompt = nn.Parameter(torch.randn(embed_dim))
        self.out = nn.Linear(embed_dim, embed_dim)
        if words:
            self.register_buffer("words", torch.zeros(words, context_dim))

    def forward(self, degradation: Tensor) -> Tensor:
        """Make the prompt of an embedding `(B, context_dim)`; zeros are no guidance."""
        # Only the direction counts: the text embedding of a word can stand in for an image's.
        degradation = F.normalize(degradation, dim=-1)
        if hasattr(self, "words"):
            words = F.normalize(self.words, dim=-1)
            degradation = (self.SHARPNESS * degradation @ words.T).softmax(dim=-1) @ words
            degradation = F.normalize(degradation, dim=-1)
        # Multiplied by its length, the softmax has mean 1 and the prompt keeps its scale.
        weights = self.weigh(degradation * degradation.shape[-1] ** 0.5).softmax(dim=-1)
        return self.out(weights * self.prompt.numel() * self.prompt)


class Statistics(nn.Module):
    """Modulation by the light of the whole picture (ours): quantiles of its channels.

    Haze, darkness, a colour cast and shadow show in how the brightness of each channel, and of the
    darkest channel of each pixel (He et al. 2009), is distributed. Means of 4x4 px are read, so
    that noise and streaks count little.
    """

    QUANTILES = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
    BLOCK = 4
    MOST = 256  # blocks read along each side, evenly spread

    def __init__(self, embed_dim: int):
        super().__init__()
        inputs = 4 * len(self.QUANTILES) + embed_dim
        self.read = nn.Sequential(
            nn.Linear(inputs, embed_dim), nn.SiLU(), nn.Linear(embed_dim, embed_dim)
        )

    def forward(self, image: Tensor, prompt: Tensor) -> Tensor:
        """Embed the statistics of `(B, 3, H, W)` in [0, 1], as `(B, embed_dim)`.

        The prompt is `(B or 1, embed_dim)`.
        """
        small = min(image.shape[-2:]) < self.BLOCK
        means = image if small else F.avg_pool2d(image, self.BLOCK)
        # Not -(-side // MOST): exporters of graphs divide towards zero.
        rows, columns = ((side + self.MOST - 1) // self.MOST for side in means.shape[-2:])
        means = means[..., ::rows, ::columns].float()
        values = torch.cat([means, means.amin(1, keepdim=True)], 1).flatten(2)
        points = torch.tensor(self.QUANTILES, device=values.device)
        quantiles = values.quantile(points, dim=-1).permute(1, 2, 0).flatten(1)
        spread = 4 * (quantiles - 0.5).to(prompt.dtype)  # of variance near 1 over photographs
        return self.read(torch.cat([spread, prompt.expand(len(spread), -1)], 1))


class ResUNet(RestorationNetwork):
    """Deterministic restorer: `net(image, condition)` with image `(B, 3, H, W)` in [0, 1], any
    H, W >= 1."""

    in_channels = 3
    needs = frozenset({"degradation", "content"})

    def __init__(self, config: ResUNetConfig | None = None):
        super().__init__()
        self.config = config = config or ResUNetConfig()
        widths, embed = config.widths, config.embed_dim
        levels = len(widths) - 1
        self.multiple = 2 ** (levels + 1)
        self.overlap = 2 * self._reach()

        def blocks(count: int, width: int) -> Blocks:
            return Blocks(ResBlock(width, embed) for _ in range(count))

        self.prompt = Prompt(config.context_dim, embed, config.words)
        if config.statistics:
            self.statistics = Statistics(embed)
        self.unguided = config.statistics  # only such networks were trained so
        self.cross_attention = nn.ModuleList(
            OneTokenCrossAttention(config.context_dim, w) for w in widths[-config.content_levels :]
        )
        self.stem = nn.Conv2d(4 * self.in_channels, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(
            blocks(n, w) for n, w in zip(config.encoder_blocks, widths, strict=False)
        )
        self.down = nn.ModuleList(
            nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in range(levels)
        )
        self.middle = blocks(config.middle_blocks, widths[-1])
        self.up = nn.ModuleList(
            nn.Conv2d(widths[i + 1], 4 * widths[i], 1, bias=False) for i in range(levels)
        )
        self.decoder = nn.ModuleList(
            blocks(n, w) for n, w in zip(config.decoder_blocks, widths, strict=False)
        )
        self.head = zeroed(nn.Conv2d(widths[0], 2 * 12, 3, padding=1))
        self._initialise()

    def _initialise(self) -> None:
        """Keep the variance of features through the depth.

        PyTorch's own initial kernels are smaller by sqrt(6). Without norms that is much too small:
        the features vanish, and the training starts slowly.
        """
        for conv in (self.stem, *self.down, *self.up):
            assert isinstance(conv, nn.Conv2d)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")

    def _reach(self) -> int:
        """Receptive field on one side, in px: how far a pixel can influence another."""
        c = self.config
        convs = [2 * (e + d) for e, d in zip(c.encoder_blocks, c.decoder_blocks, strict=True)]
        convs[0] += 2  # stem and head
        convs.append(2 * c.middle_blocks)
        # a 2x2 strided convolution and the pixel-shuffle add at most one block of their level
        return sum((n + 1) * 2 ** (level + 1) for level, n in enumerate(convs))

    @property
    def word_embeddings(self) -> Tensor | None:
        """See `RestorationNetwork`."""
        return self.prompt.words if self.config.words else None

    def condition(self, image: Tensor, guidance: Guidance) -> Condition:
        """Condition on DA-CLIP's embeddings.

        Without a degradation embedding, or with a row of zeros, the network is unguided, as a share
        of the samples in its training is (`context_dropout`).
        """
        degradation, content = guidance.degradation, guidance.content
        reference = self.stem.weight
        if degradation is None:
            degradation = reference.new_zeros(1, self.config.context_dim)
        embedding = self.prompt(degradation)
        if self.config.statistics:
            embedding = embedding + self.statistics(image, embedding)
        if content is None:
            biases = tuple(reference.new_zeros(1, 1, 1, 1) for _ in self.cross_attention)
        else:
            biases = tuple(attend(content) for attend in self.cross_attention)
        return Condition(embedding, biases)

    def forward(self, image: Tensor, condition: Condition) -> Tensor:
        return self.mapped(image, image, condition.embedding, condition.content)

    def mapped(
        self,
        picture: Tensor,
        x: Tensor,
        embedding: Tensor,
        content: tuple[Tensor, ...],
        adapters: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> Tensor:
        """Apply to `picture` `(B, 3, H, W)` the affine map that the body reads from `x`
        `(B, in_channels, H, W)`."""
        gain, residual = self.body(x, embedding, content, adapters).chunk(2, dim=1)
        return picture + torch.addcmul(residual, picture, gain)

    def body(
        self,
        x: Tensor,
        embedding: Tensor,
        content: tuple[Tensor, ...],
        adapters: Sequence[Callable[[Tensor], Tensor]] = (),
    ) -> Tensor:
        """Read gain and residual, `(B, 6, H, W)`, from `(B, in_channels, H, W)`.

        `adapters`, one a level if any, change what enters the decoder's levels and, the last,
        the middle.
        """
        h, w = x.shape[-2:]
        x = self.stem(F.pixel_unshuffle(pad_to_multiple(x, self.multiple), 2))
        first = len(self.encoder) + 1 - len(content)  # the first level with content
        skips = []
        for level, (blocks, down) in enumerate(zip(self.encoder, self.down, strict=True)):
            if level >= first:
                x = x + content[level - first].to(x.dtype)
            x = blocks(x, embedding)
            skips.append(x)
            x = down(x)
        if content:
            x = x + content[-1].to(x.dtype)
        if adapters:
            x = adapters[-1](x)
        x = self.middle(x, embedding)
        for level in reversed(range(len(self.decoder))):
            x = F.pixel_shuffle(self.up[level](x), 2) + skips.pop()
            if adapters:
                x = adapters[level](x)
            x = self.decoder[level](x, embedding)
        return F.pixel_shuffle(self.head(x), 2)[..., :h, :w]


class DiffusionResUNet(ResUNet):
    """Denoiser of the mean-reverting SDE: `net(x, mu, t, condition)` predicts the clean image x0.

    Input `[x - mu, mu]` as in the official DA-CLIP U-Net; `t` is `(B,)` in steps, 1..T. The
    affine map is applied to `mu`, so the weights of a trained `ResUNet` are a good start.
    """

    in_channels = 6

    def __init__(self, config: ResUNetConfig | None = None):
        super().__init__(config)
        embed = self.config.embed_dim
        self.time = nn.Sequential(nn.Linear(64, embed), nn.SiLU(), nn.Linear(embed, embed))

    def forward(self, x: Tensor, mu: Tensor, t: Tensor, condition: Condition) -> Tensor:
        time = self.time(sinusoidal(t, 64).to(self.stem.weight.dtype))
        x = torch.cat([x - mu, mu], 1)
        return self.mapped(mu, x, condition.embedding + time, condition.content)
