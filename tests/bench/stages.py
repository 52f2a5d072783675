"""
Processor time of a message on each stage, and what it leaves on disk.

    python -m tests.bench stages

Time is what the processors spent, ours by the process's own clock, a server's by
/proc; so other work on the machine blurs it less than a wall clock.  Frames hold
2,500 messages of 12 channels, as a bridge sends under load.
"""

import asyncio
from collections.abc import Iterator
from itertools import islice

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from ingest.decode import decode as decode_payloads
from ingest.mqtt import SUBSCRIPTIONS, Router
from ingest.mqtt.session import Session
from ingest.pipeline.admit import admit
from ingest.wire import Parcel, decode, encode, join, sort
from mrv import factors
from services.bridge import Partitions
from services.clock import now_us
from services.environment import KafkaAccess
from services.intake.registry_watch import load_plan
from services.intake.topics import Topic, apply
from services.settle import Plan
from services.store.postgres.pool import connect
from tests.bench import load, stages_store
from tests.bench.load import Messages
from tests.bench.spent import Meter, cpu_s
from tests.running import Pipeline

DEVICES, FRAME, FRAMES = 2_000, 2_500, 40
TOTAL = FRAME * FRAMES
CADENCES_S = (60, 900)
_TOPIC, _PARTITIONS = "bench", 4


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return microseconds per message and bytes per row, by stage."""
    pipeline.stack.up(kafka=True)
    figures: dict[str, float] = {}
    figures |= received(pipeline)
    for cadence_s in CADENCES_S:
        url = stages_store.database(pipeline, f"stages_{cadence_s}", DEVICES)
        with connect(url, autocommit=True) as connection:
            plan = load_plan(connection, factors.load())
        frames = list(batches(cadence_s))
        if cadence_s == CADENCES_S[0]:
            figures |= bridged(pipeline, plan, frames)
        found = stages_store.stored(pipeline, url, plan, frames)
        figures |= {f"{name}_{cadence_s}s": value for name, value in found.items()}
    figures |= stages_store.small_commits(url, plan, frames)
    figures |= stages_store.registered(pipeline)
    for name, value in figures.items():
        print(f"{name:<40} {value:10.2f}")
    return {f"stage_{name}": value for name, value in figures.items()}


def batches(cadence_s: int) -> Iterator[Messages]:
    """Return batches of messages of one frame each."""
    messages = load.messages(DEVICES, TOTAL // DEVICES, cadence_s)
    while batch := list(islice(messages, FRAME)):
        yield batch


def received(pipeline: Pipeline) -> dict[str, float]:
    """Receive and acknowledge a backlog, without further work."""
    mosquitto = pipeline.stack.mosquitto
    pipeline.open_session("tonne-bench")
    publisher = load.Publisher(mosquitto.port)
    for batch in batches(CADENCES_S[0]):
        publisher.send(batch)
    publisher.close()
    session = Session(mosquitto.url, "tonne-bench", SUBSCRIPTIONS, 30_000)
    session.connect()
    got = size = 0
    meter = Meter(lambda: cpu_s(mosquitto.pid or 0))
    with meter:
        while got < TOTAL:
            session.step(0.1, 0)
            while inbox := session.take(FRAME, now_us()):
                got, size = got + len(inbox), size + inbox.size
                session.ack(inbox)
        session.close(0)
    return {
        "payload_bytes": size / TOTAL,
        "mqtt_receive_us": meter.ours_us(TOTAL),
        "mqtt_broker_us": meter.servers_us(TOTAL),
    }


def bridged(pipeline: Pipeline, plan: Plan, frames: list[Messages]) -> dict[str, float]:
    """Measure decoding, admission, encoding, producing and consuming separately."""
    fleet, route = plan.fleet, Router(plan.fleet).route
    decoding, admitting, encoding, reading = Meter(), Meter(), Meter(), Meter()
    records: list[tuple[int, bytes]] = []
    for batch in frames:
        topics, payloads = [t for t, _ in batch], [p for _, p in batch]
        none, received_us = [None] * len(batch), now_us()
        with decoding:
            decode_payloads(fleet, route, topics, payloads, none, received_us)
        with admitting:
            admitted = admit(fleet, route, topics, payloads, none, received_us)
        parcel = Parcel(
            topics, payloads, none, [False] * len(batch), admitted.codecs, received_us,
            admitted.frames, admitted.rejected,
        )  # fmt: skip
        partitions = Partitions(fleet, _PARTITIONS)
        with encoding:
            sorted_ = sort(parcel, partitions.of(topics))
            records += [(p, encode(part, fleet)) for p, part in sorted_.items()]
    figures = asyncio.run(through_kafka(pipeline, records))
    with reading:
        for _, record in records:
            join([decode(record, fleet)])
    return {
        "decode_us": decoding.ours_us(TOTAL),
        "admit_us": admitting.ours_us(TOTAL),  # decoding included
        "wire_encode_us": encoding.ours_us(TOTAL),
        **figures,
        "wire_decode_us": reading.ours_us(TOTAL),
        "kafka_record_bytes": sum(len(r) for _, r in records) / TOTAL,
    }


async def through_kafka(pipeline: Pipeline, records: list[tuple[int, bytes]]) -> dict[str, float]:
    """Produce with acks=all, a batch's records at a time, then consume all."""
    kafka = pipeline.stack.kafka
    access = KafkaAccess.of(kafka.url)
    await asyncio.to_thread(apply, access, Topic(_TOPIC, _PARTITIONS, 1, 24))
    producing, consuming = (Meter(lambda: cpu_s(kafka.pid or 0)) for _ in range(2))
    producer = AIOKafkaProducer(
        bootstrap_servers=access.bootstrap, acks="all", max_request_size=1_000_000
    )
    await producer.start()
    with producing:
        for at in range(0, len(records), _PARTITIONS):
            part = records[at : at + _PARTITIONS]
            sent = [await producer.send(_TOPIC, value, partition=p) for p, value in part]
            await asyncio.gather(*sent)
    await producer.stop()
    consumer = AIOKafkaConsumer(bootstrap_servers=access.bootstrap, fetch_max_wait_ms=10)
    await consumer.start()
    consumer.assign([TopicPartition(_TOPIC, p) for p in range(_PARTITIONS)])
    await consumer.seek_to_beginning()
    got = 0
    with consuming:
        while got < len(records):
            got += sum(map(len, (await consumer.getmany(timeout_ms=1_000)).values()))
    await consumer.stop()
    return {
        "produce_us": producing.ours_us(TOTAL),
        "kafka_in_us": producing.servers_us(TOTAL),
        "consume_us": consuming.ours_us(TOTAL),
        "kafka_out_us": consuming.servers_us(TOTAL),
    }
