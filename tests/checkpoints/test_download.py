import hashlib
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from checkpoints.local_hub import COMMIT, LocalHub
from checkpoints.official_files import save_tower, save_unet
from pellucid.checkpoints import download
from pellucid.checkpoints.bundle import load_bundle, read_meta
from pellucid.checkpoints.download import RemoteFile, cache_folder, fetch
from pellucid.checkpoints.load import load_daclip
from pellucid.checkpoints.weights import read_weights
from pellucid.errors import CheckpointError
from vision_language.small_towers import SMALL


@pytest.fixture(scope="module")
def official(tmp_path_factory):
    """The bytes of a tower and of a U-Net as their authors would publish them."""
    folder = tmp_path_factory.mktemp("official")
    return {
        "authors/weights/daclip.pt": save_tower(folder / "daclip.pt").read_bytes(),
        "authors/weights/ir.pth": save_unet(folder / "ir.pth").read_bytes(),
    }


@pytest.fixture
def hub(official, tmp_path, monkeypatch):
    hub = LocalHub()
    hub.files.update(official)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PELLUCID_CACHE", str(tmp_path / "cache"))
    yield hub
    hub.close()


@pytest.fixture
def tower(official):
    data = official["authors/weights/daclip.pt"]
    sha256 = hashlib.sha256(data).hexdigest()
    return RemoteFile("authors/weights", "daclip.pt", len(data), sha256, "MIT", "a paper")


def contents(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.suffix != ".lock")


def test_a_tower_is_downloaded_verified_and_converted(hub, tower, official, tmp_path):
    path = fetch(tower)
    assert contents(cache_folder()) == ["daclip.safetensors", "incoming"]
    assert load_daclip(path).config == SMALL
    source = read_meta(path)["source"]
    assert source["sha256"] == tower.sha256
    assert source["licence"] == "MIT" and source["paper"] == "a paper"
    assert source["url"] == f"{hub.url}/authors/weights/resolve/{COMMIT}/daclip.pt"

    (tmp_path / "direct.pt").write_bytes(official["authors/weights/daclip.pt"])
    expected = read_weights(tmp_path / "direct.pt").state
    found, _ = load_bundle(path)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)
    unique = sum(p.numel() for p in load_daclip(path).parameters())
    assert path.stat().st_size < 4.2 * unique < 0.8 * tower.size  # no moments, no tower twice


def test_a_unet_of_unknown_size_and_sha256_is_checked_against_the_hub(hub):
    path = fetch(RemoteFile("authors/weights", "ir.pth"))
    assert read_meta(path)["kind"] == "irsde-unet"
    hub.etags["ir.pth"] = "0" * 64  # what arrives is not what was announced
    path.unlink()
    with pytest.raises(CheckpointError, match=f"sha256 .* expected {'0' * 64}"):
        fetch(RemoteFile("authors/weights", "ir.pth"))
    assert contents(cache_folder()) == ["incoming"]


def test_the_second_use_needs_no_network(hub, tower, monkeypatch):
    path = fetch(tower)
    asked = len(hub.requests)
    assert [method for method, _ in hub.requests].count("GET") == 1
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert fetch(tower) == path
    assert len(hub.requests) == asked


def test_a_file_that_was_replaced_on_the_hub_is_not_downloaded(hub, tower):
    hub.files["authors/weights/daclip.pt"] += b"\0"
    with pytest.raises(CheckpointError, match="no longer the file that this version knows"):
        fetch(tower)
    assert "GET" not in [method for method, _ in hub.requests]


def test_a_bundle_of_another_version_is_made_anew(hub, tower):
    fetch(replace(tower, sha256=None))
    newer = hub.files["authors/weights/daclip.pt"] = hub.files["authors/weights/ir.pth"]
    sha256 = hashlib.sha256(newer).hexdigest()
    path = fetch(replace(tower, size=len(newer), sha256=sha256))
    assert read_meta(path)["source"]["sha256"] == sha256


def test_a_broken_download_leaves_nothing_that_looks_complete(hub, tower, monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    hub.cut = 5000
    with pytest.raises(CheckpointError, match=r"daclip\.pt could not be downloaded"):
        fetch(tower)
    assert not list(cache_folder().glob("*.safetensors"))
    hub.cut = None
    assert load_daclip(fetch(tower)).config == SMALL
    assert contents(cache_folder()) == ["daclip.safetensors", "incoming"]


def test_a_conversion_that_dies_leaves_nothing_that_looks_complete(hub, tower, monkeypatch):
    def dies(tensors, path, header):
        path.write_bytes(b"half a file")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pellucid.checkpoints.bundle.save_file", dies)
        with pytest.raises(CheckpointError, match="no space left on device"):
            fetch(tower)
    assert not list(cache_folder().glob("*.safetensors"))
    fetch(tower)
    assert [method for method, _ in hub.requests].count("GET") == 1  # the download was kept
    assert contents(cache_folder()) == ["daclip.safetensors", "incoming"]


def test_without_a_network_the_error_says_how_to_get_the_file(hub, tower, monkeypatch):
    hub.close()
    with pytest.raises(CheckpointError) as caught:
        fetch(tower)
    by_hand = cache_folder() / "incoming" / "daclip.pt"
    assert f"fetch {hub.url}/authors/weights/resolve/main/daclip.pt" in str(caught.value)
    assert f"put it at {by_hand}" in str(caught.value)


def test_a_file_put_there_by_hand_is_used_and_left(hub, tower, official):
    hub.close()
    by_hand = cache_folder() / "incoming" / "daclip.pt"
    by_hand.parent.mkdir(parents=True)
    by_hand.write_bytes(official["authors/weights/daclip.pt"][:-1])
    with pytest.raises(CheckpointError, match=r"is not the published daclip\.pt \(bytes"):
        fetch(tower)
    by_hand.write_bytes(official["authors/weights/daclip.pt"])
    assert load_daclip(fetch(tower)).config == SMALL
    assert by_hand.exists()


def test_a_file_that_is_not_on_the_hub_is_named(hub):
    with pytest.raises(CheckpointError, match=r"other\.pt could not be downloaded .*NotFound"):
        fetch(RemoteFile("authors/weights", "other.pt"))


def test_a_file_of_another_kind_is_not_kept(hub):
    hub.files["authors/weights/ir.pth"] = b"<html>not found</html>"
    with pytest.raises(CheckpointError, match="is a web page"):
        fetch(RemoteFile("authors/weights", "ir.pth"))
    assert contents(cache_folder()) == ["incoming"]


def test_two_at_once_download_once(hub, tower):
    paths = []
    threads = [threading.Thread(target=lambda: paths.append(fetch(tower))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert paths == [cache_folder() / "daclip.safetensors"] * 3
    assert [method for method, _ in hub.requests].count("GET") == 1


def test_offline_mode_is_respected(hub, tower, tmp_path):
    """The switch is read when huggingface_hub is imported, hence another process."""
    code = (
        "from pellucid.checkpoints.download import RemoteFile, fetch\n"
        "fetch(RemoteFile('authors/weights', 'daclip.pt'))"
    )
    env = {
        "HF_HUB_OFFLINE": "1",
        "HF_ENDPOINT": hub.url,
        "PELLUCID_CACHE": str(tmp_path),
        "PYTHONPATH": str(Path(download.__file__).parents[2]),
    }
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert done.returncode == 1
    assert "OfflineModeIsEnabled" in done.stderr and "To get it by hand" in done.stderr
    assert hub.requests == []


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({"PELLUCID_CACHE": "/data/weights"}, "/data/weights"),
        ({"XDG_CACHE_HOME": "/data/cache"}, "/data/cache/pellucid"),
        ({"HOME": "/home/someone"}, "/home/someone/.cache/pellucid"),
    ],
)
def test_the_cache_folder_follows_the_environment(env, expected, monkeypatch):
    for name in ("PELLUCID_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert str(cache_folder()) == expected
