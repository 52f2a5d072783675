"""
A fleet that returns after months of silence: memory of `tonne run`, and how long others wait.

    python -m tests.bench.returning --devices 1200 --days 60

Each device sends a reading, is silent, and sends three more; others go on meanwhile, a
reading a second each.  `--kill` ends `tonne run` with -9 in between and starts it again.
With `--every 900` each sends what it kept as well, a reading so often, in messages of a
hundred: oldest first, or after its newest one (`--newest-first`), as many gateways do.
At the end some devices' rows are held against a full recompute.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import msgspec
import numpy as np
import psycopg

from mrv import factors
from services.intake.registry_watch import load_plan
from services.processing.rebuild import rebuild
from services.store.postgres.pool import connect
from tests.bench import load
from tests.bench.alone import alone, options
from tests.bench.memory import peak_mb
from tests.running import Pipeline

DEVICES, LIVE, DAYS = 200, 20, 60
_COMPARED = 6
_PACK = 100
_DAY_S = 86_400
# others wait at the broker behind all that was sent before them
_PATIENCE_S = 2_400


class Kept(NamedTuple):
    """What devices kept while they were away: a reading every so often, or none. [s]"""

    every_s: int = 0
    newest_first: bool = False


NOTHING = Kept()


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Peak memory, time until all rows are made, and the slowest others' reading."""
    return run(pipeline, DEVICES, DAYS)


def run(
    pipeline: Pipeline, devices: int, days: int, kept: Kept = NOTHING, *, kill: bool = False
) -> dict[str, float]:
    """Let devices return after days."""
    pipeline.register(load.registry(devices + LIVE))
    publisher = load.Publisher(pipeline.stack.mosquitto.port)
    first = list(load.messages(devices + LIVE, 1))
    with pipeline.running(pipeline.home / "run.log") as process:
        pipeline.receiving_since(pipeline.home / "run.log")
        publisher.send(first)
        pipeline.wait_for("tonne_ingest_messages_total", len(first))
        began = time.monotonic()
        sending = threading.Thread(target=_return, args=(pipeline, devices, days, kept))
        sending.start()
        lags, peak = _others(
            pipeline, publisher, devices, days, process.pid, kill=kill, sending=sending
        )
        if kill:
            process.kill()
    if kill:
        log = pipeline.home / "again.log"
        with pipeline.running(log) as process:
            pipeline.receiving_since(log)
            more, other = _others(pipeline, publisher, devices, days, process.pid, after=len(lags))
            lags, peak = lags + more, max(peak, other)
    took = time.monotonic() - began
    sending.join()
    publisher.close()
    differences = _compared(pipeline, devices)
    if differences:
        raise AssertionError(f"{differences} rows are not what a full recompute gives")
    print(
        f"{devices} devices after {days} days, {kept}: {took:.0f} s until all rows were made, peak"
        f" {peak:.0f} MB; others stored after {np.median(lags):.2f} s in the median,"
        f" {max(lags):.2f} s at most"
    )
    return {
        "returning_s": took,
        "returning_peak_rss_mb": peak,
        "returning_others_p50_s": float(np.median(lags)),
        "returning_others_most_s": max(lags),
    }


def _return(pipeline: Pipeline, devices: int, days: int, kept: Kept) -> None:
    """Send what returning devices have, by a connection of their own."""
    publisher = load.Publisher(pipeline.stack.mosquitto.port, "bench-returning")
    parts = [_newest(devices, days), _kept(devices, days, kept.every_s)]
    for part in parts if kept.newest_first else reversed(parts):
        while some := list(islice(part, 1_000)):
            publisher.send(some)
    publisher.close()


def _newest(devices: int, days: int) -> Iterator[tuple[str, bytes]]:
    for minute in range(3):
        seconds = days * _DAY_S + minute * 60
        for i in range(devices):
            yield _message(i, [_reading(i, seconds) | {"id": 1 + minute}])


def _kept(devices: int, days: int, every_s: int) -> Iterator[tuple[str, bytes]]:
    """Yield messages of what was kept, device by device."""
    times = range(every_s, days * _DAY_S, every_s) if every_s else range(0)
    for i in range(devices):
        for at in range(0, len(times), _PACK):
            yield _message(i, [_reading(i, seconds) for seconds in times[at : at + _PACK]])


def _reading(i: int, seconds: int) -> dict[str, object]:
    """Return a reading so long after the first one, of a plant that makes 20 kW all the time."""
    kwh = round(1_000 + i + seconds / 180, 3)
    return {"ts": load.START_MS + seconds * 1_000, "values": {"energy_export_kwh": kwh}}


def _message(i: int, readings: list[dict[str, object]]) -> tuple[str, bytes]:
    body = readings[0] if len(readings) == 1 else readings
    return f"tonne/v1/bench-{i:05d}/telemetry", msgspec.json.encode(body)


def _others(
    pipeline: Pipeline,
    publisher: load.Publisher,
    devices: int,
    days: int,
    pid: int,
    *,
    kill: bool = False,
    after: int = 0,
    sending: threading.Thread | None = None,
) -> tuple[list[float], float]:
    """Send others' readings until nobody waits for rows; how long each took to be stored."""
    lags: list[float] = []
    peak, most = 0.0, 0
    with psycopg.connect(pipeline.urls.database_url, autocommit=True) as conn:
        while True:
            going = sending is not None and sending.is_alive()
            ts = load.START_MS + days * 86_400_000 + (after + len(lags)) * 1_000
            publisher.send(
                [
                    (
                        f"tonne/v1/bench-{devices + i:05d}/telemetry",
                        msgspec.json.encode({"ts": ts, "values": {"active_power_kw": 20.5}}),
                    )
                    for i in range(LIVE)
                ]
            )
            lags.append(_stored(conn, f"bench-{devices:05d}", ts))
            peak = max(peak, peak_mb(pid))
            row = conn.execute("SELECT count(*) FROM remake_request").fetchone()
            waiting = int(row[0]) if row else 0
            most = max(most, waiting)
            ended = not waiting and not going and len(lags) > 2
            if (kill and most and not going and waiting < most / 2) or ended:
                return lags, peak
            time.sleep(max(0.0, 1 - lags[-1]))


def _stored(conn: psycopg.Connection, device: str, ts: int) -> float:
    began = time.monotonic()
    while time.monotonic() - began < _PATIENCE_S:
        row = conn.execute(
            "SELECT count(*) FROM reading_pv_inverter WHERE device_id = %s"
            " AND time = to_timestamp(%s / 1000.0)",
            (device, ts),
        ).fetchone()
        if row and row[0]:
            return time.monotonic() - began
        time.sleep(0.02)
    raise TimeoutError(f"a reading of {device} is not stored after {_PATIENCE_S} s")


def _compared(pipeline: Pipeline, devices: int) -> int:
    """Rows of some devices that are not what all their readings give."""
    with connect(pipeline.urls.database_url, role="tonne_ingest", autocommit=True) as conn:
        plan = load_plan(conn, factors.load())
        step = max(devices // _COMPARED, 1)
        some = [plan.fleet.by_id[f"bench-{i:05d}"] for i in islice(range(0, devices, step), 6)]
        some.append(plan.fleet.by_id[f"bench-{devices:05d}"])
        return len(rebuild(conn, plan, some, 0, 2**52, replace=False))


def main() -> None:
    """Run as asked, on servers of its own."""
    parser = options("returning", __doc__)
    parser.add_argument("--devices", type=int, default=DEVICES)
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--newest-first", action="store_true")
    parser.add_argument("--kill", action="store_true")
    alone(
        parser,
        lambda pipeline, asked: run(
            pipeline,
            asked.devices,
            asked.days,
            Kept(asked.every, asked.newest_first),
            kill=asked.kill,
        ),
    )


if __name__ == "__main__":
    main()
