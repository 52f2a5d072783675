"""Times of arrival of readings: counted, sealed, shown, and a weight in the sample."""

from dataclasses import replace
from datetime import date

import pytest

from mrv.calendar import instant_us, midnight_us
from mrv.documents.statement import claims_of
from mrv.errors import CanonicalError, LogError
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf
from mrv.statement.device_days import Arrived, check_sealed, share, summary
from mrv.statement.plan_reader import read_plan
from mrv.statement.sampling import units
from mrv.verify import lines, verify
from tests.mrv import forging, packs
from tests.mrv.forging import ASKED, RIGHT, RING, STATUS, forged

ZONE = "Asia/Ho_Chi_Minh"
DAY = "2026-01-02"
END = midnight_us(date(2026, 1, 3), ZONE)


def test_at_once_is_many_hours_of_readings_within_two():
    """A day that was made up in an evening would look like one that was measured."""
    assert Arrived(24, 12, 2, 6).at_once
    assert not Arrived(24, 0, 3, 24).at_once
    assert not Arrived(1, 0, 1, 1).at_once  # one reading a day comes at once by nature


def with_arrivals(of, **more):
    """Return the sample pack's case with arrivals of its one device on its one day."""
    made = packs.case()
    plan = replace(made.plan, arrivals={"inv-1": {DAY: of}} if of else {}, **more)
    return replace(made, plan=plan)


GOOD = Arrived(96, 0, 25, 24)


def test_a_share_is_rounded_up():
    """One late reading of a million would be shown as none."""
    assert (share(1, 1_000_000), share(0, 5), share(5, 5), share(0, 0)) == (
        "0.01",
        "0.00",
        "100.00",
        "0.00",
    )


def test_what_nobody_counted_is_said():
    """Anyone who deletes the counts would have a statement without late readings."""
    leaves = [DayLeaf("a", DAY, "t", 90, "0" * 64), DayLeaf("b", DAY, "t", 5, "0" * 64)]
    found = summary({"a": {DAY: Arrived(80, 8, 2, 24)}}, leaves)
    assert (found.readings, found.late, found.not_noted) == ("80", "8", "15")
    assert (found.late_percent, found.at_once_days, found.device_days) == ("10.00", "1", "2")


def test_a_statement_says_what_came_late_and_the_pack_verifies():
    """An auditor would not see that a day was made up a week later."""
    made = with_arrivals(Arrived(96, 48, 2, 24))
    pack = forged(RIGHT, made)
    said = claims_of(canonical.parse_object(pack.files["statement.json"])).arrival
    assert (said.late, said.late_percent, said.at_once_days) == ("48", "50.00", "1")
    report = verify(pack, RING, forging.status(), at=ASKED)
    seals = next(step for step in report.steps if step.name == "seals")
    assert seals.outcome == "ok", seals
    assert "48 of 96 readings (50.00 %) arrived later than 36 h after their day" in seals.detail
    told = "\n".join(lines(report))
    assert f"arrival of {DAY}: 96 readings in 1 hour, 48 of them later" in told
    assert report.to_json()["arrival"][0]["late"] == 48
    assert any(one.startswith("arrival: hours recorded") for one in report.relied)


def test_packs_without_arrival_verify_as_before():
    """Every earlier pack would be rejected, or reported as arrived in time."""
    report = verify(forging.WHOLE, RING, STATUS, at=ASKED)
    assert report.exit_code == 0
    assert report.to_json()["arrival"] == []
    assert any("the hour in which readings arrived" in one for one in report.not_relied)
    body = canonical.parse_object(forging.WHOLE.files["statement.json"])
    assert "arrival" not in body["credentialSubject"]


LIES = {
    "late is less": {"late": "0"},
    "late is more": {"late": "97"},
    "readings are fewer": {"readings": "95"},
    "hours are none": {"hours": {}},
    "hours do not add up": {"hours": {"2026-01-03T00:00:00Z": "95"}},
    "an hour has less than nothing": {"hours": {"a": "97", "b": "-1"}},
    "another root": {"root": "0" * 64},
    "no root": {"root": None},
    "no time": {"sealed": "soon"},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_seal_that_says_otherwise_is_refused(lie):
    """The log would report a day as on time whose readings arrived late, within one hour."""
    cast = replace(RIGHT, arrival=LIES[lie])
    report = verify(forged(cast, with_arrivals(Arrived(96, 48, 1, 24))), RING, STATUS, at=ASKED)
    assert report.exit_code == 1, list(lines(report))
    assert report.failure.name in ("seals", "manifest")


@pytest.mark.parametrize("said", [GOOD, None])
def test_a_statement_that_says_otherwise_than_its_seal_is_refused(said):
    """The operator would close with counts that the log never saw."""
    made = with_arrivals(said)
    honest = packs.documents(with_arrivals(Arrived(96, 96, 1, 24)), cast=RIGHT)
    mine = packs.documents(made, cast=RIGHT)
    files = {**mine, "seals.json": honest["seals.json"]}
    files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
    report = verify(packs.pack(files, made), RING, STATUS, at=ASKED)
    assert report.exit_code == 1
    with pytest.raises(LogError, match="other arrival times"):
        check_sealed(DAY, {"root": "a"}, {}, "b")


def test_late_days_weigh_more_in_the_sample():
    """The verifier's sample would have only days that arrived in time."""
    (before,) = units(packs.case())
    (punctual,) = units(with_arrivals(GOOD))
    (late,) = units(with_arrivals(Arrived(96, 96, 1, 24)))
    (little,) = units(with_arrivals(Arrived(96, 1, 24, 24)))
    assert before == punctual  # and packs of before draw the same sample
    assert late.weight == punctual.weight + 8 + 2
    assert set(late.reasons) - set(punctual.reasons) == {"arrived late", "arrived at once"}
    assert little.weight == punctual.weight + 1


def test_a_plan_with_impossible_arrivals_is_no_plan():
    """A statement would list more late readings than arrived."""
    record = with_arrivals(GOOD).plan.to_json()
    assert read_plan(record).arrivals == {"inv-1": {DAY: GOOD}}
    day = record["arrivals"][0]["days"][0]
    for name, value in (("late", "97"), ("late", "-1")):
        spoilt = {**record, "arrivals": [{"device": "inv-1", "days": [{**day, name: value}]}]}
        with pytest.raises(CanonicalError, match="are not consistent"):
            read_plan(spoilt)
    twice = {**record, "arrivals": [{"device": "inv-1", "days": [day, day]}]}
    with pytest.raises(CanonicalError, match="are not consistent"):
        read_plan(twice)
    assert instant_us("2026-01-02T17:00:00Z", "UTC") == END
