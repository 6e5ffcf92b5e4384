"""An evaluation from cases to reports: scores, FID, tables, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pellucid.data.files import read_pixels
from pellucid.errors import PellucidError
from pellucid.evaluation import pictures, report
from pellucid.evaluation.cases import Case
from pellucid.evaluation.fid import frechet_distance
from pellucid.evaluation.perceptual import Perceptual
from pellucid.evaluation.protocols import Protocol
from pellucid.evaluation.report import Rows, Scored
from pellucid.evaluation.scoring import FAILS, ResultSource, Track, score, written


class Evaluated(NamedTuple):
    """What `pellucid evaluate` knows of a source in the end."""

    scored: Scored
    summary: dict[str, Any]


class Evaluation:
    """Score sources of restored pictures, one after the other, on the cases of a protocol.

    Args:
        protocol: the protocol, see `protocol`.
        cases: its cases, or some of them.
        about: what the scores depend on beside the source, such as the folder of the data: a run
            that was stopped goes on only if it is the same.
        subset: which cases were asked for; empty for all. Reports show it.
        perceptual: the metrics and networks beside PSNR and SSIM.
        out: folder of all reports; this protocol's have a folder of its name in it.
        track: shows progress: `track(items, what)` hands the items on.
    """

    def __init__(
        self,
        protocol: Protocol,
        cases: Sequence[Case],
        about: dict[str, Any],
        subset: dict[str, Any],
        perceptual: Perceptual,
        out: Path,
        track: Track,
    ):
        self.protocol, self.cases = protocol, cases
        self.about = {"protocol": protocol.name, **about}
        self.subset, self.perceptual, self.track = subset, perceptual, track
        self.folder = out / protocol.name
        self._truths: dict[tuple[str, str], Tensor] = {}  # features, which all sources share

    def run(self, source: ResultSource) -> Evaluated:
        """Score a source and write `images.csv`, `summary.{json,md}`, `sheet.png`, `gain.png`.

        A picture that cannot be read does not end it: `failures` of the summary are cases without
        scores, `left_out` what else lacks a picture.

        Raises:
            UsageError: the source's folder holds another run.
            PellucidError: no case could be scored.
        """
        folder = self.folder / source.name
        settings, extra = self.protocol.settings, self.perceptual.metrics
        rows, failures = score(self.cases, settings, source, folder, self.about, extra, self.track)
        if not rows:
            name, reason = failures[0]
            raise PellucidError(f"{source.name}: no picture could be scored; {name}: {reason}")
        fid, left_out = self._fid(rows, folder / "restored")
        scored = Scored(source.name, rows, fid)
        main = report.metric_names(rows)[0]
        sheet, lost = pictures.contact_sheet(rows, self.cases, folder / "restored", main)
        left_out += [f"sheet.png: {name}: {why}" for name, why in lost]
        summary = {
            **report.summarise(scored, self.protocol),
            "subset": self.subset,
            "identity": {**self.about, **source.identity},
            "environment": report.environment(),
            "missing": list(self.perceptual.missing),
            "failures": failures,
            "left_out": left_out,
        }
        with written(folder):
            (folder / "summary.json").write_text(report.to_json(summary), encoding="utf-8")
            (folder / "summary.md").write_text(report.document(summary), encoding="utf-8")
            sheet.save(folder / "sheet.png")
            pictures.gain_plot([scored], main, folder / "gain.png")
        return Evaluated(scored, summary)

    def compare(self, results: Sequence[Evaluated]) -> list[list[str]]:
        """Write `comparison.md` and `gain.png` of several sources; first metric's table."""
        scored = [result.scored for result in results]
        kind, metrics = self.protocol.averages[0], results[0].summary["metrics"]
        tables = {
            metric: report.comparison(scored, self.protocol, metric, kind)
            for metric in metrics
            if metric != "fid"  # has no value of an image
        }
        head = f"# {', '.join(s.name for s in scored)}: {report.title(results[0].summary)}\n\n"
        body = "\n".join(f"{name}\n\n{report.markdown(cells)}" for name, cells in tables.items())
        with written(self.folder):
            (self.folder / "comparison.md").write_text(head + body, encoding="utf-8")
            pictures.gain_plot(scored, metrics[0], self.folder / "gain.png")
        return tables[metrics[0]]

    def _fid(self, rows: Rows, restored: Path) -> tuple[dict[str, float], list[str]]:
        """FID of each column with more than one picture, 8-bit files against 8-bit truths; and the
        columns that have none, as a picture is no longer there, with the reason."""
        network = self.perceptual.inception
        if network is None:
            return {}, []
        cases = {(case.column, case.name): case for case in self.cases}
        features: dict[tuple[str, str], Tensor] = {}
        lost: dict[str, str] = {}
        for row in self.track(rows, "FID"):
            key = row["column"], row["name"]
            if key[0] in lost:
                continue
            try:
                if key not in self._truths:
                    truth = torch.as_tensor(cases[key].load()[1])
                    self._truths[key] = network((truth[None] * 255).round() / 255)
                pixels = torch.from_numpy(read_pixels(restored / key[0] / f"{key[1]}.png"))
                features[key] = network(pixels.permute(2, 0, 1)[None] / 255)
            except FAILS as error:
                lost[key[0]] = f"FID of {key[0]}: {key[1]}: {error}"
        found = {}
        for column, group in report.by_column(rows).items():
            keys = [(column, row["name"]) for row in group]
            if len(keys) > 1 and column not in lost:
                ours, theirs = (torch.cat([f[k] for k in keys]) for f in (features, self._truths))
                found[column] = frechet_distance(ours, theirs)
        return found, list(lost.values())
