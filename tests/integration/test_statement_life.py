"""All states of a statement, by `tonne` commands on a real database."""

import json
import shutil
from functools import partial

import pytest

from services.store.postgres.pool import connect
from tests import holders
from tests.invoked import tonne as invoke
from tests.opinions import reported
from tests.planted import planted
from tests.services.issuer import plant

OPINION = ("--opinion", "unqualified", "--assurance", "reasonable")
SPAN = ("--from", "2026-03-02", "--to", "2026-03-04")


@pytest.fixture
def tonne(database_url, tmp_path, monkeypatch):
    """Run a command with a separate home; return exit code, output and errors."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    monkeypatch.setenv("TONNE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TONNE_MQTT_URL", "mqtt://127.0.0.1:1")
    return partial(invoke, code=0)


LATE = "readings of the night came a day late"


def _signed(url, home):
    """Return a plant with sealed sunny days and enrolled keys of both roles."""
    plant.register(url, home, plant.documented())
    plant.fill_pv(url, end="2026-03-05", minutes=15)
    environment = {"TONNE_DATABASE_URL": url, "TONNE_HOME": str(home / "home")}
    for words in (
        ("keys", "create", "--role", "operator", "--name", "plant", *holders.OPTIONS["operator"]),
        ("keys", "create", "--role", "verifier", "--name", "auditor", *holders.OPTIONS["verifier"]),
        ("log", "seal", "--until", "2026-03-06"),
    ):
        invoke(*words, env=environment, code=0)


@pytest.fixture
def signed(tonne, database_url, tmp_path):
    """Return a runner on a plant with sealed sunny days and enrolled keys of both roles."""
    planted(_signed, database_url, tmp_path)
    return tonne


def _close(tonne, project="pv", span=SPAN):
    return json.loads(tonne("period", "close", project, *span, "--json").stdout)


def _opinion(signed, name, folder):
    """Return an unqualified opinion, with the verifier's report filled in."""
    return (*OPINION, *reported(partial(signed, "statement"), name, folder))


def test_from_readings_to_an_issued_statement(signed, tmp_path):
    """An operator could not bring a period to a statement that an auditor can check."""
    closed = _close(signed)
    name = closed["statement"]
    assert name == "TN-pv-20260302-20260304-1"
    assert closed["credit_t"] == int(closed["reduction_t"].split(".")[0]) > 0
    # silent for a morning, and without a certificate on the second day
    assert [(d["device"], d["reason"]) for d in closed["deductions"]] == [
        ("inv-2", {"code": "calibration.expired", "values": {"certificate": "C-2"}}),
        ("inv-2", {"code": "EVD-01.alone", "values": {}}),
    ]
    signed("statement", "submit", name, "--key", "plant")
    bare = signed("statement", "verify", name, "--key", "auditor", code=2)
    assert "--opinion" in bare.stderr
    unsaid = signed("statement", "verify", name, "--key", "auditor", *OPINION, code=2)
    assert "cannot be unqualified while findings are open" in unsaid.stderr
    signed("log", "seal")
    opinion = (*_opinion(signed, name, tmp_path), "--procedure", "two days on site")
    opinion = (*opinion, "--finding", "sampled two meters")
    signed("statement", "verify", name, "--key", "auditor", *opinion)
    wrong = signed("statement", "issue", name, "--key", "auditor", code=2)
    assert "enrolled as verifier" in wrong.stderr
    signed("statement", "issue", name, "--key", "plant")
    signed("statement", "export", name, "--out", tmp_path / "pack")
    signed("statement", "export", name, "--out", tmp_path / "again")
    signed("keys", "export", "--out", tmp_path / "trusted.json")
    signed("statement", "status-list", "pv", "--key", "plant", "--out", tmp_path / "status.json")
    trusted = ("--keys", tmp_path / "trusted.json")
    given = (*trusted, "--status", tmp_path / "status.json")
    report = json.loads(signed("verify", tmp_path / "pack", *given, "--json").stdout)
    left = {s["name"] for s in report["steps"] if s["outcome"] != "ok"}
    # no list was drawn, and the reader trusts no authority and no witness
    assert left == {"sampling", "time stamps", "witnesses"}
    assert {s["outcome"] for s in report["steps"]} == {"ok", "not applicable"}
    assert (report["state"], report["exit"], report["missing"]) == ("issued", 0, [])
    assert "may be relied on" in signed("verify", tmp_path / "pack", *given).stdout
    without = signed("verify", tmp_path / "pack", *trusted, code=4).stdout
    assert "--status FILE" in without.splitlines()[-1]
    alone = signed("verify", tmp_path / "pack", code=4).stdout
    assert "missing: trusted keys; pass your file of trusted keys with --keys FILE" in alone
    zipped = shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "pack")
    signed("verify", zipped, *given)
    files = sorted(p for p in (tmp_path / "pack").rglob("*") if p.is_file())
    for file in files:
        other = tmp_path / "again" / file.relative_to(tmp_path / "pack")
        assert file.read_bytes() == other.read_bytes(), file.name
    assert "issued" in signed("statement", "list").stdout
    shown = signed("statement", "show", name).stdout
    assert "by auditor" in shown
    assert "observed   FAC-02 Default factors verified against published source" in shown
    assert "closed by the verifier: the plan of the plant was seen on paper" in shown


def test_the_keys_of_the_pack_itself_are_named_as_such(signed, tmp_path):
    """A reader would take a stranger's signature for that of someone whom he trusts."""
    name = _close(signed)["statement"]
    signed("statement", "submit", name, "--key", "plant")
    signed("statement", "export", name, "--out", tmp_path / "pack")
    told = signed("verify", tmp_path / "pack", code=4).stdout
    assert "keys taken from the pack itself" in told
    assert "INCOMPLETE: consistent so far" in told
    accepted = signed("verify", tmp_path / "pack", "--accept", "draft").stdout
    assert accepted.splitlines()[-1] == "complete to the extent requested (--accept draft)"
    shutil.copy(tmp_path / "pack" / "statement.json", tmp_path / "alone.json")
    alone = signed("verify", tmp_path / "alone.json", code=4).stdout
    assert "keys taken from the statement itself" in alone
    create = ("keys", "create", "--role", "operator", *holders.OPTIONS["operator"], "--name")
    signed(*create, "other", "--no-enroll")
    signed(*create, "third")
    signed("keys", "export", "--name", "third", "--out", tmp_path / "third.json")
    refused = signed("verify", tmp_path / "pack", "--keys", tmp_path / "third.json", code=1)
    assert "FAILED at step 2, keys and roles" in refused.stdout


def test_a_factor_from_memory_is_said_wherever_it_is_signed(signed, monkeypatch, tmp_path):
    """An operator would sign a number that no one compared with its text, unaware."""
    closed = signed("period", "close", "pv", *SPAN)
    name = closed.stdout.split()[0]
    assert "observation FAC-02 Default factors" in closed.stdout
    monkeypatch.setenv("TONNE_REQUIRE_ACCEPTED_FACTORS", "true")
    told = signed("statement", "submit", name, "--key", "plant", code=2)
    assert "jcm-vn-am007-case-1 = 0.333 tCO2/MWh" in told.stderr
    assert "enter its id in parameters.accept_factors" in told.stderr
    monkeypatch.setenv("TONNE_REQUIRE_ACCEPTED_FACTORS", "false")
    told = signed("statement", "submit", name, "--key", "plant")
    assert "warning: not met: EVD-01" in told.stderr
    signed("statement", "verify", name, "--key", "auditor", *_opinion(signed, name, tmp_path))
    assert "warning: not met" in signed("statement", "issue", name).stderr


def test_a_project_that_accepts_by_name_goes_through(signed, database_url, monkeypatch, tmp_path):
    """
    A project that accepts its factors by name could not be
    signed where acceptance is required.
    """
    named = "    parameters: {accept_factors: [jcm-vn-am007-case-1, jcm-vn-am007-case-3]}\n"
    text = plant.REGISTRY.replace("    expected:", named + "    expected:", 1)
    plant.register(database_url, tmp_path, text)
    monkeypatch.setenv("TONNE_REQUIRE_ACCEPTED_FACTORS", "true")
    told = signed("statement", "submit", _close(signed)["statement"], "--key", "plant")
    assert "accept" not in told.stderr


def test_an_adverse_opinion_ends_a_statement(signed, tmp_path):
    """A verifier could not sign an adverse opinion."""
    name = _close(signed)["statement"]
    signed("statement", "submit", name, "--key", "plant")
    signed("statement", "verify", name, "--key", "auditor", "--assurance", "reasonable",
           "--opinion", "adverse")  # fmt: skip
    assert "no step follows" in signed("statement", "issue", name, code=2).stderr
    signed("statement", "export", name, "--out", tmp_path / "pack")
    refused = signed("verify", tmp_path / "pack", code=1)
    assert "opinion adverse" in refused.stdout
    assert _close(signed)["statement"].endswith("-2")


def test_superseding_moves_the_claim(signed, database_url, tmp_path):
    """Late readings could never be counted, or a period would be claimed twice."""
    first = _close(signed)["statement"]
    for step in (
        ("submit", "--key", "plant"),
        ("verify", "--key", "auditor", *_opinion(signed, first, tmp_path)),
        ("issue",),
    ):
        signed("statement", step[0], first, *step[1:])
    over = _close(signed, span=("--from", "2026-03-03", "--to", "2026-03-04"))["statement"]
    signed("statement", "submit", over, "--key", "plant")
    signed("statement", "verify", over, "--key", "auditor", *_opinion(signed, over, tmp_path))
    assert first in signed("statement", "issue", over, code=2).stderr
    plant.send(
        database_url, "inv-2", [plant.us("2026-03-02T08:40:00+07:00")], active_power_w=[9_000]
    )
    signed("statement", "export", first, "--out", tmp_path / "first")
    signed("verify", tmp_path / "first", code=4)
    signed("log", "seal", "--until", "2026-03-06")
    new = json.loads(signed("statement", "supersede", first, "--reason", LATE, "--json").stdout)
    difference = new["supersedes"].pop("difference")
    assert new["supersedes"] == {"statement": first, "reason": LATE}
    assert (difference["evidence"], difference["credited_t"]) == (["readings"], "0")
    for step in (
        ("submit", "--key", "plant"),
        ("verify", "--key", "auditor", *_opinion(signed, new["statement"], tmp_path)),
        ("issue",),
    ):
        signed("statement", step[0], new["statement"], *step[1:])
    states = {
        s["statement"]: s["state"] for s in json.loads(signed("statement", "list", "--json").stdout)
    }
    assert states[first] == "superseded"
    assert states[new["statement"]] == "issued"
    assert _close(signed)["statement"] == new["statement"]
    signed("statement", "export", new["statement"], "--out", tmp_path / "pack")
    signed("keys", "export", "--out", tmp_path / "trusted.json")
    signed("statement", "status-list", "pv", "--key", "plant", "--out", tmp_path / "status.json")
    given = ("--keys", tmp_path / "trusted.json", "--status", tmp_path / "status.json")
    ended = signed("verify", tmp_path / "first", *given, code=1).stdout
    assert "is no longer valid" in ended
    signed("verify", tmp_path / "pack", *given, "--accept", "unsealed-days")


def test_stored_rows_that_do_not_follow_are_refused(signed, database_url):
    """A statement would rest on intervals that someone edited."""
    with connect(database_url, role="tonne_ingest", autocommit=True) as conn:
        plant.store_of(conn).remake_requested(conn)  # nothing waits for `tonne run`
    with connect(database_url, autocommit=True) as conn:
        conn.execute(
            "UPDATE interval_quantity SET value = value + 1000 WHERE device_id = 'inv-1'"
            " AND start = '2026-03-02 05:00Z'"
        )
    refused = signed("period", "close", "pv", *SPAN, code=2)
    assert "inv-1" in refused.stderr
    assert "2026-03-02T05:00:00Z" in refused.stderr
    span = ("--from", "2026-03-01", "--to", "2026-03-05")
    differing = signed("rebuild", *span, "--check", "--json", code=1)
    found = json.loads(differing.stdout)["differences"]
    assert [d["key"] for d in found] == [["inv-1", "energy_export", "2026-03-02T05:00:00Z"]]
    signed("rebuild", *span, "--device", "inv-1")
    signed("rebuild", *span, "--check")
    _close(signed)


def test_intervals_print_what_is_stored(signed):
    """A dashboard's figures could not be compared with the statement's."""
    span = ("--from", "2026-03-02", "--to", "2026-03-04")
    rows = json.loads(signed("intervals", "--device", "inv-1", *span, "--json").stdout)
    assert list(rows[0]) == ["start", "quantity", "value", "unit", "quality", "measured_share"]
    assert rows[0]["start"] == "2026-03-01T17:00:00Z"
    assert len(rows) == 192
    closed = _close(signed)
    assert str(sum(r["value"] for r in rows)) == closed["devices"][0]["metered"]
    emissions = json.loads(signed("intervals", "--project", "pv", *span, "--json").stdout)
    assert set(emissions[0]) == {"start", "baseline_ug", "project_ug", "leakage_ug", "reduction_ug"}
    assert "2026-03-02T00:00:00+07:00" in signed("intervals", "--device", "inv-1", *span).stdout
    signed("intervals", "--device", "none", *span, code=2)
    signed("intervals", "--project", "none", *span, code=2)
