"""Statements of older rule sets are correct by those rules; the present result is listed too."""

from dataclasses import replace

from ingest.pipeline import METERING
from mrv.registry.project import ACCOUNTING, FIRST
from mrv.statement.evidence import monitored, remeter
from mrv.verify import lines, steps, verify
from tests.mrv import packs
from tests.mrv.forging import ASKED, RIGHT, RING, STATUS, forged


def current():
    """
    Return a day whose register rose twice as fast as its power shows,
    under the present rules.
    """
    frame = packs.frame()
    columns = {**frame.columns, "active_power_w": frame.columns["active_power_w"] / 2}
    made = packs.case([replace(frame, columns=columns)])
    return replace(made, plan=replace(made.plan, accounting=ACCOUNTING))


def older(accounting=FIRST, metering=1):
    """Return the same evidence under older rules of accounting and metering."""
    made = current()
    fleet = made.fleet
    pairs = monitored(made.plan.project, fleet, made.plan.checks)
    rows = remeter(fleet, made.frames, pairs, packs.BEGIN, packs.END, metering)
    plan = made.plan if accounting == ACCOUNTING else made.plan.by_first_rules()
    return replace(made, plan=plan, rows=rows, metering=metering)


def asked(made, **more):
    """Verify a pack of a case as a reader does."""
    return verify(forged(RIGHT, made), RING, STATUS, at=ASKED, **more)


def test_what_was_right_then_is_no_failure_and_todays_figures_stand_beside_it():
    """A buyer would see neither that older rules made a tonne nor what it is worth by today's."""
    made, today = older(), current().result
    report = asked(made)
    assert report.exit_code == 0, (report.failure, report.missing)
    assert made.result.net.reduction.ug > 1.5 * today.net.reduction.ug
    (said,) = [
        one for one in lines(report) if one.startswith("correct under the rules of that time")
    ]
    assert f"(metering 1, accounting {FIRST})" in said
    assert f"under today's rules (metering {METERING}, accounting {ACCOUNTING})" in said
    assert said.endswith(f"{today.net.reduction.t} t reduced, {today.credit_t} t credited")
    assert report.to_json()["rules"] == {
        "metering": 1,
        "accounting": FIRST,
        "meteringToday": METERING,
        "accountingToday": ACCOUNTING,
        "today": {"reduction_t": today.net.reduction.t, "credited_t": str(today.credit_t)},
        "notComputed": None,
    }
    assert any("recalculated by metering 1" in one for one in report.relied)


def test_nothing_is_said_of_todays_rules_where_they_made_it():
    """Readers would look for a difference where there is none."""
    report = verify(forged(RIGHT, older(ACCOUNTING, METERING)), RING, STATUS, at=ASKED)
    assert report.exit_code == 0
    assert not report.rules.older
    assert report.rules.today is None
    assert not any("rules of that time" in one for one in lines(report))


def test_nobody_chooses_older_rules_for_a_period_of_after_them(monkeypatch):
    """An owner would name the rules that credit more, permanently."""
    monkeypatch.setattr(steps, "OLDER_UNTIL", "2026-01-02T16:59:59Z")
    report = asked(older())
    assert report.exit_code == 4
    assert [one.code for one in report.missing] == ["older-rules"]
    assert asked(older(), accept=["older-rules"]).exit_code == 0
    assert asked(older(ACCOUNTING, METERING)).exit_code == 0
    monkeypatch.setattr(steps, "OLDER_UNTIL", "2026-01-02T17:00:00Z")
    assert asked(older()).exit_code == 0


def test_what_today_cannot_compute_is_said(monkeypatch):
    """An earlier pack would end in a traceback, or without a message."""
    monkeypatch.setattr(steps, "_by_todays", lambda case: case.no_such_field)
    report = asked(older())
    assert report.exit_code == 0
    (said,) = [
        one for one in lines(report) if one.startswith("correct under the rules of that time")
    ]
    assert "not calculated: AttributeError" in said
