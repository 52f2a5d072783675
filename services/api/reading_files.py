"""A device's quantities as a CSV or Parquet file, for API and console."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import datetime
from io import StringIO
from typing import Any, Literal

from starlette.responses import Response

Form = Literal["csv", "parquet"]
_TYPE_OF: dict[Form, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
}
TYPES = tuple(_TYPE_OF.values())
_NAMES = ("device", "start", "quantity", "value", "unit", "quality", "measured_share")


def reading_file(device: str, of: str, rows: Sequence[dict[str, Any]], form: Form) -> Response:
    """
    Return quantities of a device as a file for download.

    Parameters
    ----------
    of : str
        Time in the file's name.
    rows : sequence of dict
        As `services.store.timeseries.queries.quantities` returns them.
    """
    whole = [{"device": device, **row} for row in rows]
    body = _parquet(whole) if form == "parquet" else _csv(whole)
    name = f"{device}-{of}.{form}".replace(":", "").replace("+", "")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(body, media_type=_TYPE_OF[form], headers=headers)


def _csv(rows: Sequence[dict[str, Any]]) -> bytes:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_NAMES)
    writer.writerows([row[name] for name in _NAMES] for row in rows)
    return text.getvalue().encode()


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    import pyarrow as pa  # noqa: PLC0415 - heavy, and few requests need it
    import pyarrow.parquet as pq  # noqa: PLC0415

    kinds = {
        "start": pa.timestamp("us", "UTC"),
        "value": pa.int64(),
        "measured_share": pa.float64(),
    }
    columns = {
        name: pa.array(
            [datetime.fromisoformat(row[name]) if name == "start" else row[name] for row in rows],
            kinds.get(name, pa.string()),
        )
        for name in _NAMES
    }
    out = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), out)
    return bytes(out.getvalue())
