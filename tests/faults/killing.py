"""Common parts of tests that kill a server: a fleet that sends, and the check of its data."""

import random
import threading
from collections.abc import Iterator

import psycopg
import pytest

from mrv import factors
from services.settle import Plan
from services.simulator import Device, Outgoing
from services.simulator.sender import Pace, Sender, Sent
from services.store.registry import load as registry
from tests.bench.load import RATED_W
from tests.integration import field, stored
from tests.running import Pipeline
from tests.soak import SOAK

# what is sent in a second is stored at once by an idle machine; the soak loads it
ROUNDS_PER_S = 20 if SOAK else 5
DEVICES = 40 if SOAK else 16
_WAIT_S = 150.0


class Fleet(threading.Thread):
    """
    Devices that send a reading each, `ROUNDS_PER_S` times a second, until they are stopped.

    With `receipts` a device keeps a reading until its receipt and sends it again; without, it
    relies on the broker's PUBACK.
    """

    def __init__(self, pipeline: Pipeline, names: list[str], *, receipts: bool) -> None:
        super().__init__(name="fleet", daemon=True)
        self.names, self.rounds = names, 0
        self._halt = threading.Event()
        devices = [Device(n, "pv_inverter", n, 20.94, 106.6, RATED_W, 60) for n in names]
        self._sender = Sender(
            pipeline.urls.mqtt_url,
            devices,
            connections=10,
            receipts=receipts,
            wait_s=_WAIT_S,
            label=names[0],
        )
        self.sent = Sent()

    def run(self) -> None:
        """Send; at the end wait for the last receipts."""
        self.sent = self._sender.run(
            self._messages(), Pace(1.0, 0, None), watch=lambda _: None, stopped=lambda: False
        )

    def _messages(self) -> Iterator[Outgoing]:
        """Yield messages in whole rounds of all devices."""
        while not self._halt.is_set():
            k = self.rounds
            self.rounds += 1
            ts_us, due_us = (field.START_MS + 60_000 * k) * 1000, k * 1_000_000 // ROUNDS_PER_S
            for name in self.names:
                yield Outgoing(name, field.topic(name), field.payload(k), ts_us, due_us, (k,))

    def finish(self) -> None:
        """Stop sending, and wait until all messages have receipts."""
        self._halt.set()
        self.join()


def lost(pipeline: Pipeline, fleet: Fleet) -> int:
    """Return generated readings that are not stored; none may be stored with another value."""
    missing = 0
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection:
        for name in fleet.names:
            rows = field.stored_by(connection, name)
            assert all(register == field.register_wh(k) for k, register in rows)
            missing += fleet.rounds - len(rows)
    return missing


def check(pipeline: Pipeline, fleet: Fleet) -> None:
    """
    Check that everything generated is stored once, and that derived rows equal one pure
    calculation.
    """
    assert fleet.rounds > ROUNDS_PER_S
    assert fleet.sent.unreceipted == 0
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as connection:
        connection.execute("SET timezone = 'UTC'")
        for name in fleet.names:
            rows = field.stored_by(connection, name)
            assert rows == field.expected(fleet.rounds)
        plan = Plan.of(
            registry.load_fleet(connection), registry.load_projects(connection), factors.load()
        )
        stored.check(connection, plan)
        made, refused = connection.execute(
            "SELECT (SELECT sum(value)::bigint FROM interval_quantity WHERE device_id = ANY(%s)),"
            " (SELECT count(*) FROM dead_letter WHERE device_id = ANY(%s))",
            (fleet.names, fleet.names),
        ).fetchone()
    rise = field.register_wh(fleet.rounds - 1) - field.register_wh(0)
    assert (made, refused) == (rise * len(fleet.names), 0)


MARKS = [pytest.mark.faults, pytest.mark.timeout(1_800)]
CHANCE = random.Random(20)  # noqa: S311 (moments to kill at)


def start(pipeline, names, *, receipts=True) -> Fleet:
    fleet = Fleet(pipeline, names, receipts=receipts)
    fleet.start()
    return fleet


def report(capsys, text: str) -> None:
    with capsys.disabled():
        print(f"\n  {text}")  # noqa: T201 (the figures are for whoever runs it)


def figures(fleet: Fleet) -> str:
    messages = fleet.rounds * len(fleet.names)
    again = fleet.sent.transmissions - messages
    return f"{messages} readings, {again} sent again, {fleet.sent.connection_breaks} breaks"
