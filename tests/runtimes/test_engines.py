"""Engines give what PyTorch gives, and `auto` takes none that does not."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

import tiny
from pellucid.cli import main
from pellucid.errors import UsageError
from pellucid.networks import layers, restormer
from pellucid.networks.contract import Guidance, RestorationNetwork
from pellucid.networks.irsde_unet import ConditionalUNet, UNetConfig
from pellucid.networks.perceive_ir import PerceiveCondition
from pellucid.networks.resunet import DiffusionResUNet, ResUNet
from pellucid.networks.weather import WeatherUNet
from pellucid.runtimes import choice, run
from pellucid.runtimes.graph import flat, rebuilt

CPU, FLOAT32 = torch.device("cpu"), torch.float32
SIZES = [(1, 1), (3, 40), (17, 33), (64, 96), (131, 70)]
NETWORKS = {
    "resunet": (lambda: ResUNet(tiny.NETWORK), 1),
    "diffusion": (lambda: DiffusionResUNet(tiny.NETWORK), 3),
    "weather": (lambda: WeatherUNet(tiny.WEATHER), 1),
    "irsde-unet": (lambda: ConditionalUNet(UNetConfig(32, (1, 1), context_dim=16)), 3),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """One cache for the module: a graph is exported once."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("PELLUCID_CACHE", str(folder))
        yield folder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    return tmp_path


def made(kind):
    network = tiny.randomised(NETWORKS[kind][0]()).eval().requires_grad_(False)
    guidance = Guidance(*torch.randn(2, 1, 16, generator=torch.Generator().manual_seed(3)))
    return network, network.condition(torch.rand(1, 3, 40, 50), guidance)


def pictures(kind, count, h, w):
    tile = torch.rand(count, 3, h, w, generator=torch.Generator().manual_seed(h))
    return [tile] if NETWORKS[kind][1] == 1 else [tile.flip(-1), tile, torch.full((count,), 7.0)]


@pytest.mark.parametrize("kind", NETWORKS)
def test_graphs_give_what_pytorch_gives_at_all_sizes(kind, cache):
    network, condition = made(kind)
    engines = [run.ENGINES[n](network, CPU, FLOAT32) for n in ("onnxruntime", "openvino")]
    for h, w in SIZES:
        given = pictures(kind, 1, h, w)
        right = network(*given, condition)
        assert (right - given[-1 if len(given) == 1 else 1]).abs().max() > 1e-3
        for engine in engines:
            assert (engine(given, condition) - right).abs().max() <= 1e-4


class Banded(RestorationNetwork):
    """One layer that goes through bands of rows, and no condition."""

    config, multiple = None, 8

    def __init__(self):
        super().__init__()
        self.layer = restormer.GDFN(3, 4)

    def condition(self, image, guidance):
        return None

    def forward(self, tile, condition=None):
        return tile + self.layer(tile)


def test_a_graph_without_condition_goes_through_no_bands_of_rows(cache, monkeypatch):
    monkeypatch.setattr(layers, "BAND", 2**16)
    network = Banded().eval().requires_grad_(False)
    tile = torch.rand(1, 3, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert len(list(layers.bands(tile, 24))) > 1  # but PyTorch does
        right = network(tile)
    assert (right - tile).abs().max() > 1e-3
    for name in ("onnxruntime", "openvino"):
        engine = run.ENGINES[name](network, CPU, FLOAT32)
        assert (engine([tile], None) - right).abs().max() <= 1e-4


def test_each_picture_of_a_batch_has_its_own_condition(cache):
    network, one = made("resunet")
    other = rebuilt(one, (2 * tensor + 1 for tensor in flat(one)))
    both = rebuilt(one, map(torch.cat, zip(flat(one), flat(other), strict=True)))
    given = pictures("resunet", 2, 24, 20)
    result = run.OnnxRuntime(network, CPU, FLOAT32)(given, both)
    assert (result - network(*given, both)).abs().max() <= 1e-4
    assert (result[1] - network(given[0][1:], one)[0]).abs().max() > 1e-3


def test_a_restorer_tiles_by_another_engine_as_by_pytorch(cache):
    image = torch.rand(2, 3, 90, 150)
    right = tiny.restorer().restore(image, tile=64)
    for engine in ("onnxruntime", "openvino"):
        found = tiny.restorer(engine=engine).restore(image, tile=64)
        assert (found - right).abs().max() <= 1e-4


def test_the_command_line_restores_by_another_engine_within_a_level(cache, tmp_path):
    model = str(tiny.save_bundles(tmp_path) / "net.safetensors")
    image = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "photo.png")
    results = [image]
    for engine in ("torch", "onnxruntime"):
        made = tmp_path / f"{engine}.png"
        argv = ["restore", str(tmp_path / "photo.png"), "-o", str(made), "--engine", engine]
        argv += ["--model", model, "--device", "cpu", "--dtype", "float32", "--report", "json"]
        assert main(argv) == 0
        report = json.loads(made.with_name(f"{made.name}.report.json").read_text())
        assert report["settings"]["engine"] == engine
        results.append(np.asarray(Image.open(made)))
    given, right, found = (result.astype(int) for result in results)
    assert np.abs(found - right).max() <= 1 < np.abs(right - given).max()


def test_a_restorer_chooses_its_engine_at_its_first_picture(cache):
    image = torch.rand(1, 3, 40, 50)
    restorer = tiny.restorer(engine="auto")
    assert (restorer.restore(image) - tiny.restorer().restore(image)).abs().max() <= 1e-4
    (row,) = choice.measured()
    assert row["model"] == "tiny" and row["chosen"] == restorer.engine
    assert set(row["seconds"]) == {"torch", "onnxruntime", "openvino"} and not row["wrong"]


def test_conditions_are_rebuilt_as_they_were():
    condition = PerceiveCondition((torch.zeros(1), torch.ones(1)), torch.full((1,), 2.0))
    again = rebuilt(condition, iter(flat(condition)))
    assert isinstance(again, PerceiveCondition) and [int(t) for t in flat(again)] == [0, 1, 2]
    assert rebuilt((None, torch.ones(1)), iter([torch.zeros(1)]))[0] is None


class _Off(run.Torch):
    """Fast, and wrong."""

    def __call__(self, pictures, condition):
        return torch.zeros_like(pictures[0])


class _Broken(run.Torch):
    def __call__(self, pictures, condition):
        raise RuntimeError("no such instruction")


def test_auto_takes_the_fastest_that_is_right_and_remembers_it(empty_cache, monkeypatch):
    engines = {"torch": run.Torch, "onnxruntime": _Off, "openvino": run.Torch, "bad": _Broken}
    monkeypatch.setattr(run, "ENGINES", engines)
    monkeypatch.setattr(choice, "ENGINES", engines)
    monkeypatch.setattr(choice, "CANDIDATES", tuple(engines))
    times = iter([2.0, 1.0])
    monkeypatch.setattr(choice, "_seconds", lambda call: next(times))
    network, condition = made("resunet")

    def chosen():
        return choice.fastest("tiny", network, CPU, FLOAT32, [torch.rand(1, 3, 8, 8)], condition)

    assert chosen() == "openvino"
    assert chosen() == "openvino"  # not measured again: there are no more times
    (row,) = choice.measured()
    assert set(row["seconds"]) == {"torch", "openvino"}
    assert "differs" in row["wrong"]["onnxruntime"] and row["wrong"]["bad"] == "no such instruction"


def test_a_damaged_memory_is_as_good_as_none(empty_cache):
    choice.memory().write_text("{")
    assert choice.measured() == []
    choice.memory().write_text(json.dumps([{"machine": "another"}, 3]))
    assert choice.measured() == []


def test_wrong_engines_are_refused(monkeypatch):
    with pytest.raises(UsageError, match="unknown engine 'tpu'"):
        tiny.restorer(engine="tpu")
    with pytest.raises(UsageError, match="float32 only"):
        tiny.restorer(engine="onnxruntime", dtype="bfloat16")
    with pytest.raises(UsageError, match="on the CPU"):
        run.check_engine("openvino", SimpleNamespace(type="cuda"), None)
    monkeypatch.setattr(run.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pellucid\[onnx\]"):
        run.check_engine("onnxruntime", CPU, None)
