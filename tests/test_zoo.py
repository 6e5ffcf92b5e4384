import subprocess
import sys

import pytest

from checkpoints.local_hub import LocalHub
from checkpoints.official_files import save_tower, save_unet
from pellucid import zoo
from pellucid.checkpoints.bundle import read_meta
from pellucid.checkpoints.download import RemoteFile
from pellucid.degradations import WEATHER
from pellucid.errors import CheckpointError, UsageError


def test_importing_the_table_is_cheap():
    code = "import sys, pellucid.zoo; print(*sys.modules)"
    env = {"PYTHONPATH": str(zoo.SHIPPED.parents[1])}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    modules = set(run.stdout.split())
    assert "pellucid.zoo" in modules
    assert not modules & {"torch", "numpy", "safetensors", "huggingface_hub", "transformers"}


def test_every_row_says_where_it_comes_from():
    official = {"daclip", "daclip-mix", "daclip-wild"}
    shipped = {"lite", "lite-blur", "lite-detail", "lite-jpeg", "lite-light"}
    shipped |= {"lite-noise", "lite-overlay"}
    shipped |= {"lite-sde", "lite-perceive", "lite-weather"}
    by_hand = {"perceive-ir-3task", "perceive-ir-5task"}
    assert set(zoo.MODELS) == shipped | official | by_hand
    assert set(zoo.LITE_WEATHER.covers) == set(WEATHER)
    assert zoo.DEFAULT in zoo.MODELS
    for name, row in zoo.MODELS.items():
        assert row.name == name and row.summary
        assert row.shipped == name.startswith("lite")
        for file in (row.network, row.tower):
            assert file.licence
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
            if isinstance(file, RemoteFile):
                assert file.paper and file.licence == "MIT"
        assert isinstance(row.network, zoo.ManualFile) == (name in by_hand)


def test_a_file_to_be_fetched_by_hand_says_how_and_is_found_when_converted(tmp_path, monkeypatch):
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path))
    target = tmp_path / "perceive-ir-3task.safetensors"
    with pytest.raises(CheckpointError, match=rf"pan\.baidu.*\n.*convert AIO-3D\.pth {target}"):
        zoo.resolve("perceive-ir-3task")
    target.touch()
    assert zoo.resolve("perceive-ir-3task") == (target, zoo.LITE_CLIP.path)


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"unknown model 'daclp'.*did you mean daclip\?"):
        zoo.resolve("daclp")
    with pytest.raises(UsageError, match=r"did you mean auto\?"):
        zoo.entry("atuo")
    with pytest.raises(UsageError, match="a choice of models"):
        zoo.entry(zoo.AUTO)
    known = (
        "Known: auto, lite, lite-blur, lite-jpeg, lite-noise, lite-detail, lite-overlay, "
        "lite-weather, lite-light, lite-sde, lite-perceive"
    )
    with pytest.raises(UsageError, match=known):
        zoo.resolve("restormer")


def test_an_official_model_resolves_to_two_bundles(tmp_path, monkeypatch):
    hub = LocalHub()
    repo = "weblzw/daclip-uir-ViT-B-32-irsde"
    hub.files[f"{repo}/daclip_ViT-B-32_mix.pt"] = save_tower(tmp_path / "a.pt").read_bytes()
    hub.files[f"{repo}/universal-ir-mix.pth"] = save_unet(tmp_path / "b.pth").read_bytes()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    try:
        paths = zoo.resolve("daclip-mix")
        assert read_meta(paths.network)["kind"] == "irsde-unet"
        assert read_meta(paths.tower)["kind"] == "daclip"
        with pytest.raises(CheckpointError, match=r"universal-ir\.pth could not be downloaded"):
            zoo.resolve("daclip")
        del hub.files[f"{repo}/universal-ir-mix.pth"]
        monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "another"))
        assert read_meta(zoo.resolve_tower("daclip-mix"))["kind"] == "daclip"
    finally:
        hub.close()


def test_a_shipped_model_is_in_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "SHIPPED", tmp_path)
    with pytest.raises(CheckpointError, match="reinstall the package"):
        zoo.resolve("lite")
    for name in ("lite.safetensors", "lite-clip.safetensors"):
        (tmp_path / name).touch()
    assert zoo.resolve() == (tmp_path / "lite.safetensors", tmp_path / "lite-clip.safetensors")


def test_the_table_says_which_shipped_models_draw_noise():
    shipped = [row for row in zoo.MODELS.values() if row.shipped]
    assert {row.samples for row in shipped} == {True, False}
    for row in shipped:
        assert row.samples == bool(read_meta(row.network.path).get("predicts")), row.name
