"""
From measured costs to machines: the needs of a fleet, and the limits of one cell.

Bridges, partitions, workers and a database are simulated as a flow, to find the delay of storing.

In each second, arriving messages are distributed over partitions as the fleet's ids are.  Each
worker stores up to the capacity of one processor, all together up to the capacity of the database.
A lost worker keeps its partitions until its session expires; then the others share them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import numpy as np

from ingest.wire import partition_of


@dataclass(frozen=True, slots=True)
class Plant:
    """
    Processes and partitions that serve one database.

    Attributes
    ----------
    share : float64 array, partitions
        Part of the fleet that each partition holds; adds up to 1.
    workers : int
    worker_per_s, database_per_s : float
        Messages a second that one worker, and the database, can store.
    """

    share: np.ndarray
    workers: int
    worker_per_s: float
    database_per_s: float


@dataclass(frozen=True, slots=True)
class Loss:
    """A lost worker, and the time until others have its partitions. [s]"""

    at_s: int
    session_s: int


@dataclass(frozen=True, slots=True)
class Trace:
    """For each second: number of waiting messages, and age of the oldest. [s]"""

    waiting: np.ndarray
    oldest_s: np.ndarray
    stored: float


def shares(devices: int, partitions: int) -> np.ndarray:
    """Return the distribution of a fleet's ids over partitions, by the hash of the bridges."""
    sample = min(devices, 100_000)
    counts = np.zeros(partitions)
    for k in range(sample):
        counts[partition_of(f"meter-{k:08d}", partitions)] += 1
    return counts / sample


def simulate(
    plant: Plant, arriving: Callable[[int], float], seconds: int, loss: Loss | None = None
) -> Trace:
    """
    Simulate the messages for a number of seconds.

    Parameters
    ----------
    arriving : callable
        Messages that arrive in a second.
    """
    partitions = len(plant.share)
    owner = np.arange(partitions) % plant.workers
    arrived, done = np.zeros((seconds, partitions)), np.zeros((seconds, partitions))
    came, stored = np.zeros(partitions), np.zeros(partitions)
    for now in range(seconds):
        came = came + arriving(now) * plant.share
        held = owner
        if loss is not None and now >= loss.at_s:
            gone = owner == 0
            held = np.where(gone, -1, owner)
            if now >= loss.at_s + loss.session_s and plant.workers > 1:
                held = np.where(gone, 1 + np.arange(partitions) % (plant.workers - 1), owner)
        stored = stored + _served(plant, came - stored, held)
        arrived[now], done[now] = came, stored
    return Trace((arrived - done).sum(axis=1), _oldest(arrived, done), float(stored.sum()))


def _served(plant: Plant, waiting: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Return the messages of each partition stored in a second."""
    alive = held >= 0
    wanted = np.bincount(held[alive], waiting[alive], minlength=plant.workers)
    part = np.minimum(1.0, plant.worker_per_s / np.maximum(wanted, plant.worker_per_s))
    out = np.where(alive, waiting * part[held], 0.0)
    return out * min(1.0, plant.database_per_s / max(out.sum(), plant.database_per_s))


def _oldest(arrived: np.ndarray, done: np.ndarray) -> np.ndarray:
    """Return the age of the oldest message at the end of each second."""
    seconds = len(arrived)
    oldest = np.zeros(seconds)
    for partition in range(arrived.shape[1]):
        # the second in which the first message that is not stored arrived
        first = np.searchsorted(arrived[:, partition], done[:, partition] + 1e-6)
        waits = np.maximum(0, np.arange(seconds) - first + 1) * (first < seconds)
        waits[arrived[:, partition] - done[:, partition] < 1e-6] = 0
        oldest = np.maximum(oldest, waits)
    return oldest


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
        """Return the costs from the stages of `python -m tests.bench stages`."""

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
        """Return messages per second of a worker, including its waiting for the database."""
        return 1e6 / (self.worker_us + self.database_us)

    @property
    def database_per_s(self) -> float:
        """Return messages per second of the database's processors."""
        return DATABASE_CORES * 1e6 / self.database_us


def needs(devices: int, cadence_s: int, costs: Costs) -> dict[str, float]:
    """Return the needs of a fleet, added over its cells; two of each process that may fail."""
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
    """
    Return the number of devices at which each part of one cell is full, at a message every 15
    minutes.
    """
    stored_per_quarter = QUARTER_S * costs.worker_per_s
    return {
        "a registry change delays the storing of readings by 10 s": 10e6 / costs.device_us,
        "a disk of 8 TB is full after a year": DISK_BYTES
        * QUARTER_S
        / YEAR_S
        / costs.message_bytes,
        "the registry needs 1 GB of memory in each process": 1e9 / costs.device_bytes,
        "one worker needs 15 minutes to store a message of each device": stored_per_quarter,
        "one bridge is permanently busy": QUARTER_S * 1e6 / costs.bridge_us,
        f"the database's {DATABASE_CORES} processors are permanently busy": QUARTER_S
        * costs.database_per_s,
    }


def quarterly(devices: int) -> Callable[[int], float]:
    """
    Return arrivals of a fleet with synchronous clocks: all within a
    minute after each quarter.
    """
    return lambda now: devices / JITTER_S if now % QUARTER_S < JITTER_S else 0.0


def events(devices: int, workers: int, costs: Costs) -> dict[str, Trace]:
    """Follow one cell through what happens to it."""
    plant = Plant(shares(devices, 4 * workers), workers, costs.worker_per_s, costs.database_per_s)
    mean = devices / QUARTER_S
    outage = 6 * 3600 * mean
    return {
        "messages arrive evenly": simulate(plant, lambda _: mean, 1_200),
        "all devices report in the first minute of a 15-minute interval": simulate(
            plant, quarterly(devices), 1_200
        ),
        "all devices report in this first minute, and one worker is lost then": simulate(
            plant, quarterly(devices), 1_200, Loss(910, SESSION_S)
        ),
        "a backlog of six hours after a database outage": simulate(
            plant, lambda now: mean + (outage if now == 0 else 0.0), 1_200
        ),
        "a backlog of six hours, and one worker is lost after ten seconds": simulate(
            plant, lambda now: mean + (outage if now == 0 else 0.0), 1_200, Loss(10, SESSION_S)
        ),
    }
