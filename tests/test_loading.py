from dataclasses import asdict, replace
from types import SimpleNamespace

import pytest
import torch

import pellucid
from pellucid import zoo
from pellucid.checkpoints.build import KINDS, build_network, load_network
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_clip
from pellucid.degradations import CLASSES, WORDS
from pellucid.errors import CheckpointError, UsageError
from pellucid.loading import _OFFICIAL_TOKENS, load_parts
from pellucid.networks.resunet import ResUNet
from pellucid.vision_language.preprocess import embed
from pellucid.vision_language.prompts import QualityPrompts
from pellucid.vision_language.semantics import TowerSemantics
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import SHIPPED
from tiny import CLIP, NETWORK, WEATHER, randomised, restorer, save_bundles


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def image():
    return torch.rand(1, 3, 37, 53, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def files(tmp_path):
    return save_bundles(tmp_path)


def test_loads_a_bundle_with_the_tower_beside_it(files, image):
    model = pellucid.load(files / "net.safetensors", device="cpu", dtype="float32")
    assert model.name == "net" and not model.is_diffusion
    assert set(model.diagnose(image)[0].probabilities) == set(CLASSES)
    assert torch.equal(model.restore(image, strength=0), image)


TRANSFORMER = {"dim": 8, "blocks": [1, 1, 1, 1], "heads": [1, 1, 2, 2], "refinement": 1}
SIZES = {
    "resunet": asdict(NETWORK),
    "diffusion-resunet": asdict(NETWORK),
    "irsde-unet": {"nf": 32, "ch_mult": [1, 1], "context_dim": 16},
    "restormer-medium": TRANSFORMER,
    "perceive-ir": {**TRANSFORMER, "semantic_dim": 5},
    "weather": asdict(WEATHER),
    "nafnet": {"width": 8, "encoder_blocks": [1], "decoder_blocks": [1], "context_dim": 16},
}
SIZES |= {f"guided-{host}": {**SIZES[host], "semantic_dim": 5} for host in ("resunet", "nafnet")}


@pytest.mark.parametrize("kind", sorted({KINDS[k].network: k for k in KINDS}.values()))
def test_every_kind_of_network_survives_a_journey_through_a_file_and_restores(
    kind, tmp_path, image
):
    network = randomised(build_network(kind, SIZES[kind]))
    meta = {"kind": kind, "config": SIZES[kind]}
    save_bundle(tmp_path / "net.safetensors", network.state_dict(), meta)
    again, meta = load_network(tmp_path / "net.safetensors")
    assert meta["predicts"] == KINDS[kind].predicts
    assert not again.training
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    model = restorer(network=again)
    model.predicts = meta["predicts"]
    if "semantic_dim" in SIZES[kind]:
        model.semantics = SimpleNamespace(encode=lambda image: [torch.ones(1, 5)] * 4)
    options = {"steps": 2} if model.is_diffusion else {}
    results = [model.restore(image, tile=tile, **options) for tile in (0, 32)]
    assert all(r.shape == image.shape and 0 <= r.min() <= r.max() <= 1 for r in results)


def test_a_weather_network_guided_by_the_picture_asks_for_clip(tmp_path, image, monkeypatch):
    config = {**SIZES["weather"], "context_dim": 0}
    network = randomised(build_network("weather", config))
    save_bundle(
        tmp_path / "net.safetensors",
        network.state_dict(),
        {"kind": "weather", "config": config, "tower": "", "semantics": "/gone/RN50.pt"},
    )
    with pytest.raises(CheckpointError, match=r"/gone/RN50\.pt"):
        pellucid.load(tmp_path / "net.safetensors")
    (tmp_path / "RN50.pt").touch()  # beside it
    clip = SimpleNamespace(encode=lambda picture: picture.mean((2, 3)).repeat(1, 6)[:, :16])
    clip.to = lambda device: clip
    monkeypatch.setattr("pellucid.checkpoints.semantics.load_rn50", lambda path: clip)
    model = pellucid.load(tmp_path / "net.safetensors", device="cpu", dtype="float32")
    with torch.no_grad():
        expected = network(image, network.context(clip.encode(image))).clamp(0, 1)
    assert torch.allclose(model.restore(image), expected, atol=1e-5)


def test_official_names_of_sizes_are_understood():
    config = {"nf": 32, "ch_mult": [1, 1], "context_dim": 16, "scale": 0.5}
    network = build_network(
        "irsde-unet", {**config, "use_degra_context": False, "use_image_context": True}
    )
    assert network.config.downsample_first and not network.config.use_degradation_context


def test_loading_errors_say_what_to_do(files, tmp_path):
    with pytest.raises(UsageError, match="did you mean lite"):
        pellucid.load("lit")
    with pytest.raises(UsageError, match="no weights file"):
        pellucid.load(tmp_path / "nothing.safetensors")
    with pytest.raises(CheckpointError, match="describes pictures"):
        pellucid.load(files / "tower.safetensors")
    with pytest.raises(CheckpointError, match="'transformer'"):
        build_network("transformer", {})
    with pytest.raises(CheckpointError, match="depth"):
        build_network("resunet", {"depth": 3})
    (files / "tower.safetensors").unlink()
    with pytest.raises(CheckpointError, match="tower"):
        pellucid.load(files / "net.safetensors")


def test_a_tower_of_another_size_is_refused(files):
    other = replace(CLIP, embed_dim=32)
    from pellucid.vision_language.controller import DaCLIP

    save_bundle(
        files / "tower.safetensors",
        DaCLIP(other).state_dict(),
        {"kind": "daclip", "config": asdict(other)},
    )
    with pytest.raises(UsageError, match="length 16"):
        pellucid.load(files / "net.safetensors")


def test_a_network_trained_without_tower_is_loaded_without(files):
    meta = {"kind": "resunet", "config": asdict(NETWORK), "train": {"task": {"tower": ""}}}
    save_bundle(files / "alone.safetensors", ResUNet(NETWORK).state_dict(), meta)
    assert load_parts(files / "alone.safetensors")["controller"] is None


def test_a_network_told_the_true_words_in_training_is_guided_by_the_tower_of_lite(files):
    config = replace(NETWORK, context_dim=256)
    task = {"tower": "", "words": "clip.safetensors"}
    meta = {"kind": "resunet", "config": asdict(config), "train": {"task": task}}
    save_bundle(files / "told.safetensors", ResUNet(config).state_dict(), meta)
    assert pellucid.load(files / "told.safetensors").words == CLASSES


def test_official_words_have_their_tokens():
    assert tuple(_OFFICIAL_TOKENS) == WORDS


@pytest.mark.parametrize("name", [n for n, row in zoo.MODELS.items() if row.shipped])
def test_shipped_models_work(name, image):
    if not zoo.MODELS[name].network.path.exists():
        pytest.skip("weights are not trained yet")
    model = pellucid.load(name, device="cpu")
    assert (
        model.restore(image, **({"preset": "fast"} if model.is_diffusion else {})).shape
        == image.shape
    )
    assert set(model.diagnose(image)[0].probabilities) == set(CLASSES)


def test_shipped_quality_prompts_are_found_and_may_be_absent(tmp_path, monkeypatch):
    monkeypatch.setattr(zoo, "SHIPPED", tmp_path)
    for name in ("lite.safetensors", "lite-clip.safetensors", "lite-tokenizer.json"):
        (tmp_path / name).symlink_to(SHIPPED / name)
    assert load_parts("lite")["perceiver"] is None
    clip = load_clip(SHIPPED / "lite-clip.safetensors")
    prompts = QualityPrompts(clip, Tokenizer.from_file(SHIPPED / "lite-tokenizer.json"))
    meta = {"kind": "quality-prompts", "config": {}}
    save_bundle(zoo.LITE_PROMPTS.path, prompts.state_dict(), meta)
    found = load_parts("lite")
    assert torch.equal(found["perceiver"].prompts.context, prompts.context)
    assert found["perceiver"].clip is found["controller"].clip


def test_a_guided_network_of_a_file_is_read_to_by_the_tower_it_names(tmp_path, image):
    save_bundles(tmp_path)
    config = {**SIZES["guided-resunet"], "semantic_dim": 32}
    network = randomised(build_network("guided-resunet", config)).eval()
    meta = {"kind": "guided-resunet", "config": config, "tower": "tower.safetensors"}
    meta["semantics"] = "/elsewhere/tower.safetensors"
    save_bundle(tmp_path / "guided.safetensors", network.state_dict(), meta)
    model = pellucid.load(tmp_path / "guided.safetensors", device="cpu", dtype="float32")
    vectors = TowerSemantics(load_clip(tmp_path / "tower.safetensors")).encode(image)
    content, degradation = embed(model.controller, image)
    expected = network(image, network.context(image, vectors, degradation, content)).clamp(0, 1)
    torch.testing.assert_close(model.restore(image), expected, atol=1e-5, rtol=1e-4)
