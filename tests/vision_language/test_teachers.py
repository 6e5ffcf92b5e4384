import pytest
import torch

from pellucid.checkpoints.tinyvit import load_tinyvit
from pellucid.errors import CheckpointError
from pellucid.vision_language.spatial import Pixels, SpatialTeacher
from pellucid.vision_language.tinyvit import TinyViTStem


def picture(size=(30, 44)):
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


def test_the_picture_is_the_only_map_of_pixels():
    (seen,) = SpatialTeacher(Pixels(), "pixels")(picture())
    assert torch.equal(seen, picture())


def test_tinyvit_gives_maps_of_any_size_that_see_what_changed():
    torch.manual_seed(0)
    teacher = SpatialTeacher(TinyViTStem(), "tinyvit")
    changed = picture((32, 48))
    changed[:, :, :4, :4] = 0
    pairs = zip(teacher(picture((32, 48))), teacher(changed), strict=True)
    for (before, after), width, stride in zip(
        pairs, teacher.channels, teacher.strides, strict=True
    ):
        assert before.shape == (2, width, 32 // stride, 48 // stride)
        moved = (before - after).abs().amax(dim=(0, 1)) > 1e-6
        assert moved[0, 0] and not moved[-1, -1]


def test_a_file_that_is_not_tinyvit_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    with pytest.raises(CheckpointError, match="fetch_teachers"):
        load_tinyvit(tmp_path / "gone.onnx")
    weight = onnx.numpy_helper.from_array(torch.zeros(4, 3, 3, 3).numpy(), "weight")
    node = onnx.helper.make_node("Conv", ["input", "weight"], ["output"])
    onnx.save(
        onnx.helper.make_model(onnx.helper.make_graph([node], "g", [], [], [weight])),
        tmp_path / "a.onnx",
    )
    with pytest.raises(CheckpointError, match="not TinyViT-5M"):
        load_tinyvit(tmp_path / "a.onnx")
