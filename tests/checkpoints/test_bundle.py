import pytest
import torch
from safetensors.torch import save_file

from pellucid.checkpoints.bundle import load_bundle, read_meta, save_bundle
from pellucid.errors import CheckpointError
from vision_language.small_towers import small_tower

META = {
    "kind": "resunet",
    "config": {"widths": [8, 16]},
    "recipe": "lite",
    "scores": {"psnr": 29.5},
}


def test_weights_and_meta_come_back(tmp_path):
    state = {"a": torch.randn(3, 4), "n": torch.tensor(7), "half": torch.randn(2).half()}
    save_bundle(tmp_path / "x.safetensors", state, META)
    found, meta = load_bundle(tmp_path / "x.safetensors")
    assert meta == META == read_meta(tmp_path / "x.safetensors")
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert torch.equal(found[name], tensor) and found[name].dtype == tensor.dtype


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_only_floating_point_is_converted(tmp_path, dtype):
    state = {"a": torch.randn(3, 4), "n": torch.tensor(7)}
    save_bundle(tmp_path / "x.safetensors", state, META, dtype)
    found, _ = load_bundle(tmp_path / "x.safetensors")
    assert torch.equal(found["a"], state["a"].to(dtype))
    assert found["n"].dtype == torch.int64


def test_large_tensors_are_stored_as_whole_numbers_a_row(tmp_path):
    rows = torch.randn(64, 8, 3, 3, generator=torch.Generator().manual_seed(0))
    rows *= torch.logspace(-6, 6, 64).view(-1, 1, 1, 1)
    rows[5] = 0
    state = {"conv": rows, "long": rows[:, 0].flatten(0)[:576].repeat(9), "bias": torch.randn(64)}
    state |= {"again": rows, "n": torch.tensor(7)}
    path = tmp_path / "x.safetensors"
    save_bundle(path, state, META, torch.int8)
    assert path.stat().st_size < 1.4 * (rows.numel() + state["long"].numel())
    found, meta = load_bundle(path)
    assert meta == META and found.keys() == state.keys() and found["again"] is found["conv"]
    assert torch.equal(found["bias"], state["bias"].half()) and found["n"] == 7
    assert found["conv"].shape == rows.shape and found["conv"].dtype == torch.float32
    limit = rows.abs().amax(dim=(1, 2, 3), keepdim=True) / 254 * 1.001
    assert ((found["conv"] - rows).abs() <= limit).all()
    limit = state["long"].abs().max() / 254 * 1.001
    assert ((found["long"] - state["long"]).abs() <= limit).all()


def test_a_tensor_of_two_names_is_stored_once(tmp_path):
    model = small_tower()
    for dtype in (None, torch.bfloat16):
        path = tmp_path / f"{dtype}.safetensors"
        save_bundle(path, model.state_dict(), META, dtype)
        bytes_each = 2 if dtype else 4
        unique = sum(p.numel() for p in model.parameters()) * bytes_each
        assert unique < path.stat().st_size < 1.1 * unique
        found, _ = load_bundle(path)
        assert found.keys() == model.state_dict().keys()
        assert found["visual.proj"] is found["clip.visual.proj"]


def test_slices_and_strides_are_stored_as_they_read(tmp_path):
    base = torch.randn(6, 6)
    state = {"rows": base[2:4], "transposed": base.T, "base": base}
    save_bundle(tmp_path / "x.safetensors", state, META)
    found, _ = load_bundle(tmp_path / "x.safetensors")
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_a_number_too_large_for_half_precision_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="big holds numbers too large"):
        save_bundle(tmp_path / "x.safetensors", {"big": torch.tensor([1e6])}, META, torch.float16)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "x.safetensors"
    save_bundle(path, {"a": torch.ones(2)}, META)
    with pytest.raises(TypeError):
        save_bundle(path, {"a": torch.zeros(2)}, {"config": object()})
    with pytest.raises(CheckpointError):
        save_bundle(path, {"a": torch.tensor([1e6])}, META, torch.float16)
    assert torch.equal(load_bundle(path)[0]["a"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [path]


def test_a_foreign_safetensors_file_has_no_meta(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    assert load_bundle(tmp_path / "x.safetensors")[1] == {}


@pytest.mark.parametrize("part", [0, 0.3, 0.99])
def test_a_cut_off_bundle_is_named(tmp_path, part):
    path = tmp_path / "x.safetensors"
    save_bundle(path, {"a": torch.ones(100)}, META)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(
        CheckpointError, match=r"x\.safetensors is not a safetensors file, or the dow"
    ):
        load_bundle(path)


def test_a_missing_bundle_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="there is no file"):
        read_meta(tmp_path / "nowhere.safetensors")
