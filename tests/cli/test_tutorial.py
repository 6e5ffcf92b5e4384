"""The commands of docs/tutorial.md, as they stand there, on small pictures."""

import re
import shlex
from pathlib import Path

from PIL import Image

from pellucid.cli import main

ROOT = Path(__file__).parents[2]
# Added to the page's own commands: the last of two equal flags counts.
SMALL = {
    ("data", "generate"): "--window 48 --copies 1",
    ("train", "lite_own"): "--steps 2 --batch-size 2 --data.crop 32 --workers 0 "
    "--optimizer.name adamw",  # a step of Muon takes seconds
}
TRAINED = "noisy", "hazy", "rainy", "snowy"
HELD_OUT = "clean", "low-light"


def commands():
    page = (ROOT / "docs/tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def test_every_command_of_the_tutorial_works(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for folder, names in (("train", TRAINED), ("held-out", HELD_OUT)):
        Path("photos", folder).mkdir(parents=True)
        for name in names:
            with Image.open(ROOT / f"examples/{name}.png") as picture:
                picture.crop((80, 80, 176, 160)).save(f"photos/{folder}/{name}.png")
    for program, *arguments in commands():
        assert program == "pellucid"
        small = SMALL.get(tuple(arguments[:2]), "").split()
        assert main([*arguments, *small]) == 0, (arguments, capsys.readouterr().err)
    printed = capsys.readouterr().out
    assert "finished at step 2 of 2, in runs/own" in printed
    assert re.search(r"own − lite .*mine − lite", printed, re.S)
    assert len(list(Path("restored").glob("*.png"))) == len(HELD_OUT)
    assert Path("curves.png").stat().st_size and Path("both.png").stat().st_size
