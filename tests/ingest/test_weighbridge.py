"""Weighings: counted by the running total, so that a ticket lost or sent twice changes nothing."""

import json

from hypothesis import given
from hypothesis import strategies as st

from ingest.classes import QUANTITY_INDEX
from ingest.decode import decode
from ingest.model import Device, Fleet
from ingest.pipeline import Bounds, MeterState, meter

FLEET = Fleet([Device("w1", "s", "weighbridge")])
T0_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def _mass_g(messages):
    payloads = [json.dumps(message).encode() for message in messages]
    n = len(payloads)
    out = decode(
        FLEET, lambda _: 0, ["w1"] * n, payloads, [None] * n, (T0_MS + 99 * HOUR_MS) * 1000
    )
    assert not out.rejected
    rows = meter(Bounds(FLEET), MeterState(1), out.frames).rows
    assert set(rows.quantity.tolist()) <= {QUANTITY_INDEX["mass"]}
    return sum(rows.value.tolist())


def _tickets(nets):
    """A message a weighing: the ticket, and the total that the terminal then shows."""
    total, messages = 5_000, [{"ts": T0_MS, "values": {"net_total_kg": 5_000}}]
    for i, net in enumerate(nets, 1):
        total += net
        values = {"net_total_kg": total, "net_kg": net, "gross_kg": net + 14_000, "ticket": i}
        messages.append({"ts": T0_MS + i * HOUR_MS, "id": i, "values": values})
    return messages


@given(st.lists(st.integers(0, 60_000), min_size=2, max_size=12), st.data())
def test_a_weighing_is_neither_lost_nor_doubled(nets, data):
    """Waste that was brought would be missing from the baseline, or be in it twice."""
    messages = _tickets(nets)
    whole = _mass_g(messages)
    assert whole == sum(nets) * 1000
    lost = data.draw(st.sets(st.integers(1, len(nets) - 1)))
    assert _mass_g([m for i, m in enumerate(messages) if i not in lost]) == whole
    doubled = sorted(
        messages + data.draw(st.lists(st.sampled_from(messages))), key=lambda m: m["ts"]
    )
    assert _mass_g(doubled) == whole
