import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F

import tiny
from pellucid.errors import UsageError
from pellucid.export import export
from pellucid.losses import pixel
from pellucid.networks import wiener
from pellucid.networks.contract import Guidance
from pellucid.networks.wiener import WienerUNet, WienerUNetConfig
from pellucid.training.tasks.kernel import KernelTask

SMALL = WienerUNetConfig(reach=8, look=96, embed_dim=8, widths=(8, 8), blocks=(1, 1))


def shapes(side=96, seed=0):
    """Rectangles of all sizes, `(1, 3, side, side)`: as sparse gradients as a photograph's."""
    random = torch.Generator().manual_seed(seed)
    image = torch.full((1, 3, side, side), 0.5)
    for _ in range(60):
        top, left = torch.randint(0, side, (2,), generator=random).tolist()
        h, w = torch.randint(3, side // 3, (2,), generator=random).tolist()
        colour = torch.rand(3, 1, 1, generator=random)
        image[0, :, top : top + h, left : left + w] = colour
    return image


def motion(oblique=True):
    """Half a Gaussian that trails to the right, and downwards, from the centre, `(1, 17, 17)`."""
    kernel = torch.zeros(1, 17, 17)
    for step in range(7):
        kernel[0, 8 + step // 2 * oblique, 8 + step] = math.exp(-0.1 * step**2)
    return kernel / kernel.sum()


def blurred(image, kernel):
    """A true convolution, mirrored at the border."""
    reach = kernel.shape[-1] // 2
    around = F.pad(image, (reach,) * 4, mode="reflect").transpose(0, 1)
    return F.conv2d(around, kernel.flip(-2, -1)[:, None]).transpose(0, 1)


def network():
    return tiny.randomised(WienerUNet(SMALL)).eval().requires_grad_(False)


def test_the_filter_undoes_a_known_blur_and_keeps_the_mean():
    image, kernel = shapes(), motion()
    lq = blurred(image, kernel)
    weak, strong = wiener.wiener(lq, kernel, torch.tensor([[1e-3, 10.0]]))[0][:, None]
    inner = (..., slice(12, -12), slice(12, -12))
    assert pixel.psnr(weak[inner], image[inner]) > pixel.psnr(lq[inner], image[inner]) + 8
    assert abs(strong.mean() - lq.mean()) < 0.02 and strong.std() < 0.9 * lq.std()


def test_a_strong_filter_leaves_noise_out():
    image, kernel = shapes(), motion()
    noisy = blurred(image, kernel) + 0.05 * torch.randn(image.shape, generator=torch.manual_seed(0))
    results = wiener.wiener(noisy, kernel, torch.tensor([[1e-4, 0.1]]))[0][:, None]
    weak, strong = (float(pixel.psnr(result, image)) for result in results)
    assert strong > weak + 8


def test_correlations_of_sparse_gradients_show_the_kernel():
    # Few independent points: a linear process whose innovations are sparse.
    random = torch.Generator().manual_seed(0)
    points = torch.randn(1, 1, 256, 256, generator=random)
    points *= torch.rand(points.shape, generator=random) < 0.1
    kernel = motion(oblique=False)
    process = blurred(points, kernel)
    y = process.cumsum(-1) / 50  # whose gradient it is, to the right
    y = torch.cat([y[..., :1], y[..., :-1]], -1)
    maps = wiener.correlations(y, 8)[0]
    second, fourth = maps[0], maps[1]
    assert maps.shape == (8, 17, 17) and maps.isfinite().all()
    line = motion()[0].sum(0)[8:15]
    expected = torch.stack([(line[: 7 - s] * line[s:]).sum() for s in range(7)])
    assert (second[8, 8:15] - expected / expected[0]).abs().max() < 0.1
    assert (second[8, 2:9].flip(0) - second[8, 8:15]).abs().max() < 0.02
    expected = torch.stack([(line[: 7 - s] ** 3 * line[s:]).sum() for s in range(7)])
    fourth = fourth / fourth[8, 8]
    assert (fourth[8, 8:15] - expected / expected[0]).abs().max() < 0.15
    assert fourth[8, 9:12].sum() > 2 * fourth[8, 5:8].sum()  # where the motion trails


@pytest.mark.parametrize("count", [1, 2])
def test_least_squares_find_the_kernel(count):
    sharp = torch.cat([shapes(seed=seed) for seed in range(count)])[:, :1]
    kernel = motion()
    lq = torch.cat([blurred(row[None], kernel) for row in sharp])
    found = wiener.fit(sharp, lq, torch.full((count,), 1e-3), 8, windows=count)
    assert found.shape == kernel.shape
    assert (found - kernel).abs().sum() < 0.5 and found.argmax() == kernel.argmax()


def test_the_true_kernel_explains_the_blur():
    image, kernel = shapes(), motion()
    lq = blurred(image, kernel)
    none = torch.zeros_like(kernel)
    none[0, 8, 8] = 1
    of_true, of_none = (float(wiener.unexplained(lq, image, k)) for k in (kernel, none))
    assert of_true < 0.01 and of_none > 0.3
    assert float(wiener.unexplained(lq, image, kernel.flip(-1))) > 0.3


def test_the_extent_is_the_standard_deviation_of_the_kernel():
    blur = network().condition(shapes(), Guidance())
    point, line = torch.zeros(2, 1, 17, 17)
    point[0, 3, 12] = 1
    line[0, 8, 2] = line[0, 8, 14] = 0.5
    assert blur._replace(kernel=torch.cat([point, line])).extent.tolist() == [0, 6]


def test_large_pictures_are_looked_at_in_windows():
    image = torch.rand(2, 3, 100, 400, generator=torch.Generator().manual_seed(0))
    cut = wiener.windows(image, 96)
    assert cut.shape == (6, 3, 96, 96)
    assert torch.equal(cut[1], image[0, :, 2:98, 152:248])
    assert torch.equal(cut[3:], wiener.windows(image[1:], 96))
    assert wiener.windows(image, 512).shape == image.shape
    blur = network().condition(image, Guidance())
    alone = network().condition(image[1:], Guidance())
    for both, one in zip(blur[:4], alone[:4], strict=True):
        assert (both[0] - both[1]).abs().max() > 1e-5
        torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (33, 40), (130, 70)])
def test_pictures_of_any_size_are_restored(size):
    image = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    net = network()
    restored = net(image, net.condition(image, Guidance()))
    assert restored.shape == image.shape and restored.isfinite().all()


def test_a_flat_picture_has_no_surprise():
    image = torch.full((1, 3, 80, 80), 0.3)
    net = network()
    blur = net.condition(image, Guidance())
    assert blur.kernel.isfinite().all() and abs(float(blur.kernel.sum()) - 1) < 1e-5
    untrained = WienerUNet(SMALL)
    blur = untrained.condition(image, Guidance())
    assert (untrained(image, blur) - image).abs().max() < 1e-3


def test_a_surprising_picture_does_not_grow_the_embedding():
    net, image = network(), shapes()
    usual = net.condition(image, Guidance()).embedding
    for layer in (net.kernel.prompt[-1], net.kernel.mix[-1], net.kernel.second.pooled):
        layer.weight.mul_(1e4)
    embedding = net.condition(image, Guidance()).embedding
    assert usual.square().mean() < 1
    torch.testing.assert_close(embedding.square().mean(), torch.tensor(1.0))


@torch.no_grad()
def test_tiles_are_as_the_whole_but_for_their_border():
    net, image = WienerUNet(SMALL), torch.cat([shapes(512, seed) for seed in range(2)], 3)
    condition = net.condition(image, Guidance())
    whole, part = net(image, condition), net(image[..., 256:], condition)
    differences = (part - whole[..., 256:]).abs()
    seam = net.overlap // 2  # neighbours are joined there
    assert differences[..., :seam].max() > 0.03 and differences[..., seam : 3 * seam].max() < 1e-2


@torch.no_grad()
def test_reduced_precision_leaves_the_spectra_alone():
    net, image = network(), shapes()
    blur = net.condition(image, Guidance())
    with torch.autocast("cpu", torch.bfloat16):
        same = net.condition(image, Guidance())
        reduced = net(image, blur).float()
    assert torch.equal(same.kernel, blur.kernel)
    assert 0 < (reduced - net(image, blur)).abs().max() < 0.1


@pytest.mark.parametrize("sizes", [{"reach": 0}, {"reach": 32}, {"look": 48}])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="is not from 1 to 31, or look"):
        WienerUNet(dataclasses.replace(SMALL, **sizes))


def test_a_graph_of_it_is_refused(tmp_path):
    with pytest.raises(UsageError, match="cannot be exported"):
        export(tiny.restorer(network=network(), guided=False), tmp_path / "blur.onnx")


def test_the_first_part_trains_the_estimator_alone():
    torch.manual_seed(0)
    task = KernelTask(WienerUNet(SMALL))
    image = torch.cat([shapes(seed=seed) for seed in range(4)])
    batch = {"lq": torch.cat([blurred(row[None], motion()) for row in image]), "gt": image}
    trained = [p for p in task.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-3)
    losses = []
    for _ in range(40):
        loss, terms = task(batch, torch.Generator())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(terms["kernel"].item())
    assert losses[-1] < losses[0] - 1
    inside = {id(p) for p in task.network.kernel.parameters()}
    assert {id(p) for p in trained} == inside and task.network.stem.weight.grad is None
    metrics, pictures = task.eval().validate(batch)
    assert metrics["unexplained"].shape == (4,) and pictures.shape == image.shape


def test_large_pictures_are_validated_by_their_middle_windows():
    task = KernelTask(WienerUNet(SMALL)).eval()
    image = torch.cat([shapes(200, 0), shapes(200, 1)])
    metrics, pictures = task.validate({"lq": image, "gt": image})
    assert all(values.shape == (2,) for values in metrics.values())
    middles = wiener.luma(image)[..., 52:148, 52:148]
    right, wrong = (pixel.psnr(pictures[:, :1], truth) for truth in (middles, middles.flip(0)))
    assert (right > wrong + 3).all()
