import numpy as np
import pytest
import torch

from pellucid.data.crops import as_tensor, eight_bit, filled, random_window, turned

from .making import picture


def test_filling_reflects_without_repeating_the_edge():
    row = np.arange(3, dtype=np.uint8).reshape(1, 3, 1)
    wide = filled(np.repeat(row, 2, axis=0), 2, 8)
    assert wide[0, :, 0].tolist() == [0, 1, 2, 1, 0, 1, 2, 1]


def test_filling_leaves_a_picture_that_is_large_enough_alone():
    big = picture(0)
    assert filled(big, 10, 48) is big


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 5, 3), (2, 2, 3)])
def test_filling_works_from_a_single_pixel_on(shape):
    assert filled(np.zeros(shape, np.uint8), 9, 11).shape[0] == 9


def test_windows_reach_every_place_and_nothing_beyond():
    rng = np.random.default_rng(0)
    tops = {random_window(5, 9, 3, rng)[0].start for _ in range(100)}
    assert tops == {0, 1, 2}
    assert random_window(5, 9, 20, rng) == (slice(0, 20), slice(0, 20))


def test_the_eight_turns_are_different_and_keep_all_pixels():
    square = picture(1, 6, 6)
    turns = [turned(square, i) for i in range(8)]
    assert len({t.tobytes() for t in turns}) == 8
    assert all(np.array_equal(np.sort(t, axis=None), np.sort(square, axis=None)) for t in turns)


def test_tensors_are_channels_first_in_0_1():
    pixels = picture(2, 4, 5)
    tensor = as_tensor(pixels)
    assert tensor.shape == (3, 4, 5) and tensor.dtype == torch.float32
    assert tensor[1, 2, 3] == pixels[2, 3, 1] / np.float32(255)
    assert torch.equal(as_tensor(eight_bit(pixels.astype(np.float32) / 255)), tensor)
