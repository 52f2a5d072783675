"""
`kill -9` of the database, under load: a device that waits for its receipt loses nothing.

FAULT_ROUNDS above 1 multiplies how often it is killed.
"""

import time

from tests.faults.killing import DEVICES, check
from tests.integration import field
from tests.soak import often

from .killing import CHANCE, MARKS, figures, report, start

pytestmark = MARKS


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
