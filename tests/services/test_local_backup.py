"""`tonne local backup` and `restore`: one file contains an installation, also for other servers."""

import json
import stat
import zipfile

import pytest

from ingest.errors import InputError
from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer.pack import export
from services.local import backup
from services.registry.files import to_yaml
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from tests.fix_timescale import _fresh
from tests.planted import planted
from tests.services.issuer import logged, plant


def _city(database_url, home):
    plant.register(database_url, home)
    plant.fill_pv(database_url)
    who = logged.signers(database_url, home)
    logged.seal_now(database_url, who)
    return logged.issue(database_url, who)


@pytest.fixture
def city(database_url, tmp_path):
    """Return a plant with an issued statement and keys in a folder."""
    home = tmp_path / "home"
    home.mkdir()
    issued = planted(_city, database_url, home)
    (home / "keys").mkdir(exist_ok=True)
    (home / "keys" / "stadt.json").write_text('{"key": "secret"}')
    (home / "postgres").mkdir()
    (home / "postgres" / "PG_VERSION").write_text("17")
    return database_url, home, issued


def _counts(url):
    with connect(url) as conn:
        return {
            table: conn.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]
            for table, _ in conn.execute(backup._COLUMNS).fetchall()
            if table not in backup._LEFT
        }


def test_an_installation_moves_to_other_servers_whole(city, timescale, tmp_path):
    """A city that grows out of one machine would lose readings, keys or the log's history."""
    url, home, issued = city
    file, dotenv = tmp_path / "b.zip", tmp_path / ".env"
    dotenv.write_text("TONNE_API_BIND=0.0.0.0:8080\n")
    held = backup.write(url, home, file, dotenv)
    assert held.rows > 100
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    names = zipfile.ZipFile(file).namelist()
    assert "home/keys/stadt.json" in names
    assert not [one for one in names if "postgres" in one]
    (tmp_path / "new").mkdir()
    for other in _fresh(timescale, ""):
        with pytest.raises(InputError, match="tonne migrate"):
            backup.restore(other, tmp_path / "new", file)
        migrate(other)
        there = tmp_path / "new" / ".tonne"
        assert backup.restore(other, there, file, tmp_path / "new" / ".env") == held
        assert _counts(other) == _counts(url)
        assert (there / "keys" / "stadt.json").read_text() == '{"key": "secret"}'
        assert (tmp_path / "new" / ".env").read_text() == dotenv.read_text()
        with connect(url) as before, connect(other) as after:
            assert to_yaml(load_registry(after)) == to_yaml(load_registry(before))
        # the statement's evidence is recalculated from the rows that came back
        with logged.issuer(other) as conn:
            export(conn, issued, tmp_path / "pack")
        assert verify(read_pack(tmp_path / "pack")).consistent
        # what is written next has numbers of its own
        with connect(other, autocommit=True) as conn:
            conn.execute(
                "INSERT INTO alarm (kind, subject_type, subject, projects, severity, since, cause,"
                " clear_s) VALUES ('t', 'device', 'd', '{}', 'minor', now(), 'x', 1)"
            )
        with pytest.raises(InputError, match="has rows of"):
            backup.restore(other, tmp_path / "third", file)


def test_what_is_no_whole_backup_changes_nothing(city, timescale, migrated_template, tmp_path):
    """Half an installation would look like one, and its gaps be found in a year."""
    url, home, _ = city
    file = tmp_path / "b.zip"
    backup.write(url, home, file)
    with pytest.raises(InputError, match="already exists"):
        backup.write(url, home, file)
    whole = file.read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    lying = tmp_path / "lying.zip"
    with zipfile.ZipFile(file) as held, zipfile.ZipFile(lying, "w") as out:
        for name in held.namelist():
            data = held.read(name)
            if name == "manifest.json":
                manifest = json.loads(data)
                manifest["rows"]["interval_quantity"] += 1
                data = json.dumps(manifest).encode()
            out.writestr(name, data)
    for other in _fresh(timescale, migrated_template):
        for bad in (tmp_path / "cut.zip", lying):
            with pytest.raises(InputError):
                backup.restore(other, tmp_path / "new", bad)
        assert sum(_counts(other)[one] for one in ("site", "device", "interval_quantity")) == 0
        assert not (tmp_path / "new").exists()
