import dataclasses

import pytest
import torch

import pellucid
from golden.fill import read_keys
from pellucid.checkpoints.bundle import save_bundle
from pellucid.checkpoints.load import load_network, load_prompts
from pellucid.cli import main
from pellucid.errors import CheckpointError
from pellucid.networks.perceive_ir import PerceiveIR, PerceiveIRConfig
from tiny import told
from vision_language.test_dinov2 import tiny_model
from vision_language.test_prompts import perceiver


def official_state(keys):
    """All names and shapes in a file of a few kilobytes: each tensor is one number, repeated."""
    rows = read_keys(f"keys/{keys}.txt")
    return {key: torch.full((1,), float(i)).expand(shape) for i, (key, shape, _) in enumerate(rows)}


@pytest.mark.parametrize("keys", ["perceive_ir", "restormer_medium"])
def test_official_networks_load_strictly(tmp_path, keys):
    state = official_state(keys)
    checkpoint = {
        "model": state,
        "optimizer": {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [{"lr": 2e-4}]},
        "scheduler": {"T_max": 500_000},
        "iteration": 500_000,
        "config": {"data": {"patch": 256}, "tasks": ["denoise", "dehaze"]},
    }
    torch.save(checkpoint, tmp_path / "official.pth")
    net = load_network(tmp_path / "official.pth").network
    assert net.config == type(net.config)()  # the published size
    for key, value in net.state_dict().items():
        assert value.shape == state[key].shape and value.flatten()[0] == state[key].flatten()[0]


def test_a_checkpoint_with_a_layer_too_few_is_refused(tmp_path):
    state = official_state("perceive_ir")
    del state["cfe.projection.bias"]
    torch.save({"model": state}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match=r"PerceiveIR: cfe\.projection\.bias is missing"):
        load_network(tmp_path / "x.pth")


def test_official_prompts_load_and_survive_conversion(tmp_path):
    model = perceiver(seed=1)
    checkpoint = {
        "prompt_learner": model.prompts.state_dict(),
        "iteration": 100_000,
        "quality_names": ["terrible", "mediocre", "excellent"],
        "task_balanced": True,
    }
    source, target = tmp_path / "quality_prompts.pth", tmp_path / "prompts.safetensors"
    torch.save(checkpoint, source)
    assert main(["convert", str(source), str(target)]) == 0
    for path in (source, target):
        loaded = load_prompts(path, model.clip)
        assert torch.equal(loaded(), model.prompts())


def test_prompts_of_another_tower_and_other_weights_are_refused(tmp_path):
    torch.save({"prompt_learner": perceiver(seed=1).prompts.state_dict()}, tmp_path / "p.pth")
    with pytest.raises(CheckpointError, match="learned with another tower"):
        load_prompts(tmp_path / "p.pth", perceiver(seed=2).clip)
    torch.save({"model": official_state("restormer_medium")}, tmp_path / "m.pth")
    with pytest.raises(CheckpointError, match="holds restormer-medium weights, not quality"):
        load_prompts(tmp_path / "m.pth", perceiver().clip)


def test_a_perceive_ir_restores_with_guidance_from_the_whole_picture(tmp_path):
    dino = tiny_model()
    dino.model.save_pretrained(tmp_path / "dinov2")
    torch.manual_seed(0)
    config = PerceiveIRConfig(8, (1, 1, 1, 1), (1, 1, 2, 4), 1, semantic_dim=16)
    net = PerceiveIR(config).eval()
    meta = {
        "kind": "perceive-ir",
        "config": dataclasses.asdict(config),
        "tower": "",
        "semantics": str(tmp_path / "dinov2"),
    }
    save_bundle(tmp_path / "net.safetensors", net.state_dict(), meta)
    restorer = pellucid.load(tmp_path / "net.safetensors", device="cpu", dtype="float32")
    image = torch.rand(1, 3, 150, 170, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = net(image, net.condition(image, told(semantics=dino.encode(image)))).clamp(0, 1)
    assert torch.allclose(restorer.restore(image), expected, atol=1e-4)
    # a tile is guided by the whole, so it is not what a restoration of its own gives
    seen = []
    restorer.network.register_forward_pre_hook(lambda m, args: seen.append(args))
    restorer.restore(image, tile=96)
    assert len(seen) > 1
    assert all(torch.equal(c.degradation, seen[0][1].degradation) for _, c in seen)
    assert torch.allclose(seen[0][1].degradation, net.cfe(image), atol=1e-5)
