"""
`kill -9` of the broker, the database and `tonne run`, under load: a device that waits for its
receipt loses nothing.

FAULT_ROUNDS above 1 multiplies how often each is killed.
"""

import time

from tests.faults.killing import DEVICES, check, lost
from tests.integration import field
from tests.soak import often

from .killing import CHANCE, MARKS, figures, report, start

pytestmark = MARKS


def kill_broker(pipeline, times: int) -> None:
    for _ in range(times):
        time.sleep(CHANCE.uniform(0.3, 1.5))
        pipeline.stack.mosquitto.kill()
        pipeline.stack.mosquitto.start()
    time.sleep(1)


def test_kill_of_the_broker(pipeline, capsys):
    """A broker forgets what it acknowledged; the receipt is what a device can rely on."""
    names, trusting = field.fresh(DEVICES), field.fresh(DEVICES)
    pipeline.register(field.registry([*names, *trusting]))
    log = pipeline.home / "broker.log"
    kills = often(1, 20)
    fleet, believer = start(pipeline, names), start(pipeline, trusting, receipts=False)
    kill_broker(pipeline, kills // 4)  # while its messages are not received
    with pipeline.running(log):
        pipeline.receiving_since(log)
        kill_broker(pipeline, kills - kills // 4)
        believer.finish()
        fleet.finish()
        pipeline.derived()
    check(pipeline, fleet)
    gone, of = lost(pipeline, believer), believer.rounds * len(trusting)
    report(capsys, f"mosquitto killed {kills} times: {figures(fleet)}, none lost, none doubled")
    report(capsys, f"devices that trust PUBACK alone: {gone} of {of} readings lost by the broker")


def test_kill_of_the_database(pipeline, capsys):
    """A commit is a commit: whatever was receipted is there after the server's death."""
    names = field.fresh(DEVICES)
    pipeline.register(field.registry(names))
    log = pipeline.home / "database.log"
    kills = often(1, 5)
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
        pipeline.derived()
    check(pipeline, fleet)
    report(capsys, f"PostgreSQL killed {kills} times: {figures(fleet)}, none lost, none doubled")


def test_kill_of_the_pipeline(pipeline, capsys):
    """A power cut at the office must not cost a reading, nor count one twice."""
    names = field.fresh(DEVICES)
    pipeline.register(field.registry(names))
    fleet = start(pipeline, names)
    kills = often(1, 20)
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
        pipeline.derived()
    check(pipeline, fleet)
    report(capsys, f"tonne run killed {kills} times: {figures(fleet)}, none lost, none doubled")
