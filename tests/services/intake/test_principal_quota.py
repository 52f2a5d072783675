"""The limit of one principal's messages per minute: excess is refused, without effect on others."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.model import Device, Fleet
from ingest.mqtt import Router
from ingest.mqtt.client import Inbox
from services.intake.principal_quota import HOUR_S, Limits, PrincipalQuota
from tests.soak import often

LIMITS = Limits(60, 1_000_000)
ROUTER = Router(
    Fleet(
        [
            Device("gw", "roof", "energy_meter", "generic"),
            Device("behind", "roof", "energy_meter", "generic", gateway="gw"),
        ],
        topics=("plants/{device}/data",),
    )
)


class Clock:
    """The time in seconds, set by a test."""

    now_s = 1_000.0

    def __call__(self):
        """Return the time."""
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def quota(clock):
    return PrincipalQuota(LIMITS, clock)


def inbox(*messages, epoch=0):
    """Return a batch of (topic, payload)."""
    found = Inbox(epoch)
    for topic, payload in messages:
        found.topics.append(topic)
        found.payloads.append(payload)
        found.content_types.append(None)
        found.repeated.append(False)
        found.mids.append(len(found.mids) + 1)
    found.size = sum(map(len, found.payloads))
    return found


def from_(name, count, size=10):
    return [(f"tonne/v1/{name}/telemetry", b"x" * size)] * count


@given(
    st.lists(
        st.tuples(st.floats(0, 200), st.integers(0, 200), st.booleans(), st.floats(0, 500)),
        max_size=20,
    )
)
@settings(max_examples=often(80, 200))
def test_nobody_gets_more_than_its_minutes(steps):
    """Messages above the quota of a principal are rejected."""
    clock = Clock()
    quota = PrincipalQuota(LIMITS, clock)
    begin_s, let_in, away_s = clock.now_s, 0, 0.0
    for pause_s, count, gone, gone_s in steps:
        clock.now_s += pause_s
        if gone:
            quota.note_pause(gone_s)
            away_s += gone_s
        over = quota.over(ROUTER, inbox(*from_("mad", count), *from_("meek", 1)))
        assert all(one.message < count for one in over)
        let_in += count - len(over)
        # a minute's worth at once, and one message a second since; what we were away for, too
        assert let_in <= 60 + (clock.now_s - begin_s) + away_s + 1e-6


def test_the_first_ones_are_let_in_and_the_rest_are_told_why(quota, clock):
    """Anyone who reads the dead letter has to know which limit it was, and what to do."""
    over = quota.over(ROUTER, inbox(*from_("gw", 30), *from_("gw/behind", 40)))
    assert [one.message for one in over] == list(range(60, 70))
    assert {one.reason for one in over} == {"rate"}
    assert "'gw' sends more than 60 messages a minute" in over[0].detail
    assert "TONNE_PRINCIPAL_MESSAGES_A_MINUTE" in over[0].detail
    clock.now_s += 10
    assert len(quota.over(ROUTER, inbox(*from_("gw", 12)))) == 2
    large = quota.over(ROUTER, inbox(*from_("other", 5, 250_000)))
    assert [one.message for one in large] == [4]
    assert "more than 1000000 bytes a minute" in large[0].detail


def test_topics_of_the_fleets_own_count_for_their_principal(quota):
    """By such a topic a gateway would have the quota of each device behind it."""
    own = [("plants/behind/data", b"x"), ("plants/gw/data", b"x")] * 35
    over = quota.over(ROUTER, inbox(*own))
    assert [one.message for one in over] == list(range(60, 70))
    strangers = [(f"plants/nobody-{k}/data", b"x") for k in range(70)]
    assert len(quota.over(ROUTER, inbox(*strangers))) == 10


def test_what_waited_for_us_is_not_refused(quota, clock):
    """After an outage of the database, honest meters would lose what the broker kept for them."""
    assert not quota.over(ROUTER, inbox(*from_("gw", 60)))
    clock.now_s += HOUR_S
    quota.stored(HOUR_S)  # the batch before was held up for so long
    assert not quota.over(ROUTER, inbox(*from_("gw", 3_600)))
    assert quota.over(ROUTER, inbox(*from_("gw", 100)))


def test_a_lost_connection_counts_as_time_away(quota, clock):
    """A device that reconnects may send the messages of the outage at once."""
    assert not quota.over(ROUTER, inbox(*from_("gw", 60)))
    clock.now_s += 600
    assert len(quota.over(ROUTER, inbox(*from_("gw", 601), epoch=1))) == 1


def test_a_quiet_hour_saves_up_no_more_than_a_minute(quota, clock):
    """A device that says nothing at night could send a night's worth at once."""
    assert not quota.over(ROUTER, inbox(*from_("gw", 1)))
    clock.now_s += HOUR_S
    assert len(quota.over(ROUTER, inbox(*from_("gw", 100)))) == 40


def test_no_limit_is_no_limit(clock):
    """Zero means any number, as the settings say."""
    quota = PrincipalQuota(Limits(0, 0), clock)
    assert not quota.over(ROUTER, inbox(*from_("gw", 10_000)))
    quota = PrincipalQuota(Limits(0, 1_000_000), clock)
    assert not quota.over(ROUTER, inbox(*from_("gw", 10_000)))
    assert quota.over(ROUTER, inbox(*from_("gw", 5, 250_000)))
