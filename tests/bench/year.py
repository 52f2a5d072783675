"""
A year of Hai Phong's catalog at intervals of 15 minutes: stored, accounted, closed, verified.

The simulator's columns are committed as by `tonne run`, without MQTT, which `drain` measures.
Creating them is not measured.  Then every project's year is closed, its evidence exported, and the
pack verified offline.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import yaml

from ingest import classes, profiles
from ingest.model import NULL, Frame
from mrv.calendar import period_us
from mrv.packs.reader import read_pack
from mrv.verify import verify
from services.issuer.pack import export
from services.simulator import Block, Device
from services.simulator.fleet import read_fleet
from services.simulator.flow import fleet_sources
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from tests.running import Pipeline
from tests.services.issuer.plant import store_of
from tests.services.issuer.sealed import close_period

CATALOG = Path("deploy/catalog/haiphong")
BEGIN_US, END_US = period_us(date(2026, 1, 1), date(2027, 1, 1), "Asia/Ho_Chi_Minh")
DAYS, _CADENCE_S, _DAYS_AT_ONCE = 365, 900, 10
_REPLAYED = "nrel-rsf2-inv2"


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return the seconds for accounting, closing and verifying a year."""
    pipeline.tonne("migrate")
    pipeline.tonne("registry", "import", str(CATALOG))
    url, took = pipeline.urls.database_url, defaultdict(float)
    end_us = min(END_US, BEGIN_US + DAYS * 86_400_000_000)
    rows = 0
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = store_of(conn)
        for some in frames(CATALOG, store.plan.fleet.by_id, BEGIN_US, end_us):
            began = time.perf_counter()
            store.commit(conn, some, [], Letters([], [], [], [], 0))
            took["accounted"] += time.perf_counter() - began
            rows += sum(len(frame) for frame in some)
    print(f"accounted {rows:,} readings in {took['accounted']:.0f} s", flush=True)
    credited = 0
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        query = "SELECT id FROM project WHERE system IS NOT NULL ORDER BY id"
        for (name,) in conn.execute(query).fetchall():
            began = time.perf_counter()
            closed = close_period(conn, name, BEGIN_US, end_us, "bench")
            took["closed"] += time.perf_counter() - began
            credited += closed.result.credit_t
            folder = pipeline.home / name
            began = time.perf_counter()
            export(conn, closed.statement, folder)
            report = verify(read_pack(folder))
            took["verified"] += time.perf_counter() - began
            if not report.consistent:
                raise AssertionError(f"{name}'s pack does not verify: {report}")
    print(f"{credited:,} t of {DAYS} days; {dict(took)}", flush=True)
    return {
        "year_readings": float(rows),
        **{f"year_{what}_s": round(seconds, 1) for what, seconds in took.items()},
        "year_s": round(sum(took.values()), 1),
    }


def frames(
    catalog: Path,
    index: Mapping[str, int],
    begin_us: int,
    end_us: int,
    beyond: int = 2,
    *,
    as_registered: bool = False,
    of: Collection[str] | None = None,
) -> Iterator[list[Frame]]:
    """
    Yield frames of some days of every device, one per class, in order of time.

    There is a reading per 15-minute interval; with `as_registered` at the registered cadence, as in
    the demo. `of`: only these projects.
    """
    fleet = [d for d in read_fleet(catalog, _CADENCE_S) if d.id != _REPLAYED]
    if of is not None:
        own = set(_devices_of(catalog, of))
        fleet = [d for d in fleet if d.id in own]
    if not as_registered:
        fleet = [replace(d, cadence_s=_CADENCE_S) for d in fleet]
    length = end_us - begin_us + beyond * _CADENCE_S * 1_000_000
    waiting = [(s.device, s.blocks()) for s in fleet_sources(fleet, begin_us, length, 1)]
    while waiting:
        parts: defaultdict[str, list[Frame]] = defaultdict(list)
        left = []
        for device, blocks in waiting:
            taken = [b for _, b in zip(range(_DAYS_AT_ONCE), blocks, strict=False)]
            parts[device.device_class] += [frame_of(device, index[device.id], b) for b in taken]
            if len(taken) == _DAYS_AT_ONCE:
                left.append((device, blocks))
        waiting = left
        yield [_joined(some) for some in parts.values() if some]


def _devices_of(catalog: Path, projects: Collection[str]) -> Iterator[str]:
    for path in catalog.glob("*.yaml"):
        for one in yaml.load(path.read_text("utf-8"), yaml.CSafeLoader).get("projects", ()):
            if one["id"] in projects:
                yield from (bound["device"] for bound in one["devices"])


def _joined(some: list[Frame]) -> Frame:
    names = some[0].columns
    return Frame(
        some[0].class_id,
        np.concatenate([f.device for f in some]),
        np.concatenate([f.time_us for f in some]),
        np.concatenate([f.message for f in some]),
        {name: np.concatenate([f.columns[name] for f in some]) for name in names},
    )


def frame_of(device: Device, at: int, block: Block) -> Frame:
    n = len(block.time_ms)
    channels = classes.load()[device.device_class].channels
    columns: dict[str, np.ndarray] = {
        c.name: np.full(n, NULL) if c.kind == "register" else np.full(n, np.nan)
        for c in channels.values()
    }
    for path, source in profiles.load()[device.device_class, "generic"].channels.items():
        if path in block.registers:
            columns[source.channel] = block.registers[path]
        elif path in block.gauges:
            up, down, add = classes.factor(source.unit, channels[source.channel].unit)
            columns[source.channel] = block.gauges[path] * up / down + add
    whose = np.full(n, at, dtype=np.int32)
    none = np.zeros(n, dtype=np.int32)
    return Frame(device.device_class, whose, block.time_ms * 1_000, none, columns)
