"""Exported graphs give the numbers of the networks they were made of."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

import pellucid.export as exporting
import tiny
from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.export import export
from pellucid.networks.bilateral import BilateralGrid, BilateralGridConfig
from pellucid.networks.contract import Guidance
from pellucid.networks.guided import GuidedResUNet, GuidedResUNetConfig
from pellucid.networks.resunet import DiffusionResUNet, ResUNet
from pellucid.restorer import Restorer
from pellucid.vision_language.semantics import TowerSemantics

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

EXAMPLE = Path(__file__).parents[1] / "examples" / "restore_onnx.py"
SMALL = dataclasses.replace(tiny.NETWORK, encoder_blocks=(0,), decoder_blocks=(0,))
SEEING = dataclasses.replace(tiny.NETWORK, statistics=True)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network that is also guided by semantics; the image tower for them is in the graph."""
    config = GuidedResUNetConfig(**dataclasses.asdict(SEEING), semantic_dim=32, degradation_dim=8)
    network = tiny.randomised(GuidedResUNet(config))
    restorer = tiny.restorer(network=network, semantics=TowerSemantics(tiny.controller()))
    trace = torch.onnx.export
    programs = []

    def traced(*arguments, **options):
        programs.append(trace(*arguments, **options))
        return programs[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.onnx, "export", traced)
        files = export(restorer, tmp_path_factory.mktemp("onnx") / "net.onnx")
    network, tower = programs
    return SimpleNamespace(restorer=restorer, files=files, network=network, tower=tower)


@pytest.fixture
def traced(exported, monkeypatch):
    """What `exported` has traced is not traced again: that takes seconds of computing."""
    trace = torch.onnx.export

    def traced(module, *arguments, **options):
        if isinstance(module, exporting._Seeing):
            return exported.tower
        if module.network is exported.restorer.network:
            return exported.network
        return trace(module, *arguments, **options)

    monkeypatch.setattr(torch.onnx, "export", traced)


@torch.no_grad()
def test_a_network_gives_the_same_numbers_at_five_sizes(exported):
    restorer, path = exported.restorer, exported.files[0]
    session = onnxruntime.InferenceSession(path)
    generator = torch.Generator().manual_seed(0)
    degradation, content = torch.randn(2, 1, 16, generator=generator)
    given = {"degradation": degradation.numpy(), "content": content.numpy()}
    for height, width in ((16, 16), (64, 48), (16, 320), (128, 128), (1200, 64)):
        image = torch.rand(1, 3, height, width, generator=generator)
        guidance = restorer.completed(image, Guidance(content, degradation))
        expected = restorer.network(image, restorer.condition(image, guidance)).numpy()
        found = session.run(None, {"image": image.numpy(), **given})[0]
        assert np.abs(expected - image.numpy()).max() > 0.01
        assert np.abs(found - expected).max() < 1e-4
        other = dataclasses.replace(guidance, semantics=-guidance.semantics)
        other = restorer.network(image, restorer.condition(image, other)).numpy()
        assert np.abs(other - expected).max() > 1e-3  # semantics matter


def test_the_example_restores_a_file_as_the_restorer_does(exported, tmp_path):
    restorer, path = exported.restorer, exported.files[0]
    picture = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()[100:196, 60:188]).save(picture)  # sides are multiples
    for words in ((), ("noisy", "hazy")):
        told = ["--words", *words] if words else []
        target = tmp_path / "restored.png"
        command = [sys.executable, str(EXAMPLE), str(path), str(picture), str(target), *told]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        guidance = restorer.diagnose(picture, words=words)
        if not guidance.words:  # the example is always guided
            guidance = dataclasses.replace(guidance, told=True)
        expected = restorer.restore(picture, guidance=guidance).pixels * 255
        found = np.asarray(Image.open(target), np.float32)
        assert np.abs(found - expected).max() < 1.01
    shares = {word: round(share, 2) for word, share in guidance.probabilities.items()}
    assert str(shares["noisy"]) in done.stdout


@torch.no_grad()
def test_a_network_that_looks_at_the_whole_picture_is_exported(traced, tmp_path):
    sizes = {"look": 32, "stem": 16, "widths": (16, 16), "blocks": (1, 1), "bins": 4}
    config = BilateralGridConfig(**sizes, context_dim=16, embed_dim=8)
    network = tiny.randomised(BilateralGrid(config)).eval()
    path, _ = export(tiny.restorer(network=network), tmp_path / "light.onnx")
    session = onnxruntime.InferenceSession(path)
    degradation = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))
    for height, width in ((64, 48), (33, 130), (5, 7)):
        image = torch.rand(1, 3, height, width)
        condition = network.condition(image, Guidance(degradation=degradation))
        expected = network(image, condition).numpy()
        given = {"image": image.numpy(), "degradation": degradation.numpy()}
        found = session.run(None, given)[0]
        assert np.abs(expected - image.numpy()).max() > 0.01
        assert np.abs(found - expected).max() < 1e-4


def test_a_diffusion_network_is_one_call_of_its_sampler(traced, tmp_path):
    network = tiny.randomised(DiffusionResUNet(SMALL)).eval()
    restorer = Restorer(network, tiny.controller(), predicts="x0", device="cpu", dtype="float32")
    path, _ = export(restorer, tmp_path / "sde.onnx")
    x, mu = torch.rand(2, 1, 3, 32, 48)
    given, t = torch.randn(1, 16), torch.tensor([40.0])
    with torch.no_grad():
        condition = network.condition(mu, Guidance(given, given))
        expected = network(x, mu, t, condition).numpy()
    inputs = {"x": x, "image": mu, "t": t, "degradation": given, "content": given}
    session = onnxruntime.InferenceSession(path)
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})[0]
    assert np.abs(found - expected).max() < 1e-4


@torch.no_grad()
def test_openvino_has_a_format_of_its_own(exported, traced, tmp_path):
    openvino = pytest.importorskip("openvino")
    restorer = exported.restorer
    path, tower = export(restorer, tmp_path / "net.xml")
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".bin", ".bin", ".xml", ".xml"]
    core = openvino.Core()
    about = json.loads(core.read_model(path).get_rt_info(["pellucid"]).astype(str))
    assert about["multiple"] == restorer.network.multiple
    assert about["weights"] == restorer.fingerprint()
    assert core.read_model(tower).inputs[0].any_name == "view"
    model = core.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    given = {name: torch.randn(1, 16) for name in ("content", "degradation")}
    for height, width in ((96, 64), (40, 64)):  # squeezed for the image tower as by PyTorch
        image = torch.rand(1, 3, height, width)
        guidance = restorer.completed(image, Guidance(**given))
        expected = restorer.network(image, restorer.condition(image, guidance)).numpy()
        inputs = {name: value.numpy() for name, value in {"image": image, **given}.items()}
        assert np.abs(expected - inputs["image"]).max() > 0.01
        assert np.abs(model(inputs)[0] - expected).max() < 1e-5


def test_what_cannot_be_exported_is_said_first(tmp_path, capsys):
    with pytest.raises(UsageError, match=r"must end in \.onnx"):
        export(Restorer(ResUNet(tiny.NETWORK)), tmp_path / "net.pt")
    assert main(["export", "auto", "-o", str(tmp_path / "a.onnx")]) == 2
    assert "several models" in capsys.readouterr().err
    for there, asked in (("b.onnx", "b.onnx"), ("c-tower.onnx", "c.onnx")):
        (tmp_path / there).touch()
        assert main(["export", "lite", "-o", str(tmp_path / asked)]) == 2
        said = capsys.readouterr().err
        assert there in said and "--overwrite" in said
