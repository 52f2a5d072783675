"""
Anyone who passes on a pack can change its files: `tonne verify` names the change.

Each case changes a copy of an issued pack, whose day is sealed, and verifies it with a reader's
trusted keys.
"""

import io
import json
import os
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from ingest import classes
from ingest.errors import InputError
from ingest.model import NULL, Device, Fleet, Frame
from mrv.packs.reader import read_pack
from mrv.packs.tables import ReadingsFile, write_readings
from mrv.signatures.keys import read_keyring
from mrv.statement.sampling import Size
from mrv.verify import verify
from services.issuer import documents
from services.issuer import external_signatures as accept
from services.issuer import transitions as life
from services.issuer.pack import export
from services.store.postgres.pool import connect
from tests.fix_timescale import _fresh
from tests.opinions import concluded
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.soak import pairs

DOCUMENTS = ("statement", "verification", "plan", "factors", "digests", "keys", "seals", "manifest",
             "findings", "sampling")  # fmt: skip
TABLES = ("readings/pv_inverter", "intervals", "dead_letters")
TEXTS = ("VERIFY.md", "receipt.txt", "manifest.txt", "diagram.svg")


@pytest.fixture(scope="module")
def whole(timescale, migrated_template, tmp_path_factory):
    """Export an issued pack: a sealed day, a refused message, a sample, a closed finding."""
    made = _fresh(timescale, migrated_template)
    url, home = next(made), tmp_path_factory.mktemp("pack")
    plant.register(url, home)
    plant.fill_pv(url, minutes=15)
    with connect(url) as conn:
        for at in ("03:00", "04:00"):
            conn.execute(
                "INSERT INTO dead_letter (received, topic, principal, reason, detail, payload,"
                f" sha256) VALUES ('2026-03-02 {at}Z', 't', 'inv-1', 'r', 'd', 'x', sha256('x'))"
            )
    who = logged.signers(url, home)
    logged.seal_now(url, who)
    with logged.issuer(url) as conn:
        name = close_period(
            conn, "pv", plant.us("2026-03-02"), plant.us("2026-03-03"), "me"
        ).statement
        life.submit(conn, name, who["operator"])
        life.sample(conn, name, who["verifier"], Size(1, 1))
        for key, said in (
            ("verifier", ("raised", "CAR", "seen in the files of the period", "0.5")),
            ("operator", ("answered", "CAR-1", "it was seen at the plant in March", None)),
            ("verifier", ("closed", "CAR-1", "it was seen at the plant in April", "0")),
        ):
            accept.finding(conn, name, documents.sign(conn, name, who[key], said))
        life.verify(conn, name, who["verifier"], concluded("unqualified", of=(conn, name)))
        life.issue(conn, name, who["log"], "test")
        folder = export(conn, name, home / "out")
    next(made, None)
    return folder


@pytest.fixture
def folder(whole, tmp_path):
    """Return a copy to change."""
    return shutil.copytree(whole, tmp_path / "pack")


def _named(folder, whole):
    """Return the result of `tonne verify` with the right keys; None if no step fails."""
    try:
        report = verify(read_pack(folder), read_keyring((whole / "keys.json").read_bytes()))
    except InputError as error:
        return str(error)
    return None if report.consistent else f"{report.failure.name}: {report.failure.detail}"


def test_an_unchanged_copy_holds(folder, whole):
    """Every other case would be rejected for the wrong reason."""
    assert _named(folder, whole) is None
    steps = {s.name: s for s in verify(read_pack(folder)).steps}
    # no list was given, and the reader trusts no authority and no witness
    apart = {"status", "time stamps", "witnesses"}
    assert {n for n, s in steps.items() if s.outcome != "ok"} == apart
    assert "1 of 1 days were sealed" in steps["seals"].detail
    assert "all in the log" in steps["manifest"].detail


def test_no_file_is_forgotten(folder):
    """A new file of the pack could be changed without a failing test."""
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    cases = {f"{n}.json" for n in DOCUMENTS} | {f"{n}.parquet" for n in TABLES} | set(TEXTS)
    assert there == cases, "give each new file of a pack its cases in this module"


def _first_list(value):
    """Return the first list of two or more in a document."""
    if isinstance(value, list) and len(value) > 1:
        return value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for one in inner if (found := _first_list(one)) is not None), None)


@pytest.mark.parametrize(
    ("name", "what"), pairs(DOCUMENTS, ["change", "delete", "add", "reorder", "empty", "twice"])
)
def test_documents(folder, whole, name, what):
    """A changed document of a pack is detected."""
    path = folder / f"{name}.json"
    text = path.read_text("utf-8")
    record = json.loads(text)
    match what:
        case "change":
            at = next(i for i in range(len(text) // 2, len(text)) if text[i].isdigit())
            path.write_text(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :], "utf-8")
        case "delete":
            path.unlink()
        case "add":
            more = {"x": "y"}
            path.write_text(
                json.dumps({**record, **more} if isinstance(record, dict) else [*record, more]),
                "utf-8",
            )
        case "reorder":
            listed = _first_list(record)
            if listed is None:
                record = dict(reversed(record.items()))
            else:
                listed.reverse()
            path.write_text(json.dumps(record), "utf-8")
        case "empty":
            path.write_bytes(b"")
        case _:
            opening = text.index('"')
            key = text[opening : text.index(":", opening)]
            path.write_text(text[:opening] + f"{key}: null, " + text[opening:], "utf-8")
    assert _named(folder, whole) is not None


@pytest.mark.parametrize(
    ("name", "what"),
    pairs(
        TABLES, ["change", "delete", "delete a row", "add a row", "reorder", "truncate", "column"]
    ),
)
def test_tables(folder, whole, name, what):
    """A changed or missing table row of a pack is detected."""
    path = folder / f"{name}.parquet"
    table = parquet.read_table(path)
    last = table.column_names[-1] if name == "intervals" else table.column_names[2]
    match what:
        case "delete":
            path.unlink()
        case "truncate":
            path.write_bytes(path.read_bytes()[:-20])
        case "change":
            values = table[last].to_pylist()
            values[0] = 7 if isinstance(values[0], int) else "x"
            at = table.schema.get_field_index(last)
            column = pa.array(values, table.schema.field(at).type)
            parquet.write_table(table.set_column(at, table.schema.field(at), column), path)
        case "delete a row":
            parquet.write_table(table.slice(1), path)
        case "add a row":
            parquet.write_table(pa.concat_tables([table, table.slice(0, 1)]), path)
        case "reorder":
            order = [1, 0, *range(2, len(table))]
            parquet.write_table(table.take(order), path)
        case _:
            parquet.write_table(table.append_column("more", pa.array([1] * len(table))), path)
    found = _named(folder, whole)
    assert found is not None
    if what == "change" and name == "readings/pv_inverter":
        assert "inv-1 on 2026-03-0" in found


@pytest.mark.parametrize(("name", "what"), pairs(TEXTS, ["change", "delete", "add", "reorder"]))
def test_texts(folder, whole, name, what):
    """A receipt could be of something else, and the page could say something else."""
    path = folder / name
    text = path.read_text("utf-8")
    lines = text.splitlines(keepends=True)
    match what:
        case "change":
            path.write_text(text.replace("e", "E", 1), "utf-8")
        case "delete":
            path.unlink()
        case "add":
            path.write_text(text + "more\n", "utf-8")
        case _:
            lines[0], lines[1] = lines[1], lines[0]
            path.write_text("".join(lines), "utf-8")
    assert _named(folder, whole) is not None


@pytest.mark.parametrize(
    "what", ["extra file", "extra table", "extra folder", "link", "way out", "huge", "many", "swap"]
)
def test_the_folder_itself(folder, whole, what):
    """A file could be slipped in, or the reader led out of the folder or out of memory."""
    match what:
        case "extra file":
            (folder / "note.txt").write_text("please pay", "utf-8")
        case "extra table":
            shutil.copy(folder / "intervals.parquet", folder / "readings" / "vehicle.parquet")
        case "extra folder":
            (folder / "readings" / "more").mkdir()
            shutil.copy(folder / "plan.json", folder / "readings" / "more" / "plan.json")
        case "link":
            (folder / "plan.json").unlink()
            (folder / "plan.json").symlink_to(whole / "plan.json")
        case "way out":
            manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
            manifest["files"]["../../etc/passwd"] = "0" * 64
            (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
        case "huge":
            os.truncate(folder / "factors.json", 2**32)
        case "many":
            for number in range(1_001):
                (folder / f"{number}.txt").touch()
        case _:
            (folder / "receipt.txt").rename(folder / "x")
            (folder / "manifest.txt").rename(folder / "receipt.txt")
            (folder / "x").rename(folder / "manifest.txt")
    assert _named(folder, whole) is not None


def test_a_row_group_that_would_fill_the_memory(folder, whole):
    """A table that would exceed the memory limit is rejected."""
    table = parquet.read_table(folder / "intervals.parquet").slice(0, 1)
    bomb = table.take(pa.array([0] * 1_048_577)).combine_chunks()
    parquet.write_table(bomb, folder / "intervals.parquet", row_group_size=len(bomb))
    assert "row group" in _named(folder, whole)


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
