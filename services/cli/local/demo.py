"""
`tonne demo`: the whole road, from a meter's message to a verified tonne.

Every step is a command that a user could type, run in a folder of its own
and shown before it runs.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ingest.errors import InputError, ServerError
from mrv.documents.form import read
from mrv.documents.statement import Claims
from services.api.client import Client
from services.cli.exit_codes import Exit
from services.cli.local.demo_listening import Listens, begin, start
from services.cli.local.demo_progress import Progress
from services.cli.output.masks import masked
from services.settings import Settings
from services.shipped import shipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REGISTRY = shipped("catalog/haiphong")
RECORDING = shipped("data/nrel_rsf2_inverter_15min.csv")
REPLAYED = "nrel-rsf2-inv2"
FAULTS = "duplicates=0.01,disorder=0.02,late=0.01,dropout=0.002,garbage=0.001"
# what both the month and the live devices are: the catalog, but for what is replayed
FLEET = (
    *("--fleet", str(REGISTRY), "--without", REPLAYED),
    *("--cadence", "15m", "--seed", "1"),
)
FLEET_FROM = "2026-01-01T00:00:00+07:00"
# project, first local day, first local day after
PERIODS = (
    ("nrel-pv", "2022-01-02", "2022-01-07"),
    ("nck-pv", "2026-01-01", "2026-02-01"),
    ("cat-ba-ebus", "2026-01-01", "2026-02-01"),
)
# when the recording, and the month, begin and end
REPLAY_SPAN = ("2022-01-02T00:00:00-07:00", "2022-01-07T00:00:00-07:00")
MONTH_SPAN = (FLEET_FROM, "2026-02-01T00:00:00+07:00")
_LOOK_S = 5.0
_REFUSAL = 3  # lines
LISTENS = {
    "run": Listens("TONNE_METRICS_BIND", 9464, "metrics"),
    "api": Listens("TONNE_API_BIND", 8080, "serving"),
}
KEYS = {"operator": "demo-operator", "verifier": "demo-verifier"}
# whose the keys are, and what they may sign
BOUNDS = {
    "operator": (
        *("--organisation", "Demo Energy JSC"),
        *(word for project, *_ in PERIODS for word in ("--project", project)),
    ),
    "verifier": ("--organisation", "Demo Verification Ltd", "--accreditation", "DEMO-1"),
}
OPINION = (
    *("--opinion", "unqualified", "--assurance", "reasonable"),
    *("--because", "a demonstration: no monitoring plan is registered for its projects"),
)
RING = "keys.json"
# What a statement of version 0.1.0 lacks: it was verified without a written reason, and
# no day had to be sealed before.
OF_0_1_0 = ("--accept", "unmet-conditions", "--accept", "unsealed-days")


class Stage:
    """A folder with servers, and commands run against them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.packs = home / "demo"
        self.quiet = False  # commands run without being shown
        self.listening: dict[str, str] = {}
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TONNE_")},
            "TONNE_HOME": str(home),
        }

    @property
    def metrics(self) -> str:
        """Where the pipeline answers Prometheus; `host:port`."""
        return self.listening["run"]

    @property
    def api(self) -> str:
        """Where the API is; `host:port`."""
        return self.listening["api"]

    def tonne(self, *words: str, shown: bool = True, code: int = 0) -> str:
        """
        Run a command to its end.

        Raises
        ------
        InputError
            With the command's own words, if it does not end with `code`.
        """
        process = self.start(*words, shown=shown)
        out, err = process.communicate()
        if process.returncode != code:
            said = f"{out}{err}".strip()
            raise InputError(f"`tonne {' '.join(words)}` ended with {process.returncode}: {said}")
        return out

    def start(self, *words: str, shown: bool = True) -> subprocess.Popen[str]:
        """Start a command."""
        if shown and not self.quiet:
            click.secho(f"$ tonne {' '.join(words)}", bold=True)
        return subprocess.Popen(  # noqa: S603 (our own interpreter and words)
            [sys.executable, "-m", "services.cli", *words],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str, shown: bool = True) -> Any:
        """Run a command with --json and read what it prints."""
        return json.loads(self.tonne(*words, "--json", shown=shown))

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """Command in the background, its log in the demo's folder, stopped cleanly at the end."""
        click.secho(f"$ tonne {' '.join(words)} &", bold=True)
        argv, log = [sys.executable, "-m", "services.cli", *words], self.packs / f"{words[0]}.log"
        if words[0] in LISTENS:
            process, self.listening[words[0]] = begin(
                argv, self._environment, LISTENS[words[0]], log
            )
        else:
            process = start(argv, self._environment, log)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


@click.command()
@click.option("--once", is_flag=True, help="End when everything is verified, and stop the servers.")
@click.option("--resume", is_flag=True, help="Servers, API and console of an earlier demo again.")
def demo(*, once: bool, resume: bool) -> None:
    """
    Replay a real inverter and simulate a fleet, then close, sign and verify.

    What is replayed and simulated comes with tonne; it all stays in TONNE_HOME.
    With --resume nothing is replayed: what an earlier demo stored is served again.

    \b
    Example:
      tonne demo --once
      tonne demo --resume
    """
    if once and resume:
        raise click.UsageError("--once or --resume, not both")
    stage = Stage(Settings().home.absolute())
    if resume and not any(stage.packs.glob("TN-*")):
        raise InputError(f"no demo was run in {stage.home}; run `tonne demo` first")
    stage.packs.mkdir(parents=True, exist_ok=True)
    brief_servers(stage.tonne("local", "up"))
    try:
        brief(stage.tonne("migrate"))
        if resume:
            again(stage)
        else:
            first(stage, once=once)
    finally:
        brief(stage.tonne("local", "down"))
    if once:
        what_next(stage)


def first(stage: Stage, *, once: bool) -> None:
    """Register, send, account, serve."""
    brief(stage.tonne("registry", "import", str(REGISTRY)), lines=2)
    with stage.running("run") as process, stage.running("api") as api:
        send(stage, process)
        figures = [account(stage, *period) for period in PERIODS]
        served(stage, api, figures)
        summary(figures)
        if not once:
            look(stage)
            what_next(stage)
            stay(stage)


def again(stage: Stage) -> None:
    """Serve what an earlier demo stored."""
    with stage.running("run"), stage.running("api"):
        look(stage)
        stay(stage)


def brief(text: str, lines: int = 1) -> None:
    """Print what matters of a command: its last lines."""
    for line in [one for one in text.splitlines() if one.strip()][-lines:]:
        click.echo(f"  {line.strip()}")


def brief_servers(text: str) -> None:
    """Print which servers of a table are up."""
    found = [line.split() for line in text.splitlines()]
    names = [words[0] for words in found if words[1:2] == ["up"]]
    click.echo(f"  {', '.join(names)} are up")


def send(stage: Stage, pipeline: subprocess.Popen[bytes]) -> None:
    """Let the devices speak, and show what arrives."""
    replay = ("simulate", "--replay", str(RECORDING), "--device", REPLAYED, "--speed", "max")
    month = (
        "simulate", *FLEET, "--start", FLEET_FROM,
        "--duration", "31d", "--speed", "max", "--faults", FAULTS,
    )  # fmt: skip
    status = stage.json("local", "status", shown=False)
    with closing(Progress(status, stage.metrics)) as progress:
        for words, span in ((replay, REPLAY_SPAN), (month, MONTH_SPAN)):
            send_one(stage, words, pipeline, progress, span)


def send_one(
    stage: Stage,
    words: Sequence[str],
    pipeline: subprocess.Popen[bytes],
    progress: Progress,
    span: tuple[str, str],
) -> None:
    """Let some devices speak to their end."""
    with stage.start(*words) as sending:
        with progress.bar(*span) as show:
            while sending.poll() is None:
                time.sleep(0.5)
                show()
                if pipeline.poll() is not None:
                    sending.terminate()
                    raise ServerError(f"tonne run ended early; see {stage.packs / 'run.log'}")
        out, err = sending.communicate()
    if sending.returncode:
        raise InputError(f"tonne simulate failed: {out}{err}")
    brief(out.splitlines()[0])
    click.echo(progress.line())


def account(stage: Stage, project: str, first: str, end: str) -> dict[str, Any]:
    """
    Close a period and bring its statement to issue, with two keys; verify the pack.

    A statement that an earlier run issued stays what it is, and is verified again.
    """
    ensure_keys(stage)
    stage.quiet = project != PERIODS[0][0]  # the others go the same way
    click.secho(f"{project}, {first} to {end}", fg="green")
    listed = stage.json("statement", "list", shown=False)
    issued = [s["statement"] for s in listed if (s["project"], s["state"]) == (project, "issued")]
    name = issued[-1] if issued else close_and_issue(stage, project, first, end)
    pack = stage.packs / name
    shutil.rmtree(pack, ignore_errors=True)
    stage.tonne("statement", "export", name, "--out", str(pack))
    checked(stage, project, pack, earlier=bool(issued))
    shown = stage.json("statement", "show", name, shown=False)
    return {"statement": name, "state": shown["state"], "pack": pack, **shown["document"]}


def checked(stage: Stage, project: str, pack: Path, *, earlier: bool) -> None:
    """Verify a pack as an auditor does, and show that without keys nothing is relied on."""
    ring, status = stage.packs / RING, stage.packs / f"status-{project}.json"
    stage.tonne("statement", "status-list", project, "--key", KEYS["operator"],
                "--out", str(status))  # fmt: skip
    # the ring keeps the lists of all projects so far: it alone is enough to verify by
    lists = [word for path in sorted(stage.packs.glob("status-*.json"))
             for word in ("--status", str(path))]  # fmt: skip
    stage.tonne("keys", "export", *lists, "--out", str(ring))
    given = ("verify", str(pack), "--keys", str(ring))
    try:
        brief(stage.tonne(*given))
    except InputError:
        if not earlier:
            raise
        brief(stage.tonne(*given, *OF_0_1_0))
    refused = stage.tonne("verify", str(pack), code=Exit.NOT_ENOUGH)
    if not stage.quiet:
        click.echo("Whoever gives no keys of their own is told that this is not enough:")
        brief(refused, lines=_REFUSAL)


def close_and_issue(stage: Stage, project: str, first: str, end: str) -> str:
    """Take a period's draft through the hands of operator and verifier."""
    # the sealer of `tonne run` would come to it within the hour
    until = date.fromisoformat(end) + timedelta(days=1)
    brief(stage.tonne("log", "seal", "--project", project, "--until", until.isoformat()))
    closed = stage.json("period", "close", project, "--from", first, "--to", end)
    name: str = closed["statement"]
    steps = {
        "draft": ("submit", "--key", KEYS["operator"]),
        "submitted": ("verify", "--key", KEYS["verifier"], *OPINION),
        "verified": ("issue",),
    }
    state = closed["state"]
    while state in steps:
        step, *signer = steps[state]
        stage.tonne("statement", step, name, *signer)
        state = stage.json("statement", "show", name, shown=False)["state"]
    return name


def ensure_keys(stage: Stage) -> None:
    """Make the two keys where the folder does not hold them yet."""
    for role, name in KEYS.items():
        if not (stage.home / "keys" / f"{name}.json").exists():
            stage.tonne("keys", "create", "--role", role, "--name", name, *BOUNDS[role])


def served(stage: Stage, api: subprocess.Popen[bytes], figures: list[dict[str, Any]]) -> None:
    """
    Ask the API for each statement, as anybody may; it gives what is in the pack.

    Raises
    ------
    ServerError, InputError
        Where the API is not up, or gives anything else.
    """
    if api.poll() is not None:
        raise ServerError(f"tonne api ended early; see {stage.packs / 'api.log'}")
    with Client(f"http://{stage.api}") as client:
        for one in figures:
            name = one["statement"]
            if client.document(name) != (one["pack"] / "statement.json").read_bytes():
                raise InputError(f"the API gives another {name} than the pack holds")
            client.status(name)
    click.echo(f"the API gives the same statements: http://{stage.api}/v1/statements")


def summary(figures: list[dict[str, Any]]) -> None:
    """Print the statements' figures."""
    click.secho("Statements", fg="green")
    for one in figures:
        said = read(Claims, one["credentialSubject"], one["statement"])
        tonnes = said.emissions
        click.echo(f"  {one['statement']}  {one['state']}, credited {said.credited.t} t")
        click.echo(
            f"    baseline {tonnes.baseline.t} t - project {tonnes.project.t} t"
            f" - leakage {tonnes.leakage.t} t = {tonnes.reduction.t} tCO2e,"
            f" coverage {said.coverage}"
        )


def look(stage: Stage) -> None:
    """Print where everything is."""
    click.secho("Where to look", fg="green")
    click.echo(f"  {'console':13} http://{stage.api}/")
    click.echo(f"  {'api':13} http://{stage.api}/v1/openapi.json")
    click.echo(f"  {'metrics':13} http://{stage.metrics}/metrics")
    for name, url in stage.json("local", "status", shown=False).items():
        if name.endswith("_url") and url:
            click.echo(f"  {name:13} {masked(url)}")


def what_next(stage: Stage) -> None:
    """Print what a person may do now."""
    pack = next(iter(sorted(stage.packs.glob("TN-*"))), stage.packs)
    steps = {
        "tonne demo --resume": "the console again, nothing is replayed",
        f"tonne verify {_short(pack)} --keys {_short(stage.packs / RING)}": "as an auditor does",
        "tonne registry template > mine.yaml": "a registry file for your own plant",
        "tonne --help": "all commands",
    }
    click.secho("What to do next", fg="green")
    width = max(map(len, steps))
    for command, does in steps.items():
        click.echo(f"  {command:<{width}}  {does}")


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


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
