"""A meter and the device with another id that replaces it are one monitoring point."""

import numpy as np

from ingest.model import INTERVAL_US
from mrv.accounting.coverage import Service
from mrv.accounting.device_period import Monitored
from mrv.accounting.evidenced_time import successive, together_us
from mrv.methodologies import find
from mrv.registry.project import ProjectDevice
from mrv.rules.capacity import at_capacity
from tests.mrv.test_design_capacity import BUILT, TREATED
from tests.mrv.test_owner_inputs import PLANT

METHOD = find(TREATED.methodology)


def served(first, count, role="power"):
    """Return a meter that serves some intervals."""
    return Monitored(
        ProjectDevice("x", role), PLANT.devices[0], METHOD.roles[role], {}, (),
        Service(first, *np.zeros((5, count), dtype=np.int64), 0), (), (),
    )  # fmt: skip


def test_meters_of_several_places_change_at_once():
    """As many serve at any time; one that leaves without a successor is not a change of meters."""
    both = [served(0, 5), served(5, 5), served(0, 7), served(7, 3)]
    assert successive(both, 0, 10)
    assert successive([served(0, 6), served(5, 5)], 0, 10)
    assert not successive(both[:3], 0, 10)
    assert not successive([served(0, 7), served(5, 5)], 0, 10)
    assert not successive([served(0, 5), served(5, 5, "inflow")], 0, 10)


def test_what_a_capacity_comes_to_is_of_the_time_of_both_meters():
    """A capacity three times too large passed its load test with two meters after each other."""
    capacity = next(c for c in METHOD.capacities if not c.of and "inflow" in c.serves)
    one, two = [served(0, 960, "inflow")], [served(0, 480, "inflow"), served(480, 480, "inflow")]
    whole = at_capacity(one, capacity, BUILT)
    assert whole == 10 * 600 * 10**6
    assert at_capacity(one * 2, capacity, BUILT) == whole
    assert together_us(two, 0, 960) == 960 * INTERVAL_US
    assert at_capacity(two, capacity, BUILT) == whole
