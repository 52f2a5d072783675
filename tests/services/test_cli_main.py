"""General behaviour of the command line: exit codes, help, and start time."""

import json
import subprocess
import sys

import click
import psycopg
import pytest

from ingest.errors import InputError, ServerError
from services.cli import __main__ as frame
from services.cli.output import explain
from tests.invoked import tonne


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InputError("x"), 2),
        (ServerError("x"), 3),
        (psycopg.OperationalError("x"), 3),
        (psycopg.errors.AdminShutdown("x"), 3),
        (psycopg.errors.QueryCanceled("x"), 3),
        (psycopg.errors.FeatureNotSupported("x"), 3),
        (ConnectionRefusedError(111, "refused"), 3),
        (FileNotFoundError(2, "No such file", "fleet.yaml"), 2),
        (click.FileError("fleet.yaml"), 2),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error, code):
    """Scripts tell "false" from "could not look" by the exit code alone."""
    known = explain(error)
    assert known is not None
    assert known[0] == code
    assert known[1]


def test_a_database_that_answers_is_not_said_to_be_away():
    """An operator would look for the network where a time limit cut a question short."""
    for error in (psycopg.errors.QueryCanceled("x"), psycopg.errors.DiskFull("x")):
        _, said = explain(error)
        assert f"the database failed: x (SQLSTATE {error.sqlstate})" in said
    _, said = explain(psycopg.errors.AdminShutdown("x"))
    assert "cannot be reached" in said


def test_a_defect_of_ours_keeps_its_traceback():
    """A bug dressed as bad input would never be reported."""
    assert explain(ZeroDivisionError()) is None


def test_expected_errors_are_one_sentence(monkeypatch):
    """A user must read what to change, not a traceback."""
    monkeypatch.setenv("TONNE_TYPO", "1")
    result = tonne("local", "status", code=2)
    assert result.stderr.startswith("tonne: TONNE_TYPO in the environment")
    assert "Traceback" not in result.stderr


def test_a_database_that_is_away_exits_3(monkeypatch):
    """Deployment scripts retry on 3, and only on 3."""

    @click.command()
    def needy():
        psycopg.connect("postgresql://nobody@127.0.0.1:1/none", connect_timeout=2)

    monkeypatch.setattr("services.cli.local.doctor.doctor", needy)
    result = tonne("doctor", code=3)
    assert "tonne local up" in result.stderr


def test_help_lists_every_command_without_loading_any():
    """`tonne --help` must answer at once, also where a driver is broken."""
    code = (
        "import sys; from services.cli.__main__ import main;"
        "main(['--help'], standalone_mode=False); "
        "print([m for m in sys.modules if m.split('.')[0] in ('pyarrow', 'numpy', 'faust')])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.endswith("[]\n")
    for name in frame.COMMANDS:
        assert f"  {name} " in told.stdout


def test_doctor_without_servers_says_how_to_get_them(monkeypatch, tmp_path):
    """The first thing a newcomer runs must lead to the next step."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    result = tonne("doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert found["Python"]["state"] == "ok"
    assert found["database"]["state"] == "wrong"
    assert "tonne local up" in found["MQTT broker"]["fix"]


def test_doctor_names_a_broker_that_does_not_answer(monkeypatch, tmp_path):
    """A wrong port must be distinguished from a wrong password or a missing server."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtt://user:hidden@127.0.0.1:1")
    result = tonne("doctor")
    assert "127.0.0.1:1" in result.stdout
    assert "refused" in result.stdout
    assert "hidden" not in result.output


def test_doctor_tells_an_old_schema_from_a_current_one(monkeypatch, database_url):
    """After an upgrade the operator must be asked to migrate before the pipeline fails."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)

    def schema():
        told = tonne("doctor", "--json").stdout
        return next(found for found in json.loads(told) if found["what"] == "schema")

    assert schema()["state"] == "ok"
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "DELETE FROM schema_migration WHERE version = "
            "(SELECT max(version) FROM schema_migration)"
        )
    assert schema()["state"] == "wrong"
    assert schema()["fix"] == "run `tonne migrate`"
