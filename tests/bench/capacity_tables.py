"""The tables of docs/cells.md, as Markdown."""

from collections.abc import Iterable, Sequence

from tests.bench.fleets import CELL_DEVICES, QUARTER_S, TABLES, YEAR_S, Costs, events, limits, needs

STAGES = (
    ("receive and acknowledge (MQTT)", "bridge", "mqtt_receive_us"),
    ("decode and check", "bridge", "admit_us"),
    ("sort and encode a record", "bridge", "wire_encode_us"),
    ("send the record to Kafka", "bridge", "produce_us"),
    ("receive the record from Kafka", "worker", "consume_us"),
    ("check and decode a record", "worker", "wire_decode_us"),
    ("calculate intervals and emissions", "worker", "settle_us_900s"),
    ("COPY, upsert, commit", "worker", "commit_us_900s"),
    ("COPY, upsert, commit in PostgreSQL", "database", "database_us_900s"),
    ("receive and send on (mosquitto)", "MQTT broker", "mqtt_broker_us"),
)
CADENCES = ((900, "15 minutes"), (60, "minute"))
FLEETS = (10_000, 1_000_000, 100_000_000)
NEEDS = {
    "messages/s": "messages_per_s",
    "cells": "cells",
    "bridges": "bridges",
    "workers": "workers",
    "Kafka partitions": "partitions",
    "database processors in use": "database_cores",
    "database, TB a year": "tb_a_year",
    "write-ahead log, MB/s": "wal_mb_per_s",
    "Kafka, TB (a week, 3 copies)": "kafka_week_tb",
}
CELLS = ((CELL_DEVICES, 2), (CELL_DEVICES, 3), (10 * CELL_DEVICES, 3))


def tables(stage: dict[str, float]) -> str:
    """Return all tables, by name, for costs as measured by `stages`."""
    parts = (stages(stage), rows(stage), device_year(stage), fleet_needs(stage), cell_limits(stage),
             cell_events(stage))  # fmt: skip
    return "\n\n".join(parts)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    lines = [head, ["---", *("---:" for _ in head[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float) -> str:
    """Return a number with two significant digits, or in whole thousands with separators."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def stages(stage: dict[str, float]) -> str:
    """Return the table of processor time of each stage."""
    rows = [(what, who, f"{stage[f'stage_{key}']:.1f}") for what, who, key in STAGES]
    return table(("stage", "process", "processor time, us per message"), rows)


def rows(stage: dict[str, float]) -> str:
    """Return the table of bytes per row and its indexes, at a message every 15 minutes."""
    found = [
        (
            name,
            *(
                f"{stage[f'stage_{name}_{what}_900s']:.3g}"
                for what in ("rows", "bytes", "index_bytes")
            ),
        )
        for name in TABLES
    ]
    return table(("table", "rows per message", "bytes per row", "bytes of its indexes"), found)


def device_year(stage: dict[str, float]) -> str:
    """Return the table of the costs of a device in a year."""
    rows = []
    for cadence_s, said in CADENCES:
        costs, messages = Costs.of(stage, cadence_s), YEAR_S / cadence_s
        spent = (costs.bridge_us, costs.worker_us, costs.database_us)
        megabytes = []
        for name in TABLES:
            rows_each = stage[f"stage_{name}_rows_{cadence_s}s"]
            row = sum(stage[f"stage_{name}_{b}_{cadence_s}s"] for b in ("bytes", "index_bytes"))
            megabytes.append(messages * rows_each * row / 1e6)
        rows.append(
            (
                f"every {said}",
                number(messages),
                *(f"{us * messages / 1e6:.2f}" for us in spent),
                *(f"{mb:.1f}" for mb in megabytes),
            )
        )
    head = ("message interval", "messages", "bridge, s", "worker, s", "database, s",
            "readings, MB", "quantities, MB", "emissions, MB")  # fmt: skip
    return table(head, rows)


def fleet_needs(stage: dict[str, float]) -> str:
    """Return the table of the needs of fleets."""
    rows = []
    for cadence_s, said in CADENCES:
        costs = Costs.of(stage, cadence_s)
        for devices in FLEETS:
            found = needs(devices, cadence_s, costs)
            rows.append(
                (f"{devices:,}, every {said}", *(number(found[key]) for key in NEEDS.values()))
            )
    return table(("devices, interval of their messages", *NEEDS), rows)


def cell_limits(stage: dict[str, float]) -> str:
    """Return the table of the limits of one cell, the first limit first."""
    found = sorted(limits(Costs.of(stage, QUARTER_S)).items(), key=lambda item: item[1])
    return table(
        ("limit", "devices at which it is reached"), [(what, f"{n:,.0f}") for what, n in found]
    )


def cell_events(stage: dict[str, float]) -> str:
    """Return the table of events in a cell."""
    rows = []
    for devices, workers in CELLS:
        for what, trace in events(devices, workers, Costs.of(stage, QUARTER_S)).items():
            rows.append(
                (
                    f"{devices:,} devices, {workers} workers: {what}",
                    f"{trace.waiting.max():,.0f}",
                    f"{trace.oldest_s.max():,.0f}",
                )
            )
    return table(
        ("cell, and event", "maximum number of waiting messages", "longest waiting time [s]"), rows
    )
