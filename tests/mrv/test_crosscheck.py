"""Main meters against check meters and invoices: what is compared, and what it would cost."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.registry.project import Besides, CheckMeter
from mrv.rules import closing as period
from mrv.statement.conditions import findings, unmet
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full

CHECKED = Fleet([*FLEET.devices, Device("check-1", "s", "energy_meter", installed_us=FROM)])
DAY_US = DAY * INTERVAL_US
METER = Besides((CheckMeter("inv-1", "check-1", 2),))


def _check_rows(value, count=DAY, skip=()):
    rows = full("inv-1", "energy_export", count, value, skip)
    return replace(rows, device=rows.device * 0 + CHECKED.by_id["check-1"])


def _close(project, rows, besides, days=1):
    return period.close(
        project, CHECKED, CERTIFICATES, rows, FROM, FROM + days * DAY_US, factors.load(), 0, besides
    )


def _pv(main, check, **more):
    rows = IntervalRows.concat(
        [
            full("inv-1", "energy_export", DAY, main),
            full("inv-2", "energy_export", DAY, 7),
            _check_rows(check, **more),
        ]
    )
    return _close(PV, rows, METER)


@pytest.mark.parametrize(("check", "severity"), [(9_000, "CAR"), (11_000, "observation")])
def test_a_meter_that_counts_less_than_its_check_meter_is_an_observation(check, severity):
    """A plant whose conservative meter counts would have to answer a request."""
    claims = SimpleNamespace(applicability=(), cross_checks=_pv(10_000, check).cross_checks)
    (found,) = findings(claims)
    assert found.severity == severity
    assert len(unmet(claims)) == (severity != "observation")
