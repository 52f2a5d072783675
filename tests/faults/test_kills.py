"""
`kill -9` of everything, under load: a device that waits for its receipt loses nothing.

FAULT_ROUNDS multiplies how often each server is killed.
"""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.integration import field

from .fleet import Fleet, check, lost

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1_800)]
TIMES = float(os.environ.get("FAULT_ROUNDS", "1"))
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


def test_kill_of_the_pipeline(pipeline, capsys):
    """A power cut at the office must not cost a reading, nor count one twice."""
    names = field.fresh(40)
    pipeline.register(field.registry(names))
    fleet = start(pipeline, names)
    kills = int(20 * TIMES)
    for k in range(kills):
        log = pipeline.home / f"killed-{k}.log"
        with pipeline.running(log) as process:
            pipeline.receiving_since(log)
            time.sleep(CHANCE.uniform(0.1, 1.2))
            process.kill()
            process.wait()
    log = pipeline.home / "survivor.log"
    with pipeline.running(log):
        pipeline.receiving_since(log)
        fleet.finish()
    check(pipeline, fleet)
    report(capsys, f"tonne run killed {kills} times: {figures(fleet)}, none lost, none doubled")


def kill_broker(pipeline, times: int) -> None:
    for _ in range(times):
        time.sleep(CHANCE.uniform(0.3, 1.5))
        pipeline.stack.mosquitto.kill()
        pipeline.stack.mosquitto.start()
    time.sleep(1)


def test_kill_of_the_broker(pipeline, capsys):
    """A broker forgets what it acknowledged; the receipt is what a device can rely on."""
    names, trusting = field.fresh(40), field.fresh(40)
    pipeline.register(field.registry([*names, *trusting]))
    log = pipeline.home / "broker.log"
    kills = int(20 * TIMES)
    fleet, believer = start(pipeline, names), start(pipeline, trusting, receipts=False)
    kill_broker(pipeline, kills // 4)  # while nobody takes what it holds
    with pipeline.running(log):
        pipeline.receiving_since(log)
        kill_broker(pipeline, kills - kills // 4)
        believer.finish()
        fleet.finish()
    check(pipeline, fleet)
    gone, of = lost(pipeline, believer), believer.rounds * len(trusting)
    report(capsys, f"mosquitto killed {kills} times: {figures(fleet)}, none lost, none doubled")
    report(capsys, f"devices that trust PUBACK alone: {gone} of {of} readings lost by the broker")


def test_kill_of_the_database(pipeline, capsys):
    """A commit is a commit: whatever was receipted is there after the server's death."""
    names = field.fresh(40)
    pipeline.register(field.registry(names))
    log = pipeline.home / "database.log"
    kills = int(5 * TIMES)
    with pipeline.running(log) as process:
        pipeline.receiving_since(log)
        fleet = start(pipeline, names)
        for _ in range(kills):
            time.sleep(CHANCE.uniform(0.5, 2.5))
            pipeline.stack.postgres.kill()
            pipeline.stack.postgres.start()
        time.sleep(2)
        assert process.poll() is None
        fleet.finish()
    check(pipeline, fleet)
    report(capsys, f"PostgreSQL killed {kills} times: {figures(fleet)}, none lost, none doubled")
