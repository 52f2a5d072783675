"""The negative balance of a period is deducted, in whatever order periods are issued."""

from dataclasses import replace

import numpy as np
import pytest
from msgspec import structs

from mrv.documents.period_account import FixedParameter
from mrv.documents.statement import claims_of
from mrv.errors import StatementStateError
from mrv.signatures import canonical
from mrv.statement.conformity import CONSECUTIVE, FIXED
from mrv.statement.earlier_statements import changed
from services.issuer import transitions as life
from services.store.statements import statements
from services.store.statements.account_spans import owed
from tests.findings import worded
from tests.mrv import packs
from tests.mrv.plant import PV
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.logged import issuer

KEPT = "PAR-01"
REGISTRY = plant.documented()
DAYS = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05"]


def _bad_day(url, home):
    """
    Store four days of charging; on the second the bus does not run, which
    gives a negative result.
    """
    plant.register(url, home, REGISTRY)
    times = np.arange(plant.us(DAYS[0]), plant.us(DAYS[4]) + 1, 10 * plant.MINUTE_US)
    hour = (times + 7 * 3_600_000_000) // 3_600_000_000
    standing = (times >= plant.us(DAYS[1])) & (times < plant.us(DAYS[2]))
    charge = np.cumsum(np.where(hour % 24 < 5, np.where(standing, 4_000, 8_000), 0))
    way = np.cumsum(np.where((hour % 24 >= 6) & ~standing, 3_000, 0))
    plant.send(url, "ch-1", times, energy_import_wh=charge)
    plant.send(url, "bus-1", times, odometer_m=way)
    return logged.signers(url, home)


@pytest.fixture
def buses(database_url, tmp_path):
    """Return URL and signers of four days of buses, of which the second is negative."""
    return database_url, planted(_bad_day, database_url, tmp_path)


def _close(url, day, project="bus"):
    return logged.subject(url, DAYS[day], DAYS[day + 1], project=project)


def _verified(url, who, day, project="bus"):
    return logged.verified(url, who, DAYS[day], DAYS[day + 1], project)


def _issue(url, who, day, project="bus"):
    return logged.issue(url, who, DAYS[day], DAYS[day + 1], project)


def _left_out(subject):
    return [worded(f) for f in subject["applicability"] if f["rule"] == CONSECUTIVE]


def test_a_bad_day_that_is_issued_last_is_still_taken_off(buses):
    """A negative balance is deducted, whichever period is issued last."""
    url, who = buses
    _issue(url, who, 0)
    _issue(url, who, 2)
    bad = _issue(url, who, 1)
    lost = _close(url, 1)["carried"]
    assert int(lost["out_ug"]) < 0
    after = _close(url, 3)["carried"]
    assert (after["from"], after["in_ug"]) == (bad, lost["out_ug"])
    _issue(url, who, 3)
    # taken once: neither its own closing nor the day before it changes
    assert _close(url, 3)["carried"] == after
    assert _close(url, 1)["carried"] == lost


def test_a_statement_is_not_issued_past_what_is_owed_by_then(buses):
    """A draft made before a negative period is issued would be credited in full."""
    url, who = buses
    early = _verified(url, who, 2)
    bad = _issue(url, who, 1)
    with issuer(url) as conn, pytest.raises(StatementStateError, match="close its period again"):
        life.issue(conn, early, who["log"], "test")
    assert _close(url, 2)["carried"]["from"] == bad
    _issue(url, who, 2)
    assert _close(url, 3)["carried"]["in_ug"] == "0"


SERVED = "[{device: ch-1, role: charging}, {device: bus-1, role: vehicle}]"
BUS = REGISTRY[REGISTRY.index("  - id: bus\n") :]
TO, FROM = f", to: {DAYS[2]}}}", f", from: {DAYS[2]}}}"
# the same buses from the third day on, by another name; or under other ids as well
MOVED = REGISTRY.replace(SERVED, SERVED.replace("}", TO)) + BUS.replace(
    "id: bus", "id: other"
).replace(SERVED, SERVED.replace("}", FROM))
SINCE = f"installed: {DAYS[2]}T00:00:00+07:00"
TWINS = MOVED.replace(SERVED.replace("}", FROM), SERVED.replace("1,", "9,")).replace(
    "  - {id: bus-1, site: hp, class: vehicle, profile: generic,",
    f"""  - {{id: ch-9, site: hp, class: ev_charger, profile: generic,
     rated_power_w: 60000, {SINCE}}}
  - {{id: bus-9, site: hp, class: vehicle, profile: generic, serial: " v-1", maker: VIN, {SINCE}}}
  - {{id: bus-1, site: hp, class: vehicle, profile: generic, serial: V-1, maker: Vin,
     removed: {DAYS[2]}T00:00:00+07:00,""",
)


@pytest.mark.parametrize(("text", "number"), [(MOVED, 1), (TWINS, 9)])
def test_what_is_owed_goes_with_the_meters(buses, tmp_path, text, number):
    """
    An owner with a negative balance would register the same buses
    as another project without it.
    """
    url, who = buses
    bad = _issue(url, who, 1)
    lost = int(_close(url, 1)["carried"]["out_ug"])
    plant.register(url, tmp_path, text)
    if number != 1:
        times = np.arange(plant.us(DAYS[2]), plant.us(DAYS[4]) + 1, 10 * plant.MINUTE_US)
        night = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24 < 5
        plant.send(url, "ch-9", times, energy_import_wh=np.cumsum(np.where(night, 8_000, 0)))
        plant.send(url, "bus-9", times, odometer_m=np.cumsum(np.where(night, 0, 3_000)))
    taken = _close(url, 2, "other")
    assert (taken["carried"]["from"], int(taken["carried"]["in_ug"])) == (bad, lost)
    name = _issue(url, who, 2, "other")
    logged.packed(url, name, tmp_path / "pack")
    # taken once
    assert _close(url, 3, "other")["carried"]["in_ug"] == taken["carried"]["out_ug"]


def test_a_project_of_other_meters_owes_nothing_of_it(buses, tmp_path):
    """A neighbour would pay for what it never had."""
    url, who = buses
    _issue(url, who, 1)
    with issuer(url) as conn:
        assert owed(conn, "pv", ["inv-1", "inv-2"], plant.us(DAYS[2]), plant.us(DAYS[3])).ug == 0
        assert owed(conn, "pv", ["bus-1"], plant.us(DAYS[2]), plant.us(DAYS[3])).ug < 0


def test_a_statement_says_what_time_was_left_out(buses, tmp_path):
    """A statement lists time that no issued statement covers."""
    url, who = buses
    first = _issue(url, who, 0)
    (detail,) = _left_out(_close(url, 2))
    assert "No issued statement covers 2026-03-01T17:00:00Z to 2026-03-02T17:00:00Z" in detail
    bad = _issue(url, who, 1)
    assert _left_out(_close(url, 2)) == []
    with issuer(url) as conn:
        for name in (bad, first):
            life.revoke(conn, name, who["log"], "test", "the meter of inv-1 was wrong")
    (detail,) = _left_out(_close(url, 2))
    assert "2026-02-28T17:00:00Z to 2026-03-02T17:00:00Z" in detail
    name = _issue(url, who, 2)
    logged.packed(url, name, tmp_path / "pack")


def test_a_baseline_that_rises_between_statements_is_named(buses, tmp_path):
    """Buses would be credited for diesel that they never burnt, from one month to the next."""
    url, who = buses
    first = _issue(url, who, 0)
    same = _close(url, 1)
    assert not [f for f in same["applicability"] if f["rule"] == FIXED]
    plant.register(url, tmp_path, plant.documented("44.5"))
    subject = _close(url, 1)
    # one cause, one finding
    (found,) = (f for f in subject["applicability"] if f["rule"] == FIXED)
    assert not found["holds"]
    assert f"sfc_l_per_100km is 44.5, but 34 in issued statement {first}" in worded(found)
    name = _issue(url, who, 1)
    logged.packed(url, name, tmp_path / "pack")
    # and again: what counted was the value that it was issued with, also in a week of rest
    (again,) = (f for f in _close(url, 2)["applicability"] if f["rule"] == FIXED)
    assert f"sfc_l_per_100km is 44.5, but 34 in issued statement {first}" in worded(again)


def test_a_value_without_its_document_counts_once_the_document_is_there(database_url, tmp_path):
    """An honest plant would be suspected of a change, and its document would never count."""
    url, who = database_url, planted(logged.quarter_hours, database_url, tmp_path)
    name = _issue(url, who, 0, "pv")
    with issuer(url) as conn:
        fixed = statements.find(conn, name).claims.fixed_parameters
    assert [p.value for p in fixed if p.parameter == "case"] == ["1", "1"]  # inv-2 entered 3
    same = _close(url, 1, "pv")
    assert FIXED not in {f["rule"] for f in same["applicability"]}
    plant.register(url, tmp_path, REGISTRY)
    shown = _close(url, 1, "pv")
    assert FIXED not in {f["rule"] for f in shown["applicability"]}
    assert int(shown["emissions"]["reduction"]["ug"]) > int(same["emissions"]["reduction"]["ug"])
    # another value is a change, even with a document of its own
    changed = REGISTRY.replace("case: 1}", "case: 3}").replace("inv-1: 1,", "inv-1: 3,")
    plant.register(url, tmp_path, changed)
    raised = _close(url, 1, "pv")
    assert raised["emissions"]["reduction"] == shown["emissions"]["reduction"]
    (found,) = (f for f in raised["applicability"] if f["rule"] == FIXED)
    assert f"is 3, but 1 in issued statement {name}" in worded(found)


def test_a_period_that_is_closed_late_is_held_against_later_statements(buses, tmp_path):
    """By closing the first period last, an owner could choose its baseline again."""
    url, who = buses
    later = _issue(url, who, 2)
    honest = _close(url, 0)["emissions"]["reduction"]
    plant.register(url, tmp_path, plant.documented("44.5"))
    subject = _close(url, 0)
    assert subject["emissions"]["reduction"] == honest
    (found,) = (f for f in subject["applicability"] if f["rule"] == KEPT)
    assert f"but 34 in issued statement {later}: the issued value is applied" in worded(found)
    name = _issue(url, who, 0)
    logged.packed(url, name, tmp_path / "pack")


def test_what_a_role_fixed_is_held_too():
    """A plant in the mountains would become one on diesel, at another factor."""
    about = {"unit": "1", "meaning": "", "source": "", "certainty": "M"}
    fixed = [
        FixedParameter(device=device, parameter="case", value=value, **about)
        for device, value in (("inv-1", "1"), ("inv-2", "3"))
    ]
    whole = claims_of(canonical.parse_object(packs.documents()["statement.json"]))
    before = structs.replace(whole, statement="TN-pv-1", fixed_parameters=tuple(fixed))
    assert changed(before, PV) == ()
    first, second = PV.devices
    swapped = replace(PV, devices=(replace(first, params={"case": 3}), second))
    assert changed(before, swapped) == ("case of inv-1 was 1 in TN-pv-1 and is 3",)
    new = replace(PV, devices=(replace(first, device="inv-9", params={"case": 3}), second))
    assert changed(before, new) == ()
