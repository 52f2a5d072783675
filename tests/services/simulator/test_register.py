"""The register of a simulated meter."""

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.simulator.model import Register

steps = st.lists(
    st.tuples(st.integers(1, 86_400_000), st.integers(-(10**9), 10**13)), min_size=2, max_size=40
)


def exact(time_ms, rate):
    """Trapezoid of what is positive, in exact fractions of the base unit."""
    total, told = Fraction(0), []
    for k, now in enumerate(time_ms):
        if k:
            mean = Fraction(max(rate[k - 1], 0) + max(rate[k], 0), 2)
            total += mean * (now - time_ms[k - 1]) / (1_000 * 3_600_000)
        told.append(int(total))
    return told


@given(steps, st.data())
def test_counts_exactly_however_it_is_cut(samples, data):
    """Ground truth would drift from the power that made it, and no Wh test could be trusted."""
    time_ms = np.cumsum([step for step, _ in samples])
    rate = np.array([value for _, value in samples])
    cut = data.draw(st.integers(1, len(samples) - 1))
    register = Register(500)
    told = np.concatenate(
        [register.advance(time_ms[:cut], rate[:cut]), register.advance(time_ms[cut:], rate[cut:])]
    )
    assert (told - 500).tolist() == exact(time_ms.tolist(), rate.tolist())


def test_never_counts_backward():
    """A night's negative power would take energy off the register, which no meter does."""
    told = Register(7).advance(np.array([0, 3_600_000, 7_200_000]), np.array([0, -5000, -5000]))
    assert told.tolist() == [7, 7, 7]
