"""
Changes of a correction against the statement that it replaces.

Quantities are decimal text in the unit that their name carries, those without one in
the base unit beside them (Wh, m, kg).  Tonnes are of CO2 equivalent.  Fields that may be
`UNSET` came after tonne 0.1.0's first statements, in which they are absent.
"""

from mrv.documents.form import UNSET, Form, Number, UnsetType, Whole


class DeviceDifference(Form):
    """Metered and counted quantity of a device, before and now; None: absent."""

    device: str
    role: str
    metered_before: Whole | None
    metered_now: Whole | None
    counted_before: Number | None
    counted_now: Number | None


class InputDifference(Form):
    """An input with another value than in the statement before; None: absent."""

    name: str
    before: str | None
    now: str | None


class Difference(Form):
    """
    Changes of a correction against the statement that it replaces.

    `inputs` are what the registry said: parameters, ratings, certificates, serials.
    """

    reduction_t: Number
    credited_t: Whole
    coverage_before: Number
    coverage_now: Number
    evidence: tuple[str, ...]
    factors_before: tuple[str, ...]
    factors_now: tuple[str, ...]
    devices: tuple[DeviceDifference, ...]
    inputs: tuple[InputDifference, ...] | UnsetType = UNSET
