"""The upgrade drill: a database with data of every released version is migrated to this one."""

import gzip
import json
import shutil
from pathlib import Path

import psycopg
import pytest

from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer.pack import export
from services.processing.rebuild import rebuild
from services.store.postgres.migrate import BASE, SchemaError, load, migrate
from services.store.postgres.pool import connect
from tests.services.issuer import logged, plant, sealed

RELEASES = Path(__file__).parents[1] / "data" / "releases"


@pytest.fixture(params=sorted(path.name for path in RELEASES.iterdir() if path.is_dir()))
def release(request):
    """Return the folder of a released version."""
    return RELEASES / request.param


def _as_released(url, release):
    """Create a database as that version wrote it: its schema, its migration records, its rows."""
    known = json.loads((release / "release.json").read_text())["migrations"]
    migrate(url, [m for m in load() if m.version <= BASE])
    text = gzip.decompress((release / "data.copy.gz").read_bytes()).decode()
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM schema_migration")
        for label, sha256 in known.items():
            version, name = label.split("_", 1)
            conn.execute(
                "INSERT INTO schema_migration (version, name, sha256) VALUES (%s, %s, %s)",
                [int(version), name, sha256],
            )
        # as pg_restore does: what was checked when it was written is not checked again
        conn.execute("SET session_replication_role = replica")
        for block in text.removesuffix("\\.\n").split("\\.\n"):
            head, rows = block.split("\n", 1)
            with conn.cursor().copy(f"{head} FROM STDIN") as copy:
                copy.write(rows)
        # nor do numbers begin again from 1
        for table, column in conn.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' AND is_identity = 'YES'"
        ).fetchall():
            conn.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'),"
                f" (SELECT max({column}) FROM {table}))"
            )


def test_a_database_between_two_versions_is_refused(release, empty_database_url):
    """Half of an old schema would be taken for the whole, and the next step would break it."""
    url = empty_database_url
    _as_released(url, release)
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM schema_migration WHERE version > 97")
    with pytest.raises(SchemaError, match=r"0097_days_by_clock.*version 0\.1\.0 on it first"):
        migrate(url)


@pytest.fixture
def upgraded(release, empty_database_url, tmp_path):
    """Return the URL of a migrated database, the signer of its log, and its statement."""
    url = empty_database_url
    _as_released(url, release)
    migrate(url)
    shutil.copytree(release / "keys", tmp_path / "keys")
    (tmp_path / "keys/tonne-log.json").chmod(0o600)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        (name,) = conn.execute("SELECT id FROM statement").fetchone()
        return url, {"log": sealed.log_of(conn, tmp_path)}, name


def test_only_changed_readings_draft_a_correction(upgraded):
    """Every statement of a release would be called wrong on the day of the update."""
    url, who, name = upgraded
    assert logged.seal_now(url, who).corrections == []
    assert logged.seal_now(url, who, recheck=True).corrections == []
    late = plant.us("2026-03-02T10:07:00+07:00")
    plant.send(url, "inv-1", [late], active_power_w=[100.0])
    # what it closed over was metered by the first rules; those of today close a correction
    (told,) = logged.seal_now(url, who).corrections
    assert told.startswith(f"readings of {name} changed, and it cannot be closed")
    assert "run `tonne rebuild --from 2026-03-01T17:00:00Z --to 2026-03-02T17:00:00Z`" in told
    span = plant.us("2026-03-01T17:00:00Z"), plant.us("2026-03-02T17:00:00Z")
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        plan = plant.store_of(conn).plan
        assert rebuild(conn, plan, list(range(len(plan.fleet))), *span, replace=True)
        assert rebuild(conn, plan, list(range(len(plan.fleet))), *span, replace=False) == []
    (told,) = logged.seal_now(url, who, recheck=True).corrections
    assert told.startswith(f"readings of {name} changed: {name[:-1]}2 is the draft")
    assert logged.seal_now(url, who, recheck=True).corrections == []


def test_a_pack_of_a_release_is_refused_by_its_version(upgraded, tmp_path):
    """An auditor would take a pack of an old form for a forged one, or look for who cut it."""
    url, _, name = upgraded
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        folder = export(conn, name, tmp_path / "pack")
    report = verify(read_pack(folder))
    failure = report.failure
    assert failure is not None
    assert failure.number == 1
    assert "has the format of tonne 0.1.0" in failure.detail
    assert f"tonne statement supersede {name}" in failure.remedy
    # as that version wrote it, and checked it
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    assert there == {
        "README.txt", "digests.json", "factors.json", "intervals.parquet", "keys.json",
        "plan.json", "readings/pv_inverter.parquet", "receipt.txt", "statement.json",
        "verification.json",
    }  # fmt: skip
