"""What of a project is due when, and who answers for it (open-carbon-protocol: monitor dates).

A period is closed once it is over: it ended, and the log holds its last day.
"""

import json
from datetime import date

import pytest

from mrv.errors import PeriodError
from services.clock import now_us
from services.issuer.close import close_period
from services.issuer.planning import due
from services.store.postgres.pool import connect
from tests import registering
from tests.invoked import tonne
from tests.planted import planted
from tests.services.issuer import logged, plant, sealed

HOUR_US = 3_600_000_000
SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")


@pytest.fixture
def conn(database_url, tmp_path):
    """Connect to the plant, of which nothing is sealed."""
    planted(plant.quarter_hours, database_url, tmp_path)
    with connect(database_url, role="tonne_mrv", autocommit=True) as found:
        yield found


def _refused(conn, *span):
    with pytest.raises(PeriodError) as told:
        close_period(conn, "pv", *span, "test")
    assert conn.execute("SELECT count(*) FROM statement").fetchone()[0] == 0
    return str(told.value)


def test_period_that_lies_in_the_future_or_still_runs(conn):
    """Tonnes of a time that has not come would be closed, verified and issued."""
    hour = now_us() // HOUR_US * HOUR_US
    for span in ((hour + HOUR_US, hour + 2 * HOUR_US), (hour - HOUR_US, hour + HOUR_US)):
        assert "has not ended" in _refused(conn, *span)


def test_period_whose_last_day_is_not_sealed(conn):
    """Readings could still be changed after the statement, and nobody would see it."""
    assert "run `tonne log seal`" in _refused(conn, *SPAN)
    sealed.up_to(conn, plant.us("2026-03-02"))
    assert "run `tonne log seal`" in _refused(conn, *SPAN)
    sealed.up_to(conn, SPAN[1])
    assert close_period(conn, "pv", *SPAN, "test").new


MORE = """\
    surveys:
      - {parameter: sfc_l_per_100km, population: 90, n: 40, mean: 34, sd: 2,
         drawn: at random, taken: 2024-02-29}
    events:
      - {from: 2026-03-01, what: anomaly, found: a value that stands, devices: [bus-1]}
registrations:
  - project: bus
    forms: [{name: PDD form, version: "2", since: 2020-01-01, until: 2026-12-31}]
    methodologies:
      - {name: ams-iii-c, version: "15.0", since: 2020-01-01, until: 2025-12-31}
      - {name: ams-iii-c, version: "16.0", since: 2026-01-01}
    validation: {forward_actions: [{id: FAR-1, text: check the odometers}]}
"""


@pytest.fixture
def who(database_url, tmp_path):
    return planted(logged.issued, database_url, tmp_path)[0]


def _due(url, project):
    with logged.issuer(url) as conn:
        return {(one.kind, one.what): one for one in due(conn, project)[1]}


def test_each_meter_is_due_and_the_next_statement_follows_the_last(database_url, who):
    """A certificate would end unseen, and a month would be left out of all statements."""
    found = _due(database_url, "pv")
    assert found["calibration", "inv-1"].day == date(2027, 12, 20)
    assert found["calibration", "inv-1"].responsible == "Operator"
    late = found["calibration", "inv-2"]
    assert (late.day, late.state(date(2026, 3, 4))) == (date(2026, 3, 3), "overdue")
    assert late.state(date(2026, 3, 3)) == "soon"
    assert late.state(date(2025, 3, 3)) == "later"
    assert found["statement", "2026-03-03 .. 2026-03-03"].day == date(2026, 3, 4)
    assert found["crediting_period", "2036-01-01"].responsible == "Energy manager"
    name = logged.submitted(database_url, who, "2026-03-03", "2026-03-04")
    assert _due(database_url, "pv")["verification", name].responsible == "verifier"


def test_surveys_and_actions_are_due_again(database_url, who, tmp_path):
    """A survey of two years ago, or an action of the validation, would be found by the reviewer."""
    registering.register(database_url, tmp_path, plant.REGISTRY + MORE)
    found = _due(database_url, "bus")
    assert found["survey", "sfc_l_per_100km"].day == date(2026, 2, 28)
    assert found["forward_action", "FAR-1"].day is None
    assert found["anomaly", "bus-1, 2026-03-01"].state(date(2026, 3, 2)) == "open"
    assert found["registered_version", "PDD form 2"].day == date(2026, 12, 31)
    assert not [what for kind, what in found if what == "ams-iii-c 15.0"]
    assert found["calibration", "ch-1"].state(date(2026, 3, 2)) == "open"


def test_the_command_lists_what_is_due(database_url, who, monkeypatch):
    """An operator would look through the registry for the next date."""
    monkeypatch.setenv("TONNE_DATABASE_URL", database_url)
    done = tonne("plan", "due", "pv", "--within", "36500", "--json")
    said = json.loads(done.output)
    assert {one["kind"] for one in said["due"]} == {"calibration", "statement", "crediting_period"}
    assert done.exit_code == (1 if any(o["state"] == "overdue" for o in said["due"]) else 0)
    listed = tonne("plan", "due", "pv", "--within", "36500").output
    assert "crediting period" in listed
    assert tonne("plan", "due", "nothing").exit_code == 2
