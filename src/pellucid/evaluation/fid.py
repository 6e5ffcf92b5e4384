"""FID (Heusel et al., NIPS 2017): the distance of two sets of pictures in the 2048 features of
Inception-v3, as if both were Gaussian."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 299  # px


class Convolution(nn.Module):
    """Convolution, batch normalisation without a scale, rectifier."""

    def __init__(
        self,
        width: int,
        wider: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ):
        super().__init__()
        kernel = (kernel, kernel) if isinstance(kernel, int) else kernel
        self.stride, self.padding = stride, padding
        self.weight = nn.Parameter(torch.zeros(wider, width, *kernel))
        self.beta = nn.Parameter(torch.ones(wider))
        self.mean = nn.Parameter(torch.ones(wider))
        self.var = nn.Parameter(torch.ones(wider))

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, None, self.stride, self.padding)
        return F.batch_norm(x, self.mean, self.var, None, self.beta, eps=0.001).relu()


class Branches(nn.Module):
    """Chains of layers side by side, their channels joined; the last may begin with a pooling."""

    def __init__(self, *chains: nn.Module):
        super().__init__()
        self.chains = nn.ModuleList(chains)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([chain(x) for chain in self.chains], dim=1)


class Inception(nn.Module):
    """Features of pictures: `(B, 3, H, W)` in [0, 1] to `(B, 2048)`.

    Inception-v3 of 2015 up to its last pooling; its weights are zeros until they are loaded.
    Pictures are resized to 299 px, bilinear without anti-aliasing, as by pytorch-fid.
    """

    def __init__(self):
        super().__init__()
        conv, mean_pool = Convolution, nn.AvgPool2d(3, 1, 1, count_include_pad=False)

        def chain(width: int, *layers: tuple) -> nn.Sequential:
            modules = []
            for wider, *shape in layers:
                modules.append(conv(width, wider, *shape))
                width = wider
            return nn.Sequential(*modules)

        def small(width: int, pooled: int) -> Branches:  # 35 x 35
            return Branches(
                chain(width, (64, 1)),
                chain(width, (48, 1), (64, 5, 1, 2)),
                chain(width, (64, 1), (96, 3, 1, 1), (96, 3, 1, 1)),
                nn.Sequential(mean_pool, conv(width, pooled, 1)),
            )

        row, column = ((1, 7), 1, (0, 3)), ((7, 1), 1, (3, 0))

        def long(narrow: int) -> Branches:  # 17 x 17
            twice = [(narrow, *column), (narrow, *row), (narrow, *column), (192, *row)]
            return Branches(
                chain(768, (192, 1)),
                chain(768, (narrow, 1), (narrow, *row), (192, *column)),
                chain(768, (narrow, 1), *twice),
                nn.Sequential(mean_pool, conv(768, 192, 1)),
            )

        def wide(width: int, pool: nn.Module) -> Branches:  # 8 x 8
            def split() -> Branches:
                return Branches(
                    conv(384, 384, (1, 3), 1, (0, 1)), conv(384, 384, (3, 1), 1, (1, 0))
                )

            return Branches(
                chain(width, (320, 1)),
                nn.Sequential(conv(width, 384, 1), split()),
                nn.Sequential(*chain(width, (448, 1), (384, 3, 1, 1)), split()),
                nn.Sequential(pool, conv(width, 192, 1)),
            )

        self.layers = nn.Sequential(
            *chain(3, (32, 3, 2), (32, 3), (64, 3, 1, 1)),
            nn.MaxPool2d(3, 2),
            *chain(64, (80, 1), (192, 3)),
            nn.MaxPool2d(3, 2),
            *(small(192, 32), small(256, 64), small(288, 64)),
            Branches(
                chain(288, (384, 3, 2)),
                chain(288, (64, 1), (96, 3, 1, 1), (96, 3, 2)),
                nn.MaxPool2d(3, 2),
            ),
            *(long(128), long(160), long(160), long(192)),
            Branches(
                chain(768, (192, 1), (320, 3, 2)),
                chain(768, (192, 1), (192, *row), (192, *column), (192, 3, 2)),
                nn.MaxPool2d(3, 2),
            ),
            *(wide(1280, mean_pool), wide(2048, nn.MaxPool2d(3, 1, 1))),
        )

    @torch.inference_mode()
    def forward(self, pictures: Tensor) -> Tensor:
        x = F.interpolate(pictures.to(next(self.parameters())), (SIDE, SIDE), mode="bilinear")
        return self.layers(2 * x - 1).mean(dim=(2, 3)).cpu()


def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Squared Fréchet distance of the Gaussians with the means and covariances of two sets.

    The trace of the root of the covariances' product is the sum of the singular values of
    `A @ B.T` (A and B centred, divided by the root of n - 1): no matrix root, hence none of the
    regularisation and complex numbers that it needs where there are fewer pictures than features.

    Args:
        a: features `(n, D)`, n > 1; needs as many pictures as one can get: with few the distance
            is too large, and comparable only at the same number.
        b: features `(m, D)`, likewise.
    """
    means, factors = [], []
    for features in (a.double(), b.double()):
        means.append(features.mean(dim=0))
        centred = (features - means[-1]) / (len(features) - 1) ** 0.5
        if len(centred) > centred.shape[1]:  # the same covariance of fewer rows
            centred = torch.linalg.qr(centred, mode="r").R
        factors.append(centred)
    root = torch.linalg.svdvals(factors[0] @ factors[1].T).sum()
    spread = factors[0].square().sum() + factors[1].square().sum() - 2 * root
    return ((means[0] - means[1]).square().sum() + spread).item()
