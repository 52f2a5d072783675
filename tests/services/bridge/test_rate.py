"""What is over a principal's quota goes through Kafka unread, to become a dead letter there."""

from ingest.model import Device, Fleet
from ingest.mqtt.client import Inbox
from ingest.mqtt.topics import Router
from ingest.wire import decode
from services.bridge.bridge import Partitions, admit, encode
from services.intake.handover import Done
from services.intake.principal_quota import Limits, PrincipalQuota

FLEET = Fleet([Device(name, "roof", "energy_meter") for name in ("mad", "meek")])
START_MS = 1_772_323_200_000


def test_what_is_over_the_quota_is_refused_and_kept_whole():
    """A bridge would drop it in silence, or a worker would store what the bridge refused."""
    inbox = Inbox(0, received_us=START_MS * 1000 + 3_600_000_000)
    for k in range(100):
        inbox.topics.append(f"tonne/v1/{'meek' if k == 50 else 'mad'}/telemetry")
        inbox.payloads.append(
            b'{"ts": %d, "id": %d, "values": {"energy_import_kwh": 1}}' % (START_MS + k * 1000, k)
        )
        inbox.content_types.append(None)
        inbox.repeated.append(False)
        inbox.mids.append(k + 1)
    # an edge node's message is passed on unread; over the quota it is not
    inbox.topics[99] = "spBv1.0/g/NDATA/mad"
    router = Router(FLEET)
    unread = PrincipalQuota(Limits(60, 0)).over(router, inbox)
    admitted = admit(router, inbox, unread)
    assert len(unread) == 39
    assert sum(map(len, admitted.frames)) == 61
    told = Done.of(inbox, router, admitted)
    assert len(told.seen) == 61, "a receipt for what is not stored"
    assert {one.reason for _, one, _ in told.refused} == {"rate"}
    sent = encode(inbox, admitted, Partitions(FLEET, 4))
    parcels = [decode(one.value, FLEET) for one in sent]
    assert sum(map(len, parcels)) == 100
    refused = [(parcel, one) for parcel in parcels for one in parcel.rejected]
    assert {one.reason for _, one in refused} == {"rate"}
    kept = {(p.topics[one.message], p.payloads[one.message]) for p, one in refused}
    assert kept == {(inbox.topics[one.message], inbox.payloads[one.message]) for one in unread}
    assert sum(len(frame) for parcel in parcels for frame in parcel.frames) == 61
