"""Statements for reports: rooftop PV with gaps and a hostile name; electric buses."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache

import numpy as np

from ingest import classes
from ingest.model import NULL, Device, Fleet, Frame
from mrv import factors
from mrv.accounting.rounded_figures import energy_roles
from mrv.calendar import period_us
from mrv.documents.statement import claims_of
from mrv.methodologies import find
from mrv.registry import Calibration
from mrv.registry.monitoring_plan import Version
from mrv.registry.project import CheckMeter, ProjectDevice
from mrv.report import Facts
from mrv.statement.compose import Label, compose
from mrv.statement.credentials import Finding, sign_statement, sign_verification
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.findings import add, read_event, sign_event
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.sampling import Size, sign_sampling
from tests.mrv.packs import HOLDERS, SIGNERS
from tests.mrv.plant import BUS, FLEET, FROM, PV, ZONE
from tests.opinions import worded

NOW = datetime(2027, 2, 1, tzinfo=UTC)
HOSTILE = '=cmd|"/c calc"!A1 \u202etxet\u202c <b>[#eval("1")] $x_2$ @ref \\ Điện mặt trời 屋根'
MINUTE_US = 60_000_000
CERTIFICATE = Calibration(date(2025, 12, 20), date(2040, 1, 1), "C-1", "0.5S", Decimal("0.5"))
VERSION = Version("1", date(2026, 1, 1), "Energy manager", "first plan", {}, ())
EXPIRING = Calibration(date(2025, 12, 20), date(2026, 12, 30), "C-2 (VMI)", None, Decimal("0.5"))

BECAUSE = "The plan of the plant was seen on paper."


def frame(fleet, device, register, quantity, times, gauges=()):
    """Return readings of a device: one register, and the given channels."""
    index = fleet.by_id[device]
    class_id = fleet.devices[index].class_id
    n = len(times)
    columns = {
        c.name: np.full(n, NULL if c.kind == "register" else np.nan,
                        dtype=np.int64 if c.kind == "register" else np.float64)
        for c in classes.load()[class_id].channels.values()
    }  # fmt: skip
    columns[register] = np.asarray(quantity, dtype=np.int64)
    columns.update(gauges)
    return Frame(
        class_id, np.full(n, index, dtype=np.int32), times, np.zeros(n, dtype=np.int32), columns
    )


def sunny(begin_us, end_us, watts):
    """Return times, register and power of a clear sky, UTC+7."""
    times = np.arange(begin_us, end_us, 15 * MINUTE_US, dtype=np.int64) + 1
    hour = ((times + 7 * 3_600_000_000) % 86_400_000_000) / 3_600_000_000
    power = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * watts
    return times, np.cumsum(power / 4).astype(np.int64) + 1_000_000, np.round(power, 1)


def joined(frames):
    """Return rows of several devices of a class in one frame."""
    first = frames[0]
    return Frame(
        first.class_id,
        np.concatenate([f.device for f in frames]),
        np.concatenate([f.time_us for f in frames]),
        np.concatenate([f.message for f in frames]),
        {n: np.concatenate([f.columns[n] for f in frames]) for n in first.columns},
    )


@cache
def pv_case(first=date(2026, 12, 28), end=date(2027, 1, 4), name=HOSTILE):
    """Return seven days over New Year; one inverter begins late; a check meter shows less."""
    check = Device("check-1", "s", "energy_meter", rated_power_w=100_000, installed_us=FROM)
    devices = (check, *FLEET.devices[:2])
    fleet = Fleet(devices)
    expected = {"energy_kwh_per_year": 120_000, "reduction_t_per_year": 39.9}
    plan = MonitoringPlan(
        replace(PV, name=name, expected=expected),
        devices,
        {"inv-1": "S-1", "inv-2": None},
        {"inv-1": (CERTIFICATE,), "inv-2": (EXPIRING,)},
        -7,
        "TN-x",
        checks=(CheckMeter("inv-1", "check-1", 2),),
        versions=(VERSION,),
    )
    begin_us, end_us = period_us(first, end, ZONE)
    frames = []
    for device, watts in (("inv-1", 80_000), ("inv-2", 40_000)):
        times, register, power = sunny(begin_us - 86_400_000_000, end_us + 86_400_000_000, watts)
        kept = np.full(len(times), fill_value=True)
        if device == "inv-2":
            hours = (times - begin_us) / 3_600_000_000
            kept = (hours > 36) & ~((hours > 81) & (hours < 87))
            register = np.where(hours < 84, register, register - register[hours < 84][-1])
        frames.append(
            frame(fleet, device, "energy_export_wh", register[kept], times[kept],
                  {"active_power_w": power[kept]})
        )  # fmt: skip
    times, register, _ = sunny(begin_us - 86_400_000_000, end_us + 86_400_000_000, 72_000)
    shown = frame(fleet, "check-1", "energy_export_wh", register, times)
    return _case(plan, [shown, joined(frames)], begin_us, end_us)


def bus_case():
    """Return three days of a bus and its charger; the charger begins late."""
    devices = tuple(FLEET.devices[2:4])
    fleet = Fleet(devices)
    plan = MonitoringPlan(BUS, devices, {}, {})
    begin_us, end_us = period_us(date(2026, 3, 1), date(2026, 3, 4), ZONE)
    times = np.arange(begin_us - 3_600_000_000, end_us + 3_600_000_000, 600_000_000, dtype=np.int64)
    hour = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24
    charge, way = (np.cumsum(np.where(m, n, 0)) for m, n in ((hour < 5, 8_000), (hour >= 6, 3_000)))
    kept = times > begin_us + 10_800_000_000
    frames = [
        frame(fleet, "ch-1", "energy_import_wh", charge[kept], times[kept]),
        frame(fleet, "bus-1", "odometer_m", way, times),
    ]
    return _case(plan, frames, begin_us, end_us)


def compost_case():
    """Return two days of a composting plant, over the end of a month."""
    devices = (
        Device("fuel", "s", "fuel_meter", installed_us=FROM),
        Device("power", "s", "energy_meter", rated_power_w=50_000, installed_us=FROM),
        Device("weigh", "s", "weighbridge", installed_us=FROM),
    )
    fleet, roles = Fleet(devices), {"weigh": "waste", "power": "power", "fuel": "fuel"}
    project = replace(
        PV, id="compost", methodology="ams-iii-f-monthly", version="12.0", expected={},
        parameters={"first_year": 2025, "share_food": Decimal("0.8"), "share_wood": Decimal("0.1"),
                    "waste_t_year_1": 500, "phi": Decimal("0.85"), "f_captured": 0, "mcf": 1,
                    "leakage_t_per_year": 5},
        devices=tuple(ProjectDevice(name, role) for name, role in roles.items()),
    )  # fmt: skip
    begin_us, end_us = period_us(date(2026, 1, 31), date(2026, 2, 2), ZONE)
    frames = steady(fleet, begin_us, end_us, fuel=("fuel_total_ml", 3_000),
                     power=("energy_import_wh", 5_000), weigh=("net_total_g", 700_000))  # fmt: skip
    return _case(MonitoringPlan(project, devices, {}, {}), frames, begin_us, end_us)


def waste_heat_case():
    """Return a day of a turbine, and of its plant's import from the grid."""
    devices = (
        Device("fuel", "s", "fuel_meter", installed_us=FROM),
        Device("grid", "s", "energy_meter", rated_power_w=50_000, installed_us=FROM),
        Device("turbine", "s", "waste_heat_turbine", rated_power_w=2 * 10**6, installed_us=FROM),
    )
    fleet, roles = Fleet(devices), {"turbine": "turbine", "grid": "auxiliary", "fuel": "fuel"}
    project = replace(
        PV, id="whr", methodology="acm0012", version="6.0",
        expected={"energy_kwh_per_year": 8_760_000, "reduction_t_per_year": 5_000},
        parameters={"f_cap": 1, "f_wcm": 1, "steam_kj_per_kg": 2776,
                    "ef_grid_t_per_mwh": Decimal("0.6592"), "tdl": Decimal("0.0615")},
        devices=tuple(ProjectDevice(name, role) for name, role in roles.items()),
    )  # fmt: skip
    begin_us, end_us = period_us(date(2026, 2, 1), date(2026, 2, 2), ZONE)
    frames = steady(
        fleet,
        begin_us,
        end_us,
        fuel=("fuel_total_ml", 3_000),
        grid=("energy_import_wh", 5_000),
        turbine=("energy_export_wh", 300_000),
    )
    plan = MonitoringPlan(
        project, devices, {}, {}, energy=energy_roles(find("acm0012"), project.devices)
    )
    return _case(plan, frames, begin_us, end_us)


def steady(fleet, begin_us, end_us, **registers):
    """Return registers with the same rise each 15 minutes, from one before to one after."""
    times = np.arange(begin_us - 900_000_000, end_us + 1_800_000_000, 900_000_000, dtype=np.int64)
    return [
        frame(fleet, name, register, np.arange(len(times)) * step, times)
        for name, (register, step) in registers.items()
    ]


def _case(plan, frames, begin_us, end_us):
    fleet = plan.fleet()
    rows = remeter(fleet, frames, monitored(plan.project, fleet, plan.checks), begin_us, end_us)
    return Case(plan, frames, rows, begin_us, end_us, factors.load())


def draft(case):
    """Return the facts of a draft."""
    body = compose(case, Label(1, "tonne 0"))
    return Facts(body, None, case.plan, case.rows, case.book, "draft")


def issued(case, opinion="qualified", *, raise_findings=True):
    """Return the facts of an issued statement, with a finding that was answered and closed."""
    signed = sign_statement(
        compose(case, Label(1, "tonne 0")), SIGNERS["operator"], HOLDERS["operator"], NOW
    )
    found = ()
    said = [
        ("raised", "CAR", "The certificate of inv-2 expired on 2026-12-30.", "0.01"),
        ("answered", "CAR-1", "The error was deducted; a new certificate is under way.", None),
        ("closed", "CAR-1", "Accepted: the deduction covers it.", "0"),
        ("raised", "FAR", "Look at the new certificate next time.", None),
    ]
    for event in said if raise_findings else ():
        role = "operator" if event[0] == "answered" else "verifier"
        document = sign_event(signed, found, event, SIGNERS[role], HOLDERS[role], NOW)
        found = add(found, read_event(document, signed))
    words = worded(claims_of(signed), BECAUSE)
    finding = Finding(opinion, "reasonable", "5", ("The site was visited.",), words)
    verification = sign_verification(
        signed, finding, SIGNERS["verifier"], HOLDERS["verifier"], NOW, found
    )
    drawn = sign_sampling(signed, case, Size(), SIGNERS["verifier"], HOLDERS["verifier"], NOW)
    return Facts(
        signed, verification, case.plan, case.rows, case.book, "issued", (), 41, None, drawn,
        issued="2027-02-09T17:30:00Z",
    )  # fmt: skip
