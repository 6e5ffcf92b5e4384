import pytest
import torch
from safetensors.torch import load_file

from golden.fill import GOLDEN as FOLDER
from golden.fill import fill, image, read_keys
from pellucid.vision_language.clip import VIT_B_32, VIT_L_14
from pellucid.vision_language.controller import DaCLIP
from vision_language import small_towers
from vision_language.small_towers import small_tower


@pytest.fixture(scope="module")
def golden():
    values = load_file(FOLDER / "daclip_golden.safetensors")
    return {
        key.removeprefix("daclip."): v for key, v in values.items() if key.startswith("daclip.")
    }


@pytest.fixture(scope="module")
def tower():
    return fill(DaCLIP(small_towers.GOLDEN), "daclip_tiny_keys.tsv").eval()


def relative_error(ours, official):
    return float((ours - official).norm() / official.norm())


@torch.no_grad()
def test_embeddings_are_those_of_the_official_code(tower, golden):
    pixels = 2 * image(2, 224, 224) - 1
    content, degradation = tower.encode_image(pixels, control=True)
    assert relative_error(content, golden["content"]) < 1e-5
    assert relative_error(degradation, golden["degradation"]) < 1e-5
    assert relative_error(tower.encode_image(pixels), golden["plain"]) < 1e-5


@torch.no_grad()
def test_text_embeddings_are_those_of_the_official_code(tower, golden):
    tokens = torch.zeros(2, 77, dtype=torch.long)
    tokens[0, :4] = torch.tensor([598, 5, 17, 599])
    tokens[1, :6] = torch.tensor([598, 44, 3, 201, 9, 599])
    assert relative_error(tower.encode_text(tokens), golden["text"]) < 1e-5


@torch.no_grad()
def test_the_order_of_the_corrections_is_reversed(tower, golden):
    """The order of the paper's figure does not reproduce the official code."""
    pixels = 2 * image(2, 224, 224) - 1
    _, corrections = tower.visual_control(pixels)
    aligned = tower.visual(pixels, control=corrections)
    assert relative_error(aligned, golden["content"]) > 0.1


@pytest.mark.parametrize(
    ("config", "keys", "count", "trainable"),
    [
        (VIT_B_32, "keys/daclip_vit_b32.txt", 246_213_634, 94_936_321),
        (VIT_L_14, "keys/daclip_vit_l14.txt", 756_773_122, 329_156_609),
    ],
    ids=["b32", "l14"],
)
def test_full_size_towers_have_the_official_keys(config, keys, count, trainable):
    with torch.device("meta"):
        model = DaCLIP(config)
    ours = [(key, tuple(value.shape)) for key, value in model.state_dict().items()]
    assert ours == [(key, shape) for key, shape, _ in read_keys(keys)]
    assert sum(p.numel() for p in model.parameters()) == count
    assert sum(p.numel() for p in model.trainable_parameters()) == trainable


def test_a_started_controller_changes_nothing():
    model = small_tower()
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        model.clip.visual.ln_post.weight.uniform_(0.5, 1.5)  # what the official start-up misplaces
        model.clip.visual.ln_post.bias.uniform_(-1, 1)
        model.clip.logit_scale.fill_(4.0)
        assert not torch.allclose(*model.encode_image(pixels, control=True))
        model.start_controller()
        content, degradation = model.encode_image(pixels, control=True)
        plain = model.encode_image(pixels)
    assert torch.equal(content, plain)
    assert torch.equal(degradation, plain)
    assert model.logit_scale == 4.0


def test_training_changes_only_the_controller():
    model = small_tower()
    model.lock_clip()
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD(model.trainable_parameters(), lr=0.1)
    content, degradation = model.encode_image(torch.randn(2, 3, 32, 32), control=True)
    text = model.encode_text(torch.tensor([[48, 3, 49]]))
    (model.logit_scale.exp() * (content + degradation) @ text.T).square().mean().backward()
    optimizer.step()
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert "logit_scale" in changed
    assert changed - {"logit_scale"} == {n for n in before if n.startswith("visual_control.")}


def test_the_image_tower_has_two_names_and_one_set_of_weights():
    model = small_tower().double()
    assert model.visual is model.clip.visual
    assert model.visual.proj.dtype == torch.float64
