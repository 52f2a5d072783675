"""What meters signed: kept once, with its message, and found again."""

import json

import psycopg
import pytest
from click.testing import CliRunner

from ingest.model import Device, Fleet
from ingest.pipeline.admit import admit
from mrv import factors
from services.cli.main import main
from services.processing.commit import Store
from services.settle import Plan
from services.store.messages.dead_letter_write import Letters

pytestmark = pytest.mark.integration
TOPIC = "tonne/v1/c1/telemetry"
RECEIVED_US = 1_767_225_700_000_000
PAYLOAD = json.dumps(
    {
        "connectorId": 1,
        "meterValue": [
            {
                "timestamp": "2026-01-01T00:00:00Z",
                "sampledValue": [{"value": "5000"}, {"value": "0A1B", "format": "SignedData"}],
            }
        ],
    }
).encode()


@pytest.fixture
def stored(database_url, monkeypatch):
    """A database in which one message with a signed value was stored, twice delivered."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    fleet = Fleet([Device("c1", "s", "ev_charger", profile="ocpp", rated_power_w=22_000)])
    store = Store(Plan.of(fleet, [], factors.load()))
    with psycopg.connect(database_url, autocommit=True) as conn:
        for repeated in (False, True):
            admitted = admit(fleet, lambda _: 0, [TOPIC], [PAYLOAD], [None], RECEIVED_US)
            letters = Letters([TOPIC], [PAYLOAD], [None], [repeated], RECEIVED_US)
            done = store.commit(conn, admitted.frames, admitted.rejected, letters)
        yield conn, done


def test_a_signed_value_is_evidence_and_no_dead_letter(stored):
    """A driver who doubts the bill could not be shown what the meter signed."""
    conn, done = stored
    assert done.rejected == []
    assert conn.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
    assert conn.execute("SELECT energy_import_wh FROM reading_ev_charger").fetchall() == [(5000,)]
    rows = conn.execute("SELECT device_id, channel, data, payload FROM signed_value").fetchall()
    assert rows == [("c1", "Energy.Active.Import.Register", "0A1B", PAYLOAD)]


def test_nobody_changes_what_was_signed(stored):
    """Evidence that its keeper can change is none."""
    conn, _ = stored
    for statement in ("UPDATE signed_value SET data = 'x'", "DELETE FROM signed_value"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement)


def test_it_is_listed_and_its_message_written(stored, tmp_path):
    """A verifier would need SQL to hold a signature against its message."""
    run = CliRunner()
    shown = json.loads(run.invoke(main, ["signed", "list", "--device", "c1", "--json"]).stdout)
    assert [(one["time"], one["data"]) for one in shown] == [("2026-01-01T00:00:00Z", "0A1B")]
    out = tmp_path / "message.json"
    assert (
        run.invoke(main, ["signed", "show", str(shown[0]["id"]), "--out", str(out)]).exit_code == 0
    )
    assert out.read_bytes() == PAYLOAD
    assert run.invoke(main, ["signed", "show", "99", "--out", str(out)]).exit_code == 2
    unknown = run.invoke(main, ["signed", "list", "--device", "c11", "--json"])
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "did you mean 'c1'?" in unknown.stderr
