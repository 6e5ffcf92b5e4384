import pytest
import torch

from pellucid.vision_language.resnet import ResNetConfig
from pellucid.vision_language.spatial import SpatialTeacher, random_teacher
from vision_language.small_towers import small_tower

TINY = ResNetConfig(layers=(1, 1, 1, 1), width=8, heads=2)


def picture(height=64, width=96, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("which", ["resnet", "transformer"])
def test_maps_have_the_channels_and_strides_that_are_told(which):
    teacher = (
        random_teacher(config=TINY) if which == "resnet" else SpatialTeacher(small_tower(), "small")
    )
    maps = teacher(picture())
    assert len(maps) == len(teacher.channels) == len(teacher.strides)
    for m, channels, stride in zip(maps, teacher.channels, teacher.strides, strict=True):
        assert m.shape == (1, channels, 64 // stride, 96 // stride) and not m.requires_grad


def test_a_random_tower_says_so_and_is_the_same_for_one_seed():
    teacher, again, other = (random_teacher(seed, TINY) for seed in (0, 0, 1))
    assert teacher.name == other.name == "random"
    image = picture()
    assert torch.equal(teacher(image)[3], again(image)[3])
    assert not torch.equal(teacher(image)[3], other(image)[3])


def test_making_a_random_teacher_leaves_the_random_numbers_of_others_alone():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    random_teacher(5, TINY)
    assert torch.equal(torch.rand(3), expected)


def test_patches_of_a_transformer_lie_where_they_are_in_the_picture():
    teacher = SpatialTeacher(small_tower(), "small")  # squares of 32 px, patches of 8
    image = picture()
    changed = image.clone()
    changed[..., 40:48, 72:80] = 1 - changed[..., 40:48, 72:80]
    (before,), (after,) = teacher(image), teacher(changed)
    moved = (after - before).abs().sum(1)[0]
    assert moved.argmax() == 5 * 12 + 9
    outside = torch.ones_like(moved, dtype=torch.bool)
    outside[4:8, 8:12] = False  # the square that the patch is in
    assert moved[outside].max() < 1e-4 < moved[4:8, 8:12].min()


def test_a_size_that_a_transformer_cannot_be_cut_into_is_refused():
    with pytest.raises(ValueError, match="multiples of 32 px, not 64 x 90"):
        SpatialTeacher(small_tower(), "small")(picture(64, 90))


def test_it_stays_frozen_in_training_mode():
    teacher = random_teacher(config=TINY).train()
    assert not any(module.training for module in teacher.modules())
    assert not any(p.requires_grad for p in teacher.parameters())
