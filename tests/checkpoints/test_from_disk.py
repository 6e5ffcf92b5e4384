"""Official files as they lie on disk: the keys of the authors, small networks."""

import shlex
from dataclasses import asdict

import numpy as np
import pytest
import torch
from PIL import Image

from checkpoints.official_files import save_tower, save_unet, training_checkpoint
from pellucid import zoo
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_network
from pellucid.checkpoints.weights import unwrap
from pellucid.cli import main
from pellucid.cli.convert import EXAMPLES
from pellucid.errors import CheckpointError
from pellucid.loading import load_parts
from pellucid.networks.irsde_unet import UNIVERSAL, UNetConfig
from pellucid.networks.perceive_ir import PerceiveIR, PerceiveIRConfig
from vision_language.small_towers import small_tower
from vision_language.test_dinov2 import tiny_model

UNET = UNetConfig(nf=32, ch_mult=(1, 1), context_dim=16)
PERCEIVE = PerceiveIRConfig(8, (1, 1, 1, 1), (1, 1, 2, 4), 1, semantic_dim=16)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """`universal-ir.pth`, `daclip_ViT-B-32.pt` with CLIP's vocabulary, `AIO-3D.pth`, a picture."""
    tower = small_tower()
    checkpoint = training_checkpoint()
    words = torch.zeros(49_408, tower.config.text.width)
    checkpoint["state_dict"]["module.clip.token_embedding.weight"] = words
    save_tower(tmp_path / "daclip_ViT-B-32.pt", checkpoint)
    save_unet(tmp_path / "universal-ir.pth", UNET)
    torch.save({"model": PerceiveIR(PERCEIVE).state_dict()}, tmp_path / "AIO-3D.pth")
    pixels = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    return tmp_path


def printed(text):
    return [
        line.strip() for line in text.splitlines() if line.startswith(("  pellucid", "    pel"))
    ]


def run(line):
    argv = shlex.split(line)
    assert argv[0] == "pellucid"
    return main([*argv[1:], *(["--overwrite", "--quiet"] if argv[1] == "restore" else [])])


def test_the_examples_of_converts_help_run_as_they_are_printed(folder):
    lines = printed(EXAMPLES)
    assert len(lines) == 3
    for line in lines:
        assert run(line) == 0
    assert (folder / "restored/photo.jpg").exists()


def test_what_models_prints_for_files_on_disk_runs_as_it_is_printed(folder, capsys):
    tiny_model().model.save_pretrained(folder / "dinov2-base")
    for name in ("daclip", "perceive-ir-3task"):
        assert main(["models", name]) == 0
        text = capsys.readouterr().out
        for file in (zoo.MODELS[name].network, zoo.MODELS[name].tower):
            assert all(published in text for published in zoo.published_names(file))
        lines = printed(text)
        assert len(lines) == 2 and all(run(line) == 0 for line in lines)
        capsys.readouterr()
    assert zoo.resolve("perceive-ir-3task").network.exists()


def test_official_pairs_are_known_by_name(folder):
    guided = load_parts("universal-ir.pth")
    assert guided.controller.config.embed_dim == 16 and guided.predicts == "epsilon"
    (folder / "daclip_ViT-B-32.pt").rename(folder / "renamed.pt")
    message = r"guided by daclip_ViT-B-32\.pt, which is neither beside it.*use the model daclip"
    with pytest.raises(CheckpointError, match=message):
        load_parts("universal-ir.pth")
    assert load_parts("universal-ir.pth", tower="renamed.pt").controller is not None
    (folder / "cache").mkdir()
    assert main(["convert", "renamed.pt", "cache/daclip_ViT-B-32.safetensors"]) == 0
    assert load_parts("universal-ir.pth").controller is not None
    meta = {"kind": "irsde-unet", "config": asdict(UNET), "tower": "daclip"}  # our own training's
    state = load_network("universal-ir.pth").network.state_dict()
    save_bundle(folder / "trained.safetensors", state, meta)
    assert load_parts("trained.safetensors").controller.config.embed_dim == 16
    assert main(["convert", "universal-ir.pth", "mine.safetensors"]) == 0
    assert load_parts("mine.safetensors").controller.config.embed_dim == 16


def test_dinov2_beside_perceive_ir_is_found(folder):
    tiny_model().model.save_pretrained(folder / "dinov2-base")
    parts = load_parts("AIO-3D.pth")
    assert parts.semantics.dim == 16 and parts.words  # the tower of lite names the damage


def test_every_published_file_has_its_model():
    names = {"universal-ir-mix.pth": "daclip-mix", "wild-ir.pth": "daclip-wild"}
    names |= {"AIO-5D.pth": "perceive-ir-5task", "perceiveIR_3task.pth": "perceive-ir-3task"}
    names |= {"universal-ir.safetensors": "daclip", "/elsewhere/wild-ir.safetensors": "daclip-wild"}
    for file, model in names.items():
        assert zoo.by_file(file).name == model
    assert zoo.by_file("lite.safetensors") is None and zoo.by_file("own.pth") is None
    assert UNIVERSAL.context_dim == 512  # which is why `lite` cannot stand in for the tower


@pytest.mark.parametrize(
    "prefix", ["", "net.", "model.", "module.", "_orig_mod.", "net._orig_mod."]
)
def test_wrapped_weights_are_those_of_the_network(prefix):
    state = {"init_conv.weight": torch.ones(2, 2), "downs.0.0.mlp.1.bias": torch.ones(2)}
    wrapped = {prefix + name: value for name, value in state.items()}
    for wrapping in ("params", "params_ema", "state_dict"):
        assert unwrap({wrapping: wrapped, "epoch": 3, "global_step": 9}) == state
    # a Lightning module holds its losses, too
    found = unwrap({"state_dict": {**wrapped, "lpips.slice1.0.weight": torch.zeros(2)}})
    assert found == state or not prefix
    both = {f"{where}.{name}": value for where in ("net", "other") for name, value in state.items()}
    assert unwrap(both) == both  # neither half is the network
