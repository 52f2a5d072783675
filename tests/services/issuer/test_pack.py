"""Packs on disk: each file counts, what is no pack is said to be none, older packs verify."""

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
from mrv.verify import verify
from services.issuer.pack import export
from services.store.postgres.pool import connect
from tests.planted import planted
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

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


def _exported(url, home):
    plant.register(url, home)
    plant.fill_pv(url)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        span = plant.us("2026-03-02"), plant.us("2026-03-03")
        closed = close_period(conn, "pv", *span, "test")
        with pytest.raises(InputError, match="not an empty folder"):
            export(conn, closed.statement, home)
        export(conn, closed.statement, home / "out" / "pack")


@pytest.fixture
def folder(database_url, tmp_path):
    """Export the pack of a day of both projects' plant."""
    planted(_exported, database_url, tmp_path)
    return tmp_path / "out" / "pack"


def _cell(path, column, row, value):
    """Write one other value into a Parquet file."""
    table = parquet.read_table(path)
    values = table[column].to_pylist()
    values[row] = value
    at = table.schema.get_field_index(column)
    field = table.schema.field(at)
    changed = table.set_column(at, field, pa.array(values, field.type))
    parquet.write_table(changed, path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("energy_export_wh", 1), ("active_power_w", 3.5), ("state", 4.0), ("device", "inv-2")],
)
def test_one_cell_of_the_readings(folder, column, value):
    """A single watt-hour could be changed in the file that an auditor gets."""
    _cell(folder / "readings" / "pv_inverter.parquet", column, 200, value)
    failure = verify(read_pack(folder)).failure
    assert failure.name == "readings"
    assert "inv-1 on 2026-03-0" in failure.detail


def test_damaged_and_strange_files_are_named(folder):
    """A cut download would end in a traceback, or go unnoticed."""
    assert verify(read_pack(folder)).consistent
    file = folder / "intervals.parquet"
    whole = file.read_bytes()
    file.write_bytes(whole[:-100])
    (folder / "readings" / "toaster.parquet").write_bytes(b"PAR1")
    pack = read_pack(folder)
    assert set(pack.damaged) == {"intervals.parquet"}
    assert verify(pack).failure.name == "form"
    file.write_bytes(whole)
    assert "toaster" in verify(read_pack(folder)).failure.detail


def test_a_path_that_is_no_pack(tmp_path):
    """A wrong path would look like a failed verification."""
    with pytest.raises(InputError, match="not an evidence pack"):
        read_pack(tmp_path)
    (tmp_path / "readings.csv").write_text("time,power")
    with pytest.raises(InputError, match="not a statement"):
        read_pack(tmp_path / "readings.csv")
