from dataclasses import asdict, replace

import pytest
import torch

import pellucid
from pellucid import loading, zoo
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_clip, load_network
from pellucid.checkpoints.weights import config_from
from pellucid.degradations import CLASSES, WORDS
from pellucid.errors import CheckpointError, UsageError
from pellucid.loading import _OFFICIAL_TOKENS, load_parts
from pellucid.networks.contract import Guidance
from pellucid.networks.resunet import ResUNet
from pellucid.networks.table import NETWORKS
from pellucid.vision_language.image_tower import ImageTower
from pellucid.vision_language.preprocess import embed
from pellucid.vision_language.prompts import QualityPrompts
from pellucid.vision_language.semantics import TowerSemantics
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER, SHIPPED
from tiny import CLIP, NETWORK, WEATHER, randomised, restorer, save_bundles, told


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


def build_network(kind, sizes):
    row = NETWORKS[kind]
    return row.network(config_from(row.config, sizes))


TRANSFORMER = {"dim": 8, "blocks": [1, 1, 1, 1], "heads": [1, 1, 2, 2], "refinement": 1}
SIZES = {
    "bilateral-grid": {"look": 32, "widths": [16, 16], "blocks": [1, 1], "context_dim": 16},
    "wiener-unet": {"reach": 12, "embed_dim": 8, "widths": [8, 8], "blocks": [1, 1]},
    "resunet": asdict(NETWORK),
    "diffusion-resunet": asdict(NETWORK),
    "irsde-unet": {"nf": 32, "ch_mult": [1, 1], "context_dim": 16},
    "restormer": TRANSFORMER,
    "restormer-medium": TRANSFORMER,
    "perceive-ir": {**TRANSFORMER, "semantic_dim": 5},
    "weather": asdict(WEATHER),
    "nafnet": {"width": 8, "encoder_blocks": [1], "decoder_blocks": [1], "context_dim": 16},
}
SIZES["direct-unet"] = SIZES["irsde-unet"]
SIZES["guided-unet"] = {**SIZES["irsde-unet"], "semantic_dim": 5}
SIZES |= {f"guided-{host}": {**SIZES[host], "semantic_dim": 5} for host in ("resunet", "nafnet")}


class Ones(ImageTower):
    """An image tower that says 1."""

    def encode(self, image):
        return torch.ones(len(image), 4, 5)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_kind_of_network_survives_a_journey_through_a_file_and_restores(
    kind, tmp_path, image
):
    network = randomised(build_network(kind, SIZES[kind]))
    meta = {"kind": kind, "config": SIZES[kind]}
    save_bundle(tmp_path / "net.safetensors", network.state_dict(), meta)
    loaded = load_network(tmp_path / "net.safetensors")
    again = loaded.network
    assert loaded.predicts == NETWORKS[kind].predicts
    assert not again.training and again.config == network.config
    for name, value in network.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)
    model = restorer(network=again, semantics=Ones(), predicts=loaded.predicts)
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

    class Means(ImageTower):
        dim = 16

        def encode(self, image):
            return image.mean((2, 3)).repeat(1, 6)[:, None, :16]

    clip = Means()
    monkeypatch.setattr("pellucid.loading.load_image_tower", lambda path: clip)
    model = pellucid.load(tmp_path / "net.safetensors", device="cpu", dtype="float32")
    with torch.no_grad():
        condition = network.condition(image, told(semantics=clip.encode(image)))
        expected = network(image, condition).clamp(0, 1)
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
    with pytest.raises(UsageError, match="lite reads no semantics: leave out --semantics"):
        pellucid.load("lite", "cpu", semantics="dinov2-base")
    with pytest.raises(UsageError, match="no weights file"):
        pellucid.load(tmp_path / "nothing.safetensors")
    with pytest.raises(CheckpointError, match="describes pictures"):
        pellucid.load(files / "tower.safetensors")
    for meta, said in (
        ({"kind": "transformer", "config": {}}, "'transformer'"),
        ({"kind": "resunet", "config": {"depth": 3}}, "depth=3"),
    ):
        save_bundle(files / "odd.safetensors", {"a": torch.zeros(1)}, meta)
        with pytest.raises(CheckpointError, match=said):
            pellucid.load(files / "odd.safetensors")
    (files / "tower.safetensors").unlink()
    with pytest.raises(CheckpointError, match="tower"):
        pellucid.load(files / "net.safetensors")


def test_a_file_is_not_its_own_tower(files):
    meta = {"kind": "resunet", "config": asdict(NETWORK), "tower": "runs/a/weights.safetensors"}
    save_bundle(files / "weights.safetensors", ResUNet(NETWORK).state_dict(), meta)
    with pytest.raises(CheckpointError, match="trained with the tower runs/a/weights"):
        pellucid.load(files / "weights.safetensors")


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
    assert load_parts(files / "alone.safetensors").controller is None


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
    assert load_parts("lite").perceiver is None
    clip = load_clip(SHIPPED / "lite-clip.safetensors")
    prompts = QualityPrompts(clip, Tokenizer.from_file(LITE_TOKENIZER.path))
    meta = {"kind": "quality-prompts", "config": {}}
    save_bundle(zoo.LITE_PROMPTS.path, prompts.state_dict(), meta)
    found = load_parts("lite")
    assert torch.equal(found.perceiver.prompts.context, prompts.context)
    assert found.perceiver.clip is found.controller.clip


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
    condition = network.condition(image, told(degradation, content, vectors))
    expected = network(image, condition).clamp(0, 1)
    torch.testing.assert_close(model.restore(image), expected, atol=1e-5, rtol=1e-4)


def test_auto_loads_one_tower_for_all_its_models():
    model = pellucid.load(device="cpu")
    assert model.name == "auto" and model.specialists
    for specialist in model.specialists.values():
        assert specialist.controller is model.controller
        assert specialist.text_features is model.text_features


def test_a_specialist_is_loaded_when_it_is_first_asked_for(monkeypatch):
    opened = []
    read = loading.load_network
    monkeypatch.setattr(
        loading, "load_network", lambda path: opened.append(path.stem) or read(path)
    )
    model = pellucid.load(device="cpu")
    assert opened == ["lite"]
    specialist = model.route(Guidance(words=("noisy",)))
    both = Guidance(words=("jpeg-compressed", "noisy"))
    assert specialist is model.route(both) is not model
    assert opened == ["lite", specialist.name]
    assert model.route(Guidance(words=("low-light",))) is model and len(opened) == 2
    white = model.route(Guidance(words=("noisy",), white=True))
    assert white.name == "lite-noise" and specialist.name == "lite-detail"
    assert model.route(Guidance(words=("jpeg-compressed",))).name == "lite-jpeg"


def test_a_network_that_shares_its_tower_reads_with_it():
    model = pellucid.load("lite-perceive", device="cpu")
    assert model.semantics.visual is model.controller.visual


def test_an_official_network_without_guidance_is_restored_with_the_tower_of_lite(tmp_path, image):
    config = NETWORKS["nafnet"].config(
        8, (1,), 1, (1,), use_degradation_context=False, use_image_context=False
    )
    network = randomised(NETWORKS["nafnet"].network(config)).eval()
    torch.save({"params": network.state_dict()}, tmp_path / "NAFNet.pth")
    model = pellucid.load(tmp_path / "NAFNet.pth", device="cpu", dtype="float32")
    expected = network(image, network.condition(image, told())).clamp(0, 1)
    torch.testing.assert_close(model.restore(image), expected, atol=1e-5, rtol=1e-4)
    assert set(model.diagnose(image)[0].probabilities) == set(CLASSES)


def test_semantics_can_be_named_and_must_have_the_network_s_length(tmp_path, image):
    save_bundles(tmp_path)
    config = {**SIZES["guided-resunet"], "semantic_dim": 32}
    network = randomised(build_network("guided-resunet", config))
    meta = {"kind": "guided-resunet", "config": config, "tower": "tower.safetensors"}
    path = tmp_path / "guided.safetensors"
    save_bundle(path, network.state_dict(), {**meta, "semantics": "/gone.safetensors"})
    with pytest.raises(CheckpointError, match=r"/gone\.safetensors"):
        pellucid.load(path, device="cpu")
    tower = tmp_path / "tower.safetensors"
    model = pellucid.load(path, device="cpu", semantics=tower)
    assert model.restore(image).shape == image.shape
    config["semantic_dim"] = 5
    network = build_network("guided-resunet", config)
    save_bundle(path, network.state_dict(), {**meta, "config": config})
    with pytest.raises(UsageError, match=r"length 5, .* have 32"):
        pellucid.load(path, device="cpu", semantics=tower)


def test_a_file_may_name_its_tower_by_a_model_in_the_package(tmp_path):
    config = replace(NETWORK, context_dim=256)
    meta = {"kind": "resunet", "config": asdict(config), "tower": "lite"}
    save_bundle(tmp_path / "alone.safetensors", ResUNet(config).state_dict(), meta)
    assert load_parts(tmp_path / "alone.safetensors").controller is not None
