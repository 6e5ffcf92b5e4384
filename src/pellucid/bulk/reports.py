"""The table of reports: one Parquet file a part, and what tells a resumed run what is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pellucid.places import Place

FOLDER = "_reports"  # readers of Parquet and of pictures leave out names that begin with _
_SHARES = pa.map_(pa.string(), pa.float32())
SCHEMA = pa.schema(
    [
        ("name", pa.string()),  # of the picture in the source; in a shard SHARD/MEMBER or SHARD/ROW
        ("output", pa.string()),  # of its result in the target; null where there is none
        ("error", pa.string()),  # why there is none
        ("words", pa.list_(pa.string())),
        ("probabilities", _SHARES),
        ("model", pa.string()),
        ("decision", pa.string()),  # of the guard: kept, softened, refused
        ("reason", pa.string()),
        ("quality_before", _SHARES),
        ("quality_after", _SHARES),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("notes", pa.list_(pa.string())),
        ("seconds", pa.float32()),
    ]
)


def row(name: str, output: str, report: dict[str, Any]) -> dict[str, Any]:
    """The row of a restored picture; `report` is what `pellucid.report.report_of` returns."""
    quality = report.get("quality", {})
    shares = {f"quality_{when}": quality.get(when) for when in ("before", "after")}
    return {**report, **shares, "name": name, "output": output}


def failure(name: str, error: BaseException | str) -> dict[str, Any]:
    """The row of a picture that could not be restored."""
    said = str(error) or type(error).__name__
    for prefix in ("the image: ", f"{name}: "):
        said = said.removeprefix(prefix)
    return {"name": name, "error": said}


def write(target: Place, part: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write the reports of a part, over those that are there."""
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), sink)
    target.write(_name(part), sink.getvalue().to_pybytes())


def read(target: Place, part: str) -> list[dict[str, Any]] | None:
    """The rows of a part; None if it has no reports yet."""
    if not target.exists(_name(part)):
        return None
    return pq.read_table(pa.BufferReader(target.read(_name(part))), schema=SCHEMA).to_pylist()


def _name(part: str) -> str:
    return f"{FOLDER}/{part}.parquet"
