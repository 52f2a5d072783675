"""`tonne programme progress` over a real plant: two accounts, never added."""

import json
import math
from decimal import Decimal

import pytest

from services.cli.registry.programme import tonnes_text
from services.issuer import transitions as life
from services.registry.files import to_yaml
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.registry.entries_from_rows import load_registry
from tests import holders
from tests.services.issuer import logged, plant, sealed
from tests.services.issuer.sealed import close_period

PROGRAMME = """
programme:
  name: Hai Phong AIM-LCS
  actions:
    - {id: "1", name: Green Industry, target_kt: 1477, target_year: 2030}
    - id: "1-03"
      name: Regional energy supply
      target_kt: 514.8
      reported:
        - {year: 2026, kt: 12.5, source: city model}
        - {year: 2025, kt: 10, source: city model}
    - {id: "1_03", name: Not of it}
    - {id: "4", name: Clean Transport, target_kt: 2541}
"""
TEXT = (
    plant.REGISTRY.replace(
        "    expected: {", '    action: "1-03"\n    transfer: {CLASS}\n    expected: {'
    )
    + '    action: "4"\n'
    + PROGRAMME
)
SET = "{list: 2, measure: I.3, corresponding_adjustment: true}"


def _issued(url, folder):
    """Issue a statement of three sunny days of `pv`."""
    with logged.issuer(url) as conn:
        for role in ("operator", "verifier"):
            enrolled.enroll(conn, holders.create(folder, f"the-{role}", role))
        closed = close_period(conn, "pv", plant.us("2026-03-01"), plant.us("2026-03-04"), "test")
        logged.signed(conn, closed.statement, logged.held(folder), "unmodified", "limited")
        life.issue(conn, closed.statement, sealed.log_of(conn, folder), "test")
    return closed


def _progress(tonne, *more):
    told = tonne("programme", "progress", "--json", *more)
    assert told.exit_code == 0, told.output
    document = json.loads(told.output)
    return document, {a["action"]: a for a in document["actions"]}


def test_two_accounts_by_action(database_url, tmp_path, tonne):
    """A city would add its model to the credits that it sold, and report tonnes twice."""
    plant.register(database_url, tmp_path, TEXT.replace("{CLASS}", SET))
    plant.fill_pv(database_url, minutes=15)
    closed = _issued(database_url, tmp_path)
    document, actions = _progress(tonne, "--year", 2026)
    part, whole = actions["1-03"], actions["1"]
    assert part["part_of"] == "1"
    assert whole["part_of"] is None
    assert part["city_model"]["target_t_per_year"] == "514800.0"
    assert part["city_model"]["reported_t"] == "12500.0"
    # the whole holds its part's projects; the city's report is for the part alone
    assert whole["projects"] == part["projects"] | {
        "monitored_percent_of_target": whole["projects"]["monitored_percent_of_target"]
    }
    assert whole["city_model"]["reported_t"] is None
    assert part["projects"]["issued_credits_t"] == closed.result.credit_t > 0
    live = Decimal(part["projects"]["monitored_t"])
    assert live >= closed.result.credit_t
    assert actions["1_03"]["projects"]["count"] == 0
    assert actions["4"]["projects"]["issued_credits_t"] is None
    assert "never added" in document["accounts"]


def test_another_city_sees_what_it_has(database_url, tmp_path, tonne):
    """Da Nang would report Cat Ba's systems, and its own projects not."""
    plant.register(database_url, tmp_path, TEXT.replace("{CLASS}", SET))
    plant.fill_pv(database_url, minutes=15)
    told = json.loads(tonne("programme", "report", "--year", "2026", "--json").output)
    assert told["systems"] == []
    measured = {p["project"]: p["monitored_t"] for p in told["without_system"]}
    assert measured.keys() == {"pv", "bus"}
    assert measured["bus"] is None
    text = tonne("programme", "report", "--year", "2026").output
    down = math.floor(Decimal(measured["pv"]) * 1000) / Decimal(1000)
    assert f"pv: of no system, measured {down} t, issued 0 t" in text
    assert "bus: of no system, measured - t" in text
    assert "Cat Ba" not in text


@pytest.mark.parametrize(
    ("tonnes", "shown"),
    [("4.416673", "4.416"), ("-0.0001", "-0.001"), ("1477000", "1,477,000"), (None, "-"), (0, "0")],
)
def test_what_is_shown_is_rounded_down(tonnes, shown):
    """A report would show a kilogram that no one avoided."""
    assert tonnes_text(tonnes) == shown


def test_the_share_that_may_go_abroad(database_url, tmp_path, tonne):
    """More credits than the decree allows would be promised to a buyer abroad."""
    plant.register(database_url, tmp_path, TEXT.replace("{CLASS}", SET))
    plant.fill_pv(database_url, minutes=15)
    credit = _issued(database_url, tmp_path).result.credit_t
    document, _ = _progress(tonne)
    found = {p["project"]: p for p in document["transfer"]["projects"]}
    assert found["pv"]["transferable_t"] == credit // 2
    assert "already registered under JCM" in found["pv"]["condition"]
    assert found["bus"]["transferable_t"] == "not determined"
    told = tonne("programme", "progress").output
    assert "Transfer abroad, Decree 112/2026" in told
    assert f"pv: {credit} t issued, at most {credit // 2} t transferable; Decree" in told
    assert "bus: 0 t issued, transferable not determined: " in told


def test_what_is_registered_comes_back_as_it_was(database_url, tmp_path):
    """An export would lose the city's reports and the projects' classes."""
    text = TEXT.replace("{CLASS}", "{list: 1, corresponding_adjustment: false}")
    plant.register(database_url, tmp_path, text)
    with connect(database_url) as conn:
        stored = load_registry(conn)
    file = tmp_path / "again.yaml"
    file.write_text(to_yaml(stored))
    plant.register(database_url, tmp_path, to_yaml(stored))
    with connect(database_url) as conn:
        assert load_registry(conn).entries == stored.entries
    action = stored.programme.actions[1]
    assert [(r.year, r.kt) for r in action.reported] == [(2025, 10), (2026, Decimal("12.5"))]
    assert stored.projects["pv"].transfer.adjusted is False


def test_no_programme(tonne):
    """An empty table would look like a city without targets."""
    told = tonne("programme", "progress")
    assert told.exit_code == 2
    assert "no programme is registered" in told.output
