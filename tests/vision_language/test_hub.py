import logging

import pytest

from checkpoints.local_hub import LocalHub
from pellucid.errors import CheckpointError
from pellucid.vision_language.dinov2 import DINOv2
from pellucid.vision_language.hub import folder_of, is_kept


@pytest.fixture
def served(tmp_path, monkeypatch):
    served = LocalHub()
    served.files |= {"owner/name/a.json": b"{}", "owner/name/b.txt": b"b", "owner/name/c": b"c"}
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "kept"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield served
    served.close()


def test_a_folder_is_taken_as_it_is(tmp_path):
    assert folder_of(tmp_path, "a.json") == tmp_path


def test_of_a_repository_the_files_named_are_fetched_once(served):
    assert not is_kept("owner/name", "a.json")
    folder = folder_of("owner/name", "a.json", "b.txt")
    assert sorted(path.name for path in folder.iterdir()) == ["a.json", "b.txt"]
    assert is_kept("owner/name", "a.json") and not is_kept("owner/name", "c")
    asked = len(served.requests)
    assert folder_of("owner/name", "a.json", "b.txt") == folder
    assert len(served.requests) == asked


def test_what_is_not_there_is_said_after_one_request(served, caplog):
    with caplog.at_level(logging.WARNING), pytest.raises(OSError, match="no such folder here"):
        folder_of("owner/other", "a.json")
    assert len(served.requests) == 1 and not caplog.records


def test_a_mistyped_folder_is_not_asked_of_the_hub(served, tmp_path):
    for source in ("dinov2-bass", tmp_path / "weights", "./weights/dinov2", "~/dinov2"):
        with pytest.raises(CheckpointError, match=r"no such folder \(and a name on the hub is"):
            DINOv2.from_pretrained(source)
    assert not served.requests
