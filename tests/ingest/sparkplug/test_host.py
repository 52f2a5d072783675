"""The message flows of the specification, one after another."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.sparkplug_host import Memory
from tests.soak import often
from tests.sparkplug_edge import EdgeNode

E, P = "energy_export_kwh", "active_power_kw"


def _born():
    host, edge = Memory(), EdgeNode()
    assert host.take(edge.connect(), edge.birth("m-1")) == ([], [])
    return host, edge


def test_data_before_birth_is_refused_and_asked_for_again():
    """Aliases of an unknown birth would be read as whatever they meant elsewhere, or be lost."""
    host, edge = Memory(), EdgeNode()
    unheard = [edge.connect(), edge.birth("m-1")]
    early = edge.data("m-1", {E: 1.0})
    assert host.take(early) == ([], ["birth_missing"])
    assert host.wants_rebirth == ["n-1"]
    assert host.nodes["n-1"].group == "G"
    host.take(edge.rebirth(), edge.birth("m-1"))
    assert host.wants_rebirth == []
    # replayed by hand once the birth that was asked for is known
    found, refused = host.take(early)
    assert (found[0][2], refused) == ({E: 1.0}, [])
    assert len(unheard) == 2


def test_a_birth_that_nobody_asked_for_says_nothing_of_data_before_it():
    """Data of a node that was away would be read by the aliases of its next life."""
    host, edge = Memory(), EdgeNode()
    host.take(edge.connect(), edge.birth("m-1"))
    other = EdgeNode(ts=edge.ts - 10_000, aliases={E: 1})
    assert host.take(other.data("m-1", {E: 1.0})) == ([], ["birth_missing"])


def test_out_of_order_within_the_window():
    """Two bridges may turn messages around: that must cost neither a reading nor a rebirth."""
    host, edge = _born()
    first, second, third = (edge.data("m-1", {E: float(k)}) for k in range(3))
    assert host.take(third) == ([], [])
    assert host.take(second) == ([], [])
    found, refused = host.take(first)
    assert [values[E] for _, _, values in found] == [0.0, 1.0, 2.0]
    assert refused == []
    assert host.sweep(60) == ([], [])
    assert host.wants_rebirth == []


def test_a_lost_message_asks_for_a_rebirth_and_loses_no_other():
    """One lost message of a QoS 0 link would cost all that follow, or be read by a wrong birth."""
    host, edge = _born()
    edge.data("m-1", {E: 0.0})  # lost
    after = [edge.data("m-1", {E: 1.0}), edge.data("m-1", {E: 2.0})]
    assert host.take(*after) == ([], [])
    assert host.wants_rebirth == []
    host.sweep(6)
    assert host.wants_rebirth == ["n-1"]
    assert host.take(edge.rebirth()) == ([], [])
    found, refused = host.take(edge.birth("m-1"))
    assert [values[E] for _, _, values in found] == [1.0, 2.0]
    assert refused == []


def test_data_after_a_gap_is_not_read_when_aliases_have_changed():
    """What came between a lost birth and the next would be stored under another channel."""
    host, edge = _born()
    edge.names = (P, E)
    edge.rebirth(), edge.birth("m-1")  # both lost: aliases have changed places
    between = edge.data("m-1", {E: 5.0})
    assert host.take(between) == ([], [])
    host.sweep(6)
    found, refused = host.take(edge.rebirth(), edge.birth("m-1"))
    assert (found, refused) == ([], ["sequence_gap"])


def test_alias_reuse_after_a_rebirth():
    """An alias that means another metric now would go on as the old one."""
    host, edge = _born()
    before = edge.data("m-1", {E: 1.0})
    host.take(before)
    edge.names = (P, E)
    host.take(edge.rebirth(), edge.birth("m-1"))
    found, _ = host.take(edge.data("m-1", {E: 2.0, P: 3.0}))
    assert found[0][2] == {E: 2.0, P: 3.0}
    # delivered again: read by the birth of its own time
    found, refused = host.take(before)
    assert (found[0][2], refused) == ({E: 1.0}, [])


def test_a_message_delivered_again_is_no_gap():
    """A reconnect would cost a rebirth of the whole site."""
    host, edge = _born()
    sent = [edge.data("m-1", {E: float(k)}) for k in range(300)]
    host.take(*sent)
    found, refused = host.take(*sent[-200:])
    assert len(found) == 200
    assert refused == []
    host.take(edge.data("m-1", {E: 300.0}))
    host.sweep(60)
    assert host.wants_rebirth == []


def test_death_makes_node_and_devices_stale():
    """An operator would see the last values of a site without power as if they were now."""
    host, edge = _born()
    host.take(edge.will())
    node = host.nodes["n-1"]
    assert not node.online
    assert not node.live
    assert host.take(edge.data("m-1", {E: 1.0})) == ([], ["sequence_gap"])


def test_a_late_will_of_the_connection_before_ends_nothing():
    """A node that came back fast would be shown as dead, and its data refused."""
    host, edge = _born()
    old_will = edge.will()
    host.take(edge.connect(), edge.birth("m-1"), old_will)
    found, refused = host.take(edge.data("m-1", {E: 1.0}))
    assert (found[0][2], refused) == ({E: 1.0}, [])


def test_a_dead_device_needs_a_birth():
    """Data of a device that was unplugged would be read by what it was before."""
    host, edge = _born()
    host.take(edge.death("m-1"))
    assert host.take(edge.data("m-1", {E: 1.0})) == ([], ["birth_missing"])
    host.take(edge.birth("m-1"))
    assert host.take(edge.data("m-1", {E: 2.0}))[1] == []


def test_a_node_that_never_answers_loses_into_dead_letters():
    """A message that waits for a rebirth would wait permanently, without a log line."""
    host, edge = _born()
    edge.data("m-1", {E: 0.0})
    host.take(edge.data("m-1", {E: 1.0}))
    assert host.sweep(6) == ([], [])
    assert host.sweep(70) == ([], ["sequence_gap"])


def test_two_groups_may_not_share_a_node_name():
    """Two sites whose nodes have one name would be stored as one."""
    host, edge = _born()
    other = EdgeNode(group="H", ts=edge.ts)
    assert host.take(other.connect()) == ([], ["node_twice"])
    host.take(edge.will())
    assert host.take(other.connect())[1] == []


def test_names_that_are_no_ids_are_refused_with_the_remedy():
    """A device with a space in its name would vanish without a message."""
    host, edge = _born()
    assert host.take(edge.birth("Meter 1"))[1] == ["name_unusable"]
    assert host.take(("spBv1.0/G/NOISE/n-1", b""))[1] == ["unknown_topic"]
    assert host.take(EdgeNode(name="n-9").connect())[1] == ["unknown_device"]


# aliases only ever go on to another meaning: lost births that change them and change
# them back are the one thing that nobody can see
ARRANGEMENTS = [(E, P, "irradiance_w_m2"), (P, E, "irradiance_w_m2"), (P, "irradiance_w_m2", E)]
KIND = {E: 1000.0, P: 1.0, "irradiance_w_m2": 1_000_000.0}


@given(
    kinds=st.lists(st.sampled_from(["data", "data", "data", "birth", "other"]), max_size=25),
    fates=st.lists(st.sampled_from([1, 1, 1, 1, 0, 2]), min_size=60, max_size=60),
    turns=st.sets(st.integers(0, 30), max_size=10),
    waits=st.sets(st.integers(0, 60), max_size=6),
)
@settings(max_examples=often(30, 60), deadline=None)
def test_any_order_and_loss_never_reads_by_a_wrong_birth(kinds, fates, turns, waits):
    """Whatever is lost, doubled or turned around, a number must not land in another channel."""
    host, edge = Memory(), EdgeNode(names=ARRANGEMENTS[0])
    sent, arrangement = [edge.connect(), edge.birth("m-1")], 0
    for k, kind in enumerate(kinds):
        if kind == "data":
            sent.append(edge.data("m-1", {n: KIND[n] * (1 + k / 100) for n in edge.names}))
        else:
            arrangement += kind == "other" and arrangement < len(ARRANGEMENTS) - 1
            edge.names = ARRANGEMENTS[arrangement]
            sent += [edge.rebirth(), edge.birth("m-1")]
    arrived = [m for message, n in zip(sent, fates, strict=False) for m in [message] * n]
    for at in turns:
        # a node's messages come over one connection: turned around by a place at most
        arrived[2 * at : 2 * at + 2] = reversed(arrived[2 * at : 2 * at + 2])
    found = []
    for at, message in enumerate(arrived):
        found += host.take(message)[0]
        if at in waits:
            found += host.sweep(7)[0]
    found += host.sweep(100)[0]
    for _, _, values in found:
        for name, value in values.items():
            assert KIND[name] <= value < KIND[name] * 2
