"""Energy that a certificate certifies is never credited: by device and interval, exactly."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import INTERVAL_US
from mrv import factors
from mrv.documents import read, write
from mrv.documents.plan import EnergyCertified
from mrv.registry.project import ACCOUNTING, Certified, SupportingData
from mrv.rules.closing import close
from mrv.statement.plan_writer import certified_in, certified_out
from tests.mrv import plant
from tests.soak import often

BOOK = factors.load()
COUNT = 24
# a quarter hour at the rated power of each, with the margin of metering
MOST = {"inv-1": 27_500, "inv-2": 13_750}
RATINGS = {"inv-1": ((plant.FROM, 100_000),), "inv-2": ((plant.FROM, 50_000),)}
FIRST_NUMBER = plant.FROM // INTERVAL_US
ENERGY = "energy_export"

measured = st.lists(st.integers(0, 30_000), min_size=COUNT, max_size=COUNT)
of_one = st.dictionaries(st.integers(0, COUNT - 1), st.integers(1, 32_000), max_size=COUNT)


def _certified(held):
    return tuple(
        Certified(
            f"C-{place}",
            "I-REC",
            FIRST_NUMBER + np.array(sorted(one), dtype=np.int64),
            np.array([one[at] for at in sorted(one)], dtype=np.int64),
        )
        for place, one in enumerate(held)
        if one
    )


def _closed(values, certified, accounting=ACCOUNTING):
    rows = plant.rows(
        *((device, ENERGY, at, wh) for device, of in values.items() for at, wh in enumerate(of))
    )
    supporting = SupportingData(accounting=accounting, ratings=RATINGS, certified=certified)
    return close(
        replace(plant.PV, expected={}), plant.FLEET, plant.CERTIFICATES, rows,
        plant.FROM, plant.FROM + COUNT * INTERVAL_US, BOOK, supporting=supporting,
    )  # fmt: skip


@settings(max_examples=often(20, 150), deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(MOST, measured)),
    st.fixed_dictionaries({device: st.lists(of_one, max_size=3) for device in MOST}),
)
def test_certified_and_credited_never_exceed_what_was_measured(values, certificates):
    """A megawatt hour would be sold twice: as a certificate, and as a part of a tonne."""
    certified = {(device, ENERGY): _certified(held) for device, held in certificates.items()}
    said = _closed(values, certified)
    for one in said.devices:
        laid = [sum(c.get(at, 0) for c in certificates[one.device]) for at in range(COUNT)]
        able = [min(wh, MOST[one.device]) for wh in values[one.device]]
        left = sum(max(0, wh - taken) for wh, taken in zip(able, laid, strict=True))
        counted = Decimal(one.counted)
        assert counted <= left
        if one.device == "inv-1":  # the other may say the same, and then counts nothing
            assert counted == left
            rows = [d for d in said.deductions if d.device == one.device and d.kind == "CLM-01"]
            taken = sum(map(min, able, laid))
            assert sum(Decimal(d.quantity) for d in rows) == -taken
            short = sum(laid) - taken
            told = [f for f in said.applicability if f.rule == "CLM-01" and "inv-1" in f.detail]
            assert bool(told) == bool(short)
            assert not any(f.holds for f in told)


def test_a_plan_keeps_what_is_certified_of_each_interval():
    """A pack would be verified with other intervals than those that a certificate has."""
    held = {("inv-1", ENERGY): _certified([{3: 400, 4: 5, 9: 1}, {0: 2}])}
    written = [write(one) for one in certified_out(held)]
    again = certified_in([read(EnergyCertified, one, "plan.json") for one in written])
    assert certified_out(again) == certified_out(held)
    first = written[0]
    for wrong in (
        {**first, "runs": [{**first["runs"][0], "energy_Wh": ["400", "0"]}]},
        {**first, "runs": [{**first["runs"][0], "energy_Wh": ["-400"]}]},
        {**first, "runs": [first["runs"][0], first["runs"][0]]},
        {**first, "runs": []},
        {**first, "runs": [{**first["runs"][0], "from": "2025-12-31T17:00:01Z"}]},
    ):
        with pytest.raises(ValueError, match="certificate C-0 of inv-1"):
            certified_in([read(EnergyCertified, wrong, "plan.json")])
    with pytest.raises(ValueError, match="appears twice"):
        certified_in([read(EnergyCertified, first, "plan.json")] * 2)
