"""Columns of a pack in which nothing stands are not unpacked; whatever stands in one is read."""

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from mrv.packs.columns import reading_schema
from mrv.packs.tables import ReadingsFile

ROWS = 50_000
WAYS = (
    {},
    {"use_dictionary": False},
    {"use_dictionary": False, "data_page_version": "2.0"},
    {"data_page_version": "2.0"},
    {"write_statistics": False},
    {"dictionary_pagesize_limit": 64},
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("place", [0, 33_333, ROWS - 1])
def test_one_value_is_found_however_its_column_is_written(tmp_path, way, place):
    """A reading that the file holds would be missing in the check of its digest and its account."""
    schema = reading_schema("pv_inverter")
    alone = [place == row for row in range(ROWS)]
    columns = {
        "device": ["inv-1"] * ROWS,
        "time": pa.array(np.arange(ROWS) * 60_000_000).cast(pa.timestamp("us", "UTC")),
        "energy_export_wh": [7 if at else None for at in alone],
        "active_power_w": [0.0 if at else None for at in alone],
    }
    nothing = pa.nulls(ROWS)
    table = pa.table(
        [columns.get(f.name, nothing.cast(f.type)) for f in schema], schema=schema
    )  # fmt: skip
    path = tmp_path / "readings.parquet"
    parquet.write_table(table, path, row_group_size=20_000, **way)
    found = [one.columns for one in ReadingsFile(path, "pv_inverter")]
    energy, power, voltage = (
        np.concatenate([one[name] for one in found])
        for name in ("energy_export_wh", "active_power_w", "voltage_v")
    )
    assert len(energy) == ROWS
    assert energy[place] == 7
    assert power[place] == 0.0
    assert np.isnan(voltage).all()
