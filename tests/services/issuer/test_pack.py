"""Packs on disk: other files are rejected as such, older packs can be verified."""

import io

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from ingest import classes
from ingest.errors import InputError
from ingest.model import NULL, Device, Fleet, Frame
from mrv.packs.reader import read_pack
from mrv.packs.tables import ReadingsFile, write_readings

FLEET = Fleet([Device("m-1", "s", "energy_meter")])


@pytest.fixture
def written(tmp_path):
    """Write a meter's readings, without some columns; return the file."""

    def write(*without):
        columns = {
            name: np.array([1, NULL, 3]) if c.kind == "register" else np.array([1.5, np.nan, 2.5])
            for name, c in classes.load()["energy_meter"].channels.items()
        }
        index = np.zeros(3, dtype=np.int32)
        frame = Frame("energy_meter", index, np.arange(3) * 60_000_000, index, columns)
        out = io.BytesIO()
        write_readings(out, FLEET, frame)
        table = parquet.read_table(pa.BufferReader(out.getvalue())).drop_columns(list(without))
        file = tmp_path / "readings.parquet"
        parquet.write_table(table, file)
        return file

    return write


def test_a_pack_without_a_later_channel_is_read(written):
    """An issued statement could no longer be verified once meters have got another channel."""
    (table,) = ReadingsFile(written("active_power_l1_w", "active_power_l2_w"), "energy_meter")
    assert table.columns.keys() == classes.load()["energy_meter"].channels.keys()
    assert np.isnan(table.columns["active_power_l2_w"]).all()
    assert table.columns["active_power_w"].tolist()[::2] == [1.5, 2.5]
    assert table.columns["energy_import_wh"].tolist() == [1, NULL, 3]


def test_a_pack_without_its_times_is_refused(written):
    """A file of another kind would be read as one without readings."""
    with pytest.raises(InputError, match="its columns are"):
        ReadingsFile(written("time"), "energy_meter")
    with pytest.raises(InputError, match="lacks the columns 'device'"):
        ReadingsFile(written("device"), "energy_meter")


def test_a_path_that_is_no_pack(tmp_path):
    """A wrong path would look like a failed verification."""
    with pytest.raises(InputError, match="not an evidence pack"):
        read_pack(tmp_path)
    (tmp_path / "readings.csv").write_text("time,power")
    with pytest.raises(InputError, match="not a statement"):
        read_pack(tmp_path / "readings.csv")
