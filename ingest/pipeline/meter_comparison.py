"""A meter compared with the meters behind it, or with its check meter, by interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from ingest import classes
from ingest.model import Device
from ingest.quality import comparisons

Quantities = Mapping[tuple[str, str], int]  # by start and quantity


class Difference(NamedTuple):
    """An interval in which a meter and the sum of the others differ. [base units]"""

    start: str
    quantity: str
    whole: int
    parts: int


def compare(
    device: Device, whole: Quantities, parts: Sequence[Quantities], share: float
) -> tuple[int, list[Difference]]:
    """
    Compare the intervals that all meters have measured.

    Parameters
    ----------
    device : Device
        The meter; its register tolerance is the smallest significant difference.
    whole : mapping of (start, quantity) to int
        Its intervals.
    parts : sequence of such mappings
        The other meters' intervals.
    share : float
        Largest difference, as a share of the larger of the two.

    Returns
    -------
    compared : int
        Number of compared intervals.
    differences : list of Difference
    """
    keys = sorted(key for key in whole if all(key in part for part in parts))
    remaining = np.array([whole[key] for key in keys], dtype=np.int64)
    right = np.array([sum(part[key] for part in parts) for key in keys], dtype=np.int64)
    tolerance = {c.quantity: max(c.tolerance, 1) for c in classes.load()[device.class_id].registers}
    differences: list[Difference] = []
    for quantity, resolution in tolerance.items():
        of = np.array([key[1] == quantity for key in keys], dtype=np.bool_)
        marks = comparisons.sums_differ(remaining, right, share, resolution) & of
        differences.extend(
            Difference(*keys[i], int(remaining[i]), int(right[i])) for i in np.flatnonzero(marks)
        )
    return len(keys), differences
