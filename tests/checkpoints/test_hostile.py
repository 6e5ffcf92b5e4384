"""Whatever is in a file of weights, the answer is a network or a `CheckpointError`."""

import io
import json
import os
import random
import stat
import struct
import time
import zipfile
from contextlib import suppress

import pytest
import torch
from safetensors.torch import save_file

import tiny
from pellucid import cli
from pellucid.checkpoints.bundle import load_bundle, save_bundle
from pellucid.checkpoints.load import load_daclip, load_network
from pellucid.checkpoints.weights import read_weights
from pellucid.errors import CheckpointError
from pellucid.loading import load_parts
from pellucid.networks.resunet import ResUNet


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    return tiny.save_bundles(tmp_path_factory.mktemp("weights"))


def rewritten(source, target, change):
    """A safetensors file with its header changed: `change` gets and returns the metadata."""
    data = source.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = change(header["__metadata__"])
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return target


def with_meta(source, target, change):
    def changed(metadata):
        meta = json.loads(metadata["pellucid"])
        return {**metadata, "pellucid": json.dumps(change(meta))}

    return rewritten(source, target, changed)


def refused(path, words, load=load_network):
    began = time.process_time()
    with pytest.raises(CheckpointError, match=words) as caught:
        load(path)
    assert str(path) in str(caught.value) and time.process_time() - began < 2
    return str(caught.value)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda m: [m], "list, not an object"),
        (lambda m: {**m, "kind": ["resunet"]}, "list for 'kind'"),
        (lambda m: {**m, "kind": "other"}, "kind 'other'"),
        (lambda m: {**m, "config": 3}, "int for 'config'"),
        (lambda m: {**m, "config": {**m["config"], "middle_blocks": 10**9}}, "blocks is 10000"),
        (lambda m: {**m, "config": {**m["config"], "middle_blocks": 10**6}}, "cannot be those of"),
        (lambda m: {**m, "config": {**m["config"], "middle_blocks": -1}}, "is -1"),
        (
            lambda m: {**m, "config": {**m["config"], "widths": [10**5, 10**5]}},
            "does not fit|make no network",
        ),
        (lambda m: {**m, "config": {**m["config"], "widths": "wide"}}, "make no network"),
        (lambda m: {**m, "config": {**m["config"], "depth": 3}}, "unknown to this version"),
        (lambda m: {**m, "predicts": "noise"}, "neither epsilon nor x0"),
        (lambda m: {**m, "sde": {"steps": 10**10}}, "steps, not 1 to"),
        (lambda m: {**m, "train": "yes"}, "str for 'train'"),
        (lambda m: {**m, "train": {"task": []}}, "what it was trained for"),
    ],
)
def test_metadata_that_make_no_sense_are_named(bundles, tmp_path, change, words):
    refused(with_meta(bundles / "net.safetensors", tmp_path / "x.safetensors", change), words)


@pytest.mark.parametrize(
    "entry, words",
    [
        ({"pellucid": "{"}, "metadata are damaged"),
        ({"pellucid": "[" * 100_000}, "metadata are damaged"),
        ({"aliases": "[1]"}, "not an object"),
        ({"aliases": '{"a": "nowhere"}'}, "which is not in it"),
        ({"aliases": '{"a": 1}'}, "which is not in it"),
    ],
)
def test_damaged_headers_are_named(bundles, tmp_path, entry, words):
    target = tmp_path / "x.safetensors"
    refused(rewritten(bundles / "net.safetensors", target, lambda m: {**m, **entry}), words)


@pytest.mark.parametrize("field, value", [("layers", 10**5), ("width", -3), ("heads", 0)])
def test_towers_that_cannot_be_are_named(bundles, tmp_path, field, value):
    def change(meta):
        meta["config"]["vision"][field] = value
        return meta

    path = with_meta(bundles / "tower.safetensors", tmp_path / "x.safetensors", change)
    refused(path, "cannot be those of|is -3|make no network", load_daclip)


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda m: {**m, "sde": {"stages": 3}}, "diffusion that cannot be"),
        (lambda m: {**m, "sde": {"schedule": "steep"}}, "diffusion that cannot be"),
        (lambda m: {**m, "tower": "elsewhere.safetensors"}, "which is not there"),
        (lambda m: {**m, "tower": 3}, "int for 'tower'"),
    ],
)
def test_parts_that_cannot_be_are_named(bundles, tmp_path, change, words):
    path = with_meta(bundles / "sde.safetensors", bundles / f"x-{os.getpid()}.safetensors", change)
    refused(path, words, load_parts)
    path.unlink()


def test_a_file_cannot_send_us_to_the_network(tmp_path, monkeypatch):
    from pellucid import loading

    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("went to the network"))
    with pytest.raises(CheckpointError, match="someone/evil, which is not there"):
        loading._semantics(tmp_path / "x.safetensors", "someone/evil")


@pytest.mark.parametrize("scale", [torch.ones(60000), torch.ones(()).double(), torch.ones(0)])
def test_a_scale_that_does_not_fit_makes_no_tensor(tmp_path, scale):
    path = tmp_path / "x.safetensors"
    whole = torch.ones(2 if scale.numel() < 2 else 1, 60000, dtype=torch.int8)
    save_file({"a": whole, "a:scale": scale}, path)
    refused(path, "scale of a does not fit", load_bundle)
    save_file({"a:scale": scale}, path)
    refused(path, "scale of a does not fit", load_bundle)


def test_the_content_counts_and_not_the_suffix(bundles, tmp_path):
    data = (bundles / "net.safetensors").read_bytes()
    state = ResUNet(tiny.NETWORK).state_dict()
    for name in ("a.pth", "b.ckpt", "c.SAFETENSORS", "d"):
        (tmp_path / name).write_bytes(data)
        assert read_weights(tmp_path / name).state.keys() == state.keys()
    official = {"visual_control.transformer.zero_modules.0.weight": torch.ones(1)}
    torch.save(official, tmp_path / "e.safetensors")
    assert read_weights(tmp_path / "e.safetensors").kind == ""


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth", "x.ckpt"])
def test_half_files_and_web_pages_say_so(bundles, tmp_path, name):
    path = tmp_path / name
    data = (bundles / "net.safetensors").read_bytes()
    for content, words in (
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Not Found", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        (data[:40], "download did not finish"),
        (data[: len(data) // 2], "download did not finish"),
        (b"junk" * 100, "not a safetensors file|not a PyTorch checkpoint"),
    ):
        path.write_bytes(content)
        refused(path, words, read_weights)


def test_a_pickle_that_inflates_is_refused(tmp_path):
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02" + b"N0" * 5_000_000 + b"N.")
        archive.writestr("bomb/version", "3")
    refused(path, "would inflate", read_weights)


def test_weights_of_official_shapes_that_do_not_fit_are_named(tmp_path):
    middle = "mid_attn.fn.fn.transformer_blocks.0.attn2.to_k"
    names = ("visual_control.transformer.zero_modules.0.weight", "clip.visual.proj")
    for state in (
        {name: torch.ones(1) for name in names},
        {**{name: torch.ones(1) for name in names}, "clip.visual.conv1.weight": torch.ones(3)},
        {"init_conv.weight": torch.ones(0, 3), f"{middle}.weight": torch.ones(1)},
        {1: torch.ones(1)},
        [1, 2],
        {"state_dict": 3},
    ):
        path = tmp_path / "x.pth"
        torch.save(state, path)
        with pytest.raises(CheckpointError):
            load_network(path)


def test_converted_weights_have_the_permissions_of_other_files(tmp_path):
    (tmp_path / "plain").touch()
    save_bundle(tmp_path / "x.safetensors", {"a": torch.ones(2)}, {})
    modes = [stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("plain", "x.safetensors")]
    assert modes[0] == modes[1]


def test_convert_refuses_weights_that_are_not_whole(bundles, tmp_path, capsys):
    state, meta = load_bundle(bundles / "net.safetensors")
    state.popitem()
    save_bundle(tmp_path / "half.safetensors", state, meta)
    argv = ["convert", str(tmp_path / "half.safetensors"), str(tmp_path / "out.safetensors")]
    assert cli.main(argv) == 1 and "does not fit" in capsys.readouterr().err
    assert not (tmp_path / "out.safetensors").exists()
    argv[1] = str(bundles / "net.safetensors")
    assert cli.main(argv) == 0 and (tmp_path / "out.safetensors").exists()


def test_a_seeded_fuzz_of_metadata(bundles, tmp_path):
    values = [None, 0, -1, 10**12, 1.5, "", "a", [], [1, "b"], {}, {"a": []}, True, "nan"]
    chance = random.Random(0)
    outcomes = {"network": 0, "refused": 0}

    def change(meta):
        place = meta
        while True:
            key = chance.choice([*place, "new"])
            if isinstance(place.get(key), dict) and chance.random() < 0.7:
                place = place[key]
                continue
            place[key] = chance.choice(values)
            return meta

    for name in ("net", "weather", "tower"):
        for _ in range(70):
            path = tmp_path / "x.safetensors"
            with_meta(bundles / f"{name}.safetensors", path, change)
            try:
                (load_daclip if name == "tower" else load_network)(path)
                outcomes["network"] += 1
            except CheckpointError:
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 10, outcomes


def test_a_seeded_fuzz_of_bytes(bundles, tmp_path):
    chance = random.Random(1)
    data = (bundles / "net.safetensors").read_bytes()
    out = io.BytesIO()
    torch.save(load_bundle(bundles / "net.safetensors")[0], out)
    for original, name in ((data, "x.safetensors"), (out.getvalue(), "x.pth")):
        for _ in range(60):
            broken = bytearray(original)
            for _ in range(chance.choice((1, 3, 10))):
                broken[chance.randrange(min(len(broken), 3000))] = chance.randrange(256)
            (tmp_path / name).write_bytes(broken[: chance.choice((len(broken), 2000))])
            with suppress(CheckpointError):
                read_weights(tmp_path / name)
