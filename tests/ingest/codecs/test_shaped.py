"""Messages of a known shape are decoded faster, with the same result."""

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import decode as module
from ingest.codecs import json_object
from ingest.model import Device, Fleet
from ingest.mqtt.topics import Router
from tests.soak import often

FLEET = Fleet(
    [Device("a", "s", "vehicle"), Device("b", "s", "vehicle"), Device("c", "s", "pv_inverter")]
)
NOW_MS = 1_767_225_600_000
NAMES = ["odometer_km", "odometer_m", "soc_percent", "energy_export_kwh", "active_power_kw", "x"]
NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-5, 2**70),
    st.sampled_from([None, "1", True, [], 10**400, -0.0]),
)
VALUES = st.lists(st.sampled_from(NAMES), unique=True, max_size=4).flatmap(
    lambda names: st.tuples(*(st.tuples(st.just(name), NUMBERS) for name in names)).map(dict)
)
TIMES = st.one_of(
    st.integers(NOW_MS - 10, NOW_MS + 10), st.sampled_from([10**15, "x", "2026-01-01T00:00:00Z"])
)
MORE = st.dictionaries(
    st.sampled_from(["id", "more"]), st.sampled_from([7, "n", "é", None, 1.5]), max_size=2
)
READINGS = st.tuples(TIMES, VALUES, MORE).map(
    lambda parts: {"ts": parts[0], "values": parts[1], **parts[2]}
)
PAYLOADS = st.one_of(
    READINGS.map(lambda body: json.dumps(body, ensure_ascii=False).encode()),
    st.lists(READINGS, max_size=2).map(lambda body: json.dumps(body).encode()),
    st.sampled_from(
        [
            b"{",
            b'{"ts": 1, "values": {"odometer_km": 1, "odometer_km": 2}}',
            b'{"ts": 1, "values": {"odometer_km": 1}} ',
            b'{"ts": 1, "values": {"odometer_km": 1}}x',
            b'{"ts": 1, "values": {"odometer_km": 1e999}}',
            b'{"ts": 1, "values": {"odometer_km": 1}, "n": "\xff"}',
        ]
    ),
)


def result(batch: list[tuple[str, bytes]]) -> object:
    """Return everything decoded from a batch, in a comparable form."""
    topics = [f"tonne/v1/{name}/telemetry" for name, _ in batch]
    payloads = [payload for _, payload in batch]
    route = Router(FLEET).route
    out = module.decode(FLEET, route, topics, payloads, [None] * len(batch), NOW_MS * 1000)
    frames = {
        frame.class_id: (
            frame.device.tolist(),
            frame.time_us.tolist(),
            frame.message.tolist(),
            {name: (c.dtype, c.tobytes()) for name, c in frame.columns.items()},
            frame.flags,
        )
        for frame in out.frames
    }
    refused = sorted((r.message, r.reason, r.detail) for r in out.rejected)
    return frames, refused, out.ignored, out.seen, out.codecs


@settings(max_examples=often(100, 3_000), deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), PAYLOADS), max_size=12))
def test_a_known_shape_changes_nothing(batch):
    """A device whose names are known would have its readings judged otherwise than others."""
    fast, module._shaped = module._shaped, lambda *_: None
    try:
        wanted = result(batch)
    finally:
        module._shaped = fast
    module._shapes.clear()
    assert result(batch) == wanted, "while shapes are learned"
    assert result(batch) == wanted, "with known shapes"


def test_a_plain_message_is_read_by_its_shape(monkeypatch):
    """The fast decoder must be used from the second message of a model on."""
    payload = b'{"ts": 1767225600000, "id": 1, "values": {"odometer_km": 1.5, "soc_percent": null}}'
    module._shapes.clear()
    result([("a", payload)])
    monkeypatch.setattr(module.json_object, "decode", None)
    frames, refused, _, seen, _ = result([("a", payload), ("b", payload)])
    assert (frames["vehicle"][0], refused, seen.id) == ([0, 1], [], [1, 1])
    assert np.frombuffer(frames["vehicle"][3]["odometer_m"][1], np.int64).tolist() == [1500, 1500]


def test_shapes_are_limited(monkeypatch):
    """A device that sends other names each time must not fill the memory."""
    monkeypatch.setattr(json_object, "_shapes", {})
    made = [json_object.shape((f"n{k}",)) for k in range(300)]
    assert sum(one is not None for one in made) == len(json_object._shapes) == 256
