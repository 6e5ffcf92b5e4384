import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

from checkpoints.official_files import save_tower, training_checkpoint
from pellucid.checkpoints import safe
from pellucid.errors import CheckpointError


@pytest.mark.parametrize("numpy_1", [True, False], ids=["numpy 1", "numpy 2"])
def test_an_official_training_checkpoint_opens(tmp_path, numpy_1):
    path = save_tower(tmp_path / "daclip.pt", numpy_1=numpy_1)
    with zipfile.ZipFile(path) as archive:
        names = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
    assert (b"numpy.core.multiarray" if numpy_1 else b"numpy._core.multiarray") in names
    with pytest.raises(pickle.UnpicklingError):  # this is why `safe` exists
        torch.load(path, weights_only=True)
    checkpoint = safe.load(path)
    group = checkpoint["optimizer"]["param_groups"][0]
    assert group["lr"] == 1.25e-6 and group["warmup"] == 100
    assert type(group["lr"]) is float
    assert checkpoint["epoch"] == 30


def test_the_allow_list_is_gone_afterwards(tmp_path):
    before = set(torch.serialization.get_safe_globals())
    safe.load(save_tower(tmp_path / "daclip.pt"))
    assert set(torch.serialization.get_safe_globals()) == before


@pytest.mark.parametrize("number", [np.float32(0.1), np.int64(-7), np.bool_(True), np.float16(2)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_of_numpy_keep_their_value(tmp_path, number, order):
    number = np.array(number).astype(np.dtype(type(number)).newbyteorder(order))[()]
    torch.save({"x": number}, tmp_path / "x.pt")
    assert safe.load(tmp_path / "x.pt")["x"] == number


class Runs:
    def __reduce__(self):
        return os.system, ("echo this must not run",)


def test_a_file_that_runs_code_is_refused_with_the_way_to_convert_it(tmp_path):
    torch.save({"state_dict": {}, "extra": Runs()}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"posix\.system|nt\.system") as caught:
        safe.load(tmp_path / "bad.pt")
    assert "weights_only=False" in str(caught.value)


def test_arrays_of_objects_are_refused(tmp_path):
    torch.save({"x": np.array([Runs()], dtype=object)}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match="_reconstruct"):
        safe.load(tmp_path / "bad.pt")


def test_a_file_of_the_old_format_opens(tmp_path):
    torch.save({"x": torch.ones(3)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert torch.equal(safe.load(tmp_path / "old.pth")["x"], torch.ones(3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x80\x02garbage", "not a PyTorch checkpoint"),
        (bytes(range(100, 256)) * 30, "not a PyTorch checkpoint"),
        (b"<!DOCTYPE html><html>Google Drive</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
    ],
)
def test_what_is_not_a_checkpoint_is_named(tmp_path, content, message):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        safe.load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("part", [0.02, 0.5, 0.999])
def test_a_cut_off_file_is_named(tmp_path, part):
    path = save_tower(tmp_path / "daclip.pt", training_checkpoint())
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(CheckpointError, match="is cut off"):
        safe.load(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot read .*nowhere\.pt: No such file"):
        safe.load(tmp_path / "nowhere.pt")
