"""
`kill -9` of `tonne run`, under load: a device that waits for its receipt loses nothing.

FAULT_ROUNDS above 1 multiplies how often it is killed.
"""

import time

from tests.faults.killing import DEVICES, check
from tests.integration import field
from tests.soak import often

from .killing import CHANCE, MARKS, figures, report, start

pytestmark = MARKS


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
