"""The import of a plant's meter is deducted from its export."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.registry.project import ACCOUNTING, Invoice, ProjectDevice, SupportingData
from mrv.rules.closing import close
from mrv.statement.evidence import monitored
from tests.mrv.plant import CERTIFICATES, DAY, FLEET, FROM, PV, full
from tests.soak import often

EF = Fraction("0.63767")
WIND = replace(
    PV,
    id="wind",
    methodology="ams-i-d",
    version="18.0",
    parameters={"ef_grid_t_per_mwh": Decimal(str(float(EF))), "capacity_mw": 14},
    expected={},
    devices=(ProjectDevice("m-1", "generation"),),
)
METER = Device("m-1", "s", "energy_meter", rated_power_w=10**6, installed_us=FROM)
WIDER = Fleet([*FLEET.devices, METER])
DAY_US = DAY * INTERVAL_US


def _of(quantity, value, skip=()):
    rows = full("inv-1", quantity, DAY, value, skip)
    rows.device[:] = WIDER.by_id["m-1"]
    return rows


def _closed(*parts, certificates=None, meter=METER, days=1, invoices=()):
    found = {"m-1": CERTIFICATES["inv-1"]} if certificates is None else certificates
    fleet = Fleet([*FLEET.devices, meter])
    rows = IntervalRows.concat(list(parts))
    return close(WIND, fleet, found, rows, FROM, FROM + DAY_US * days, factors.load())


def test_a_wind_farm_is_credited_for_its_net_electricity():
    """A wind farm is credited for its net electricity only."""
    result = _closed(_of("energy_export", 100_000), _of("energy_import", 2_000))
    assert result.net.reduction.ug == (100_000 - 2_000) * DAY * EF * 10**6
    # the live rows show the export alone
    assert result.gross.reduction.ug == 100_000 * DAY * EF * 10**6
    (line,) = result.deductions
    assert line.quantity == "192000.000000"
    assert line.percent == "2.000000"
    assert str(line.reason) == "energy_import of the same meter in 2026, with its gaps"
    (device,) = result.devices
    assert Fraction(device.counted) == device.metered - Fraction(device.deducted)


def test_the_import_is_evidence():
    """A pack would leave out the rows that the deduction rests on."""
    quantities = {"energy_export", "energy_import"}
    assert len(monitored(WIND, WIDER)) == len(quantities)


@settings(max_examples=often(15, 30), deadline=None)
@given(
    export=st.integers(0, 250_000),
    imported=st.integers(0, 250_000),
    skip=st.sets(st.integers(0, DAY - 1), max_size=DAY - 1),
)
def test_import_that_is_lost_never_earns(export, imported, skip):
    """Missing readings of imported electricity never raise the net output."""
    whole = _closed(_of("energy_export", export), _of("energy_import", imported))
    less = _closed(_of("energy_export", export), _of("energy_import", imported, skip))
    # what is not known leaves no debt
    assert less.net.reduction.ug <= max(whole.net.reduction.ug, 0)


def _counted(*parts, meter=METER, invoices=()):
    """Return the counted quantity by the present rules. [Wh]"""
    given = SupportingData(invoices=invoices, accounting=ACCOUNTING)
    result = close(
        WIND, Fleet([*FLEET.devices, meter]), {"m-1": CERTIFICATES["inv-1"]},
        IntervalRows.concat(list(parts)), FROM, FROM + DAY_US, factors.load(), 0, given,
    )  # fmt: skip
    return Fraction(result.devices[0].counted)


def test_import_that_was_never_metered_is_not_free():
    """An owner whose register of imports is not sent would earn more than one who sends it."""
    export = _of("energy_export", 100_000)
    assert _counted(export) == 0
    # the class of inverters publishes its own use
    inverter = replace(METER, class_id="pv_inverter")
    assert _counted(export, meter=inverter) == 100_000 * DAY - Fraction(35, 10_000) * 10**6 * 24
    # which an import that exceeds it refutes
    some = _of("energy_import", 2_000, skip=range(1, DAY))
    assert _counted(export, some, meter=inverter) == 0


def test_an_invoice_limits_what_import_without_data_costs():
    """A turbine whose register was lost would earn nothing in spite of its supplier's invoice."""
    export = _of("energy_export", 100_000)
    for skip in (range(DAY // 2, DAY), range(DAY)):
        drawn = _of("energy_import", 2_000, skip=skip)
        assert _counted(export, drawn) == 0
        bill = _bill("energy_import", 2_000)
        assert _counted(export, drawn, invoices=(bill,)) == (100_000 - 2_000) * DAY


def _bill(quantity, value):
    return Invoice(
        quantity, "Buyer", quantity, date(2026, 2, 1), ("m-1",), quantity, FROM, FROM + DAY_US,
        value * DAY, Decimal(2), "ab" * 32,
    )  # fmt: skip


def test_own_use_that_no_invoice_covers_has_the_grade_of_the_meter():
    """A meter that hides what a plant draws would be graded by the invoice of what it delivers."""
    export, drawn = _of("energy_export", 100_000), _of("energy_import", 2_000)
    export.value[: DAY // 2] = 1_000
    sold = replace(_bill("energy_export", 50_500), value=int(export.value.sum()))

    counts = []

    def of(*invoices):
        given = SupportingData(invoices=invoices, accounting=ACCOUNTING)
        result = close(
            WIND, WIDER, {"m-1": CERTIFICATES["inv-1"]}, IntervalRows.concat([export, drawn]),
            FROM, FROM + DAY_US, factors.load(), 0, given,
        )  # fmt: skip
        counts.append(Fraction(result.devices[0].counted))
        meters = (item for item in result.evidence if item.name == "m-1")
        grades = [item.grade for item in meters if Fraction(item.tonnes)]
        return sorted(grades), [(c.holds, Fraction(c.effect_t) > 0) for c in result.cross_checks]

    assert of(sold) == (["C"], [(True, False)])
    assert of(sold, _bill("energy_import", 2_000)) == (["B"], [(True, False)] * 2)
    # one with a tolerance of most of its amount shows nothing
    assert of(sold, replace(_bill("energy_import", 20_000), percent=95))[0] == ["C"]
    # an invoice of more shows what the meter hides
    assert of(sold, _bill("energy_import", 20_000)) == (["C"], [(True, False), (False, True)])
    # and counts in its place
    assert counts[0] == counts[1] == counts[-1] + 18_000 * DAY


def test_own_use_is_deducted_from_the_invoiced_output():
    """An invoice a little lower would return the own use that it does not state."""
    export, drawn = _of("energy_export", 100_000), _of("energy_import", 2_000)
    sold = _bill("energy_export", 98_500)
    given = SupportingData(invoices=(sold,), accounting=ACCOUNTING)
    result = close(
        WIND, WIDER, {"m-1": CERTIFICATES["inv-1"]}, IntervalRows.concat([export, drawn]),
        FROM, FROM + DAY_US, factors.load(), 0, given,
    )  # fmt: skip
    assert Fraction(result.devices[0].counted) == (98_500 - 2_000) * DAY
