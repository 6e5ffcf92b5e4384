from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from pellucid.vision_language.preprocess import (
    eight_bit,
    embed,
    grid,
    preprocess,
    sample_embedding,
    squeezed,
    thumbnail,
    windows,
)
from vision_language.small_towers import SMALL, small_tower


def picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def tensor(array):
    return torch.from_numpy(array).permute(2, 0, 1)[None].float() / 255


def test_thumbnail_is_pillows_bicubic_of_the_shorter_side_then_the_centre():
    array = picture(50, 83)
    expected = Image.fromarray(array).resize((int(32 * 83 / 50), 32), Image.Resampling.BICUBIC)
    left = round((expected.width - 32) / 2)
    expected = np.asarray(expected)[:, left : left + 32]
    assert np.array_equal((thumbnail(tensor(array), 32)[0] * 255).permute(1, 2, 0), expected)


@pytest.mark.parametrize("size", [(32, 32), (20, 31), (90, 33), (33, 200), (1, 3)])
def test_a_tensor_and_a_pil_image_give_the_same_thumbnail(size):
    array = picture(*size)
    ours = thumbnail(tensor(array), 32)
    assert ours.shape == (1, 3, 32, 32)
    assert torch.equal(ours, thumbnail(Image.fromarray(array), 32))


def test_every_8_bit_value_survives_the_truncation():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    assert torch.equal(thumbnail(tensor(array), 16), tensor(array))


def test_values_between_8_bit_steps_are_truncated_not_rounded():
    image = torch.full((1, 3, 16, 16), 100.9 / 255)
    assert torch.equal(thumbnail(image, 16), torch.full((1, 3, 16, 16), 100 / 255))
    assert torch.equal(thumbnail(image + 7, 16), torch.ones(1, 3, 16, 16))


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_any_pil_mode_gives_rgb(mode):
    image = Image.fromarray(picture(40, 50)).convert(mode)
    assert thumbnail(image, 32).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (32, 32, (1, 1)),
        (33, 32, (2, 1)),
        (64, 96, (2, 3)),
        (1000, 1000, (5, 5)),
        (32, 1000, (1, 25)),
        (1000, 32, (25, 1)),
        (40, 1000, (2, 12)),
        (1000, 64, (12, 2)),
    ],
)
def test_there_are_at_most_25_windows_and_they_follow_the_shape(height, width, expected):
    assert grid(height, width, 32) == expected
    count = expected[0] * expected[1]
    assert windows(torch.zeros(2, 3, height, width), 32).shape == (2, count, 3, 32, 32)


@pytest.mark.parametrize("size", [(32, 32), (50, 70), (96, 96), (95, 95), (64, 128), (32, 280)])
def test_windows_leave_no_more_than_7_px_at_the_far_edges_of_a_picture_that_25_can_cover(size):
    places = torch.arange(size[0] * size[1], dtype=torch.float32).reshape(1, 1, *size)
    seen = set(windows(places.expand(1, 3, *size), 32).unique().tolist())
    height, width = (length if length % 8 == 0 else length - 7 for length in size)
    assert set(places[0, 0, :height, :width].flatten().tolist()) <= seen


def test_windows_are_pixels_of_the_picture_itself_and_begin_on_the_blocks_of_a_jpeg():
    image = torch.rand(1, 3, 100, 120)  # starts at 0, 22.7, 45.3, 68 and 0, 29.3, 58.7, 88
    views = windows(image, 32).unflatten(1, (4, 4))
    assert torch.equal(views[0, 0, 0], image[0, :, :32, :32])
    assert torch.equal(views[0, 1, 1], image[0, :, 16:48, 24:56])
    assert torch.equal(views[0, -1, -1], image[0, :, 64:96, 88:120])


def test_a_tower_with_windows_sees_the_levels_of_a_file_and_the_gradient_passes():
    image = torch.linspace(-0.1, 1.1, 3 * 32 * 32).view(1, 3, 32, 32).requires_grad_()
    levels = eight_bit(image)
    assert torch.allclose(levels, (image.clamp(0, 1) * 255).round() / 255, atol=1e-6)
    seen = replace(SMALL, views="windows")
    assert torch.allclose(preprocess(image, seen), preprocess(levels.detach(), seen), atol=1e-5)
    preprocess(image, seen)[0, 0, 0].sum().backward()
    assert torch.allclose(image.grad[0, 0], 1 / torch.tensor(seen.std[0]))


@pytest.mark.parametrize("shape", [(32, 32), (96, 64), (1, 1), (19, 500), (700, 40)])
def test_a_squeezed_picture_is_that_of_pytorchs_resizing(shape):
    image = tensor(picture(*shape))
    expected = torch.nn.functional.interpolate(image, (32, 32), mode="bicubic", antialias=True)
    assert (squeezed(image, 32) - expected.clamp(0, 1)).abs().max() < 2e-6


def test_a_small_picture_is_enlarged_until_its_shorter_side_fits():
    views = windows(torch.full((1, 3, 8, 20), 0.25), 32)
    assert views.shape == (1, 3, 3, 32, 32)  # 32 x 80
    torch.testing.assert_close(views, torch.full_like(views, 0.25))


@pytest.mark.parametrize("views", ["whole", "windows"])
def test_views_are_normalised_with_the_config(views):
    config = replace(SMALL, views=views, mean=(0.1, 0.2, 0.4), std=(0.5, 0.25, 0.2))
    image = torch.tensor([51, 102, 153]).view(1, 3, 1, 1).expand(1, 3, 40, 40) / 255
    expected = torch.tensor([0.2, 0.8, 1.0])
    torch.testing.assert_close(preprocess(image, config).mean(dim=(0, 1, 3, 4)), expected)


@torch.no_grad()
def test_an_embedding_is_the_mean_over_the_windows():
    model = small_tower(views="windows")
    image = torch.rand(2, 3, 50, 90)
    each = [
        model.encode_image(view, control=True)
        for view in preprocess(image, model.config).unbind(dim=1)
    ]
    for k, embedding in enumerate(embed(model, image)):
        mean = torch.stack([pair[k] for pair in each]).mean(dim=0)
        torch.testing.assert_close(embedding, mean, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_whole_picture_is_one_view():
    model = small_tower()
    image = torch.rand(1, 3, 50, 90)
    pixels = preprocess(image, model.config)[:, 0]
    for ours, direct in zip(
        embed(model, image), model.encode_image(pixels, control=True), strict=True
    ):
        assert torch.equal(ours, direct)


def test_a_tower_in_half_precision_gives_float32_embeddings():
    content, degradation = embed(small_tower(views="windows").bfloat16(), torch.rand(1, 3, 40, 40))
    assert content.dtype == degradation.dtype == torch.float32
    assert content.shape == degradation.shape == (1, 16)


@pytest.mark.parametrize("views", ["whole", "windows"])
def test_the_sample_is_the_plain_towers_embedding_of_the_whole_picture(views):
    tower = small_tower(views=views)
    picture = torch.rand(2, 3, 50, 41, generator=torch.Generator().manual_seed(0))
    sample = sample_embedding(tower, picture)
    assert sample.shape == (2, 16) and not sample.requires_grad
    controlled, _ = embed(tower, picture)
    assert (sample - controlled).abs().max() > 1e-3  # what `embed` gives is corrected
    tower.start_controller()  # corrections of zero: the two are one
    assert torch.allclose(sample, embed(tower, picture)[0], atol=1e-5)


@pytest.mark.parametrize("turned", [False, True])
def test_very_thin_pictures_need_no_memory_and_are_seen_along_their_whole_length(turned):
    line = torch.linspace(0, 1, 60_000).expand(1, 3, 2, -1)
    line = line.transpose(-1, -2) if turned else line
    views = windows(line, 64)
    assert views.shape == (1, 25, 3, 64, 64)
    assert torch.allclose(views.mean(dim=(0, 2, 3, 4)), torch.linspace(0, 1, 25), atol=1e-3)
    square = thumbnail(line, 64)
    assert square.shape == (1, 3, 64, 64) and (square - 0.5).abs().max() < 0.01
