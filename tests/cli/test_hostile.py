"""500 hostile files: no traceback, no hang, no wrong exit status, and a sentence for each."""

import json
import os
import re
import time
from collections import Counter

import pytest

import hostile
from pellucid import cli

SECONDS = 60  # of computing, for all


@pytest.fixture
def model(monkeypatch):
    import pellucid.loading
    import tiny

    restorer = tiny.restorer()
    monkeypatch.setattr(pellucid.loading, "load", lambda *_: restorer)


def test_a_hostile_folder(folder, model, capsys, record_property):
    corpus = hostile.Corpus(folder / "in", seed=0).fill(500)
    regular = {p.name: p.read_bytes() for p in (folder / "in").iterdir()
               if p.is_file() and not p.is_symlink()}  # fmt: skip
    began = time.process_time()
    status = cli.main(["restore", "in", "-o", "out", "--json", "--max-pixels", "1000000"])
    seconds = time.process_time() - began
    out, err = capsys.readouterr()
    assert status == 1 and "Traceback" not in err and seconds < SECONDS
    records = {os.path.relpath(r["input"], "in"): r for r in map(json.loads, out.splitlines())}
    assert records.keys() == corpus.outcomes.keys() and len(records) >= 500
    for name, record in records.items():
        expected = corpus.outcomes[name]
        assert expected == hostile.EITHER or record["ok"] == (expected == hostile.READ), record
        if record["ok"]:
            assert os.path.getsize(record["output"]) > 0
        else:
            reason = record["error"].removeprefix(f"in/{name}: ")
            assert 10 < len(reason) < 300 and "\n" not in reason, record
            assert not re.search(r"object at 0x|Error\(|Traceback|\bNone\b", reason), record
    assert regular == {name: (folder / "in" / name).read_bytes() for name in regular}
    assert not any(name.startswith(".pellucid") for name in os.listdir("out"))
    record_property("outcomes", str(Counter(r["ok"] for r in records.values())))


def test_the_same_seed_makes_the_same_files(tmp_path):
    a, b = (hostile.Corpus(tmp_path / name, seed=3).fill(450) for name in "ab")
    assert a.outcomes == b.outcomes
    for name in list(a.outcomes)[::7]:
        one, other = (tmp_path / folder / name for folder in "ab")
        if one.is_file() and not one.is_symlink():
            assert one.read_bytes() == other.read_bytes()
