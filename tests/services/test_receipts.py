"""Receipts list exactly what is durable, and no content of a message can break them."""

import json
from types import SimpleNamespace

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.model import Device, Fleet
from ingest.mqtt import Router
from ingest.pipeline.admit import admit
from services.clock import now_us
from services.intake.handover import Done
from services.intake.receive import GATHER_S, Receipts

FLEET = Fleet([Device("a", "s", "vehicle"), Device("b", "s", "vehicle", gateway="a")])
NOW_MS = now_us() // 1000


def told(messages) -> list[tuple[str, dict]]:
    """Return the receipts for admitted payloads, by topic."""
    topics = [topic for topic, _ in messages]
    payloads = [json.dumps(body).encode() for _, body in messages]
    router = Router(FLEET)
    found = admit(FLEET, router.route, topics, payloads, [None] * len(topics), NOW_MS * 1000)
    receipts = Receipts()
    inbox = SimpleNamespace(topics=topics)
    done = Done.of(inbox, router, found)
    receipts.add(FLEET, done.seen, 1.0, done.refused)
    if len(done.seen.device) < 100:  # more are not gathered
        assert receipts.due(1.0 + GATHER_S / 2) == []
    out = [(topic, msgspec.json.decode(body)) for topic, body in receipts.due(1.0 + GATHER_S)]
    assert receipts.due(float("inf")) == []
    return out


def reading(ts=NOW_MS, **more) -> dict:
    return {"ts": ts, "values": {"odometer_km": 1}, **more}


OWN, BEHIND = "tonne/v1/a/telemetry", "tonne/v1/a/b/telemetry"


def test_lists_what_was_numbered():
    """A device frees what a receipt names: a number too many is a lost reading."""
    receipts = told([(OWN, reading(NOW_MS - k, id=k)) for k in (3, 1, 2)])
    assert receipts == [
        (
            "tonne/v1/a/receipt",
            {
                "device": "a",
                "ts": NOW_MS - 1,
                "id": 3,
                "ids": [3, 1, 2],
                "times": [],
                "refused": [],
            },
        )
    ]


def _seen(readings):
    """Return what is admitted of a device behind its gateway."""
    router = Router(FLEET)
    payloads = [json.dumps(readings).encode()]
    return admit(FLEET, router.route, [BEHIND], payloads, [None], NOW_MS * 1000).seen


def test_a_backlog_waits_for_no_receipt():
    """A gateway would send 100 messages, then wait for half a second: 138 rows a second."""
    receipts = Receipts()
    readings = [reading(NOW_MS - k, id=k) for k in range(100)]
    receipts.add(FLEET, _seen(readings[:99]), 1.0)
    assert receipts.due(1.1) == []
    receipts.add(FLEET, _seen(readings[99:]), 1.2)
    ((topic, body),) = receipts.due(1.2)
    assert topic == "tonne/v1/a/receipt"
    assert msgspec.json.decode(body)["ids"] == list(range(100))


def test_lists_times_where_nothing_is_numbered():
    """A device without message numbers must learn what is safe too."""
    receipts = told([(OWN, [reading(NOW_MS - 5), reading(NOW_MS - 4)])])
    assert receipts[0][1]["times"] == [NOW_MS - 5, NOW_MS - 4]
    assert receipts[0][1]["ids"] == []


def test_lists_both_where_only_some_are_numbered():
    """A reading without a number beside one with a number would be sent again permanently."""
    receipts = told([(OWN, reading(NOW_MS - 5)), (OWN, reading(NOW_MS - 4, id=7))])
    assert (receipts[0][1]["ids"], receipts[0][1]["times"]) == ([7], [NOW_MS - 5])


def test_tells_the_gateway_about_each_device():
    """The gateway holds the buffer of the devices behind it."""
    receipts = told([(OWN, reading(id=1)), (BEHIND, reading(id=1))])
    assert [(topic, body["device"]) for topic, body in receipts] == [
        ("tonne/v1/a/receipt", "a"),
        ("tonne/v1/a/receipt", "b"),
    ]


def test_a_time_ahead_vouches_for_nothing():
    """A clock that was wrong once must not free what is measured after it."""
    receipts = told([(OWN, reading(NOW_MS + 10**9, id=1)), (OWN, reading(NOW_MS, id=2))])
    assert receipts[0][1]["ts"] == NOW_MS
    assert receipts[0][1]["ids"] == [1, 2]


def test_long_lists_come_in_parts():
    """A week's backlog must not make a receipt that a small device cannot take."""
    receipts = told([(OWN, [reading(NOW_MS - k, id=k) for k in range(2_500)])])
    assert [len(body["ids"]) for _, body in receipts] == [1_000, 1_000, 500]
    assert [i for _, body in receipts for i in body["ids"]] == list(range(2_500))


def test_tells_which_readings_were_refused_and_why():
    """A technician would learn by a call to the city that the unit of one channel is wrong."""
    ahead = NOW_MS + 10**9
    ((_, body),) = told(
        [
            (OWN, [reading(NOW_MS - 2, id=1), reading(ahead, id=2), reading(NOW_MS - 1, id=3)]),
            (OWN, {"ts": NOW_MS, "id": 4, "values": {"odometer_km": 2, "soc_percent": 900}}),
            (OWN, {"ts": NOW_MS - 7, "values": {"no_such_channel": 1}}),
        ]
    )
    # all are durable, as readings or as dead letters
    assert (body["ids"], body["times"]) == ([1, 2, 3, 4], [NOW_MS - 7])
    told_of = {one["reason"]: one for one in body["refused"]}
    assert {k: (v["ids"], v["times"]) for k, v in told_of.items()} == {
        "time_future": ([2], []),
        "out_of_range": ([4], []),
        "no_known_channel": ([], [NOW_MS - 7]),
    }
    assert "soc_percent 900 is outside" in told_of["out_of_range"]["detail"]


def test_a_message_that_cannot_be_read_is_told_too():
    """A device that gets no receipt sends the same again permanently, and does not learn why."""
    ((topic, body),) = told([(OWN, "no reading")] * 30)
    assert topic == "tonne/v1/a/receipt"
    assert (body["ids"], body["times"], body["ts"]) == ([], [], None)
    assert len(body["refused"]) + body["refused_more"] == 30
    assert len(json.dumps(body)) < 8_000


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {"ts": st.integers(NOW_MS - 10**9, NOW_MS) | st.integers() | st.text(max_size=5)},
            optional={"id": st.integers() | st.text(max_size=10) | st.just(10**400)},
        ),
        max_size=5,
    )
)
def test_no_number_of_a_device_breaks_the_receipts(said):
    """One device with a strange message number must not take the receipts of all others."""
    for _, body in told([(OWN, [reading(**one) for one in said])] if said else []):
        assert body["device"] == "a"
