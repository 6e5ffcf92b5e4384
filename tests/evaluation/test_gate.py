import json
from dataclasses import asdict, replace
from types import SimpleNamespace

import torch

import tiny
from data.making import dataset
from pellucid import cli
from pellucid.checkpoints.bundle import save_bundle
from pellucid.data.triplets import render
from pellucid.evaluation.gate import GateResult, five, judge
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.prompts import QualityPrompts, triplets_told
from pellucid.vision_language.tokenizer import Tokenizer
from pellucid.zoo import LITE_TOKENIZER


class ByBrightness(torch.nn.Module):
    """Below 0.35 is terrible, above 0.6 excellent."""

    clip = SimpleNamespace(config=SimpleNamespace(views="windows"))

    def __init__(self):
        super().__init__()
        self.bias = torch.nn.Parameter(torch.zeros(()))

    def logits(self, image):
        mean = image.mean((1, 2, 3)) + self.bias
        return torch.stack([-20 * (mean - level) ** 2 for level in (0.2, 0.5, 0.7)], dim=1)


def folder(tmp_path, gain):
    """Triplets of mean brightness 0.5, 0.5 * gain and 0.5: noise, its inverse as LQ."""
    root = dataset(tmp_path / "pairs", {"hazy": 3, "rainy": 2})
    render(root, tmp_path / "out", [("x", lambda p: p.with_pixels(p.pixels * gain))])
    return tmp_path / "out"


def test_triplets_are_told_by_levels_and_by_order():
    right = torch.tensor([[9.0, 0, 0], [0, 9, 0], [0, 0, 9]])
    rising = torch.tensor([[0.0, 1, 0], [0, 1.2, 0.5], [0, 0, 1]])
    falling = right.flip(0)
    told = triplets_told(torch.stack([right, rising, falling], dim=1))
    assert told["accuracy"].tolist() == torch.tensor([1, 2 / 3, 1 / 3]).tolist()
    assert told["strict"].tolist() == [1, 0, 0]
    assert told["monotone"].tolist() == [1, 1, 0]


def test_tasks_count_alike_and_all_bounds_are_told(tmp_path):
    verdict = judge(ByBrightness(), folder(tmp_path, 1.0))
    assert verdict.counts == {"hazy": 3, "rainy": 2}
    for shares in verdict.tasks.values():  # all three look mediocre: one of three is right
        assert abs(shares["accuracy"] - 1 / 3) < 1e-6 and shares["strict"] == 0
    assert not verdict.accepted
    assert "accuracy 0.333 is below 0.85" in verdict.missed()
    tasks = {
        "a": {"accuracy": 1.0, "strict": 1.0, "monotone": 1.0},
        "b": {"accuracy": 0.74, "strict": 0.6, "monotone": 0.9},
    }
    overall = {"accuracy": 0.87, "strict": 0.8, "monotone": 0.95}
    found = GateResult(tasks, {"a": 1, "b": 1}, overall)
    assert found.missed() == ["accuracy of b, 0.740, is below 0.75"]
    tasks["b"]["accuracy"] = 0.75
    assert found.accepted


def test_five_squares_are_corners_and_centre():
    picture = torch.arange(3 * 6 * 8.0).view(1, 3, 6, 8)
    squares = five(picture, enlarge=False, side=4)
    assert squares.shape == (5, 3, 4, 4)
    assert torch.equal(squares[3], picture[0, :, 2:, 4:])
    assert torch.equal(squares[4], picture[0, :, 1:5, 2:6])
    assert five(picture, enlarge=False, side=9).shape == (3, 3, 6, 6)  # left, right, centre
    assert five(picture / 144, enlarge=True, side=9).shape[1:] == (3, 9, 9)


def test_the_command_refuses_untrained_prompts(tmp_path, capsys):
    torch.manual_seed(0)
    clip = CLIP(replace(tiny.CLIP, text=replace(tiny.CLIP.text, context_length=18)))
    prompts = QualityPrompts(clip, Tokenizer.from_file(LITE_TOKENIZER.path, 18))
    meta = {"kind": "quality-prompts", "config": {}}
    save_bundle(tmp_path / "p.safetensors", prompts.state_dict(), meta)
    meta = {"kind": "clip", "config": asdict(clip.config)}
    save_bundle(tmp_path / "clip.safetensors", clip.state_dict(), meta)
    command = ["gate", str(tmp_path / "p.safetensors"), str(folder(tmp_path, 0.8))]
    command += ["--clip", str(tmp_path / "clip.safetensors")]
    assert cli.main(command) == 1
    out = capsys.readouterr().out
    assert "rainy" in out and "refused: " in out
    assert cli.main([*command, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"hazy": 3, "rainy": 2}
    assert cli.main([*command, "--json", "--words", "rainy"]) == 1
    assert json.loads(capsys.readouterr().out)["counts"] == {"rainy": 2}
