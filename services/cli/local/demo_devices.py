"""Devices of the demo: a replayed recording, one simulated month, and live devices."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime, timedelta
from datetime import time as clock
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import click

from ingest.errors import InputError, ServerError
from services.cli.local.demo_catalog import CADENCE_S, SEED, ZONE, Month, invoices_of, moved
from services.cli.local.demo_stage import Stage, brief
from services.cli.local.simulate import NOT_SAFE
from services.cli.output import bar
from services.shipped import shipped
from services.store.postgres.pool import connect

# energy alone: an account of all projects takes as long as the messages of some days
_SUM = "SELECT coalesce(sum(value), 0) FROM interval_quantity WHERE quantity = 'energy_export'"
_LAST = "SELECT max(start) FROM interval_quantity WHERE start >= %s AND start < %s"
_DAY_S = 86_400
CATALOG = shipped("catalog/haiphong")
RECORDING = shipped("data/nrel_rsf2_inverter_15min.csv")
REPLAYED = "nrel-rsf2-inv2"
FAULTS = "duplicates=0.01,disorder=0.02,late=0.01,dropout=0.002,garbage=0.001"
# when the recording, its noon moved to Hai Phong's, begins and ends
REPLAY_SPAN = ("2022-01-01T22:00:00+07:00", "2022-01-06T22:00:00+07:00")
# the simulated days end yesterday; a day is sealed 24 hours after its end, so that the last of
# them is not in the statements yet
DAYS = 31
# what breaks, and how many days before today: a charger whose buses are charged elsewhere, and a
# chiller of which nothing is heard any more
STUCK, SILENT = ("hp-charger-3", 9), ("hp-chiller-2", 2)
# a register that comes back later would stand for every quarter hour between: rows in millions
_LONGEST_STEP = timedelta(days=7)
_LOOK_S = 5.0
# the machine may be slow: a batch of ten thousand messages is one commit, and then come receipts
_SILENT_MIN = 15


class Fleet(NamedTuple):
    """The demo's catalog with shifted dates, and its devices."""

    registry: Path
    month: Month  # that the statements are of

    @property
    def today(self) -> date:
        """Return the day after the last simulated one."""
        return self.month.first + timedelta(days=DAYS)

    @property
    def invoices(self) -> Path:
        """Return the path of the month's invoice list."""
        return invoices_of(self.registry, self.month)

    @property
    def words(self) -> tuple[str, ...]:
        """
        Return the arguments of `tonne simulate` shared by the simulated month and the live
        devices.
        """
        return (
            *("--fleet", str(self.registry), "--without", REPLAYED),
            *("--cadence", f"{CADENCE_S // 60}m", "--seed", str(SEED)),
            *("--start", begins(self.month.first)),
            *("--stuck", STUCK[0], begins(self.today - timedelta(days=STUCK[1]))),
        )

    @property
    def silent(self) -> tuple[str, ...]:
        """Return the arguments for the device that stops sending: its id and the time."""
        return "--silent", SILENT[0], begins(self.today - timedelta(days=SILENT[1]))


def begins(day: date) -> str:
    """Return midnight of a day in Hai Phong, as RFC 3339."""
    return datetime.combine(day, clock(), ZoneInfo(ZONE)).isoformat()


def fleet_of(stage: Stage) -> Fleet:
    """
    Return the demo's fleet in a folder, dated when the folder was created.

    A repeated demo keeps its dates, because its statements have them.
    """
    made = sorted(stage.packs.glob("catalog-*"))
    if made:
        first = date.fromisoformat(made[-1].name.removeprefix("catalog-"))
    else:
        first = datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=DAYS)
    registry, end = stage.packs / f"catalog-{first}", first + timedelta(days=DAYS - 1)
    if made:
        return Fleet(registry, Month(first, end, end))
    return Fleet(registry, moved(CATALOG, registry, first, end, SILENT[0]))


class Progress:
    """Progress of stored readings; a bar in a terminal."""

    def __init__(self, status: Mapping[str, Any], metrics: str) -> None:
        self._connection = connect(
            status["database_url"], role="tonne_grafana", name="tonne demo", autocommit=True
        )
        self._metrics = f"http://{metrics}/metrics"

    def close(self) -> None:
        """Close the connection to the database."""
        self._connection.close()

    @contextmanager
    def bar(self, begin: str, end: str) -> Iterator[Callable[[], None]]:
        """
        Show a bar over the days of [begin, end), and yield the function that updates it.

        Parameters
        ----------
        begin, end : str
            RFC 3339.
        """
        first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
        with bar("days", (last - first).total_seconds() / _DAY_S) as progress:

            def show() -> None:
                progress.say(f"{self.line()}; days")
                progress.at(self._days(first, last))

            yield show

    def line(self) -> str:
        """Return a line with the number of stored readings."""
        row = self._connection.execute(_SUM).fetchone()
        kwh = float(row[0]) / 1000 if row is not None else 0.0
        return f"{self._messages():,.0f} messages stored: {kwh:,.3f} kWh generated"

    def _days(self, first: datetime, last: datetime) -> float:
        """Return the days from `first` to the last stored interval."""
        row = self._connection.execute(_LAST, (first, last)).fetchone()
        if row is None or row[0] is None:
            return 0.0
        return float((row[0] - first).total_seconds()) / _DAY_S

    def _messages(self) -> float:
        with suppress(OSError), urllib.request.urlopen(self._metrics, timeout=2) as page:  # noqa: S310
            counts = re.findall(
                r"^tonne_ingest_messages_total\{[^}]*\} (\S+)$", page.read().decode(), re.MULTILINE
            )
            return sum(float(value) for value in counts)
        return 0.0


def send(stage: Stage, pipeline: subprocess.Popen[bytes], fleet: Fleet) -> None:
    """Send the readings of all demo devices and print progress."""
    replay = (
        "simulate", "--replay", str(RECORDING), "--device", REPLAYED,
        "--start", REPLAY_SPAN[0], "--speed", "max",
    )  # fmt: skip
    month = (
        "simulate", *fleet.words, *fleet.silent,
        "--duration", f"{DAYS}d", "--speed", "max", "--faults", FAULTS,
    )  # fmt: skip
    patient = ("--wait", f"{_SILENT_MIN}m")
    status = stage.json("local", "status", shown=False)
    with closing(Progress(status, stage.metrics)) as progress:
        for words, span in (
            (replay, REPLAY_SPAN),
            (month, (begins(fleet.month.first), begins(fleet.today))),
        ):
            send_one(stage, (*words, *patient), pipeline, progress, span)


def send_one(
    stage: Stage,
    words: Sequence[str],
    pipeline: subprocess.Popen[bytes],
    progress: Progress,
    span: tuple[str, str],
) -> None:
    """Send the readings of one group of devices, and wait until they are stored."""
    with stage.start(*words) as sending:
        with progress.bar(*span) as show:
            pause_s = 0.5
            while True:
                with suppress(subprocess.TimeoutExpired):
                    sending.wait(pause_s)
                    break
                looked = time.monotonic()
                show()
                pause_s = max(0.5, 9 * (time.monotonic() - looked))  # a tenth of the time at most
                if pipeline.poll() is not None:
                    sending.terminate()
                    raise ServerError(f"tonne run stopped; see {stage.packs / 'run.log'}")
        out, err = sending.communicate()
    if sending.returncode:
        raise InputError(f"tonne simulate failed: {out}{err}")
    if NOT_SAFE in err:
        raise ServerError(
            f"tonne run sent no receipt for {_SILENT_MIN} minutes, and {err.strip()}; "
            f"see {stage.packs / 'run.log'}"
        )
    brief(out.splitlines()[0])
    click.echo(progress.line())


def stay(stage: Stage, fleet: Fleet) -> None:
    """Keep servers, pipeline and live devices running until Ctrl-C."""
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    stage.quiet = False
    since = datetime.now(ZoneInfo(ZONE)).date() - fleet.today
    registers = () if since <= _LONGEST_STEP else ("--gauges-only",)
    words = ("simulate", *fleet.words, "--without", SILENT[0], "--today", *registers)
    with stage.running(*words, "--wait", "5s") as live:
        click.echo(
            "The catalog's devices continue to send, and the pipeline keeps running; "
            f"TONNE_HOME={stage.home}. Ctrl-C ends both."
        )
        while not stop.wait(_LOOK_S):
            if live.poll() is not None:
                click.echo(
                    f"the simulated devices stopped sending; see {stage.packs / 'simulate.log'}",
                    err=True,
                )
                stop.wait()
