"""The tables of SunSpec points, compared with the SunSpec Alliance's model files and reader."""

import json
import math
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sunspec2 import device

from ingest.codecs import sunspec as codec
from ingest.formats import sunspec
from tests.soak import often

UNITS = {"Pct": "%", "C": "Cel", "Var": "var", "PF": None}
MODELS = sorted(sunspec.models())
RANGES = {
    "int16": (-0x7FFF, 0x7FFF),
    "uint16": (0, 0xFFFE),
    "enum16": (0, 0xFFFE),
    "acc32": (1, 2**32 - 2),
    "uint32": (0, 2**32 - 2),
    "uint64": (0, 2**64 - 2),
}


def _published(model_id):
    """
    Return by name: type, offset after the length, scale factor's offset
    and unit, as published.
    """
    path = resources.files("sunspec2").joinpath("models", "json", f"model_{model_id}.json")
    group = json.loads(path.read_text(encoding="utf-8"))["group"]
    assert not group.get("groups"), "only flat models are read"
    at, held = -2, {}
    for point in group["points"]:
        held[point["name"]] = (point["type"], at, point.get("sf"), point.get("units"))
        at += point["size"]
    return held, at


@pytest.mark.parametrize("model_id", MODELS)
def test_every_point_stands_where_the_model_file_says(model_id):
    """An inverter's reactive power would be stored as its energy, or scaled by another's factor."""
    published, length = _published(model_id)
    model = sunspec.models()[model_id]
    assert model.length == length
    for point in model.points:
        kind, at, scale, unit = published[point.name]
        assert (point.kind, point.offset) == (kind, at)
        assert point.scale == (None if scale is None else published[scale][1])
        assert point.unit == UNITS.get(unit, unit)


def _filled(model_id, draw):
    """Return a model of the alliance's reader with any values and scale factors."""
    model = device.Model(model_id)
    for point in model.points.values():
        kind = point.pdef["type"]
        if kind == "sunssf":
            point.value = draw(st.integers(-10, 10))
        elif kind == "float32":
            point.value = draw(st.floats(width=32, allow_nan=False, allow_infinity=False))
        elif kind in RANGES and point.pdef["name"] not in {"ID", "L"}:
            point.value = draw(st.integers(*RANGES[kind]))
    return model


@pytest.mark.parametrize("model_id", MODELS)
@settings(max_examples=often(8, 25))
@given(data=st.data())
def test_any_values_are_read_as_the_alliances_reader_reads_them(model_id, data):
    """A value would be off by a power of ten, or taken from the wrong half of a register."""
    model = _filled(model_id, data.draw)
    block = bytes(model.get_mb()).hex()
    (reading,) = codec.decode(json.dumps({"ts": 0, "sunspec": {"hex": block}}).encode())
    assert not reading.refused
    points = {point.name for point in sunspec.models()[model_id].points}
    assert reading.values.keys() == points
    for name, value in reading.values.items():
        assert math.isclose(value, float(model.points[name].cvalue), rel_tol=1e-12, abs_tol=1e-30)


@given(data=st.data(), scale=st.integers(0, 3))
def test_the_scale_of_one_block_is_not_kept_for_the_next(data, scale):
    """At dusk many inverters change the factor: power would be off by tens until they stop."""
    first, second = device.Model(103), device.Model(103)
    power = data.draw(st.integers(1, 3000))
    for model, factor in ((first, scale), (second, -scale)):
        model.points["W"].value, model.points["W_SF"].value = power, factor
    payload = [
        {"ts": i, "sunspec": {"hex": bytes(m.get_mb()).hex()}}
        for i, m in enumerate((first, second))
    ]
    one, other = codec.decode(json.dumps(payload).encode())
    assert one.values["W"] == power * 10**scale
    assert other.values["W"] == power / 10**scale
