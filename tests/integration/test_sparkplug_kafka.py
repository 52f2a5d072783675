"""Sparkplug over Kafka: bridges share a subscription, and one worker replaces another."""

import time

import psycopg

from tests.integration.field import client
from tests.integration.kafka_path import Processes
from tests.integration.test_sparkplug_running import E, Field, import_nodes
from tests.running import open_session
from tests.sparkplug_edge import EdgeNode
from tests.waiting import until

SOON = ("--session", "6")
SHARED = ("--share", "bridges")


def _registers(url, device):
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT energy_export_wh FROM reading_pv_inverter"
            " WHERE device_id = %s AND energy_export_wh IS NOT NULL ORDER BY time",
            (device,),
        )
        return [value for (value,) in rows]


def test_a_node_keeps_its_session_over_bridges_and_workers(
    tmp_path, database_url, mqtt_broker, kafka_url, topic
):
    """A site that grew to several bridges would read aliases by the wrong birth, or not at all."""
    nodes = [f"edge-{k}" for k in range(4)]
    import_nodes(database_url, tmp_path, nodes)
    many = Processes(tmp_path, database_url, mqtt_broker.url, kafka_url, topic)
    (tmp_path / "second").mkdir()
    other = Processes(tmp_path / "second", database_url, mqtt_broker.url, kafka_url, topic)
    assert many.run("topics", "apply", "--partitions", "2").returncode == 0
    for k in (1, 2):
        open_session(mqtt_broker.url, f"tonne-bridge-{k}")
    start = int(time.time() * 1000) - 600_000
    edges = [EdgeNode(name, ts=start) for name in nodes]

    def stored(expected):
        until(
            lambda: all(_registers(database_url, f"{n}-1") == expected for n in nodes),
            120,
            lambda: f"{[_registers(database_url, f'{n}-1') for n in nodes]}\n{many.logs()}",
        )

    with (
        client(mqtt_broker.port) as device,
        many.running("bridge", "--client-id", "tonne-bridge-1", *SHARED),
        other.running("bridge", "--client-id", "tonne-bridge-2", *SHARED),
    ):
        field = Field(device, *edges)
        for processes in (many, other):
            until(lambda p=processes: '"receiving"' in p.logs(), 60, processes.logs)
        for edge in edges:
            field.send(edge.connect(), edge.birth(f"{edge.name}-1", {E: 1.0}))
        with many.doomed("worker", *SOON):
            for k in range(2, 40):
                field.send(*(edge.data(f"{edge.name}-1", {E: float(k)}) for edge in edges))
            stored([1000 * k for k in range(1, 40)])
        for edge in edges:
            edge.data(f"{edge.name}-1", {E: 40.0})  # lost on the way
            field.send(edge.data(f"{edge.name}-1", {E: 41.0}))
        with many.running("worker", *SOON):
            # asked for by the worker, through the database, and told by a bridge
            until(lambda: len(field.commands) >= len(nodes), 120, many.logs)
            assert sorted(set(field.asked)) == nodes
            for edge in edges:
                field.send(edge.rebirth(), edge.birth(f"{edge.name}-1"))
                field.send(edge.data(f"{edge.name}-1", {E: 42.0}))
            stored([*(1000 * k for k in range(1, 40)), 41_000, 42_000])
    with psycopg.connect(database_url) as connection:
        assert connection.execute("SELECT count(*) FROM dead_letter").fetchone() == (0,)
