"""
Servers, processes and devices of the demo, and the commands run against them.

A process listens at its usual port, or at a free one if that is in use.  Devices are a replayed
recording, one simulated month, and live devices.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date, datetime, timedelta
from datetime import time as clock
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple, NoReturn
from zoneinfo import ZoneInfo

import click

from ingest.errors import InputError, ServerError
from services.cli import COMMANDS
from services.cli.local.demo_catalog import CADENCE_S, SEED, ZONE, Month, invoices_of, moved
from services.cli.local.simulate import NOT_SAFE
from services.cli.output import bar
from services.extras import shipped
from services.local import LOOPBACK, choose
from services.local.server import Prometheus
from services.store.postgres.pool import connect

_TRIES = 5
_BUSY = "cannot listen on"


class Listens(NamedTuple):
    """Address setting of a listening process, its usual port, and its log line when ready."""

    setting: str
    port: int
    event: str


class Begun(NamedTuple):
    """A started process and its address."""

    process: subprocess.Popen[bytes]
    bind: str


def begin(argv: Sequence[str], environment: Mapping[str, str], at: Listens, log: Path) -> Begun:
    """
    Start a listening process and return it; print its address if the usual port is in use.

    If another program takes the chosen port first, another port is tried. A process that ended for
    another reason is returned as it is; its log has the cause.

    Raises ServerError when no port stays free.
    """
    for _ in range(_TRIES):
        bind = f"{LOOPBACK}:{choose(at.port)}"
        process = start(argv, {**environment, at.setting: bind}, log)
        if _is_up(process, at, log) or _BUSY not in log.read_text(encoding="utf-8"):
            if bind != f"{LOOPBACK}:{at.port}":
                click.echo(f"port {at.port} is in use: {bind} instead")
            return Begun(process, bind)
    raise ServerError(f"no port near {at.port} is free; stop the program that uses it")


def start(
    argv: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a process in the background, with its output in the file `log`, and return it."""
    with log.open("wb") as out:
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            argv, env=environment, stdout=out, stderr=out
        )


def forked(words: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str, str]:
    """
    Return exit code, output and errors of a command run in a fork of this process.

    A fork saves the start of Python and the loading of modules, most of a second.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with TemporaryFile() as out, TemporaryFile() as err:
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            _as_tonne(words, environment)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return os.waitstatus_to_exitcode(status), texts[0], texts[1]


def _as_tonne(words: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    """Run `python -m services.cli` with these arguments, then exit."""
    code: object = 1
    sys.stdout, sys.stderr = (os.fdopen(descriptor, "w", encoding="utf-8") for descriptor in (1, 2))
    try:
        os.environ.clear()
        os.environ.update(environment)
        sys.argv[1:] = words
        import_module("services.cli.__main__").main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        # the traceback is printed here, as `os._exit` below would hide it
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def warm(*commands: str) -> None:
    """Import the modules of commands once, before forking."""
    for name in commands:
        import_module(f"services.cli.{COMMANDS[name].where.partition(':')[0]}")


def _is_up(process: subprocess.Popen[bytes], at: Listens, log: Path) -> bool:
    """Return True once the log has the process's ready line, False if the process has ended."""
    try:
        while process.poll() is None:
            if _has_logged(log, at.event):
                return True
            time.sleep(0.1)
    except BaseException:  # also for Ctrl-C: no other code can end this process yet
        process.terminate()
        process.wait()
        raise
    return False


def _has_logged(log: Path, event: str) -> bool:
    for line in log.read_bytes().splitlines():
        try:
            if json.loads(line)["event"] == event:
                return True
        except (ValueError, KeyError, TypeError):
            continue  # an incomplete line, or a line of another form
    return False


LISTENS = {
    "run": Listens("TONNE_METRICS_BIND", 9464, "metrics"),
    "api": Listens("TONNE_API_BIND", 8080, "serving"),
}


class Stage:
    """The demo's folder, its servers, and the commands run against them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.packs = home / "demo"
        self.quiet = False  # whether commands run without being printed
        self.listening: dict[str, str] = {}
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            "TONNE_HOME": str(home),
            "TONNE_CONSOLE_MAP": str(shipped("catalog/haiphong/base.geojson")),
            "TONNE_CONSOLE_SIMULATED": "true",
        }

    @property
    def metrics(self) -> str:
        """Return the address of the pipeline's metrics; `host:port`."""
        return self.listening["run"]

    @property
    def api(self) -> str:
        """Return the address of the API; `host:port`."""
        return self.listening["api"]

    def tonne(self, *words: str, visible: bool = True, code: int = 0) -> str:
        """
        Return the output of a command that was run to its end.

        Raises InputError with the command's error text, if it does not end with `code`.
        """
        self._show(words, visible=visible)
        ended, out, err = forked(words, self._environment)
        if ended != code:
            output = f"{out}{err}".strip()
            raise InputError(f"`tonne {' '.join(words)}` ended with exit code {ended}: {output}")
        return out

    def _show(self, words: Sequence[str], *, visible: bool = True) -> None:
        if visible and not self.quiet:
            click.secho(f"$ tonne {' '.join(words)}", bold=True)

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a `tonne` command in the background, and return its process."""
        self._show(words)
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            [sys.executable, "-m", "services.cli", *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str, visible: bool = True) -> Any:
        """Return the parsed output of a command run with --json."""
        return json.loads(self.tonne(*words, "--json", visible=visible))

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Yield a command in the background, its log in the demo's folder; stop it at the end."""
        click.secho(f"$ tonne {' '.join(words)} &", bold=True)
        argv, log = [sys.executable, "-m", "services.cli", *words], self.packs / f"{words[0]}.log"
        if words[0] in LISTENS:
            process, bind = begin(argv, self._environment, LISTENS[words[0]], log)
            self.listening[words[0]] = bind
            scraper = Prometheus(self.home)
            if scraper.pid is not None:
                scraper.watch({words[0]: bind})
        else:
            process = start(argv, self._environment, log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()  # the process stores what it has received; a slow machine needs longer


def brief(text: str, lines: int = 1) -> None:
    """Print the last lines of a command's output."""
    for line in [text_line for text_line in text.splitlines() if text_line.strip()][-lines:]:
        click.echo(f"  {line.rstrip()}")


_LAST = "SELECT max(start) FROM interval_quantity WHERE start >= %s AND start < %s"
_DAY_S = 86_400
CATALOG = shipped("catalog/haiphong")
RECORDING = shipped("data/nrel_rsf2_inverter_15min.csv")
REPLAYED = "nrel-rsf2-inv2"
FAULTS = "duplicates=0.01,disorder=0.02,late=0.01,dropout=0.002,garbage=0.001"
# start and end of the recording, with its noon shifted to that of Hai Phong
REPLAY_SPAN = ("2022-01-01T22:00:00+07:00", "2022-01-06T22:00:00+07:00")
# number of simulated days, which end yesterday; a day is sealed 24 hours after its end, so the last
# one is not in the statements yet
DAYS = 31
# faulty devices, and how many days ago the fault began: a charger whose buses charge elsewhere, and
# a chiller that stops sending
STUCK, SILENT = ("hp-charger-3", 9), ("hp-chiller-2", 2)
# after a longer pause, the live registers would add millions of interval rows
_LONGEST_STEP = timedelta(days=7)
_LOOK_S = 5.0
# minutes without progress before an error: on a slow machine one commit of ten thousand messages
# takes long
_SILENT_MIN = 15


class Fleet(NamedTuple):
    """The demo's catalog with shifted dates, and its devices."""

    registry: Path
    month: Month  # month of the statements

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
        """Return the arguments of `tonne simulate`, for a simulated month and for live devices."""
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

        `begin`, `end`: RFC 3339.
        """
        first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
        with bar("days", (last - first).total_seconds() / _DAY_S) as progress:

            def show() -> None:
                progress.set_step(f"{self.line()}; days")
                progress.at(self._days(first, last))

            yield show

    def line(self) -> str:
        """Return a line with the number of messages stored so far."""
        return f"{self._messages():,.0f} messages stored in all"

    def _days(self, first: datetime, last: datetime) -> float:
        """Return the days from `first` to the last interval stored until `last`; 0 without any."""
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
    status = stage.json("local", "status", visible=False)
    with closing(Progress(status, stage.metrics)) as progress:
        for words, span in (
            (replay, REPLAY_SPAN),
            (month, (begins(fleet.month.first), begins(fleet.today))),
        ):
            send_group(stage, (*words, *patient), pipeline, progress, span)


def send_group(
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
                # the query takes a tenth of the time at most
                pause_s = max(0.5, 9 * (time.monotonic() - looked))
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
