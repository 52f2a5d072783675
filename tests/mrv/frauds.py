"""A plant in the sun whose truth is known, what may be made of its readings, and what they earn."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ingest import classes
from ingest.model import NULL, Device, Frame
from mrv import factors
from mrv.registry.project import ACCOUNTING, ProjectDevice
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from tests.mrv.plant import CERTIFICATES, FROM, PV

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000
RATED_W = 100_000
PLACE = (20.95, 107.07)
METER = Device("inv-1", "s", "pv_inverter", rated_power_w=RATED_W, installed_us=FROM, place=PLACE)
DAYS = 6
BEGIN, END = FROM + DAY_US, FROM + (1 + DAYS) * DAY_US


@dataclass
class History:
    """Readings of a meter: what its register and power say, and what it truly made."""

    time_us: np.ndarray
    register_wh: np.ndarray
    power_w: np.ndarray
    truth_wh: int
    dc_w: np.ndarray | None = None

    @property
    def hour(self):
        """Local hours of the readings."""
        return (self.time_us / HOUR_US + 7) % 24

    def hours(self, begin, end):
        """Readings at some hours of each day."""
        return (self.hour >= begin) & (self.hour < end)


def honest(minutes=5, days=DAYS, clouds=0.8, seed=1):
    """Return a plant of six days, its power sampled as often as its register is read."""
    rng = np.random.default_rng(seed)
    time_us = np.arange(BEGIN - 2 * HOUR_US, BEGIN + days * DAY_US + HOUR_US, MINUTE_US)
    hour = (time_us / HOUR_US + 7) % 24
    sun = np.clip(np.sin((hour - 6.75) / 10.75 * np.pi), 0, None) * ((hour > 6.75) & (hour < 17.5))
    # clouds that last from a few minutes to half an hour
    lasting = rng.integers(3, 30, len(time_us))
    sky = np.repeat(rng.uniform(1 - clouds, 1, len(time_us)), lasting)[: len(time_us)]
    power = np.round(RATED_W * 0.95 * sun * sky, 1)
    register = 6_200_000 + np.concatenate(
        [[0], np.floor(np.cumsum(power[1:] + power[:-1]) / 120)]
    ).astype(np.int64)
    inside = (time_us >= BEGIN) & (time_us <= BEGIN + days * DAY_US)
    truth = int(register[inside][-1] - register[inside][0])
    return History(time_us[::minutes], register[::minutes], power[::minutes], truth)


@dataclass(frozen=True)
class Closed:
    """What a history earns: the case of its period and the figures of its meter."""

    case: Case

    @cached_property
    def device(self):
        """Figures of the meter."""
        return self.case.result.devices[0]

    @property
    def counted_wh(self):
        """What counts. [Wh]"""
        return float(self.device.counted)

    @property
    def reasons(self):
        """Why something was deducted."""
        return {d.reason for d in self.case.result.deductions}


def frame(h, device=0):
    """Readings as columns."""
    n = len(h.time_us)
    columns = {}
    for channel in classes.load()["pv_inverter"].channels.values():
        if channel.kind == "register":
            columns[channel.name] = np.full(n, NULL, dtype=np.int64)
        else:
            columns[channel.name] = np.full(n, np.nan)
    columns["energy_export_wh"] = h.register_wh.astype(np.int64)
    columns["active_power_w"] = h.power_w.astype(np.float64)
    if h.dc_w is not None:
        columns["dc_power_w"] = h.dc_w.astype(np.float64)
    none = np.zeros(n, dtype=np.int32)
    return Frame("pv_inverter", none + device, h.time_us.astype(np.int64), none, columns)


def close(
    h, days=DAYS, accounting=ACCOUNTING, meter=METER, edges=None, certificates=CERTIFICATES["inv-1"]
):
    """Close the period of a history."""
    plan = MonitoringPlan(
        replace(PV, devices=(ProjectDevice(meter.id, "generation", {"case": 1}),)),
        (meter,),
        calibrations={meter.id: certificates},
        accounting=accounting,
    )
    span = edges or (BEGIN, BEGIN + days * DAY_US)
    fleet, frames = plan.fleet(), [frame(h)]
    rows = remeter(fleet, frames, monitored(plan.project, fleet), *span)
    return Closed(Case(plan, frames, rows, *span, factors.load()))
