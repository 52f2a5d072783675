"""Values signed by meters: stored once, with their message, and found again."""

import json
from pathlib import Path

import psycopg
import pytest

from ingest.model import Device, Fleet
from ingest.pipeline.admit import admit
from mrv import factors
from mrv.signed_values import read_items
from services.processing.commit import Store
from services.processing.registry_import import import_registry
from services.registry.files import read_files, to_yaml
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from tests.invoked import tonne
from tests.registering import imported

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
    """Return a database in which one message with a signed value was stored, delivered twice."""
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
    shown = json.loads(tonne("signed", "list", "--device", "c1", "--json").stdout)
    assert [(one["time"], one["data"]) for one in shown] == [("2026-01-01T00:00:00Z", "0A1B")]
    out = tmp_path / "message.json"
    tonne("signed", "show", shown[0]["id"], "--out", out, code=0)
    assert out.read_bytes() == PAYLOAD
    assert tonne("signed", "show", "99", "--out", out).exit_code == 2
    unknown = tonne("signed", "list", "--device", "c11", "--json")
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "did you mean 'c1'?" in unknown.stderr


VALUES = Path(__file__).parents[2] / "vectors/ocmf/test_ocmf_ebee_01.xml"


@pytest.fixture
def registered(database_url, tmp_path):
    """Return a charger with its meter's key, and another without; both sent one value each."""
    items = read_items(VALUES.read_bytes())
    file = tmp_path / "r.yaml"
    head = "{site: s, class: ev_charger, profile: ocpp, installed: 2020-01-01T00:00:00Z"
    file.write_text(
        "sites: [{id: s, name: S, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}]\n"
        f"devices:\n  - {head}, id: c1, rated_power_w: 22000, serial: '000033022620',\n"
        f"      meter_keys: [{{from: 2020-01-01T00:00:00Z, key: '{items[0].key}'}}]}}\n"
        f"  - {head}, id: c2, rated_power_w: 22000}}\n"
    )
    assert not imported(database_url, file).refused
    with psycopg.connect(database_url, autocommit=True) as conn:
        for number, device in enumerate(("c1", "c2")):
            conn.execute(
                "INSERT INTO signed_value (received, topic, device_id, time, channel, data, method,"
                " encoding, public_key, payload, sha256) VALUES (now(), 't', %s, now(), 'e', %s,"
                " '', '', '', '', sha256(%s))",
                (device, items[number].text, device.encode()),
            )
    return file


def test_stored_values_are_held_against_the_registry(registered, database_url, monkeypatch):
    """What a neighbour's meter signed would count for the charger that sent it."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    own = tonne("signed", "verify", "--device", "c1", "--json")
    assert (own.exit_code, json.loads(own.stdout)["verified"]) == (0, 1)
    other = tonne("signed", "verify", "--device", "c2")
    assert other.exit_code == 1
    assert "sent by c2, but signed by the meter of c1" in other.stdout
    # a file, by the keys of the database, and the registry as it is written again
    assert tonne("signed", "verify", VALUES).exit_code == 0
    with connect(database_url) as conn:
        stored = load_registry(conn)
        registered.write_text(to_yaml(stored))
        again = import_registry(conn, read_files([registered]), author="tester", dry_run=True)
        assert {one.result for one in again.results} == {"unchanged"}
        changed = (
            to_yaml(stored)
            .replace("from: '2020", "from: '2021")
            .replace("from: 2020", "from: 2021")
        )
        registered.write_text(changed)
        refused = import_registry(conn, read_files([registered]), author="tester", dry_run=True)
        assert refused.refused
        assert "cannot be changed or omitted" in str(refused.results)
