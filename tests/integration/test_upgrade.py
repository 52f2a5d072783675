"""The upgrade drill: a database of every released version, with data in it, comes to this one."""

import gzip
import json
import shutil
from pathlib import Path

import psycopg
import pytest

from services.issuer import life
from services.issuer.audit import audit
from services.store.migrate import load, migrate
from services.store.pool import connect
from tests.services.archive import shelved
from tests.services.issuer import logged, plant

pytestmark = pytest.mark.integration
RELEASES = Path(__file__).parents[1] / "data" / "releases"


@pytest.fixture(params=sorted(path.name for path in RELEASES.iterdir() if path.is_dir()))
def release(request):
    """Folder of a released version."""
    return RELEASES / request.param


def _as_released(url, release):
    """Make a database as that version left it: its migrations, then its rows."""
    known = json.loads((release / "release.json").read_text())["migrations"]
    files = {f"{m.version:04d}_{m.name}": m for m in load()}
    assert {name: files[name].sha256 for name in known} == known, "a released migration changed"
    migrate(url, [files[name] for name in known])
    text = gzip.decompress((release / "data.copy.gz").read_bytes()).decode()
    with psycopg.connect(url) as conn:
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


def _counts(url):
    with connect(url) as conn:
        tables = ("reading_pv_inverter", "reading_vehicle", "interval_quantity",
                  "interval_emission", "statement", "log_entry")  # fmt: skip
        return [conn.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in tables]


def test_a_released_database_comes_to_this_version(release, empty_database_url, tmp_path):
    """Who updates would lose statements that were sold, or could not prove them any more."""
    url = empty_database_url
    _as_released(url, release)
    before = _counts(url)
    assert min(before) > 0
    report = migrate(url)
    assert report.version == load()[-1].version
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        plant.store_of(conn).remake_requested(conn)
    assert _counts(url) == before
    assert shelved.underived(url) == []
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        (head,) = conn.execute("SELECT note FROM log_checkpoint").fetchone()
    shutil.copytree(release / "keys", tmp_path / "keys")
    (tmp_path / "keys/tonne-log.json").chmod(0o600)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        who = {"log": life.log_signer(conn, tmp_path, "tonne-log")}
    logged.seal_now(url, who)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        found = audit(conn, logged.NOW, (head,))
        assert found.first_break is None, found.to_json()
    shelved.archive(url, tmp_path / "archive")
    assert shelved.underived(url) == []
