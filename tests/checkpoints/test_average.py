import pytest
import torch
from safetensors import safe_open

from pellucid.checkpoints.average import average
from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.cli import main
from pellucid.errors import CheckpointError, UsageError


def bundle(path, seed, width=4, counter=7):
    random = torch.Generator().manual_seed(seed)
    state = {"w": torch.randn(3, width, generator=random), "n": torch.tensor(counter)}
    meta = {"kind": "resunet", "config": {"width": width}, "recipe": "lite", "step": seed}
    save_bundle(path, state, meta)
    return state


def test_the_mean_is_weighted_and_names_its_parents(tmp_path):
    files = [tmp_path / f"{i}.safetensors" for i in (1, 2)]
    a, b = (bundle(file, i) for i, file in enumerate(files, 1))
    average(files, tmp_path / "mean.safetensors", [1, 3])
    state, meta = load_bundle(tmp_path / "mean.safetensors")
    torch.testing.assert_close(state["w"], 0.25 * a["w"] + 0.75 * b["w"])
    assert state["n"] == 7 and meta["kind"] == "resunet"
    assert [(p["file"], p["share"], p["step"]) for p in meta["parents"]] == [
        ("1.safetensors", 0.25, 1),
        ("2.safetensors", 0.75, 2),
    ]
    assert all(len(p["sha256"]) == 64 for p in meta["parents"])


def test_weights_that_two_parts_share_are_stored_once(tmp_path):
    files = [tmp_path / f"{i}.safetensors" for i in (1, 2)]
    for i, file in enumerate(files, 1):
        weight = torch.full((100,), float(i))
        save_bundle(file, {"one": weight, "two": weight}, {"kind": "resunet", "config": {}})
    average(files, tmp_path / "mean.safetensors")
    state, _ = load_bundle(tmp_path / "mean.safetensors")
    assert (state["one"] == 1.5).all() and (state["two"] == 1.5).all()
    with safe_open(tmp_path / "mean.safetensors", "pt") as file:
        assert list(file.keys()) == ["one"]


def test_other_networks_and_odd_shares_are_refused(tmp_path):
    one, wide, counted = (tmp_path / f"{n}.safetensors" for n in ("one", "wide", "counted"))
    bundle(one, 1)
    bundle(wide, 1, width=5)
    bundle(counted, 1, counter=8)
    with pytest.raises(CheckpointError, match="another network"):
        average([one, wide], tmp_path / "mean.safetensors")
    with pytest.raises(CheckpointError, match="n differs"):
        average([one, counted], tmp_path / "mean.safetensors")
    for shares in ([1], [1, 0], [1, -1]):
        with pytest.raises(UsageError, match="positive shares"):
            average([one, one], tmp_path / "mean.safetensors", shares)
    with pytest.raises(UsageError, match="two weights files"):
        average([one], tmp_path / "mean.safetensors")
    assert not (tmp_path / "mean.safetensors").exists()


def test_the_command_overwrites_nothing(tmp_path, capsys):
    one, mean = tmp_path / "one.safetensors", tmp_path / "mean.safetensors"
    bundle(one, 1)
    command = ["average", str(one), str(one), "--output", str(mean)]
    assert main(command) == 0 and mean.exists()
    assert main(command) == 2 and "exists already" in capsys.readouterr().err
