"""The sun on modules under a clear sky."""

from datetime import date

import numpy as np

from mrv.exante.sun import Roof
from mrv.performance.degradation import plane_w_m2


def test_a_clear_day_in_hai_phong():
    """Expected power would stand an hour off the metered one, or shine at night."""
    found = plane_w_m2(Roof(20.94, 106.60, 10, 180), date(2026, 3, 20), 2)
    assert found.shape == (2, 96)
    quarters = (np.arange(96) / 4 + 7) % 24  # local time
    assert found[0][quarters < 5.5].max() == 0
    assert 900 < found[0].max() < 1100
    assert abs(quarters[found[0].argmax()] - 12) < 0.5  # noon is at 12:00 of UTC+7 there
    assert 6500 < found[0].sum() / 4 < 7800
    east = plane_w_m2(Roof(20.94, 106.60, 30, 90), date(2026, 3, 20), 1)[0]
    assert quarters[east.argmax()] < 11
