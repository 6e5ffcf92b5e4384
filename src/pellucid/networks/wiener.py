"""Blind deconvolution: a blur kernel estimated for the picture, Wiener filters, and a U-Net.

Where a blur is the same everywhere, a kernel of some hundred numbers explains it, and with the
kernel known most of it can be undone. So this network estimates the kernel first. It reads it from
correlations of the picture with itself. If gradients were independent of each other, the second
order would be the kernel's own autocorrelation; the fourth (a cumulant) that of its cube and the
kernel if they are sparse as well, and tells one end of a motion from the other. Then, as blind
deconvolution does in turns (Cho and Lee, SIGGRAPH Asia 2009), it sharpens the luma and fits the
kernel by which the sharp gradients give the blurred ones, in closed form; a small network joins
both. The picture is filtered with the kernel's inverse (Wiener) at several strengths, and a U-Net
chooses among the results and mends what they leave, like deep Wiener deconvolution (Dong et al.,
NeurIPS 2020). The whole and its sizes are ours; no official code was used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.layers import Blocks, pad_to_multiple, zeroed
from pellucid.networks.resunet import ResBlock

SMALLEST = 64  # px, of the sides of pictures; smaller ones are continued
LUMA = 0.299, 0.587, 0.114
BORDER = 32  # px, mirrored around a picture before its spectrum is changed
STRENGTHS = (2e-3, 1e-2, 5e-2)  # of the Wiener filters, where the network asks for no others


@dataclass(frozen=True)
class WienerUNetConfig:
    """Sizes of a `WienerUNet`; level `i` of the U-Net works at 1 / 2^(i+1) of the resolution."""

    reach: int = 24
    """How far the kernel reaches to each side, in px."""
    look: int = 256
    """Side of the windows in which larger pictures are looked at, in px."""
    embed_dim: int = 128
    """Length of the vector that modulates the blocks."""
    widths: tuple[int, ...] = (48, 80, 128)
    """Channels of each level, finest first."""
    blocks: tuple[int, ...] = (1, 1, 2)
    """Blocks of each level, on the way down and up again; those of the last, the middle, once."""


class Blur(NamedTuple):
    """What is known of the blur of B pictures, each looked at in n windows of h x w px."""

    embedding: Tensor  # (B, embed_dim)
    kernel: Tensor  # (B, S, S), S = 2 * reach + 1, sum 1
    strengths: Tensor  # (B, 3), of the Wiener filters
    first: Tensor  # (B, S, S), the kernel before it was fitted
    sharp: Tensor  # (B * n, 1, h, w), luma

    @property
    def extent(self) -> Tensor:
        """Standard deviation of the kernel, in px: `(B,)`, 0 where nothing is blurred."""
        place = torch.arange(self.kernel.shape[-1], device=self.kernel.device)
        variance = 0.0
        for line in (self.kernel.sum(1), self.kernel.sum(2)):
            variance = variance + (line * place**2).sum(1) - (line * place).sum(1) ** 2
        return variance.clamp(min=0).sqrt()


class WienerUNet(RestorationNetwork):
    """Deterministic restorer: `net(image, blur)` with image `(B, 3, H, W)` in [0, 1]."""

    overlap = 256
    unguided = True
    graphs = False  # runtimes fail at Fourier transforms of any size

    def __init__(self, config: WienerUNetConfig | None = None):
        """Make it with random weights.

        Raises:
            ValueError: the kernel's reach or the side of the windows does not fit the spectra.
        """
        super().__init__()
        self.config = config = config or WienerUNetConfig()
        widths, embed = config.widths, config.embed_dim
        if not (1 <= config.reach < BORDER and config.look >= SMALLEST):
            raise ValueError(
                f"reach {config.reach} is not from 1 to {BORDER - 1}, "
                f"or look {config.look} is below {SMALLEST}"
            )
        self.multiple = 2 ** len(widths)
        levels = range(len(widths) - 1)

        def blocks(level: int) -> Blocks:
            return Blocks(ResBlock(widths[level], embed) for _ in range(config.blocks[level]))

        self.kernel = KernelEstimator(config)
        choices = 1 + len(STRENGTHS)
        self.stem = nn.Conv2d(4 * 3 * choices, widths[0], 3, padding=1)
        self.encoder = nn.ModuleList(blocks(level) for level in levels)
        self.down = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 2, stride=2) for i in levels)
        self.middle = blocks(len(widths) - 1)
        self.up = nn.ModuleList(
            nn.Conv2d(widths[i + 1], 4 * widths[i], 1, bias=False) for i in levels
        )
        self.decoder = nn.ModuleList(blocks(level) for level in levels)
        self.head = zeroed(nn.Conv2d(widths[0], 4 * (3 + choices), 3, padding=1))
        _keep_variance(self.stem, *self.down, *self.up)

    def condition(self, image: Tensor, guidance: Guidance) -> Blur:
        """Estimate the blur of whole pictures; nothing of the guidance is used."""
        with torch.autocast(image.device.type, enabled=False):
            return self.kernel(image.float())

    def forward(self, image: Tensor, condition: Blur) -> Tensor:
        h, w = image.shape[-2:]
        image = pad_to_multiple(image, self.multiple)
        with torch.autocast(image.device.type, enabled=False):
            filtered = wiener(image.float(), condition.kernel, condition.strengths)
        choices = torch.cat([image[:, None], filtered], 1)
        x = self.stem(F.pixel_unshuffle(choices.flatten(1, 2), 2))
        skips = []
        for blocks, down in zip(self.encoder, self.down, strict=True):
            x = blocks(x, condition.embedding)
            skips.append(x)
            x = down(x)
        x = self.middle(x, condition.embedding)
        for level in reversed(range(len(self.decoder))):
            x = F.pixel_shuffle(self.up[level](x), 2) + skips.pop()
            x = self.decoder[level](x, condition.embedding)
        residual, shares = F.pixel_shuffle(self.head(x), 2).split([3, choices.shape[1]], 1)
        return (_chosen(choices, shares) + residual)[..., :h, :w]

    def terms(self, damaged: Tensor, clean: Tensor, condition: Blur) -> dict[str, Tensor]:
        """Two terms for training: how badly the kernels explain the blur, and the sharp luma.

        The first is the sum of the mean logarithms of `unexplained` for both kernels, the second
        the negative PSNR, up to 40 dB; they are weighted to go with a loss in dB.
        """
        kernels = condition.first, condition.kernel
        first, last = (unexplained(damaged, clean, kernel).log().mean() for kernel in kernels)
        clean_luma = luma(windows(clean, self.config.look))
        h, w = clean_luma.shape[-2:]
        wrong = condition.sharp[..., :h, :w] - clean_luma
        sharp = 10 * (wrong.square().mean((1, 2, 3)) + 1e-4).log10().mean()
        return {"kernel": 2.5 * (0.5 * first + last), "sharp": 0.3 * sharp}


class KernelEstimator(nn.Module):
    """Estimate the blur kernel of pictures `(B, 3, H, W)` in [0, 1]: see the module's docstring."""

    MAPS = 8
    STATISTICS = 6

    def __init__(self, config: WienerUNetConfig):
        super().__init__()
        embed, self.reach, self.look = config.embed_dim, config.reach, config.look
        self.spectrogram = Spectrogram(embed)
        self.statistics = nn.Linear(self.STATISTICS, embed)
        self.prompt = nn.Sequential(nn.SiLU(), nn.Linear(embed, embed))
        self.first = MapReader(self.MAPS, embed, (32, 64))
        self.mix = nn.Sequential(nn.Linear(2 * embed, embed), nn.SiLU(), nn.Linear(embed, embed))
        self.sharpen = Sharpener(embed)
        self.second = MapReader(self.MAPS + 3, embed, (24, 48))
        self.strengths = zeroed(nn.Linear(embed, len(STRENGTHS)))
        self.sharpening = zeroed(nn.Linear(embed, len(STRENGTHS)))
        place = torch.arange(2 * self.reach + 1) - self.reach
        bump = -0.02 * (place[:, None] ** 2 + place**2)  # a Gaussian of sigma 5 px to begin with
        self.register_buffer("bump", bump, persistent=False)

    def forward(self, image: Tensor) -> Blur:
        count = len(image)
        bottom, right = (max(0, SMALLEST - side) for side in image.shape[-2:])
        if bottom or right:
            image = F.pad(image, (0, right, 0, bottom), mode="replicate")
        y = luma(windows(image, self.look))
        maps = correlations(y, self.reach)
        n = len(y) // count  # windows of a picture

        def mean(x: Tensor) -> Tensor:
            return x.unflatten(0, (count, n)).mean(1)

        maps = mean(maps)
        spectrum = self.spectrogram(maps[:, :3:2].mean(1))
        embedding = _bounded(self.prompt(spectrum + self.statistics(mean(statistics(y)) / 4)))
        logits, pooled = self.first(maps, embedding)
        logits = 4 * logits + self.bump
        first = _kernel(logits)
        embedding = _bounded(self.mix(torch.cat([embedding, pooled], 1)))
        *levels, ridge = _strengths(self.sharpening(embedding)).unbind(1)

        def each(x: Tensor) -> Tensor:
            return x.repeat_interleave(n, 0)

        filtered = wiener(y, each(first), each(torch.stack(levels, 1)))
        sharp = self.sharpen(torch.cat([y, filtered[:, :, 0]], 1), each(embedding))
        fitted = fit(sharp, y, each(ridge), self.reach, n)
        seen = torch.stack([30 * first, 30 * fitted, (first + 1e-5).log() / 4], 1)
        change, pooled = self.second(torch.cat([seen, maps], 1), embedding)
        embedding = _bounded(embedding + pooled)
        kernel = _kernel(logits + 4 * change)
        return Blur(embedding, kernel, _strengths(self.strengths(embedding)), first, sharp)


class Spectrogram(nn.Module):
    """Embed the logarithmic power spectrum of gradients, as Blackman and Tukey estimate it.

    It is the Fourier transform of the correlation, tapered. For photographs it is about flat, so
    what is left is the kernel's.
    """

    SIDE = 64

    def __init__(self, embed_dim: int):
        super().__init__()
        values = self.SIDE * (self.SIDE // 2 + 1)
        self.read = nn.Sequential(nn.Linear(values, 256), nn.SiLU(), nn.Linear(256, embed_dim))

    def forward(self, correlation: Tensor) -> Tensor:
        """Read the correlation of gradients, `(B, S, S)`, 1 without shift; `(B, embed_dim)`."""
        side = correlation.shape[-1]
        taper = torch.hann_window(side + 2, periodic=False, device=correlation.device)[1:-1]
        power = _transfer(correlation * taper[:, None] * taper, (self.SIDE, self.SIDE))[..., 0]
        power = (power.relu() + 1e-3).log()
        power = power - power.mean((1, 2), keepdim=True)
        return self.read(0.5 * power.flatten(1))


class MapReader(nn.Module):
    """Read maps `(B, C, S, S)`: a change of the kernel's logits, and a vector."""

    def __init__(self, maps: int, embed_dim: int, widths: tuple[int, int]):
        super().__init__()
        outer, inner = widths
        self.stem = nn.Conv2d(maps, outer, 5, padding=2)
        self.before = ResBlock(outer, embed_dim)
        self.down = nn.Conv2d(outer, inner, 3, stride=2, padding=1)
        self.inner = Blocks(ResBlock(inner, embed_dim) for _ in range(3))
        self.pooled = nn.Linear(2 * inner, embed_dim)
        self.up = nn.Conv2d(inner, outer, 3, padding=1)
        self.after = ResBlock(outer, embed_dim)
        self.head = zeroed(nn.Conv2d(outer, 1, 3, padding=1))
        _keep_variance(self.stem, self.down, self.up)

    def forward(self, maps: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Return `(B, S, S)` and `(B, embed_dim)`."""
        x = self.before(self.stem(maps), embedding)
        inner = self.inner(self.down(x), embedding)
        pooled = torch.cat([F.silu(inner).mean((2, 3)), inner.amax((2, 3)) / 4], 1)
        wide = F.interpolate(inner, x.shape[-2:], mode="bilinear", align_corners=True)
        x = self.after(x + self.up(wide), embedding)
        return self.head(F.silu(x))[:, 0], self.pooled(pooled)


class Sharpener(nn.Module):
    """Sharpen luma, given itself and two versions by Wiener filters, `(B, 3, H, W)`."""

    def __init__(self, embed_dim: int, width: int = 24, inner: int = 48):
        super().__init__()
        self.stem = nn.Conv2d(4 * 3, width, 3, padding=1)
        self.block = ResBlock(width, embed_dim)
        self.down = nn.Conv2d(width, inner, 2, stride=2)
        self.inner = ResBlock(inner, embed_dim)
        self.up = nn.Conv2d(inner, 4 * width, 1, bias=False)
        self.head = zeroed(nn.Conv2d(width, 4 * 4, 3, padding=1))
        _keep_variance(self.stem, self.down, self.up)

    def forward(self, choices: Tensor, embedding: Tensor) -> Tensor:
        """Return `(B, 1, H, W)`."""
        h, w = choices.shape[-2:]
        choices = pad_to_multiple(choices, 4)
        x = self.block(self.stem(F.pixel_unshuffle(choices, 2)), embedding)
        x = x + F.pixel_shuffle(self.up(self.inner(self.down(x), embedding)), 2)
        residual, shares = F.pixel_shuffle(self.head(F.silu(x)), 2).split([1, 3], 1)
        return (_chosen(choices[:, :, None], shares) + residual)[..., :h, :w]


def luma(image: Tensor) -> Tensor:
    """Luma (ITU-R BT.601) of `(B, 3, H, W)`, as `(B, 1, H, W)`."""
    return (image * image.new_tensor(LUMA)[:, None, None]).sum(1, keepdim=True)


def windows(image: Tensor, side: int) -> Tensor:
    """Windows of `(B, 3, H, W)`, as `(B * n, 3, h, w)`; h and w are `side` or a shorter side's.

    A picture of twice that or less is one window, its middle. Along a side that is longer there are
    three, evenly spread.
    """

    def cuts(length: int) -> list[slice]:
        if length <= 2 * side:
            first = max(0, length - side) // 2
            return [slice(first, first + min(length, side))]
        free = length - side
        return [slice(at, at + side) for at in (free // 6, free // 2, free - free // 6)]

    rows, columns = (cuts(length) for length in image.shape[-2:])
    return torch.stack([image[..., y, x] for y in rows for x in columns], 1).flatten(0, 1)


def statistics(y: Tensor) -> Tensor:
    """Brightness, contrast, and how strong gradients and noise are, `(B, 6)`."""
    dx, dy = _gradients(y)
    inner = y[:, 0, 1:-1, 1:-1]
    around = y[:, 0, 1:-1, :-2] + y[:, 0, 1:-1, 2:] + y[:, 0, :-2, 1:-1] + y[:, 0, 2:, 1:-1]
    rough = around - 4 * inner  # Laplacian
    absolute = rough.abs().flatten(1)
    points = torch.tensor([0.5, 0.95], device=y.device)
    values = [y.mean((1, 2, 3)), y.std((1, 2, 3))]
    values += [((dx.square() + dy.square()).mean((1, 2, 3)) + 1e-7).log()]
    values += [(rough.square().mean((1, 2)) + 1e-7).log()]
    values += list((absolute.quantile(points, 1) + 1e-4).log())
    return torch.stack(values, 1)


def correlations(y: Tensor, reach: int) -> Tensor:
    """Correlations of luma `(B, 1, h, w)` with itself at shifts up to `reach` px, `(B, 8, S, S)`.

    For both gradients and the whitened picture g: the mean of g(x) g(x+s), then the cumulant of
    g(x), g(x), g(x) and g(x+s), each divided by about its value without shift; last, both of the
    whitened picture at shifts up to twice as far.
    """
    h, w = y.shape[-2:]
    side = 2 * reach + 1
    size = (h + side + 31) // 32 * 32, (w + side + 31) // 32 * 32
    taper = _taper(h, w, y)
    power = taper.square() / taper.square().mean()  # that a tapered process has
    dx, dy = _gradients(y)
    rows, columns = _frequencies((h, w), y)
    radius = (rows**2 + columns**2).sqrt()
    white = (radius * (-((radius / 0.35) ** 2)).exp())[..., None]
    white = _inverse(white * _spectrum((y - y.mean((2, 3), keepdim=True))[:, 0] * taper), (h, w))
    maps, wide = [], []
    for g in (dx[:, 0] * taper, dy[:, 0] * taper, white):
        g = g / (g.square().mean((1, 2), keepdim=True).sqrt() + 1e-3)
        spectrum = _spectrum(g, size)
        # Of a Gaussian process the cube gives three times the second order, and is nothing new.
        cube = g.clamp(-10, 10) ** 3 - 3 * power * g
        for left, least in ((g, 1e-3), (cube, 1.0)):
            found = _inverse(_across(_spectrum(left, size), spectrum), size)
            found = found / (found[:, :1, :1].abs() + least * h * w)
            maps.append(torch.roll(found, (reach, reach), (1, 2))[:, :side, :side])
            wide.append(torch.roll(found, (side, side), (1, 2))[:, : 2 * side + 1, : 2 * side + 1])
    far = F.avg_pool2d(torch.stack(wide[-2:], 1), 3, stride=2)
    return torch.cat([torch.stack(maps, 1), far], 1)


def fit(sharp: Tensor, blurred: Tensor, ridge: Tensor, reach: int, windows: int = 1) -> Tensor:
    """Fit kernels by which the gradients of one picture give those of the other, `(B, S, S)`.

    Least squares with `ridge` `(B * windows,)` times the mean power, over all windows of a
    picture. Values below 0 are set to 0, and the sum to 1, or 0 for pictures without gradients.

    Args:
        sharp: luma `(B * windows, 1, h, w)`, h and w at least 2 * `reach` + 1.
        blurred: likewise.
        ridge: above 0.
        reach: how far the kernel reaches to each side, in px.
        windows: of each picture.
    """
    h, w = sharp.shape[-2:]
    taper = _taper(h, w, sharp)
    power = across = torch.zeros(1, device=sharp.device)
    for pair in zip(_gradients(sharp), _gradients(blurred), strict=True):
        known, seen = (_spectrum(g[:, 0] * taper) for g in pair)
        power = power + known.square().sum(-1)
        across = across + _across(known, seen)
    power = power + ridge[:, None, None] * power.mean((1, 2), keepdim=True) + 1e-6
    power, across = (x.unflatten(0, (-1, windows)).sum(1) for x in (power, across))
    kernel = _inverse(across / power[..., None], (h, w))
    side = 2 * reach + 1
    kernel = torch.roll(kernel, (reach, reach), (1, 2))[:, :side, :side].relu()
    return kernel / (kernel.sum((1, 2), keepdim=True) + 1e-3)


def wiener(picture: Tensor, kernel: Tensor, strengths: Tensor) -> Tensor:
    """Filter `(B, C, H, W)` by the inverse of kernels: `(B, n, C, H, W)`.

    With transfer function K and strength s the filter is K* / (|K|^2 + s (|D|^2 + 0.01)), scaled
    to keep the mean; D are the differences of neighbours, so a large s leaves out noise.

    Args:
        picture: of any size. Beyond its border it is mirrored (a short side is continued) and
            blends into its blurred self, so that its spectrum has no jump at the ends.
        kernel: `(B or 1, S, S)`, sum 1.
        strengths: `(B or 1, n)`, above 0.
    """
    h, w = picture.shape[-2:]
    mode = "reflect" if min(h, w) > BORDER else "replicate"
    picture = F.pad(picture, (BORDER,) * 4, mode=mode)
    size = h + 2 * BORDER, w + 2 * BORDER
    rows, columns = (2 - 2 * (2 * math.pi * x).cos() for x in _frequencies(size, picture))
    rough = rows + columns + 0.01
    k = _transfer(kernel, size)[:, None, None]
    s = strengths[:, :, None, None, None]
    scale = (1 + 0.01 * s) / (k.square().sum(-1) + s * rough)
    across = _across(_conjugate(k[:, 0]), _spectrum(picture))
    ramps = (_ramp(length, picture) for length in (h, w))
    kept = torch.outer(*ramps)
    picture = kept * picture + (1 - kept) * _inverse(across, size)
    filtered = _inverse(_across(k, _spectrum(picture)[:, None]) * scale[..., None], size)
    return filtered[..., BORDER : BORDER + h, BORDER : BORDER + w]


def unexplained(damaged: Tensor, clean: Tensor, kernel: Tensor) -> Tensor:
    """Share of the damaged pictures' gradients that the blurred clean pictures do not give, `(B,)`.

    Args:
        damaged: `(B, 3, H, W)` in [0, 1].
        clean: likewise; its sides are longer than the kernel's.
        kernel: `(B, S, S)`, sum 1.
    """
    reach = kernel.shape[-1] // 2
    around = F.pad(luma(clean), (reach,) * 4, mode="reflect")
    size = around.shape[-2:]
    k = _conjugate(_transfer(kernel, size))[:, None]
    blurred = _inverse(_across(k, _spectrum(around)), size)
    blurred = blurred[..., reach:-reach, reach:-reach]
    inner = slice(reach // 2, -reach // 2)  # what lies outside the picture is not known
    wrong = left = torch.zeros(len(clean), device=clean.device)
    for g, truth in zip(_gradients(blurred), _gradients(luma(damaged)), strict=True):
        wrong = wrong + (g - truth)[..., inner, inner].square().mean((1, 2, 3))
        left = left + truth[..., inner, inner].square().mean((1, 2, 3))
    return (wrong + 1e-6) / (left + 1e-6) + 1e-3


def _spectrum(x: Tensor, size: Sequence[int] | None = None) -> Tensor:
    """Spectrum of the last two dimensions, padded to `size`, `(..., H, W // 2 + 1, 2)`.

    Real and imaginary parts are numbers of their own: exporters know few complex operations.
    """
    return torch.view_as_real(torch.fft.rfft2(x, size))


def _inverse(spectrum: Tensor, size: Sequence[int]) -> Tensor:
    """The real values of a `_spectrum`, `(..., H, W)`."""
    return torch.fft.irfft2(torch.view_as_complex(spectrum.contiguous()), size)


def _across(a: Tensor, b: Tensor) -> Tensor:
    """The conjugate of one `_spectrum` times another: the spectrum of their correlation."""
    real = (a * b).sum(-1)
    imaginary = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return torch.stack([real, imaginary], -1)


def _conjugate(spectrum: Tensor) -> Tensor:
    return torch.stack([spectrum[..., 0], -spectrum[..., 1]], -1)


def _ramp(length: int, like: Tensor) -> Tensor:
    """1 along a side of `length` px, falling to 0 over the `BORDER` before and after it."""
    place = torch.arange(length + 2 * BORDER, device=like.device)
    from_end = torch.minimum(place, place.flip(0)) / BORDER
    return 0.5 - 0.5 * (math.pi * from_end.clamp(max=1)).cos()


def _transfer(kernel: Tensor, size: Sequence[int]) -> Tensor:
    """Transfer function of centred kernels `(B, S, S)` on a grid of `size`, S at least."""
    side = kernel.shape[-1]
    whole = F.pad(kernel, (0, size[1] - side, 0, size[0] - side))
    return _spectrum(torch.roll(whole, (-(side // 2), -(side // 2)), (1, 2)))


def _frequencies(size: Sequence[int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Frequencies of the rows and columns of a `_spectrum`, in cycles a pixel."""
    rows = torch.arange(size[0], device=like.device) / size[0]
    rows = rows - (rows >= 0.5).float()
    columns = torch.arange(size[1] // 2 + 1, device=like.device) / size[1]
    return rows[:, None], columns


def _gradients(x: Tensor) -> tuple[Tensor, Tensor]:
    """Differences to the right and to the lower neighbour; 0 in the last column and row."""
    return (
        F.pad(x[..., 1:] - x[..., :-1], (0, 1)),
        F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1)),
    )


def _taper(h: int, w: int, like: Tensor) -> Tensor:
    rows, columns = (torch.hann_window(n, periodic=False, device=like.device) for n in (h, w))
    return (rows[:, None] * columns).sqrt()


def _kernel(logits: Tensor) -> Tensor:
    return logits.flatten(1).softmax(-1).unflatten(1, logits.shape[1:])


def _bounded(embedding: Tensor) -> Tensor:
    """Shorten vectors whose root mean square is above 1.

    Networks without norms modulate by them, and pool the result to make the next one: on a picture
    unlike those of the training, vectors of 1 became 10, then 6e5, and the output 1e31.
    """
    return embedding / embedding.square().mean(-1, keepdim=True).clamp(min=1).sqrt()


def _strengths(asked: Tensor) -> Tensor:
    """`STRENGTHS`, changed by a factor of up to 20."""
    usual = torch.tensor(STRENGTHS, device=asked.device)
    return usual * (3 * (asked / 3).tanh()).exp()


def _chosen(choices: Tensor, shares: Tensor) -> Tensor:
    """Mix `(B, n, C, H, W)` by the softmax of `(B, n, H, W)`; mostly the first to begin with."""
    first = torch.zeros(choices.shape[1], 1, 1, device=choices.device)
    first[0] = 2.0
    return ((shares + first).softmax(1)[:, :, None] * choices).sum(1)


def _keep_variance(*convs: nn.Module) -> None:
    for conv in convs:
        assert isinstance(conv, nn.Conv2d)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
