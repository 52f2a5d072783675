"""A small fleet, two projects and interval rows for the tests of the account."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv.calendar import period_us
from mrv.registry import Calibration
from mrv.registry.project import Document, Invoice, Project, ProjectDevice

ZONE = "Asia/Ho_Chi_Minh"
FROM, TO = period_us(date(2026, 1, 1), date(2036, 1, 1), ZONE)
DAY = 96  # intervals

FLEET = Fleet(
    [
        Device("inv-1", "s", "pv_inverter", rated_power_w=100_000, installed_us=FROM),
        Device("inv-2", "s", "pv_inverter", rated_power_w=50_000, installed_us=FROM),
        Device("ch-1", "s", "ev_charger", rated_power_w=60_000, installed_us=FROM),
        Device("bus-1", "s", "vehicle", installed_us=FROM),
        Device("ch-2", "s", "ev_charger", installed_us=FROM),
    ]
)
PV = Project(
    "pv",
    "Rooftop PV",
    "jcm-vn-am007",
    "1.0",
    ZONE,
    FROM,
    TO,
    expected={"energy_kwh_per_year": 120_000, "reduction_t_per_year": 39.9},
    devices=(
        ProjectDevice("inv-1", "generation", {"case": 1}),
        ProjectDevice("inv-2", "generation", {"case": 3}),
    ),
)
BUS = Project(
    "bus",
    "Electric buses",
    "ams-iii-c",
    "16.0",
    ZONE,
    FROM,
    TO,
    parameters={"sfc_l_per_100km": 34.0, "baseline_year": 2025, "tdl": 0.0615},
    devices=(ProjectDevice("ch-1", "charging"), ProjectDevice("bus-1", "vehicle")),
)
CERTIFICATES = {
    device.id: (
        Calibration(date(2025, 12, 20), date(2040, 1, 1), f"C-{device.id}", "0.5S", Decimal("0.5")),
    )
    for device in FLEET.devices
}


def papers(*names, **other):
    """Return documents from before the period, one for each design value of a plant."""
    given = {"by": "Department of Environment", "issued": date(2025, 3, 1), "sha256": "b2" * 32}
    return tuple(Document(name, "licence 12/2025", **{**given, **other}) for name in names)


# what the operator of the grid publishes of its losses
LOSSES = papers("tdl", value=Fraction("0.0615"))


def stating(parameters, *names, **other):
    """Return documents that state the project's value of each parameter."""
    return tuple(
        replace(one, value=Fraction(str(parameters[one.parameter])))
        for one in papers(*names, **other)
    )


def bills(given, *devices):
    """Return the supplier's invoices of the rows; lost intervals have the mean of the others."""
    found = []
    for (device, quantity), values in given.items():
        known = [value for value in values if value is not None]
        if device in devices and known:
            whole = sum(known) * len(values) // len(known)
            end = FROM + len(values) * INTERVAL_US
            found.append(
                Invoice(f"i-{device}", "its supplier", "1", date(2026, 2, 6), (device,), quantity,
                        FROM, end, whole, Decimal(5), "c3" * 32)
            )  # fmt: skip
    return tuple(found)


def us(*moment):
    """Return a UTC time. [us]"""
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1_000_000


def rows(*given):
    """
    Return rows of (device, quantity, interval after FROM, value[,
    measured, estimated, unknown]).
    """
    table = [
        (FLEET.by_id[device], QUANTITY_INDEX[quantity], FROM + place * INTERVAL_US, value, *times)
        for device, quantity, place, value, *times in (
            r if len(r) > 4 else (*r, INTERVAL_US, 0, 0) for r in given
        )
    ]
    columns = np.array(table, dtype=np.int64).reshape(-1, 7).T
    return IntervalRows(columns[0].astype(np.int32), columns[1].astype(np.int16), *columns[2:])


def full(device, quantity, count, value, skip=()):
    """Return measured rows for the first `count` intervals, except the skipped ones."""
    return rows(*((device, quantity, i, value) for i in range(count) if i not in skip))


def laid_out(fleet, given):
    """Return rows from the first interval on, by device and quantity; None where one is lost."""
    table = [
        (fleet.by_id[device], QUANTITY_INDEX[quantity], FROM + at * INTERVAL_US, value)
        for (device, quantity), values in given.items()
        for at, value in enumerate(values)
        if value is not None
    ]
    whose, quantity, start, value = np.array(table, dtype=np.int64).reshape(-1, 4).T
    none = np.zeros(len(table), dtype=np.int64)
    return IntervalRows(
        whose.astype(np.int32),
        quantity.astype(np.int16),
        start,
        value,
        none + INTERVAL_US,
        none,
        none,
    )


def tonnes(result):
    """Return the reduction of a period. [tCO2e]"""
    return float(result.net.reduction.t)


def unmet(result):
    """Return the conditions that are not met, by clause."""
    return {f.rule: f.detail for f in result.applicability if not f.holds}
