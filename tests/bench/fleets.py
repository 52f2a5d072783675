"""From measured costs to machines: what a fleet needs, and where one cell ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from tests.bench.fluid import Loss, Plant, Trace, shares, simulate

YEAR_S = 31_536_000
BUSY = 0.5  # of a processor in the mean; the rest is for bursts and for catching up
CELL_DEVICES = 100_000  # one database and what is around it
DATABASE_CORES, DISK_BYTES = 8, 8e12
QUARTER_S, JITTER_S, SESSION_S = 900, 60, 30
TABLES = ("reading_pv_inverter", "interval_quantity", "interval_emission")


@dataclass(frozen=True, slots=True)
class Costs:
    """Processor microseconds a message, bytes of a device-year, and a device's own cost."""

    bridge_us: float
    worker_us: float
    database_us: float
    message_bytes: float
    record_bytes: float
    wal_bytes: float
    device_us: float
    device_bytes: float

    @staticmethod
    def of(stage: dict[str, float], cadence_s: int) -> Costs:
        """Add up the stages of `python -m tests.bench stages`."""

        def total(*names: str) -> float:
            return sum(stage[f"stage_{name}"] for name in names)

        suffix = f"{cadence_s}s"
        row = sum(
            total(f"{t}_rows_{suffix}") * total(f"{t}_bytes_{suffix}", f"{t}_index_bytes_{suffix}")
            for t in TABLES
        )
        return Costs(
            total("mqtt_receive_us", "admit_us", "wire_encode_us", "produce_us"),
            total("consume_us", "wire_decode_us", f"settle_us_{suffix}", f"commit_us_{suffix}"),
            total(f"database_us_{suffix}"),
            row,
            total("kafka_record_bytes"),
            total(f"wal_bytes_{suffix}"),
            total("registry_load_us_device"),
            total("registry_bytes_device"),
        )

    @property
    def worker_per_s(self) -> float:
        """Messages a second of a worker: it waits while the database works for it."""
        return 1e6 / (self.worker_us + self.database_us)

    @property
    def database_per_s(self) -> float:
        """Messages a second of the database's processors."""
        return DATABASE_CORES * 1e6 / self.database_us


def needs(devices: int, cadence_s: int, costs: Costs) -> dict[str, float]:
    """Count what a fleet needs, its cells added up; two of each where one may fail."""
    cells = ceil(devices / CELL_DEVICES)
    rate = devices / cadence_s
    each = rate / cells
    workers = max(2, ceil(each / (BUSY * costs.worker_per_s)))
    return {
        "devices": devices,
        "cadence_s": cadence_s,
        "messages_per_s": rate,
        "cells": cells,
        "bridges": cells * max(2, ceil(each * costs.bridge_us / 1e6 / BUSY)),
        "workers": cells * workers,
        "partitions": cells * 4 * workers,
        "database_cores": rate * costs.database_us / 1e6 / BUSY,
        "tb_a_year": devices * YEAR_S / cadence_s * costs.message_bytes / 1e12,
        "wal_mb_per_s": rate * costs.wal_bytes / 1e6,
        "kafka_week_tb": rate * 7 * 86_400 * costs.record_bytes * 3 / 1e12,
        "registry_mb_a_process": devices / cells * costs.device_bytes / 1e6,
        "registry_change_s": devices / cells * costs.device_us / 1e6,
    }


def limits(costs: Costs) -> dict[str, float]:
    """Devices at which each part of one cell is full, at a message a quarter of an hour."""
    stored_per_quarter = QUARTER_S * costs.worker_per_s
    return {
        "a change of the registry holds storing up for 10 s": 10e6 / costs.device_us,
        "8 TB are full after a year": DISK_BYTES * QUARTER_S / YEAR_S / costs.message_bytes,
        "the registry takes 1 GB in each process": 1e9 / costs.device_bytes,
        "all report within a minute, and one worker stores for the whole quarter after it": (
            stored_per_quarter
        ),
        "one bridge is permanently busy": QUARTER_S * 1e6 / costs.bridge_us,
        f"the database's {DATABASE_CORES} processors are permanently busy": QUARTER_S
        * costs.database_per_s,
    }


def quarterly(devices: int) -> Callable[[int], float]:
    """Return arrivals of a fleet whose clocks agree: all within a minute of the quarter."""
    return lambda now: devices / JITTER_S if now % QUARTER_S < JITTER_S else 0.0


def events(devices: int, workers: int, costs: Costs) -> dict[str, Trace]:
    """Follow one cell through what happens to it."""
    plant = Plant(shares(devices, 4 * workers), workers, costs.worker_per_s, costs.database_per_s)
    mean = devices / QUARTER_S
    outage = 6 * 3600 * mean
    return {
        "messages come evenly": simulate(plant, lambda _: mean, 1_200),
        "all report within a minute of the quarter": simulate(plant, quarterly(devices), 1_200),
        "the same, and a worker lost in the burst": simulate(
            plant, quarterly(devices), 1_200, Loss(910, SESSION_S)
        ),
        "six hours of backlog: the database was away": simulate(
            plant, lambda now: mean + (outage if now == 0 else 0.0), 1_200
        ),
        "the same, and a worker lost in its tenth second": simulate(
            plant, lambda now: mean + (outage if now == 0 else 0.0), 1_200, Loss(10, SESSION_S)
        ),
    }
