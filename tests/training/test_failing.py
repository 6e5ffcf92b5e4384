"""A training that cannot go on ends, says why, and loses nothing."""

import math
import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import tiny
from pellucid.checkpoints.bundle import load_bundle
from pellucid.cli import main
from pellucid.errors import ImageError, PellucidError, UsageError
from pellucid.loading import tokenizer_of
from pellucid.networks.resunet import ResUNet, ResUNetConfig
from pellucid.recipes import recipe
from pellucid.training import checkpoint
from pellucid.training.config import check, updated
from pellucid.training.loop import train
from pellucid.training.start import run
from pellucid.training.tasks.prompts import PromptsTask
from pellucid.training.tasks.restore import RestoreTask
from pellucid.vision_language.clip import CLIP
from pellucid.vision_language.prompts import QualityPerceiver, QualityPrompts
from tiny import randomised
from training import tiny_run


@pytest.mark.parametrize(
    "name, value",
    [
        ("save_every", 0),
        ("batch_size", 0),
        ("validate_every", 0),
        ("log_every", 0),
        ("keep", 0),
        ("workers", -1),
        ("seed", -1),
        ("steps", -5),
        ("steps", 0),
        ("accumulation", 0),
        ("max_minutes", math.nan),
        ("data.crop", 0),
        ("data.crop", 100_000),
        ("data.clean", 1.5),
        ("optimizer.lr", math.nan),
        ("optimizer.lr", 0.0),
        ("optimizer.weight_decay", math.inf),
        ("ema.decay", -0.1),
        ("task.network.widths", (-1, 8)),
        ("task.network.middle_blocks", -1),
    ],
)
def test_every_number_is_checked_in_a_sentence(name, value):
    values = value
    for part in reversed(name.split(".")):
        values = {part: values}
    config = updated(recipe("lite_restore"), values)
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} .* must be"):
        check(config)


@pytest.mark.parametrize(
    "values, words",
    [
        ({"steps": "many"}, "TrainConfig: steps is 'many', but must be int"),
        ({"seed": None}, "seed is None, but must be int"),
        ({"batch_size": 2.5}, "batch_size is 2.5, but must be int"),
        ({"data": 3}, "data is 3, but must be DataConfig"),
        ({"task": [1]}, r"task is \(1,\), but must be RestoreOptions"),
        ({"ema": None}, "ema is None, but must be EMAConfig"),
        (
            {"precision": "fast"},
            r"precision is 'fast', but must be Literal\['auto', 'no', 'bf16'\]",
        ),
        ({"optimizer": {"lr": "fast"}}, "OptimizerConfig: lr is 'fast', but must be float"),
        ({"data": {"words": ["noisy", 3]}}, r"words is .*, but must be tuple\[str, \.\.\.\]"),
        ({"data": {"words": "noisy"}}, r"words is 'noisy', but must be tuple"),
        ({"task": {"network": {"widths": "wide"}}}, "ResUNetConfig: widths is 'wide', but must be"),
    ],
)
def test_a_saved_config_with_a_value_of_another_type_is_refused(values, words):
    with pytest.raises(UsageError, match=words):
        updated(recipe("lite_restore"), values)


def test_an_output_that_is_a_file_is_said(tmp_path):
    (tmp_path / "run").write_text("")
    config = updated(recipe("lite_restore"), {"output": str(tmp_path / "run")})
    with pytest.raises(UsageError, match="run is a file; name a folder"):
        run(config)


def test_all_recipes_pass():
    from pellucid.recipes import RECIPES

    for name in RECIPES:
        check(recipe(name))


def test_words_that_do_not_exist_are_named(tmp_path):
    from pellucid.training.data import datasets

    config = updated(
        recipe("lite_restore"), {"data": {"root": str(tmp_path), "words": ("nonsense",)}}
    )
    config = replace(config, data=replace(config.data, kind="generated"))
    with pytest.raises(UsageError, match="'nonsense'"):
        datasets(config)


def test_an_error_ends_the_process_though_workers_ignore_signals(tmp_path):
    tests = Path(tiny_run.__file__).parents[1]
    environment = {"PYTHONPATH": f"{tests.parent / 'src'}{os.pathsep}{tests}", "PATH": ""}
    argv = [sys.executable, tiny_run.__file__, str(tmp_path), "fail=5", "workers=2"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=600, env=environment)
    assert done.returncode == 1 and "Stop" in done.stderr


def test_a_picture_that_cannot_be_read_is_one_sentence_from_a_worker_too(tmp_path):
    class Damaged(tiny_run.Noisy):
        def __getitem__(self, index):
            if index == 3:
                raise ImageError("a.png: damaged: truncated")
            return super().__getitem__(index)

    with pytest.raises(ImageError, match=r"^a\.png: damaged: truncated; .* same command goes on"):
        config = tiny_run.config(tmp_path, steps=6, workers=1)
        train(config, RestoreTask(tiny_run.network()), Damaged())


def test_a_worker_that_dies_is_said(tmp_path):
    with pytest.raises(PellucidError, match=r"reads the pictures died.* lower --workers"):
        tiny_run.run(tmp_path, kill=3, steps=6, workers=1)


def test_a_full_disk_ends_the_run_and_loses_nothing(tmp_path):
    whole, output = tmp_path / "whole", tmp_path / "output"
    tiny_run.run(output, steps=3)
    shutil.copytree(output, whole)
    tiny_run.run(whole, steps=6)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size, file in ((400, "config.yaml"), (30_000, "weights"), (120_000, "step-00000006.pt")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(PellucidError, match=f"{file}.* cannot be written: .*too large"):
                tiny_run.run(output, steps=6)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert checkpoint.newest(output)["step"] == 3
        assert not list(output.rglob("*.partial"))
    tiny_run.run(output, steps=6)
    found, wanted = (load_bundle(run / "weights.safetensors")[0] for run in (output, whole))
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_fresh_checkpoints_are_kept_beside_damaged_ones_of_later_steps(tmp_path):
    tiny_run.run(tmp_path, steps=12)
    damaged = checkpoint.listed(tmp_path)
    for path in damaged:
        path.write_bytes(b"damaged")
    tiny_run.run(tmp_path, steps=6)
    assert checkpoint.newest(tmp_path)["step"] == 6
    assert [p.name for p in checkpoint.listed(tmp_path)][:2] == [
        "step-00000003.pt",
        "step-00000006.pt",
    ]


@pytest.mark.parametrize("change", [{"middle_blocks": 2}, {"embed_dim": 8}])
def test_a_run_of_another_network_is_not_gone_on_with(tmp_path, change):
    tiny_run.run(tmp_path, steps=3)
    before = checkpoint.newest(tmp_path)
    sizes = ResUNetConfig((8, 8), (1,), 1, (1,), context_dim=4, embed_dim=4, content_levels=1)
    task = RestoreTask(ResUNet(replace(sizes, **change)))
    with pytest.raises(UsageError, match="of another network"):
        train(tiny_run.config(tmp_path, steps=6), task, tiny_run.Noisy())
    assert checkpoint.newest(tmp_path)["step"] == before["step"] == 3


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    class Broken(RestoreTask):
        def forward(self, batch, generator):
            loss, metrics = super().forward(batch, generator)
            return loss.detach() * math.inf + 0 * loss, metrics

    tiny_run.run(tmp_path, steps=3)
    task, data = Broken(tiny_run.network()), tiny_run.Noisy()
    with pytest.raises(PellucidError) as caught:
        train(tiny_run.config(tmp_path, steps=100), task, data)
    kept = tmp_path / "checkpoints/step-00000003.pt"
    said = f"step 4: the loss is not finite; the batch holds noisy-6, noisy-7; .* {kept};"
    assert re.search(said, str(caught.value))
    assert checkpoint.newest(tmp_path)["step"] == 3
    assert (
        torch.load(kept, weights_only=True)["model"].keys() == dict(task.named_parameters()).keys()
    )


def test_prompts_of_pictures_that_are_not_numbers_do_not_end_as_finished(tmp_path):
    class Triplets(tiny_run.Noisy):
        side = 32

        def __getitem__(self, index):
            sample = super().__getitem__(index)
            low = sample["lq"] * (math.nan if index == 2 else 1)
            return {**sample, "lq": low, "medium": sample["lq"]}

    config = replace(tiny.CLIP, text=replace(tiny.CLIP.text, context_length=24))
    clip = randomised(CLIP(config))
    prompts = QualityPrompts(clip, tokenizer_of("lite", 24))
    task = PromptsTask(QualityPerceiver(clip, prompts))
    with pytest.raises(PellucidError, match=r"step 2: the loss .* noisy-2, noisy-3; there is no"):
        train(tiny_run.config(tmp_path, steps=4), task, Triplets())


def test_gradients_that_are_not_finite_are_skipped_but_not_to_the_end(tmp_path, capsys):
    class Broken(RestoreTask):
        def forward(self, batch, generator):
            loss, metrics = super().forward(batch, generator)
            bad = int(batch["index"][0]) >= self.first
            return loss + (0 * loss).sqrt() * bad if bad else loss, metrics

    task = Broken(tiny_run.network())
    task.first = 4
    with pytest.raises(PellucidError, match="gradient was not finite for 4 steps on end"):
        train(tiny_run.config(tmp_path, steps=6), task, tiny_run.Noisy())
    assert "step 3: the gradient is not finite, step skipped" in capsys.readouterr().out
    task = Broken(tiny_run.network())
    task.first = 4
    with pytest.raises(PellucidError, match=r"for 20 steps on end .to step 23.*step-00000021"):
        train(tiny_run.config(tmp_path, steps=40), task, tiny_run.Noisy())


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    class Broken(RestoreTask):
        def after_step(self):
            next(self.parameters()).data.fill_(math.nan)

    with pytest.raises(PellucidError, match=r"step 1: the weights network.* were not saved"):
        task = Broken(tiny_run.network())
        train(tiny_run.config(tmp_path, steps=1), task, tiny_run.Noisy())
    assert not (tmp_path / "weights.safetensors").exists()


def test_a_validation_that_fails_after_the_last_step_loses_no_weights(tmp_path):
    class Broken(RestoreTask):
        def validate(self, batch):
            raise UsageError("no validation today")

    with pytest.raises(UsageError, match="no validation today"):
        task, held_out = Broken(tiny_run.network()), tiny_run.Noisy()
        train(tiny_run.config(tmp_path, steps=2), task, tiny_run.Noisy(), held_out)
    assert load_bundle(tmp_path / "weights.safetensors")[1]["step"] == 2
    assert checkpoint.newest(tmp_path)["step"] == 2


def test_the_command_says_it_and_ends(capsys):
    assert main(["train", "lite_restore", "--save-every", "0"]) == 2
    assert "--save-every 0 must be at least 1" in capsys.readouterr().err
