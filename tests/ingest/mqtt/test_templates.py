"""Topic templates: the topics that match, and the principals that are accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import PayloadError, RegistryError
from ingest.model import Device, Fleet
from ingest.mqtt import Router, device_of, parse, subscriptions

FLEET = Fleet(
    [Device("inv-1", "roof", "pv_inverter"), Device("inv-2", "roof", "pv_inverter", gateway="gw")],
    topics=("plants/{site}/inv/{device}/data", "edge/{gateway}/+/{device}"),
)


def test_a_template_is_a_subscription():
    """The fleet's messages would not be subscribed."""
    assert set(subscriptions(FLEET)) >= {"plants/+/inv/+/data", "edge/+/+/+"}


@pytest.mark.parametrize(
    ("topic", "device"),
    [
        ("plants/roof/inv/inv-1/data", "inv-1"),
        ("plants/roof/inv/inv-2/data", "inv-2"),
        ("edge/gw/anything/inv-2", "inv-2"),
        ("tonne/v1/gw/inv-2/telemetry", "inv-2"),
    ],
)
def test_a_topic_leads_to_its_device(topic, device):
    """A fleet would have to change its topics to be heard."""
    assert FLEET.devices[Router(FLEET).route(topic)].id == device
    assert device_of(topic, FLEET) == device


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("plants/yard/inv/inv-1/data", "not_your_device"),
        ("edge/gw/x/inv-1", "not_your_device"),
        ("edge/other/x/inv-2", "not_your_device"),
        ("plants/roof/inv/inv-9/data", "unknown_device"),
        ("plants/roof/inv/inv-1", "unknown_topic"),
        ("tonne/v1/roof", "unknown_topic"),
    ],
)
def test_what_the_registry_does_not_say_is_refused(topic, reason):
    """By a mistyped topic, another site could publish for a device."""
    with pytest.raises(PayloadError) as caught:
        Router(FLEET).route(topic)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plants/data", "must have {device}"),
        ("a/{device}/{device}", "must have {device}"),
        ("a/x{device}", "must have {device}"),
        ("a/{device}/{colour}", "may contain"),
        ("a/{site}/{site}/{device}", "may contain"),
        ("tonne/v1/{device}", "must not begin with tonne/"),
        ("$share/{device}", "must not begin with"),
        ("{device}", "needs at least one fixed level"),
        ("+/{device}", "needs at least one fixed level"),
        ("a/{device}/#", "# is not allowed"),
        ("a+/{device}", "whole levels"),
        ("{site}/v1/{device}/telemetry", "also matches tonne's own topics"),
        ("a/" + "b" * 600 + "/{device}", "and must have at most"),
    ],
)
def test_a_template_that_cannot_work_says_why(text, said):
    """A mistyped template would match nothing, or another fleet's messages."""
    with pytest.raises(RegistryError) as caught:
        parse(text)
    assert said in str(caught.value)


WORD = st.text("ab{}+#/ \0device", max_size=12)


@given(WORD, WORD)
def test_any_text_is_a_template_or_refused(text, topic):
    """A registry file could stop the pipeline."""
    try:
        template = parse(text)
    except RegistryError:
        return
    template.match(topic)
    assert "#" not in template.filter
    assert template.overlaps(template)
