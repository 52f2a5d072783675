"""NGSI entities: their forms, their times, and parts that are no quantities."""

import json

import pytest
from hypothesis import strategies as st

from ingest.codecs import ngsi
from ingest.errors import PayloadError

T = "2026-01-01T00:00:00Z"


def _read(document):
    return ngsi.decode(json.dumps(document).encode())


@pytest.mark.parametrize(
    "time",
    [
        {"dateObserved": T},
        {"dateObserved": f"2025-12-31T23:00:00Z/{T}"},
        {"dateObservedFrom": "2025-12-31T23:00:00Z", "dateObservedTo": T},
        {"dateObserved": {"type": "DateTime", "value": T}},
        {"dateObservedTo": {"type": "Property", "value": {"@type": "DateTime", "@value": T}}},
        {"observationDateTime": T},
        {"TimeInstant": {"type": "DateTime", "value": T, "metadata": {}}},
    ],
)
def test_the_end_of_the_observation_is_its_time(time):
    """A mean over an hour would be stored before it was measured."""
    (reading,) = _read({"type": "X", "a": 1, **time})
    assert reading.ts == T


def test_only_numbers_are_channels():
    """A status text or a flag would be stored as a quantity."""
    (reading,) = _read(
        {
            "type": "X", "dateObserved": T, "a": 1, "b": {"value": 2.5}, "c": "3", "d": True,
            "e": {"value": "4"}, "f": [5], "g": {"value": {"x": 6}}, "h": None,
        }
    )  # fmt: skip
    assert reading.values == {"a": 1.0, "b": 2.5}


@pytest.mark.parametrize(
    ("attribute", "unit"),
    [
        ({"value": 1, "unitCode": "GP"}, "mg/m3"),
        ({"value": 1, "metadata": {"unitCode": {"type": "Text", "value": "CEL"}}}, "Cel"),
        ({"value": 1, "unitCode": "XYZ"}, "XYZ"),
        ({"value": 1, "unitCode": 61}, "61"),
        (1, None),
    ],
)
def test_a_unit_code_is_a_unit(attribute, unit):
    """Milligrams would be stored as micrograms."""
    (reading,) = _read({"type": "X", "dateObserved": T, "a": attribute})
    assert reading.units == (unit,)


def test_attributes_may_each_tell_their_time():
    """Entities of an NGSI-LD broker that stores times only with attributes would be refused."""
    later = "2026-01-01T00:15:00Z"
    first, second = _read(
        {
            "type": "X",
            "a": {"value": 1, "observedAt": T},
            "b": {"value": 2, "observedAt": later},
            "c": {"value": 3, "observedAt": T, "unitCode": "GP"},
            "d": {"value": 4},
        }
    )
    assert (first.ts, first.values, first.units) == (T, {"a": 1.0, "c": 3.0}, (None, "mg/m3"))
    assert (second.ts, second.values) == (later, {"b": 2.0})
    assert [reason for reason, _ in first.refused] == ["time_missing"]
    assert second.refused == ()
    # the entity's own time counts, where it has one
    (reading,) = _read({"type": "X", "dateObserved": T, "b": {"value": 2, "observedAt": later}})
    assert reading.ts == T


def test_of_several_instances_the_default_counts():
    """The reading of another sensor, or of none, would be stored."""
    main, other = {"value": 1}, {"value": 2, "datasetId": "urn:x"}
    (reading,) = _read({"type": "X", "dateObserved": T, "a": [other, main], "b": [other]})
    assert reading.values == {"a": 1.0}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"type": "X", "a": 1}, "time_missing"),
        ({"dateObserved": T, "a": 1}, "wrong_shape"),
        ([1], "wrong_shape"),
        (5, "wrong_shape"),
    ],
)
def test_what_is_no_observation_is_refused(document, reason):
    """An entity without a time would be stored at a time that no one measured."""
    with pytest.raises(PayloadError) as caught:
        _read(document)
    assert caught.value.reason == reason


_LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)
_LEAVES |= st.sampled_from([T, "X", "00ff", "AAA=", "holding", f"{T}/{T}"])
