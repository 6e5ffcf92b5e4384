import hashlib

import pytest
import torch
from safetensors.torch import save_file

from pellucid.checkpoints import openai_clip
from pellucid.checkpoints.load import load_image_tower
from pellucid.errors import CheckpointError
from pellucid.vision_language.resnet import CLIPResNet, CLIPResNetConfig, ResNetConfig

SMALL = CLIPResNetConfig(
    embed_dim=6, vision=ResNetConfig(image_size=64, layers=(2, 1, 1, 1), width=8, heads=4)
)


@pytest.fixture
def source():
    torch.manual_seed(0)
    return CLIPResNet(SMALL).eval()


def check_same(model, source):
    pixels = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    given, held = model.state_dict(), source.state_dict()
    assert given.keys() == held.keys() and all(torch.equal(given[k], held[k]) for k in held)
    # Some CPUs round sums otherwise where a file's weights begin elsewhere in memory.
    torch.testing.assert_close(
        model.encode_image(pixels), source.encode_image(pixels), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
def test_a_state_dict_of_the_whole_model_loads_frozen(suffix, source, tmp_path):
    state = {**source.state_dict(), "logit_scale": torch.zeros(())}
    del state["visual.bn1.num_batches_tracked"]  # as some conversions do
    path = tmp_path / f"rn50.{suffix}"
    (torch.save if suffix == "pt" else save_file)(state, path)
    model = load_image_tower(path)
    assert model.config == SMALL
    check_same(model, source)
    assert not model.training and not any(p.requires_grad for p in model.parameters())


@pytest.mark.filterwarnings("ignore:.*torch.jit")
def test_an_archive_with_code_is_opened_only_with_the_published_checksum(
    source, tmp_path, monkeypatch
):
    path = tmp_path / "RN50.pt"
    inputs = {"encode_image": torch.zeros(1, 3, 64, 64)}
    torch.jit.save(torch.jit.trace_module(source, inputs, check_trace=False), path)
    with pytest.raises(CheckpointError):
        load_image_tower(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(openai_clip.SHA256, "RN50", digest)
    check_same(load_image_tower(path), source)


def test_a_file_that_is_missing_or_of_another_network_is_refused(source, tmp_path):
    with pytest.raises(CheckpointError, match="cannot read"):
        load_image_tower(tmp_path / "nowhere.pt")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="no image tower"):
        load_image_tower(tmp_path / "other.pt")
    state = source.state_dict()
    del state["visual.bn1.weight"]
    torch.save(state, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match=r"visual\.bn1\.weight is missing"):
        load_image_tower(tmp_path / "part.pt")
