import hashlib
import json
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
from networks.test_restormer import official_names
from pellucid.checkpoints import openai_clip, weights
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import (
    build,
    load_clip,
    load_daclip,
    load_image_tower,
    load_into,
    load_network,
    unfilled,
)
from pellucid.checkpoints.weights import config_from, read_weights, unwrap
from pellucid.cli import main
from pellucid.errors import CheckpointError
from pellucid.networks.contract import Guidance
from pellucid.networks.irsde_unet import UNIVERSAL, WILD, ConditionalUNet
from pellucid.networks.nafnet import NAFNet, NAFNetConfig
from pellucid.networks.prior import PriorConfig
from pellucid.networks.restormer import Restormer, RestormerConfig
from pellucid.networks.weather import WeatherConfig
from pellucid.vision_language.clip import CLIP, VIT_B_32, VIT_L_14, CLIPConfig
from pellucid.vision_language.controller import DaCLIP
from pellucid.vision_language.semantics import TowerSemantics
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
        read_weights(save_tower(tmp_path / "daclip.pt", checkpoint))


def test_a_copied_alias_is_one_tensor_again():
    state = {key: value.clone() for key, value in small_tower().state_dict().items()}
    adapted = DaCLIP.official(state)[1]
    assert adapted["visual.proj"] is adapted["clip.visual.proj"]


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("config", [SMALL_UNET, SMALL_WILD_UNET], ids=["universal", "wild"])
def test_an_official_unet_loads(tmp_path, prefix, config):
    path = save_unet(tmp_path / "ir.pth", config, prefix)
    assert read_weights(path).kind == "irsde-unet"
    found = load_network(path)
    assert isinstance(found.network, ConditionalUNet) and found.network.config == config
    assert found.predicts == "epsilon"
    state = torch.load(path, weights_only=True)
    for name, value in found.network.state_dict().items():
        assert torch.equal(value, state[f"{prefix}{name}"])


@pytest.mark.parametrize(
    ("keys", "config"),
    [("daclip_vit_b32", VIT_B_32), ("daclip_vit_l14", VIT_L_14)],
    ids=["b32", "l14"],
)
def test_the_sizes_of_an_official_tower_are_read_off_its_weights(keys, config):
    rows = read_keys(f"keys/{keys}.txt")
    state = {k: torch.empty(s, device="meta") for k, s, _ in rows if not k.startswith("visual.")}
    assert DaCLIP.official(state)[0] == config


@pytest.mark.parametrize(
    ("keys", "config"), [("unet_universal_ir", UNIVERSAL), ("unet_wild_ir", WILD)]
)
def test_the_sizes_of_an_official_unet_are_read_off_its_weights(keys, config):
    rows = read_keys(f"keys/{keys}.txt")
    state = {k: torch.empty(s, device="meta") for k, s, _ in rows}
    assert ConditionalUNet.official(state)[0] == config


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
        assert read_weights(path).meta["recipe"] == "lite_towers"
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
        load_into(model, DaCLIP.official(state)[1], "tiny.pt")
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
    state = read_weights(save_unet(tmp_path / "wild-ir.pth", SMALL_WILD_UNET)).state
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
        ({"net.a": torch.ones(1), "b": torch.ones(1)}, "unknown network.*first key is net.a"),
    ],
)
def test_other_checkpoints_are_refused(tmp_path, content, message):
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=rf"other\.pt: .*{message}"):
        build(read_weights(tmp_path / "other.pt"))


def test_a_bundle_that_does_not_say_its_sizes_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    save_bundle(path, small_tower().state_dict(), {"kind": "daclip"})
    with pytest.raises(CheckpointError, match="does not say the sizes"):
        load_daclip(path)


def test_an_unfilled_tower_draws_nothing_and_takes_the_tensors_themselves():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    with unfilled():
        model = DaCLIP(SMALL)
    assert torch.equal(torch.rand(1), expected)
    state = small_tower().state_dict()
    load_into(model, state, "x", assign=True)
    assert model.visual.proj.data_ptr() == state["visual.proj"].data_ptr()
    assert isinstance(model.config, CLIPConfig) and model.visual is model.clip.visual


def test_an_unfilled_network_has_its_constant_buffers():
    with unfilled():
        network = ConditionalUNet(SMALL_UNET)
    plain = ConditionalUNet(SMALL_UNET)
    stored = plain.state_dict().keys()
    constants = {name: b for name, b in plain.named_buffers() if name not in stored}
    assert constants
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, constants[name])


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_openais_archive_is_converted_if_it_is_the_published_one(tmp_path, monkeypatch):
    config = replace(SMALL, quick_gelu=True)
    monkeypatch.setitem(weights.OPENAI, "ViT-B/32", {"kind": "clip", "config": asdict(config)})
    torch.manual_seed(0)
    clip, path = CLIP(config).eval(), tmp_path / "ViT-B-32.pt"
    inputs = {"encode_image": torch.zeros(1, 3, 32, 32)}
    torch.jit.save(torch.jit.trace_module(clip, inputs, check_trace=False), path)
    with pytest.raises(CheckpointError, match=r"only OpenAI's RN50 and ViT-B/32 are opened"):
        read_weights(path)
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


WRAPPED = {
    "plain": lambda state: state,
    "params": lambda state: {"params": state},
    "params_ema": lambda state: {"params": {"x": torch.ones(1)}, "params_ema": state},
    "state_dict": lambda state: {"state_dict": {f"net.{k}": v for k, v in state.items()}},
    "module": lambda state: {"model": {f"module.net.{k}": v for k, v in state.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPED)
def test_an_official_nafnet_or_restormer_loads_whatever_it_is_wrapped_in(tmp_path, wrapping):
    config = NAFNetConfig(
        8, (1, 2), 1, (1, 1), use_degradation_context=False, use_image_context=False
    )
    torch.manual_seed(0)
    nafnet = NAFNet(config)
    small = {"dim": 8, "blocks": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "refinement": 1}
    restormer = {k: torch.rand(s) for k, s in official_names(**small).items()}
    image = torch.rand(1, 3, 20, 24)
    path = tmp_path / "official.pth"
    torch.save(WRAPPED[wrapping](nafnet.state_dict()), path)
    found = load_network(path)
    assert found.network.config == config and found.predicts is None
    condition = nafnet.condition(image, Guidance())
    assert torch.equal(found.network(image, condition), nafnet(image, condition))
    torch.save(WRAPPED[wrapping](restormer), path)
    found = load_network(path).network
    assert isinstance(found, Restormer) and found.config == RestormerConfig(**small)
    assert torch.equal(found.latent[0].attention.qkv.weight, restormer["latent.0.attn.qkv.weight"])


def test_the_prefix_of_one_part_is_no_prefix():
    state = {"net.a": torch.ones(1), "other": torch.ones(1)}
    assert unwrap(state) == state


def test_configs_survive_json_with_what_is_nested_in_them():
    weather = WeatherConfig(sar="decoder", prior=PriorConfig(tokens=3))
    for config in (VIT_L_14, WeatherConfig(prior=None), weather, NAFNetConfig()):
        values = json.loads(json.dumps(asdict(config)))
        assert config_from(type(config), values) == config


def test_retired_sizes_load_if_they_say_what_is_built():
    values = {**asdict(WeatherConfig()), "gate": "pixel"}
    values["prior"] = {**values["prior"], "mix": "concatenate", "query": "pixels", "grid_dim": 0}
    assert config_from(WeatherConfig, values) == WeatherConfig()
    for name, value in (("gate", "channel"), ("depth", 3)):
        with pytest.raises(CheckpointError, match=f"{name}={value!r}. Is Pellucid up to date"):
            config_from(WeatherConfig, values | {name: value})


def test_an_image_tower_is_found_by_what_is_in_its_file(tmp_path):
    model, image = small_tower(), torch.rand(1, 3, 40, 50)
    meta = {"kind": "daclip", "config": asdict(model.config)}
    save_bundle(tmp_path / "tower.safetensors", model.state_dict(), meta)
    found = load_image_tower(tmp_path / "tower.safetensors")
    assert torch.equal(found.encode(image), TowerSemantics(model).encode(image))
    save_unet(tmp_path / "ir.pth", SMALL_UNET)
    with pytest.raises(CheckpointError, match="no image tower of CLIP, but irsde-unet weights"):
        load_image_tower(tmp_path / "ir.pth")
