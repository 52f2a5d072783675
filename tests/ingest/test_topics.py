"""Principals that may publish for a device, by topic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import PayloadError
from ingest.model import Device, Fleet
from ingest.mqtt import Router, device_of, principal_of, receipt_topic

FLEET = Fleet(
    [
        Device("own", "s", "vehicle"),
        Device("gate", "s", "energy_meter"),
        Device("behind", "s", "ev_charger", gateway="gate"),
    ]
)


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("tonne/v1/own/telemetry", "own"),
        ("tonne/v1/own/own/telemetry", "own"),
        ("tonne/v1/gate/telemetry", "gate"),
        ("tonne/v1/gate/behind/telemetry", "behind"),
    ],
)
def test_a_principal_speaks_for_its_devices(topic, device):
    """A device behind a gateway must be distinguished from the gateway itself."""
    router = Router(FLEET)
    for _ in range(2):  # asked for and remembered
        assert FLEET.devices[router.route(topic)].id == device
    assert device_of(topic, FLEET) == device


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("tonne/v1/nobody/telemetry", "unknown_device"),
        ("tonne/v1/gate/nobody/telemetry", "unknown_device"),
        ("tonne/v1/own/behind/telemetry", "not_your_device"),
        ("tonne/v1/behind/telemetry", "not_your_device"),
        ("tonne/v1/own/gate/telemetry", "not_your_device"),
        ("tonne/v1/own/status", "unknown_topic"),
        ("tonne/v1/telemetry", "unknown_topic"),
        ("tonne/v1/a/b/c/telemetry", "unknown_topic"),
        ("tonne/v2/own/telemetry", "unknown_topic"),
        ("", "unknown_topic"),
    ],
)
def test_nobody_speaks_for_another(topic, reason):
    """A device or gateway can publish only for itself and its devices."""
    with pytest.raises(PayloadError) as refused:
        Router(FLEET).route(topic)
    assert refused.value.reason == reason


@given(st.lists(st.sampled_from(["tonne", "v1", "own", "gate", "telemetry", "", "é", "\0"])))
def test_any_topic_has_a_principal_or_none(words):
    """A dead letter must be able to name its sender whatever the topic was."""
    topic = "/".join(words)
    assert principal_of(topic) in {*words, ""}
    assert device_of(topic, FLEET) in {*words, None}


def test_receipts_go_below_the_principal():
    """A device may subscribe below its own name and nowhere else."""
    assert receipt_topic("own") == "tonne/v1/own/receipt"
