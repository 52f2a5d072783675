"""How workers see partitions that nobody has, and have the group share anew."""

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from services.stream.topic_view import Sharing


class Cluster(ClusterMetadata):
    """A cluster that shows so many partitions."""

    def partitions_for_topic(self, topic):
        """Five."""
        return set(range(5))


def test_a_share_says_over_how_many_partitions_it_is():
    """A worker could not tell that its leader overlooked some."""
    leader, other = Sharing("parcels"), Sharing("parcels")
    members = {name: one.metadata(["parcels"]) for name, one in (("a", leader), ("b", other))}
    shares = leader.assign(Cluster(), members)
    assert sorted(tp.partition for s in shares.values() for tp in s.partitions()) == [0, 1, 2, 3, 4]
    assert other.covered is None
    other.on_assignment(type(shares["b"]).decode(shares["b"].encode()))
    assert other.covered == 5
    # an older worker leads, and says nothing
    members = {"a": ConsumerProtocolMemberMetadata(0, ["parcels"], b"")}
    other.on_assignment(RoundRobinPartitionAssignor.assign(Cluster(), members)["a"])
    assert other.covered is None


def test_who_asks_for_another_share_joins_with_another_mark():
    """Kafka gives a member that joins as before what it had before."""
    asked = []
    one = Sharing("parcels")
    one.joined_by(lambda: asked.append("again"))
    before = one.metadata(["parcels"]).encode()
    assert one.metadata(["parcels"]).encode() == before
    one.anew()
    assert asked == ["again"]
    assert one.metadata(["parcels"]).encode() != before
