"""The database's files of deploy/, with the real server."""

import os
import shutil
import subprocess
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from services.local import POSTGRES_BIN
from services.store.postgres.pool import connect
from tests.deploy.files import DEPLOY

pytestmark = pytest.mark.integration


def make_secrets(folder):
    done = subprocess.run(
        ["sh", str(DEPLOY / "secrets.sh")],
        env=os.environ | {"TONNE_SECRETS": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    make_secrets(folder)
    return folder


def test_secrets_are_made_once(secrets):
    """A second run that made new passwords would lock tonne out of its own database."""
    before = {p.name: p.read_bytes() for p in secrets.iterdir()}
    make_secrets(secrets)
    assert {p.name: p.read_bytes() for p in secrets.iterdir()} == before
    assert secrets.stat().st_mode & 0o077 == 0


def test_the_pipeline_s_login_may_do_its_work_and_no_more(database_url, secrets):
    """The pipeline's database login has the permissions of its task only."""
    psql = shutil.which("psql", path=POSTGRES_BIN)
    script = (DEPLOY / "timescaledb/logins.sql").read_text().replace("/run/secrets", str(secrets))
    for _ in range(2):
        subprocess.run([psql, database_url], input=script, text=True, check=True)
    password = (secrets / "pipeline_password").read_text()
    parts = urlsplit(database_url)
    login = parts._replace(netloc=f"tonne_pipeline:{password}@{parts.hostname}:{parts.port}")
    with connect(urlunsplit(login), role="tonne_ingest") as connection:
        connection.execute("SELECT * FROM device")
        connection.execute(
            "INSERT INTO stream_offset (topic, partition, \"offset\") VALUES ('t', 0, 1)"
        )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM reading_pv_inverter")
    password = (secrets / "archive_password").read_text()
    keeper = parts._replace(netloc=f"tonne_archivist:{password}@{parts.hostname}:{parts.port}")
    with connect(urlunsplit(keeper), role="tonne_archive", autocommit=True) as connection:
        drop = "SELECT tonne_drop_archived('pv_inverter', '2026-02-26Z', '2026-03-05Z')"
        assert connection.execute(drop).fetchone() == ("",)
        for statement in (
            "DELETE FROM reading_pv_inverter",
            "SELECT drop_chunks('reading_pv_inverter', INTERVAL '1 day')",
            "INSERT INTO reading_pv_inverter (device_id, time) VALUES ('a', now())",
            "SELECT * FROM api_key",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
    password = (secrets / "api_password").read_text()
    served = parts._replace(netloc=f"tonne_service:{password}@{parts.hostname}:{parts.port}")
    with connect(urlunsplit(served), role="tonne_api") as connection:
        connection.execute("SELECT * FROM statement")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM api_audit")
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        psycopg.connect(urlunsplit(login)) as c,
    ):
        c.execute("CREATE ROLE another")
