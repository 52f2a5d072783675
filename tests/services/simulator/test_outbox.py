"""What a device keeps until it is safe."""

import json

from services.simulator.connection import Outbox
from services.simulator.model import Outgoing


def message(*ids, device="d"):
    return Outgoing(device, "t", b"{}", 0, 0, ids)


def receipt(*ids, device="d"):
    return json.dumps({"device": device, "ts": 1, "id": None, "ids": ids, "times": []}).encode()


def test_keeps_until_every_reading_is_named():
    """An array of which half is stored would be forgotten."""
    outbox = Outbox()
    entry = outbox.keep(message(1, 2))
    outbox.published(entry, 0.0)
    outbox.receipt(receipt(2))
    outbox.receipt(receipt(1, device="other"))
    assert len(outbox) == 1
    assert list(outbox.overdue(3.1)) == []  # receipts came meanwhile
    assert list(outbox.overdue(6.2)) == [entry]
    outbox.receipt(receipt(1))
    assert len(outbox) == 0


def test_a_slow_pipeline_is_not_sent_what_waits_in_its_queue():
    """A busy machine would be given each message twice, and need twice as long."""
    outbox = Outbox()
    entry = outbox.keep(message(1))
    outbox.published(entry, 0.0)
    for second in range(1, 30):
        outbox.keep(message(1, device=f"other-{second}"))
        outbox.receipt(receipt(1, device=f"other-{second}"))
        assert list(outbox.overdue(float(second))) == []
    assert list(outbox.overdue(30.0)) == [entry]


def test_the_wait_doubles():
    """A pipeline that comes back after an hour would be buried under repetitions."""
    outbox = Outbox()
    entry = outbox.keep(message(1))
    now, waits = 0.0, []
    for _ in range(6):
        outbox.published(entry, now)
        began = now
        while not list(outbox.overdue(now)):
            now += 0.5
        waits.append(now - began)
    assert waits == [3, 6, 12, 24, 30, 30]


def test_a_receipt_ends_the_waiting():
    """What is durable would be sent again."""
    outbox = Outbox()
    entry = outbox.keep(message(1))
    outbox.receipt(receipt(1))
    outbox.published(entry, 0.0)
    assert list(outbox.overdue(100.0)) == []


def test_is_bounded_and_survives_nonsense():
    """A device would run out of memory, or stop at a receipt that it cannot read."""
    outbox = Outbox(limit=2)
    for number in (1, 2, 2):
        outbox.keep(message(number))
    assert outbox.full
    for bad in (b"", b"{", b"[]", b'{"device": 3}', b"\xff"):
        outbox.receipt(bad)
    assert len(outbox) == 2


def test_without_receipts_nothing_is_kept():
    """A device that trusts PUBACK would wait at the end for what never comes."""
    outbox = Outbox(receipts=False)
    outbox.keep(message(1))
    assert len(outbox) == 0
