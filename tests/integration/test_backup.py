"""The restore drill: a server is lost, and its state at a given time is restored."""

import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from services import archived_files as check
from services.issuer.audit import audit
from services.local import service_account
from services.local.stack import Postgres
from services.store.postgres.migrate import migrate
from services.store.postgres.pool import connect
from services.store.statements import transparency_log as log
from tests.ports import give_ports
from tests.services.archive import shelved
from tests.services.issuer import logged, plant
from tests.waiting import until

pytestmark = pytest.mark.integration
SCRIPTS = Path(__file__).parents[2] / "deploy" / "backup"


@pytest.fixture
def backup():
    """Return a folder that the server's account may write to, with the scripts beside it."""
    folder = Path(tempfile.mkdtemp(prefix="tonne-backup-"))
    shutil.copytree(SCRIPTS, folder / "scripts")
    account = service_account("postgres")
    (folder / "kept/wal").mkdir(parents=True)
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
        if account is not None:
            os.chown(path, account.uid, account.gid)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def servers(tmp_path):
    """Yield servers over separate folders; stop them at the end."""
    started = []

    def make(name):
        started.append(Postgres(give_ports(tmp_path / name, "postgres")))
        return started[-1]

    yield make
    for server in started:
        server.stop()


def _script(backup, name, *words):
    done = subprocess.run(
        ["sh", backup / "scripts" / name, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _archiving(server, backup):
    server.start()
    command = f"sh {backup}/scripts/keep-wal.sh %p %f {backup}/kept/wal"
    with psycopg.connect(server.url, autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET archive_mode = on")
        conn.execute(f"ALTER SYSTEM SET archive_command = '{command}'")
    server.restart()


def _published(url):
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        return log.checkpoint(conn)


def _moment(url):
    """Return a time after everything done so far and before everything that follows."""
    with psycopg.connect(url, autocommit=True) as conn:
        (text,) = conn.execute("SELECT clock_timestamp()::text").fetchone()
    time.sleep(0.05)
    return text


def _all_kept(url, backup):
    """Wait until the last segment is in the backup."""
    with psycopg.connect(url, autocommit=True) as conn:
        (name,) = conn.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    until((backup / "kept/wal" / name).exists, what=lambda: sorted((backup / "kept/wal").iterdir()))


def _recovered(server):
    """Wait until a server has replayed its write-ahead log."""
    with psycopg.connect(server.url, autocommit=True) as conn:
        asked = "SELECT NOT pg_is_in_recovery()"
        until(lambda: conn.execute(asked).fetchone() == (True,), what=server.last_lines)


def test_what_was_published_is_there_after_a_restore(servers, backup, tmp_path):
    """Ten years of evidence would hang on one disk, or come back as something else."""
    lost = servers("lost")
    _archiving(lost, backup)
    url = lost.url
    migrate(url)
    plant.register(url, tmp_path)
    plant.fill_pv(url, minutes=15)
    who = logged.signers(url, tmp_path)
    _script(backup, "base-backup.sh", url, backup / "kept")
    # all of this is in the write-ahead log alone
    plant.fill_buses(url)
    logged.seal_now(url, who)
    logged.issue(url, who)
    before = shelved.hot(url)
    shelved.archive(url, tmp_path / "archive")
    head, moment = _published(url), _moment(url)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP TABLE interval_emission CASCADE")
        conn.execute("DROP TABLE archive_part CASCADE")
    _all_kept(url, backup)
    lost.kill()

    found = servers("found")
    _script(backup, "restore.sh", backup / "kept", found.folder, moment)
    shutil.copy(lost.home / "postgres.password", found.home / "postgres.password")
    found.start()
    _recovered(found)
    assert _published(found.url) == head
    with connect(found.url, role="tonne_mrv", autocommit=True) as conn:
        report = audit(conn, logged.NOW, (head,))
    assert report.first_break is None, report.to_json()
    assert shelved.underived(found.url) == []
    with connect(found.url, role="tonne_archive", autocommit=True) as conn:
        kept = check.check(conn)
    assert (kept.breaks, kept.rows) == ([], sum(before))


def test_a_backup_whose_log_does_not_arrive_says_so(servers, backup):
    """Backups would restore only the moments of the nightly copies."""
    server = servers("mute")
    _archiving(server, backup)
    (backup / "scripts/keep-wal.sh").write_text("exit 1\n")
    words = (server.url, str(backup / "kept"), "1")
    done = subprocess.run(
        ["sh", backup / "scripts/base-backup.sh", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "WAL_WAIT_S": "0"},
    )
    assert done.returncode == 1
    assert f"{backup}/kept/wal has no 0000" in done.stderr


def test_another_servers_log_is_refused(backup, tmp_path):
    """Two servers that write to one backup would leave a log that restores neither."""
    segment = tmp_path / "segment"
    segment.write_bytes(b"one")
    words = (segment, "000000010000000000000001", backup / "kept/wal")
    _script(backup, "keep-wal.sh", *words)
    _script(backup, "keep-wal.sh", *words)
    segment.write_bytes(b"other")
    done = subprocess.run(
        ["sh", backup / "scripts/keep-wal.sh", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "is there and differs" in done.stderr
    assert (backup / "kept/wal/000000010000000000000001").read_bytes() == b"one"


def test_a_backup_a_day_with_the_log_by_its_slot(servers, backup):
    """On Kubernetes the last minutes before a loss would be gone, or no backup was ever taken."""
    server = servers("streamed")
    server.start()
    url, kept = server.url, backup / "kept"
    (backup / "url").write_text(url)
    account = service_account("postgres")
    who = {} if account is None else {"user": account.uid, "group": account.gid}
    environment = {**os.environ, "WAL_BY": "stream"}
    words = [["receive-wal.sh", backup / "url", kept], ["daily.sh", url, kept, "04:30"]]
    checked = ["sh", str(backup / "scripts/daily.sh"), "--check", str(kept)]
    assert subprocess.run(checked, capture_output=True, check=False).returncode == 1
    with ExitStack() as running:
        for script, *given in words:
            process = subprocess.Popen(
                ["sh", backup / "scripts" / script, *map(str, given)], env=environment, **who
            )
            running.callback(process.wait, 120)
            running.callback(process.terminate)
        until(
            lambda: not subprocess.run(checked, capture_output=True, check=False).returncode,
            what="no base backup was taken at once",
        )
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute("CREATE TABLE late (n int)")
            conn.execute("INSERT INTO late SELECT generate_series(1, 1000)")
            (position,) = conn.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
            behind = "SELECT flush_lsn >= %s::pg_lsn FROM pg_stat_replication"
            until(
                lambda: conn.execute(behind, [position]).fetchone() == (True,),
                what="the log is not fetched",
            )
        server.kill()  # in the middle of a segment
    found = servers("found-again")
    _script(backup, "restore.sh", kept, found.folder)
    shutil.copy(server.home / "postgres.password", found.home / "postgres.password")
    found.start()
    _recovered(found)
    with psycopg.connect(found.url, autocommit=True) as conn:
        assert conn.execute("SELECT count(*) FROM late").fetchone() == (1000,)


def test_a_time_that_is_none_is_refused(backup):
    """A backup at 25:00 would never be taken."""
    for at in ("25:00", "12", "noon"):
        words = ["sh", backup / "scripts/daily.sh", "postgresql://x", backup / "kept", at]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert f"{at} is not a time of day" in done.stderr
