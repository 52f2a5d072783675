"""
A plant of the docket: its true activity, and its meters and documents.

A plant is a file in `plants/`.  Its activity is a profile by device and channel; readings and
documents are made from it.  A case's distortions change the activity, or the data about it. The
truth is the activity, by the methodology's own equation with the true values.
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from fractions import Fraction
from functools import cache, cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ingest import classes
from ingest.model import Device, Fleet
from mrv import factors
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import midnight_us, years
from mrv.factors.ledger import Ledger
from mrv.methodologies import find
from mrv.model import Activity
from mrv.parameters import read
from mrv.registry.project import Project, ProjectDevice
from mrv.rules.account import parts_of_years
from mrv.rules.plausible_values import is_monitored
from tests.docket.month import BEFORE_DAYS, Month
from tests.docket.shapes import DAY_US, HOUR_US, STEP_US, Days, course

HERE = Path(__file__).parent
PLACE = (20.86, 106.68)
PROJECT, SITE = "project", "site"
# units of invoices by base unit: how many base units one is, and its name
UNITS = {
    "Wh": (1000, "kWh"), "g": (10**6, "t"), "mL": (1000, "L"), "s": (3600, "h"),
    "K s": (86_400, "K d"), "1": (1, "1"), "m": (1000, "km"),
}  # fmt: skip


@dataclass
class Readings:
    """Readings of one device: times, registers and gauges by channel."""

    class_id: str
    time_us: np.ndarray
    columns: dict[str, np.ndarray]

    def keep(self, kept: np.ndarray) -> None:
        """Keep only some of the readings."""
        self.time_us = self.time_us[kept]
        self.columns = {name: values[kept] for name, values in self.columns.items()}


@dataclass
class World:
    """
    A plant while its case is built.

    Attributes
    ----------
    made : dict
        What happened in each step of five minutes, by device and channel. [base units]
    readings : dict of Readings
        What the meters sent, by device.
    document : dict
        The registry file.
    invoices : list of dict
        As the files of `tonne invoice import` have them.
    later : list of callable
        Changes of the registry file that are imported after the readings came.
    certificates : list of dict
        Certificates of origin: device, local days, energy. [Wh]
    period : (date, date), optional
        Local days that are closed, the last one excluded; the month without it.
    approved : bool
        Whether the programme approved the monitoring plan before the period.
    arrived : dict
        When readings of a device came that were not sent within the hour, by device: all of them
        at once, or each. [us UTC]
    issued : list of (str, str, str)
        Projects with local days of which a statement was issued before what is changed later.
    closed : tuple of str
        The projects whose month is closed; all where none is named.
    """

    plant: dict[str, Any]
    rng: np.random.Generator
    made: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    readings: dict[str, Readings] = field(default_factory=dict)
    document: dict[str, Any] = field(default_factory=dict)
    invoices: list[dict[str, Any]] = field(default_factory=list)
    later: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)
    arrived: dict[str, int | np.ndarray] = field(default_factory=dict)
    issued: list[tuple[str, str, str]] = field(default_factory=list)
    closed: tuple[str, ...] = ()
    certificates: list[dict[str, Any]] = field(default_factory=list)
    approved: bool = True
    period: tuple[date, date] | None = None

    @property
    def period_us(self) -> tuple[int, int]:
        """Return the edges of the closed period. [us UTC]"""
        if self.period is None:
            return self.month.from_us, self.month.to_us
        first, end = self.period
        return midnight_us(first, self.month.zone), midnight_us(end, self.month.zone)

    @cached_property
    def month(self) -> Month:
        """Return the period, at the plant's place."""
        named = [one.name for one in fields(Month) if one.name in self.plant]
        return Month(**{key: self.plant[key] for key in named})

    @property
    def devices(self) -> dict[str, dict[str, Any]]:
        """Return the devices of the plant by id."""
        return {one["id"]: one for one in self.plant["devices"]}

    @property
    def project(self) -> dict[str, Any]:
        """Return the project, as in the registry file."""
        return self.document["projects"][0]

    def registered(self, name: str) -> dict[str, Any]:
        """Return a device, as in the registry file."""
        return next(one for one in self.document["devices"] if one["id"] == name)

    def bound(self, name: str) -> dict[str, Any]:
        """Return the row of the project that binds a device."""
        return next(one for one in self.project["devices"] if one["device"] == name)


@cache
def _file(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text("utf-8"))


def plant(name: str) -> dict[str, Any]:
    """Return a plant; `like` names another one, whose keys apply where it has none."""
    found = deepcopy(_file(HERE / "plants" / f"{name}.toml"))
    if "like" in found:
        found = {**plant(found.pop("like")), **found}
    return {**found, "id": name}


def seed_of(text: str) -> int:
    """Return the seed that belongs to a name."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])


def sha(text: str) -> str:
    """Return the hash of a document's file."""
    return hashlib.sha256(text.encode()).hexdigest()


def begin(name: str, seed: str, month: Mapping[str, Any] = MappingProxyType({})) -> World:
    """Return a plant with its month of activity; nothing is read or written yet."""
    world = World(plant(name) | month, np.random.default_rng(seed_of(seed)))
    for one in world.plant["devices"]:
        world.made[one["id"]] = {}
        for channel, how in one.get("makes", {}).items():
            world.made[one["id"]][channel] = made_of(world, one, how)
    world.document = document(world)
    return world


def days_of(world: World) -> Days:
    """Return the plant's days, with which its random numbers start."""
    times = world.month.times_us
    return Days(times, world.month.local_us(times), world.rng, world.plant.get("place", PLACE))


def made_of(world: World, device: Mapping[str, Any], how: Mapping[str, Any]) -> np.ndarray:
    """Return the activity of a device in each step, according to a row `makes`. [base units]"""
    days = days_of(world)
    if "of" in how:
        parts = [world.made[d][c] for d, c in (one.split(".") for one in _many(how["of"]))]
        scatter = 1 + how.get("scatter", 0.0) * days.wander(6)
        found = sum(parts) * how["times"] * scatter + how.get("idle", 0.0)
    else:
        exact = how["shape"] in ("clock", "lamps")
        steps = course(days, how["shape"], exact=exact)
        found = steps * how["per_day"] * STEP_US / DAY_US * (2 if how["shape"] == "lamps" else 1)
    if how.get("rated"):  # no more than its rated power
        found = np.minimum(found, device["rated_power_w"] * STEP_US / HOUR_US)
    return found


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def commissioned(world: World) -> date:
    """Return the day on which the plant was commissioned."""
    return world.month.before(60)


# --- registry -----------------------------------------------------------------------------


def document(world: World) -> dict[str, Any]:
    """Return the registry file of an exemplary operator."""
    said = world.plant
    method = find(said["methodology"], said["version"])
    given = dict(said.get("parameters", {}))
    fixed = {k for one in said["devices"] for k in one.get("bound", {})} | given.keys()
    if "leakage_t_per_year" in method.parameters:
        given.setdefault("leakage_t_per_year", 0)
        fixed |= {"leakage_t_per_year"}
    shown = (fixed | method.diagrams) - {"accept_factors"}
    papers = {k: paper(world, k, given) for k in sorted(shown)}
    measured = [k for k in given if k in method.parameters and is_monitored(method.parameters[k])]
    project = {
        "id": PROJECT,
        "name": said["is"],
        "methodology": said["methodology"],
        "version": said["version"],
        "crediting_period": said.get(
            "crediting_period", {"from": commissioned(world), "to": date(2036, 1, 1)}
        ),
        "devices": [
            {"device": one["id"], "role": one["role"], **one.get("bound", {})}
            for one in said["devices"]
            if "role" in one
        ],
        "parameters": given,
        "documents": papers,
        "laboratory": [
            result(world, k, given[k], day) for k in measured for day in world.month.sampled()
        ],
    }
    latitude, longitude = said.get("place", PLACE)
    site = {"id": SITE, "name": "A plant", "latitude": latitude, "longitude": longitude}
    return {
        "sites": [{**site, "timezone": world.month.zone, **said.get("site", {})}],
        "devices": [_registered(world, one) for one in said["devices"]],
        "projects": [project],
    }


def paper(world: World, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a third party's document of a value, or a diagram, from before the project."""
    bound = {
        one["id"]: one["bound"][name]
        for one in world.plant["devices"]
        if name in one.get("bound", {})
    }
    stated = given.get(name, bound)
    said = stated.values() if isinstance(stated, dict) else [stated]
    number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in said)
    return {
        "document": f"Report on {name}",
        "by": "Design Institute",
        "issued": world.month.before(91),
        "sha256": sha(f"{world.plant['id']} {name}"),
        **({"value": stated} if stated != {} and number else {}),
    }


def result(world: World, name: str, value: Any, taken: date) -> dict[str, Any]:
    """Return a laboratory's result."""
    more = "" if taken == world.month.sampled()[0] else f"-{taken:%m}"
    return {
        "parameter": name,
        "sample": f"S-{name}{more}",
        "taken": taken,
        "value": value,
        "method": "as the methodology asks",
        "laboratory": "Quatest 1",
        "sha256": sha(f"result {world.plant['id']} {name}{more}"),
    }


def _registered(world: World, one: Mapping[str, Any]) -> dict[str, Any]:
    serial = f"S-{seed_of(world.plant['id'] + one['id']) % 10**7}"
    certificate = {
        "performed": world.month.before(82),
        "valid_until": world.month.before(-648),
        "certificate": f"C-{serial}",
        "max_error_percent": one.get("max_error_percent", 0.5),
        "serial": serial,
    }
    found = {
        "id": one["id"],
        "site": SITE,
        "class": one["class"],
        "profile": "generic",
        "installed": world.month.midnight(commissioned(world)),
        "maker": "Maker",
        "serial": serial,
        "attributes": {"cadence_s": one.get("minutes", 15) * 60, **one.get("attributes", {})},
        "calibrations": [certificate],
    }
    more = {k: one[k] for k in ("rated_power_w", "check_of", "check_percent") if k in one}
    return found | more


# --- readings and papers ------------------------------------------------------------------


def send(world: World) -> None:
    """Generate the meters' readings and the suppliers' invoices from the activity."""
    for name, one in world.devices.items():
        world.readings[name] = _readings(world, name, one)
    world.invoices = [*_invoices(world)]


def _readings(world: World, name: str, one: Mapping[str, Any]) -> Readings:
    step = one.get("minutes", 15) // 5
    late = int(world.rng.integers(1, 50)) * 1_000_000
    month = world.month
    beside = world.plant.get("beside_days", max(BEFORE_DAYS, month.after_days)) * DAY_US
    at = np.arange(0, len(month.times_us), step)
    times, begin, end = month.times_us[at], month.from_us, month.to_us
    # hours are enough of the weeks beside
    near = (times >= begin - DAY_US) & (times < end + DAY_US)
    there = (times >= begin - beside) & (times < end + beside)
    at = at[there & (near | (times % HOUR_US == 0))]
    columns: dict[str, np.ndarray] = {}
    for channel, made in world.made[name].items():
        start = int(world.rng.integers(10**6, 9 * 10**7))
        total = np.concatenate([[0.0], np.cumsum(made)])
        columns[channel] = start + np.floor(total[at]).astype(np.int64)
    for channel, how in one.get("shows", {}).items():
        columns[channel] = _gauge(world, name, how, at)
    # a reading is a few seconds after what it counts, as clocks are
    return Readings(one["class"], month.times_us[at] + late, columns)


def _gauge(world: World, name: str, how: Mapping[str, Any], at: np.ndarray) -> np.ndarray:
    if "of" not in how:
        # some gauges fall evenly, and are filled up again after some days
        since = at * STEP_US / DAY_US % how.get("days", 1)
        value = np.maximum(
            how["value"] - how.get("falls_per_day", 0) * since, how.get("least", -np.inf)
        )
        return np.round(value * (1 + how.get("noise", 0.02) *
                        world.rng.standard_normal(len(at))), 3)  # fmt: skip
    # the mean since the reading before
    total = np.concatenate([[0.0], np.cumsum(world.made[name][how["of"]])])
    rate = np.diff(total[at], prepend=total[at[0]]) / np.diff(at, prepend=at[0] - 1)
    return np.round(rate * HOUR_US / STEP_US * how.get("times", 1.0), 2)


def billed(world: World, name: str) -> tuple[str, str]:
    """Return the channel and quantity of a device that its invoice covers."""
    one = world.devices[name]
    method = find(world.plant["methodology"], world.plant["version"])
    quantity = method.roles[one["role"]].quantity
    known = classes.load()[one["class"]].channels.values()
    channel = next(
        c
        for c in known
        if c.kind == "register" and one.get("billed", c.name) == c.name
        if "billed" in one or c.quantity == quantity
    )
    return channel.name, channel.unit


def rounded(amount: float, unit: str) -> float:
    """Return an amount rounded as in documents."""
    return round(amount) if unit == "1" else round(amount, 2 if unit == "K d" else 3)


def invoice(world: World, name: str, first: date, end: date, **other: Any) -> dict[str, Any]:
    """Return a true invoice of a device's activity on some local days."""
    one = world.devices[name]
    channel, unit = billed(world, name)
    scale, shown = UNITS[unit]
    times, zone = world.month.times_us, world.month.zone
    inside = (midnight_us(first, zone) <= times) & (midnight_us(end, zone) > times)
    quantity = next(
        c.quantity for c in classes.load()[one["class"]].channels.values() if c.name == channel
    )
    number = f"{name}-{first:%d%m}"
    amount = float(world.made[name][channel][inside].sum()) / scale
    return {
        "id": f"i-{number}",
        "project": PROJECT,
        "issuer": one.get("invoice", "Supplier"),
        "number": number,
        "issued": max(min(end + timedelta(days=5), world.month.before(-49)), end),
        "devices": [name],
        "quantity": quantity,
        "unit": shown,
        "from": first,
        "to": end,
        "amount": rounded(amount, shown),
        "sha256": sha(f"invoice {world.plant['id']} {number}"),
        **other,
    }


def _invoices(world: World) -> Iterator[dict[str, Any]]:
    for name, one in world.devices.items():
        if "invoice" in one:
            yield invoice(world, name, world.month.first, world.month.end)


# --- the truth ----------------------------------------------------------------------------


def truth(
    world: World, others: Mapping[str, Any] = MappingProxyType({})
) -> tuple[dict[str, int], Fraction]:
    """
    Return the true quantity of each device in the period [base units], and its tonnes by the
    equation.
    """
    said = world.plant
    method = find(said["methodology"], said["version"])
    zone, commissioned_on = world.month.zone, commissioned(world)
    zone_from = midnight_us(said.get("crediting_period", {}).get("from", commissioned_on), zone)
    rows = [one for one in said["devices"] if "role" in one]
    bound = [
        ProjectDevice(
            one["id"],
            one["role"],
            read(method.roles[one["role"]].params, one.get("bound", {}), "docket"),
        )
        for one in rows
    ]
    project = Project(
        PROJECT, "", method.id, said["version"], zone, zone_from,
        midnight_us(date(2036, 1, 1), zone), {**said.get("parameters", {}), **others},
        devices=tuple(bound),
    )  # fmt: skip
    fleet = Fleet(
        [Device(d["id"], SITE, d["class"], rated_power_w=d.get("rated_power_w"))
         for d in said["devices"]]
    )  # fmt: skip
    params = parameters_of(method, project.parameters, "docket")
    parts = parts_of_years(project, method, fleet, world.period_us)
    site = said.get("site", {"country": "VN"})
    tonnes, sums = Fraction(0), dict.fromkeys((one["id"] for one in rows), 0)
    for year, begin, end in years(*world.period_us, zone):
        did = []
        for one, row in zip(rows, bound, strict=True):
            needs = method.roles[row.role]
            made = _quantity(world, one, needs.quantity, begin, end)
            sums[row.device] += made
            if needs.less:
                made -= _quantity(world, one, needs.less, begin, end)
            months = {"month": world.month.first.month} if method.monthly else {}
            did.append(Activity(row.role, {**row.params, **months}, Fraction(made)))
        book = Ledger(factors.load().within(".".join(site.values())))
        inputs = method.inputs_of([*did, *parts.get(year, [])], params, book, year)
        tonnes += method.reductions(inputs, book).reduction_t
    return sums, tonnes


def _quantity(world: World, one: Mapping[str, Any], quantity: str, begin: int, end: int) -> int:
    known = classes.load()[one["class"]].channels.values()
    names = [c.name for c in known if c.kind == "register" and c.quantity == quantity]
    inside = (begin <= world.month.times_us) & (end > world.month.times_us)
    return sum(
        int(world.made[one["id"]][n][inside].sum()) for n in names if n in world.made[one["id"]]
    )
