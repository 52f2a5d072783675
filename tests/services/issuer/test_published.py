"""Arrival, approvals and status lists from the database to the reader; stolen keys."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import psycopg
import pytest

from mrv.errors import EnrolmentError, StatementStateError
from mrv.packs.reader import read_pack
from mrv.signatures import canonical
from mrv.statement.states import sign_list
from mrv.verify import verify
from services.issuer import audit as audits
from services.issuer import external_signatures as accept
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.pack import export
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import evidence
from services.store.timeseries import last_seen
from tests import holders
from tests.invoked import printed
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import issuer

HOUR_US = 3_600_000_000
TWO = plant.REGISTRY + "programme: {name: HP, actions: [], issue_signatures: 2}\n"


@pytest.fixture
def plant_of(database_url, tmp_path, monkeypatch):
    """Make a plant of a registry with three days of readings; return its database and signers."""
    monkeypatch.setenv("TONNE_HOME", str(tmp_path))
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)

    def made(text=plant.REGISTRY):
        plant.register(database_url, tmp_path, text)
        plant.fill_pv(database_url, minutes=15)
        who = logged.signers(database_url, tmp_path)
        with issuer(database_url) as conn:
            enrolled.enroll(conn, holders.create(tmp_path, "the-director", "operator"))
        who["director"] = life.Signer(*keys.load(tmp_path, "the-director"))
        return database_url, who

    return made


def checked(url, name, folder):
    """Export and verify with the present keys and the published list."""
    with issuer(url) as conn:
        ring = [one.key for one in enrolled.load(conn) if one.key.role != "witness"]
        status = evidence.newest_status_list(conn, "pv")
        return verify(read_pack(export(conn, name, folder)), ring, status and status.document)


def late(url, day, hours, arrived_us):
    """Store readings of inv-1, one for each 15-minute interval, that arrive at one time."""
    begin = plant.us(day) + 60_000_000
    times = begin + np.arange(hours * 4) * 15 * 60_000_000 + 120_000_000
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = plant.store_of(conn)
        index = store.plan.fleet.by_id["inv-1"]
        rows = {"active_power_w": np.full(len(times), 1.0)}
        frame = plant.frame("pv_inverter", index, times, **rows)
        store.commit(conn, [frame], [], Letters([], [], [], [], arrived_us))
        store.commit(conn, [frame], [], Letters([], [], [], [], arrived_us + HOUR_US))  # again


def test_what_came_late_is_counted_once_sealed_and_shown(plant_of, tmp_path):
    """A day that was made up a week later would look like one that was measured."""
    url, who = plant_of()
    arrived = plant.us("2026-03-09")
    late(url, "2026-03-02", 24, arrived)
    with psycopg.connect(url) as conn:
        found = conn.execute(
            "SELECT sum(readings), count(DISTINCT arrived) FROM arrival_count"
            " WHERE device_id = 'inv-1' AND arrived > '2026-01-01'"
        ).fetchone()
    assert found == (96, 1)  # the repetition is not counted
    name = logged.verified(url, who)
    with issuer(url) as conn:
        said = life.documents(conn, name).claims.arrival
        life.issue(conn, name, who["log"], "test")
        life.status_list(conn, "pv", who["operator"])
    assert int(said.late) == 96
    assert said.not_noted == "0"
    report = checked(url, name, tmp_path / "pack")
    assert report.exit_code == 0, report.missing
    (day,) = report.arrived
    assert (day.day, day.late, day.sealed_late) == ("2026-03-02", 96, True)
    logged.seal_now(url, who)
    with issuer(url) as conn:
        assert audits.audit(conn, logged.NOW).first_break is None
    _arrived_earlier(url, "7 days")
    assert "arrival_count or arrival_day was changed" in _first_break(url)
    _arrived_earlier(url, "-7 days")
    with psycopg.connect(url, autocommit=True) as conn:
        last_seen.pack(conn, date(2027, 1, 1))
        assert conn.execute("SELECT count(*) FROM arrival_count").fetchone() == (0,)
        assert _first_break(url) == "None"
        conn.execute(
            "UPDATE arrival_day SET place = (SELECT array_agg(CASE WHEN p > 32 * 100"
            " THEN p - 32 * 168 ELSE p END ORDER BY n) FROM unnest(place) WITH ORDINALITY u (p, n))"
        )
    assert "arrival_count or arrival_day was changed" in _first_break(url)


def _arrived_earlier(url, by):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "UPDATE arrival_count SET arrived = arrived - %s::interval"
            " WHERE arrived > '2026-01-01'",
            [by],
        )


def _first_break(url):
    with issuer(url) as conn:
        return str(audits.audit(conn, logged.NOW).first_break)


def test_two_people_issue_where_the_registry_says_so(plant_of, tmp_path):
    """One person could issue what the programme wants two to answer for."""
    url, who = plant_of(TWO)
    name = logged.verified(url, who)
    with issuer(url) as conn:
        assert life.documents(conn, name).claims.issue_signatures == 2
        with pytest.raises(EnrolmentError, match="2 approvals are required"):
            life.issue(conn, name, who["log"], "test")
        assert life.approve(conn, name, who["operator"]) == 1
        with pytest.raises(StatementStateError, match="already has their approval"):
            life.approve(conn, name, who["operator"])
        with pytest.raises(EnrolmentError, match="verifier"):
            life.approve(conn, name, who["verifier"])
        with pytest.raises(EnrolmentError, match=r"2 approvals are required .* signed so far: 1"):
            life.issue(conn, name, who["log"], "test")
    pack = tmp_path / "verified"
    with issuer(url) as conn:
        export(conn, name, pack)
    out = tmp_path / "approval.json"
    printed("statement", "approve", pack, "--key", "the-director", "--out", out)
    with issuer(url) as conn:
        document = canonical.parse_object(out.read_bytes())
        assert accept.approval(conn, name, document) == 2
    told = printed("statement", "issue", name, "--key", "the-operator", "--json")
    assert '"state": "issued"' in told
    report = checked(url, name, tmp_path / "pack")
    assert report.exit_code == 0, report.missing
    (step,) = [one for one in report.steps if one.name == "approvals"]
    assert "the-director, the-operator" in step.detail
    logged.seal_now(url, who)
    with issuer(url) as conn:
        assert audits.audit(conn, logged.NOW).first_break is None
        with pytest.raises(StatementStateError):
            life.approve(conn, name, who["director"])


def test_a_stolen_approvers_key_issues_nothing(plant_of):
    """Anyone who stole the director's key would issue until someone looks."""
    url, who = plant_of(TWO)
    name = logged.verified(url, who)
    with issuer(url) as conn:
        life.approve(conn, name, who["operator"])
        life.approve(conn, name, who["director"])
    printed("keys", "revoke", "the-director")
    with issuer(url) as conn:
        with pytest.raises(EnrolmentError, match=r"cannot be issued|valid until"):
            life.issue(conn, name, who["log"], "test")
        with pytest.raises(EnrolmentError):
            life.status_list(conn, "pv", who["director"])


def test_the_newest_list_is_published_and_none_that_is_false(plant_of, tmp_path):
    """A reader who asks the server would be informed that a revoked statement counts."""
    url, who = plant_of()
    name = logged.verified(url, who)
    printed("statement", "issue", name, "--key", "the-operator")
    assert checked(url, name, tmp_path / "one").exit_code == 0
    operator, now = who["operator"], datetime.now(UTC)
    with issuer(url) as conn:
        first = evidence.newest_status_list(conn, "pv")
        false = sign_list("pv", [name], [name], *operator, now)
        with pytest.raises(StatementStateError, match="is wrong for"):
            accept.status_list(conn, "pv", false)
        with pytest.raises(EnrolmentError):
            accept.status_list(conn, "pv", sign_list("pv", [name], [], *who["verifier"], now))
        assert accept.misstated(conn, "pv", canonical.parse_object(first.document)) == set()
        # revoked without a key at hand: the list of before says what is not so any more
        life.revoke(conn, name, who["log"], "test", "claimed in another statement")
        assert accept.misstated(conn, "pv", canonical.parse_object(first.document)) == {name}
    printed("statement", "status-list", "pv", "--key", "the-operator", "--out", tmp_path / "s.json")
    assert checked(url, name, tmp_path / "two").exit_code == 1
    with issuer(url) as conn:
        with pytest.raises(StatementStateError, match="is wrong for"):
            accept.status_list(conn, "pv", canonical.parse_object(first.document))
        ahead = sign_list("pv", [name], [name], *operator, datetime.now(UTC) + timedelta(minutes=2))
        accept.status_list(conn, "pv", ahead)
        with pytest.raises(StatementStateError, match="is published"):
            life.status_list(conn, "pv", operator)
    logged.seal_now(url, who)
    with issuer(url) as conn:
        assert audits.audit(conn, logged.NOW).first_break is None
