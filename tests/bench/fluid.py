"""
Bridges, partitions, workers and a database as a fluid: how far storing falls behind.

Each second, what arrives is spread over partitions as the fleet's ids fall; each
worker stores from its partitions up to what a processor makes, and all workers
together up to what the database makes.  A worker that is lost keeps its partitions
until its session is over; then the others share them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ingest.wire import partition_of


@dataclass(frozen=True, slots=True)
class Plant:
    """
    What serves one database.

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
    """A worker that is lost, and after how long the others have its partitions. [s]"""

    at_s: int
    session_s: int


@dataclass(frozen=True, slots=True)
class Trace:
    """Second by second: messages waiting, and for how long the oldest has. [s]"""

    waiting: np.ndarray
    oldest_s: np.ndarray
    stored: float

    def settled_s(self, after_s: int = 0) -> int:
        """Return the second after which less than two seconds' messages wait for good."""
        late = np.flatnonzero(self.oldest_s > 2)
        late = late[late >= after_s]
        return int(late[-1]) + 1 if len(late) else after_s


def shares(devices: int, partitions: int) -> np.ndarray:
    """Return how ids of a fleet fall on partitions, by the hash that bridges use."""
    sample = min(devices, 100_000)
    counts = np.zeros(partitions)
    for k in range(sample):
        counts[partition_of(f"meter-{k:08d}", partitions)] += 1
    return counts / sample


def simulate(
    plant: Plant, arriving: Callable[[int], float], seconds: int, loss: Loss | None = None
) -> Trace:
    """
    Follow the messages for so many seconds.

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
    """Messages of each partition that are stored in a second."""
    alive = held >= 0
    wanted = np.bincount(held[alive], waiting[alive], minlength=plant.workers)
    part = np.minimum(1.0, plant.worker_per_s / np.maximum(wanted, plant.worker_per_s))
    out = np.where(alive, waiting * part[held], 0.0)
    return out * min(1.0, plant.database_per_s / max(out.sum(), plant.database_per_s))


def _oldest(arrived: np.ndarray, done: np.ndarray) -> np.ndarray:
    """How long the oldest message of any partition has waited, at the end of each second."""
    seconds = len(arrived)
    oldest = np.zeros(seconds)
    for partition in range(arrived.shape[1]):
        # the second in which the first message that is not stored arrived
        first = np.searchsorted(arrived[:, partition], done[:, partition] + 1e-6)
        waits = np.maximum(0, np.arange(seconds) - first + 1) * (first < seconds)
        waits[arrived[:, partition] - done[:, partition] < 1e-6] = 0
        oldest = np.maximum(oldest, waits)
    return oldest
