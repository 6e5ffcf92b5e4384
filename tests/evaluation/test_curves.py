import json

import numpy as np
import pytest
from PIL import Image

from pellucid.errors import UsageError
from pellucid.evaluation.curves import draw_curves, read_log


def run(folder, psnr):
    folder.mkdir()
    records = [{"step": s, "loss": 1 / s, "psnr": None if s == 2 else psnr + s} for s in (1, 2, 3)]
    records.append({"step": 3, "validation/psnr": psnr, "validation/psnr_input": psnr - 3})
    lines = [json.dumps(record) for record in records]
    (folder / "metrics.jsonl").write_text("\n".join([*lines, '{"step": 4, "lo']))
    return folder


def test_a_log_gives_each_number_with_its_steps_without_gaps_and_the_line_being_written(tmp_path):
    log = read_log(run(tmp_path / "a", 20.0))
    assert log["loss"] == ([1, 2, 3], [1, 1 / 2, 1 / 3]) and log["psnr"] == ([1, 3], [21, 23])
    assert log["validation/psnr"] == ([3], [20.0])


def test_curves_of_runs_are_drawn_in_their_colours(tmp_path):
    runs = {name: run(tmp_path / name, 20.0 + n) for n, name in enumerate("ab")}
    draw_curves(runs, tmp_path / "both.png")
    draw_curves({"a": runs["a"]}, tmp_path / "one.png")
    both, one = (
        np.asarray(Image.open(tmp_path / f"{n}.png").convert("RGB")) for n in ("both", "one")
    )
    orange = (255, 127, 14)  # of the second run
    assert (both == orange).all(-1).any() and not (one == orange).all(-1).any()


def test_a_folder_without_a_log_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"has no metrics\.jsonl"):
        draw_curves({"x": tmp_path}, tmp_path / "x.png")
