import hashlib
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import save_file

from checkpoints.official_files import (
    SMALL_UNET,
    SMALL_WILD_UNET,
    save_tower,
    save_unet,
    training_checkpoint,
)
from golden.fill import golden_state, read_keys
from pellucid.checkpoints import load, openai_clip
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.daclip import daclip_config, daclip_state_dict, unet_config
from pellucid.checkpoints.load import load_clip, load_daclip, load_file, load_into
from pellucid.cli import main
from pellucid.errors import CheckpointError
from pellucid.networks.irsde_unet import UNIVERSAL, WILD, ConditionalUNet, UNetConfig
from pellucid.vision_language.clip import CLIP, VIT_B_32, VIT_L_14, CLIPConfig
from pellucid.vision_language.controller import DaCLIP
from vision_language.small_towers import SMALL, small_tower


def assert_same_tower(ours, theirs):
    pixels = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = theirs.encode_image(pixels, control=True)
        for a, b in zip(ours.encode_image(pixels, control=True), expected, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("alias", [True, False], ids=["alias", "no alias"])
def test_an_official_tower_loads(tmp_path, prefix, alias):
    checkpoint = training_checkpoint(prefix)
    if not alias:
        for key in [k for k in checkpoint["state_dict"] if k.startswith(f"{prefix}visual.")]:
            del checkpoint["state_dict"][key]
    path = save_tower(tmp_path / "daclip.pt", checkpoint)
    model = load_daclip(path)
    assert model.config == SMALL
    assert model.visual is model.clip.visual
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    reference = DaCLIP(SMALL)
    reference.load_state_dict(
        {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items()}, strict=alias
    )
    assert_same_tower(model, reference)


def test_two_towers_that_should_be_one_are_refused(tmp_path):
    checkpoint = training_checkpoint()
    key = "module.visual.proj"
    checkpoint["state_dict"][key] = checkpoint["state_dict"][key] + 1
    with pytest.raises(CheckpointError, match=r"visual\.proj and clip\.visual\.proj must be equal"):
        load_file(save_tower(tmp_path / "daclip.pt", checkpoint))


def test_a_copied_alias_is_one_tensor_again():
    state = {key: value.clone() for key, value in small_tower().state_dict().items()}
    adapted = daclip_state_dict(state)
    assert adapted["visual.proj"] is adapted["clip.visual.proj"]


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("config", [SMALL_UNET, SMALL_WILD_UNET], ids=["universal", "wild"])
def test_an_official_unet_loads(tmp_path, prefix, config):
    state, meta = load_file(save_unet(tmp_path / "ir.pth", config, prefix))
    assert meta["kind"] == "irsde-unet"
    found = UNetConfig(**{**meta["config"], "ch_mult": tuple(meta["config"]["ch_mult"])})
    assert found == config
    load_into(ConditionalUNet(found), state, "ir.pth")


@pytest.mark.parametrize(
    ("keys", "config"),
    [("daclip_vit_b32", VIT_B_32), ("daclip_vit_l14", VIT_L_14)],
    ids=["b32", "l14"],
)
def test_the_sizes_of_an_official_tower_are_read_off_its_weights(keys, config):
    rows = read_keys(f"keys/{keys}.txt")
    assert daclip_config({k: torch.empty(s, device="meta") for k, s, _ in rows}) == config


@pytest.mark.parametrize(
    ("keys", "config"), [("unet_universal_ir", UNIVERSAL), ("unet_wild_ir", WILD)]
)
def test_the_sizes_of_an_official_unet_are_read_off_its_weights(keys, config):
    rows = read_keys(f"keys/{keys}.txt")
    found = unet_config({k: torch.empty(s, device="meta") for k, s, _ in rows})
    assert found == {**asdict(config), "ch_mult": list(config.ch_mult)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_bundle_of_a_tower_loads_with_and_without_its_alias(tmp_path, dtype):
    model = small_tower(views="windows")
    meta = {"kind": "daclip", "config": asdict(model.config), "recipe": "lite_towers"}
    full = model.state_dict()
    unique = {key: value for key, value in full.items() if not key.startswith("visual.")}
    for name, state in (("full", full), ("unique", unique)):
        path = tmp_path / f"{name}.safetensors"
        save_bundle(path, state, meta, dtype)
        loaded = load_daclip(path)
        assert loaded.config == replace(SMALL, views="windows")
        assert loaded.logit_scale.dtype == torch.float32
        assert load_file(path)[1]["recipe"] == "lite_towers"
        rounded = DaCLIP(model.config)
        rounded.load_state_dict({key: value.to(dtype) for key, value in full.items()})
        assert_same_tower(loaded, rounded)


def test_official_weights_that_someone_saved_as_safetensors_load(tmp_path):
    path = tmp_path / "converted.safetensors"
    state = {k: v for k, v in small_tower().state_dict().items() if not k.startswith("visual.")}
    save_file(state, path)
    assert load_daclip(path).config == SMALL


def test_a_wrong_config_names_the_first_keys_and_changes_nothing():
    state = golden_state("daclip_tiny_keys.tsv")
    model = small_tower()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_into(model, daclip_state_dict(state), "tiny.pt")
    message = str(caught.value)
    assert message.startswith(
        "tiny.pt does not fit DaCLIP: clip.transformer.resblocks.1.ln_1.weight"
    )
    assert "is unknown" in message and "more" in message
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_wrong_shape_is_named_with_both_shapes():
    state = dict(small_tower().state_dict())
    state["clip.text_projection"] = torch.zeros(64, 17)
    with pytest.raises(CheckpointError, match=r"text_projection is \(64, 17\), not \(64, 16\)$"):
        load_into(small_tower(), state, "x.pt")


def test_wild_weights_do_not_slip_into_the_universal_unet(tmp_path):
    """The official loader is not strict: it leaves random layers behind."""
    state, _ = load_file(save_unet(tmp_path / "wild-ir.pth", SMALL_WILD_UNET))
    with pytest.raises(
        CheckpointError, match=r"wild-ir\.pth does not fit ConditionalUNet: prompt is m"
    ):
        load_into(ConditionalUNet(SMALL_UNET), state, tmp_path / "wild-ir.pth")


def test_a_unet_is_not_a_tower(tmp_path):
    with pytest.raises(CheckpointError, match="holds irsde-unet weights, not a DA-CLIP tower"):
        load_daclip(save_unet(tmp_path / "ir.pth"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "no weights in it, but a list"),
        ({}, "no weights in it, but a dict"),
        ({"epoch": 3, "optimizer": {}}, "not a state dict: 'epoch' is a int"),
        ({"conv.weight": torch.ones(1)}, "unknown network.*first key is conv.weight"),
    ],
)
def test_other_checkpoints_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=rf"other\.pt: .*{message}"):
        load_file(tmp_path / "other.pt")


def test_a_bundle_that_does_not_say_its_sizes_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_bundle(path, small_tower().state_dict(), {"kind": "daclip"})
    with pytest.raises(CheckpointError, match="does not say the sizes"):
        load_daclip(path)


def test_a_full_size_meta_tower_takes_the_tensors_themselves():
    with torch.device("meta"):
        model = DaCLIP(SMALL)
    state = small_tower().state_dict()
    load_into(model, state, "x")
    assert model.visual.proj.data_ptr() == state["visual.proj"].data_ptr()
    assert isinstance(model.config, CLIPConfig)


@pytest.mark.filterwarnings("ignore:.*torch.jit", "ignore:.*TorchScript archive")
def test_openais_archive_is_converted_if_it_is_the_published_one(tmp_path, monkeypatch):
    config = replace(SMALL, quick_gelu=True)
    monkeypatch.setitem(load._OPENAI, "ViT-B/32", {"kind": "clip", "config": asdict(config)})
    torch.manual_seed(0)
    clip, path = CLIP(config).eval(), tmp_path / "ViT-B-32.pt"
    inputs = {"encode_image": torch.zeros(1, 3, 32, 32)}
    torch.jit.save(torch.jit.trace_module(clip, inputs, check_trace=False), path)
    with pytest.raises(CheckpointError):
        load_file(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(openai_clip.SHA256, "ViT-B/32", digest)
    converted = tmp_path / "clip.safetensors"
    assert main(["convert", str(path), str(converted)]) == 0
    tokens = torch.tensor([[48, 3, 49, 0]])
    for file in (path, converted):
        loaded = load_clip(file)
        assert loaded.config == config and not loaded.training
        assert torch.equal(loaded.encode_text(tokens), clip.encode_text(tokens))


def test_the_clip_inside_a_da_clip_loads_alone(tmp_path):
    model = small_tower()
    meta = {"kind": "daclip", "config": asdict(model.config)}
    save_bundle(tmp_path / "tower.safetensors", model.state_dict(), meta)
    pixels = torch.rand(1, 3, 32, 32)
    loaded = load_clip(tmp_path / "tower.safetensors")
    assert torch.equal(loaded.encode_image(pixels), model.encode_image(pixels))
    meta = {"kind": "quality-prompts", "config": {}}
    save_bundle(tmp_path / "other.safetensors", {"context": torch.zeros(1)}, meta)
    with pytest.raises(CheckpointError, match="holds quality-prompts weights, not a CLIP"):
        load_clip(tmp_path / "other.safetensors")
