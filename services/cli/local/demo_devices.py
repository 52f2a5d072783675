"""The demo's devices: a recording replayed, a month of the catalog, and what speaks on after."""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import datetime
from typing import Any

import click

from ingest.errors import InputError, ServerError
from services.cli.local.demo_stage import Stage, brief
from services.cli.local.simulate import NOT_SAFE
from services.cli.output.progress import bar
from services.shipped import shipped
from services.store.postgres.pool import connect

_SUMS = (
    "SELECT coalesce((SELECT sum(value) FROM interval_quantity"
    " WHERE quantity = 'energy_export'), 0),"
    " coalesce((SELECT sum(reduction_ug) FROM v_account_day), 0)"
)
_LAST = "SELECT max(start) FROM interval_quantity WHERE start >= %s AND start < %s"
_DAY_S = 86_400
REGISTRY = shipped("catalog/haiphong")
INVOICES = REGISTRY / "invoices/2026-01.csv"
RECORDING = shipped("data/nrel_rsf2_inverter_15min.csv")
REPLAYED = "nrel-rsf2-inv2"
FAULTS = "duplicates=0.01,disorder=0.02,late=0.01,dropout=0.002,garbage=0.001"
CADENCE_S, SEED = 900, 1
# what both the month and the live devices are: the catalog, but for what is replayed
FLEET = (
    *("--fleet", str(REGISTRY), "--without", REPLAYED),
    *("--cadence", f"{CADENCE_S // 60}m", "--seed", str(SEED)),
)
FLEET_FROM = "2026-01-01T00:00:00+07:00"
# when the recording, its noon moved to Hai Phong's, and the month begin and end
REPLAY_SPAN = ("2022-01-01T22:00:00+07:00", "2022-01-06T22:00:00+07:00")
MONTH_SPAN = (FLEET_FROM, "2026-02-01T00:00:00+07:00")
_LOOK_S = 5.0
# the machine may be slow: a batch of ten thousand messages is one commit, and then come receipts
_SILENT_MIN = 15


class Progress:
    """How far storing has come; a bar where a person watches."""

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
        Show a bar over the days of [begin, end), and give what moves it.

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
        """Return what is stored so far."""
        row = self._connection.execute(_SUMS).fetchone()
        wh, ug = row if row is not None else (0, 0)
        return (
            f"  {self._messages():,.0f} messages stored:"
            f" {float(wh) / 1000:,.3f} kWh generated, {float(ug) / 1e12:,.6f} tCO2e avoided"
        )

    def _days(self, first: datetime, last: datetime) -> float:
        """Days until the last interval that is stored."""
        row = self._connection.execute(_LAST, (first, last)).fetchone()
        if row is None or row[0] is None:
            return 0.0
        return float((row[0] - first).total_seconds()) / _DAY_S

    def _messages(self) -> float:
        with suppress(OSError), urllib.request.urlopen(self._metrics, timeout=2) as page:  # noqa: S310
            found = re.findall(
                r"^tonne_ingest_messages_total\{[^}]*\} (\S+)$", page.read().decode(), re.MULTILINE
            )
            return sum(float(value) for value in found)
        return 0.0


def send(stage: Stage, pipeline: subprocess.Popen[bytes]) -> None:
    """Have the devices send, and show what arrives."""
    replay = (
        "simulate", "--replay", str(RECORDING), "--device", REPLAYED,
        "--start", REPLAY_SPAN[0], "--speed", "max",
    )  # fmt: skip
    month = (
        "simulate", *FLEET, "--start", FLEET_FROM,
        "--duration", "31d", "--speed", "max", "--faults", FAULTS,
    )  # fmt: skip
    patient = ("--wait", f"{_SILENT_MIN}m")
    status = stage.json("local", "status", shown=False)
    with closing(Progress(status, stage.metrics)) as progress:
        for words, span in ((replay, REPLAY_SPAN), (month, MONTH_SPAN)):
            send_one(stage, (*words, *patient), pipeline, progress, span)


def send_one(
    stage: Stage,
    words: Sequence[str],
    pipeline: subprocess.Popen[bytes],
    progress: Progress,
    span: tuple[str, str],
) -> None:
    """Have some devices send all that they have."""
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
                    raise ServerError(f"tonne run ended early; see {stage.packs / 'run.log'}")
        out, err = sending.communicate()
    if sending.returncode:
        raise InputError(f"tonne simulate failed: {out}{err}")
    if NOT_SAFE in err:
        raise ServerError(
            f"tonne run gave no receipt for {_SILENT_MIN} minutes, and {err.strip()};"
            f" see {stage.packs / 'run.log'}"
        )
    brief(out.splitlines()[0])
    click.echo(progress.line())


def stay(stage: Stage) -> None:
    """
    Keep the servers and the pipeline up until Ctrl-C, with devices that go on speaking.

    They show gauges alone.  A register that came back after the months since the
    simulated one would stand for every quarter hour between: rows in millions.
    """
    stop = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stop.set())
    stage.quiet = False
    with stage.running("simulate", *FLEET, "--today", "--gauges-only", "--wait", "5s") as live:
        click.echo(
            "The catalog's devices go on speaking, and the pipeline stays up;"
            f" TONNE_HOME={stage.home}. Ctrl-C ends it."
        )
        while not stop.wait(_LOOK_S):
            if live.poll() is not None:
                click.echo(f"the devices fell silent; see {stage.packs / 'simulate.log'}", err=True)
                stop.wait()
