"""Evidence packs contain whole days of the archive unchanged, and all of it is verified."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pyarrow as pa
import pytest
from pyarrow import parquet

from mrv.packs.reader import read_pack
from mrv.signatures import canonical
from mrv.verify import verify
from services import archived_files as check
from services.issuer.audit import audit
from services.store.postgres.pool import connect
from services.vault import DamagedError
from tests.services.archive import shelved
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

SCRIPT = Path(__file__).parents[3] / "docs" / "verify_by_hand.py"
UNLISTED = {"manifest.json", "manifest.txt", "receipt.txt"}


@pytest.fixture
def place(shelf):
    """Return the folder of the plant's archive."""
    return shelf


@pytest.fixture
def folder(pack):
    """Return the pack of three archived days, issued."""
    return pack


def _days(folder):
    return sorted((folder / "readings/pv_inverter").glob("*.parquet"))


def _own(folder):
    return parquet.read_table(folder / "readings/pv_inverter.parquet")


def _listed_again(folder):
    """List the files again, as a forger would; return the findings of the verification."""
    files = {f.relative_to(folder).as_posix(): f for f in folder.rglob("*") if f.is_file()}
    said = {
        name: hashlib.sha256(file.read_bytes()).hexdigest()
        for name, file in files.items()
        if name not in UNLISTED
    }
    (folder / "manifest.json").write_bytes(canonical.legible({"format": 2, "files": said}))
    return verify(read_pack(folder)).failure


def test_a_pack_holds_the_archives_own_files(sealed_url, folder, place):
    """An auditor with archive and pack would have two files of a day, and no digest for both."""
    files = _days(folder)
    assert [f.name[:16] for f in files] == [f"2026-03-0{day}_hp_pv" for day in (1, 2, 3)]
    listed = json.loads((folder / "manifest.json").read_text())["files"]
    for file in files:
        theirs = next(place.rglob(file.name))
        assert file.read_bytes() == theirs.read_bytes()
        said = json.loads(theirs.with_suffix(".json").read_text())["file"]["sha256"]
        assert said == listed[file.relative_to(folder).as_posix()]
    report = verify(read_pack(folder))
    assert report.consistent, report.failure
    by_hand = [sys.executable, "-W", "error", SCRIPT, folder]
    done = subprocess.run(by_hand, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with connect(sealed_url, role="tonne_mrv", autocommit=True) as conn:
        assert audit(conn, logged.NOW, ()).first_break is None


def test_what_no_archived_file_holds_whole_is_the_packs_own(sealed_url, who, tmp_path):
    """Days that are still in the database, or half a day, would be missing or stand twice."""
    shelved.archive(sealed_url, tmp_path / "archive", plant.us("2026-03-03"))
    noon = "2026-03-02T12:00:00+07:00"
    name = logged.issue(sealed_url, who, noon, "2026-03-04")
    half = shelved.export_pack(sealed_url, name, tmp_path / "half")
    assert _days(half) == []
    assert verify(read_pack(half)).consistent
    name = logged.issue(sealed_url, who, "2026-03-01", noon)
    mixed = shelved.export_pack(sealed_url, name, tmp_path / "mixed")
    assert [f.name[:10] for f in _days(mixed)] == ["2026-03-01"]
    assert min(_own(mixed)["time"].to_pylist()).isoformat() >= "2026-03-01T17:00"
    assert verify(read_pack(mixed)).consistent


def test_a_late_reading_leaves_the_old_file_out(sealed_url, who, place, tmp_path):
    """The pack would hold the day as it was before, beside the statement as it is now."""
    times, energy, _ = plant.sunny("2026-03-01", "2026-03-04", 15)
    at = slice(96 + 40, 96 + 41)
    shelved.send(sealed_url, "inv-1", times[at] + 60_000_000, energy_export_wh=energy[at])
    logged.seal_now(sealed_url, who)
    shelved.archive(sealed_url, place)
    name = logged.issue(sealed_url, who, "2026-03-01", "2026-03-04")
    folder = shelved.export_pack(sealed_url, name, tmp_path / "pack")
    # the day's new file holds inv-1 alone; the old one is of both, and right no more
    assert [f.name[:10] for f in _days(folder)] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert parquet.read_table(_days(folder)[1])["device"].unique().to_pylist() == ["inv-1"]
    assert _own(folder)["device"].unique().to_pylist() == ["inv-2"]
    assert verify(read_pack(folder)).consistent


def _drop(file):
    file.unlink()


def _twice(file):
    shutil.copy(file, file.with_name("2026-03-09_hp_pv_0123456789abcdef.parquet"))


def _more(file):
    table = parquet.read_table(file)
    at = table.schema.get_field_index("energy_export_wh")
    more = pa.array([v and v + 1000 for v in table["energy_export_wh"].to_pylist()], pa.int64())
    parquet.write_table(table.set_column(at, table.schema.field(at), more), file)


def _backwards(file):
    table = parquet.read_table(file)
    parquet.write_table(table.take(list(reversed(range(len(table))))), file)


def _no_table(file):
    file.write_bytes(b"PAR1")


# what is named of each, and what still is when the list of files was made anew
SPOILT = {
    _drop: (("form", "the pack has no"), ("readings", "2026-03-02")),
    _twice: (("form", "not a file of this pack"), ("readings", "twice")),
    _more: (("readings", "2026-03-02"), ("readings", "2026-03-02")),
    _backwards: (("readings", "out of order"), ("readings", "out of order")),
    _no_table: (("form", "not a Parquet file"), ("form", "not a Parquet file")),
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda f: f.__name__)
def test_a_spoilt_day_is_named(folder, spoil):
    """A foreign file would be accepted because it has a name of the archive."""
    spoil(_days(folder)[1])
    first, then = SPOILT[spoil]
    for failure, (step, words) in (
        (verify(read_pack(folder)).failure, first),
        (_listed_again(folder), then),
    ):
        assert failure is not None
        assert failure.name == step
        assert words in failure.detail


def test_a_damaged_archive_gives_no_pack(sealed_url, place, tmp_path):
    """A pack would carry a file that someone changed in a folder."""
    with connect(sealed_url, role="tonne_mrv", autocommit=True) as conn:
        edges = plant.us("2026-03-01"), plant.us("2026-03-04")
        name = close_period(conn, "pv", *edges, "me").statement
    file = next(place.glob("pv_inverter/2026/03/2026-03-02_hp_pv_*.parquet"))
    data = bytearray(file.read_bytes())
    data[-40] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DamagedError, match="2026-03-02_hp_pv"):
        shelved.export_pack(sealed_url, name, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def _kept(url):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return conn.execute(
            "SELECT statement_id, name, length(content), archived FROM statement_evidence"
            " WHERE name LIKE 'readings/pv_inverter/%' ORDER BY name"
        ).fetchall()


def test_archived_days_are_not_kept_twice(sealed_url, folder, place):
    """Every verified month would bring its readings back into the database, for good."""
    rows = _kept(sealed_url)
    assert [name for _, name, _, _ in rows] == [
        file.relative_to(folder).as_posix() for file in _days(folder)
    ]
    assert all(size is None and (place / path).is_file() for _, _, size, path in rows)


def test_a_file_that_is_gone_later_is_named_and_comes_back(sealed_url, folder, place, tmp_path):
    """An issued statement's pack would come out without a day, or not once the day is back."""
    name, _, _, path = _kept(sealed_url)[1]
    data = (place / path).read_bytes()
    (place / path).unlink()
    with pytest.raises(DamagedError, match="2026-03-02_hp_pv"):
        shelved.export_pack(sealed_url, name, tmp_path / "again")
    with connect(sealed_url, role="tonne_archive", autocommit=True) as conn:
        assert any(path in one for one in check.check(conn).breaks)
    (place / path).write_bytes(data)
    again = shelved.export_pack(sealed_url, name, tmp_path / "again")
    assert {f.relative_to(again): f.read_bytes() for f in again.rglob("*") if f.is_file()} == {
        f.relative_to(folder): f.read_bytes() for f in folder.rglob("*") if f.is_file()
    }


def test_a_kept_file_that_became_another_is_found(sealed_url, folder):
    """Someone could point an issued statement at the readings of another day."""
    name, file, _, path = _kept(sealed_url)[1]
    other = _kept(sealed_url)[2][3]
    change = "UPDATE statement_evidence SET archived = %s WHERE statement_id = %s AND name = %s"
    with psycopg.connect(sealed_url, autocommit=True) as conn:
        with pytest.raises(psycopg.errors.CheckViolation):
            conn.execute(
                "INSERT INTO statement_evidence (statement_id, name, content, archived)"
                " VALUES (%s, 'x', 'x', %s)",
                [name, path],
            )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(change, [other, name, file])
        conn.execute("SET session_replication_role = replica")
        conn.execute(change, [other, name, file])
    with connect(sealed_url, role="tonne_mrv", autocommit=True) as conn:
        found = audit(conn, logged.NOW, ()).first_break
    assert found is not None
    assert "evidence differs from the manifest" in found
