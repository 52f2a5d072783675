"""
Command `tonne demo`: from a meter's message to an issued statement.

Each step is an ordinary command, printed before it runs in a folder of its own. Statements are
closed, signed by two keys, issued, and verified as an auditor would.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from shutil import which
from typing import Any

import click

from ingest.errors import InputError, ServerError
from mrv.documents import read
from mrv.documents.statement import Claims
from mrv.report.words import Words
from services.api.client import Client
from services.cli.local.demo_stage import Fleet, Stage, brief, fleet_of, send, stay, warm
from services.cli.output import Exit, masked
from services.local.grafana import grafana_home
from services.settings import Settings

# project, first local day, day after the last one
REAL = ("nrel-pv", "2022-01-02", "2022-01-07")
SIMULATED = ("nck-pv", "cat-ba-ebus")  # statements of the month that ends the day before yesterday
_REFUSAL = 3  # number of lines printed of an error
DUTY = timedelta(weeks=52)
KEYS = {"operator": "demo-operator", "verifier": "demo-verifier"}
# holders of the demo's keys, and the limits of each key
BOUNDS = {
    "operator": (
        *("--organisation", "Demo Energy JSC"),
        *(word for project in (REAL[0], *SIMULATED) for word in ("--project", project)),
    ),
    "verifier": ("--organisation", "Demo Verification Ltd", "--accreditation", "DEMO-1"),
}
OPINION = ("--opinion", "unqualified", "--assurance", "reasonable")
# the verifier's entries in the template; without a justification, which is refused while a finding
# is open
WORDS = {
    "means": "demonstration: readings computed again, certificates and documents compared",
    "opinion": "demonstration: what is stated agrees with the readings and the documents",
    "crossChecked": "demonstration: no other source measures this value",
}
RING = "keys.json"
_ADDRESS = re.compile(r"  public_url: .*\n?")
# what a statement of version 0.1.0 lacks: a written justification, and seals of its days
OF_0_1_0 = ("--accept", "unmet-conditions", "--accept", "unsealed-days")


def account(stage: Stage, project: str, first: str, end: str) -> dict[str, Any]:
    """
    Return the figures of a period's statement after closing, issuing with two keys and verifying
    its pack.

    A statement issued by an earlier run is kept and verified again.
    """
    ensure_keys(stage)
    # the steps are printed for the first project only, as they are the same for all
    stage.quiet = project != REAL[0]
    click.secho(f"{project}, {first} to {end}", fg="green")
    listed = stage.json("statement", "list", visible=False)
    issued = [s["statement"] for s in listed if (s["project"], s["state"]) == (project, "issued")]
    name = issued[-1] if issued else close_and_issue(stage, project, first, end)
    pack = stage.packs / name
    shutil.rmtree(pack, ignore_errors=True)
    stage.tonne("statement", "export", name, "--out", str(pack))
    checked(stage, project, pack, earlier=bool(issued))
    statement = stage.json("statement", "show", name, visible=False)
    return {"statement": name, "state": statement["state"], "pack": pack, **statement["document"]}


def checked(stage: Stage, project: str, pack: Path, *, earlier: bool) -> None:
    """
    Verify a pack as an auditor, with and without trusted keys, and print the result.

    The first statement's verification is printed completely, the others' only by result.
    """
    ring, status = stage.packs / RING, stage.packs / f"status-{project}.json"
    stage.tonne(
        "statement", "status-list", project, "--key", KEYS["operator"], "--out", str(status)
    )
    # the file of keys also contains the status lists of all earlier projects, so that it alone is
    # sufficient
    lists = [
        word
        for path in sorted(stage.packs.glob("status-*.json"))
        for word in ("--status", str(path))
    ]
    stage.tonne("keys", "export", *lists, "--out", str(ring))
    given = ("verify", str(pack), "--keys", str(ring))
    try:
        output = stage.tonne(*given)
    except InputError:
        if not earlier:
            raise
        output = stage.tonne(*given, *OF_0_1_0)
    lines = output.splitlines()
    brief(lines[-1].partition(", on the grounds")[0] if stage.quiet else output, lines=len(lines))
    if not stage.quiet:
        click.echo("Without trusted keys the verification is incomplete:")
    refused = stage.tonne("verify", str(pack), code=Exit.NOT_ENOUGH)
    if not stage.quiet:
        brief(refused, lines=_REFUSAL)


def close_and_issue(stage: Stage, project: str, first: str, end: str) -> str:
    """Return the id of a period's statement after it was signed, verified and issued."""
    # sealed now, as `tonne run` seals only once an hour
    brief(stage.tonne("log", "seal", "--project", project, "--to", end))
    closed = stage.json("period", "close", project, "--from", first, "--to", end)
    name: str = closed["statement"]
    report = str(stage.packs / f"verification-{name}.yaml")
    steps = {
        "draft": ("submit", "--key", KEYS["operator"]),
        "submitted": ("verify", "--key", KEYS["verifier"], *OPINION, "--report", report),
        "verified": ("issue",),
    }
    state = closed["state"]
    while state in steps:
        step, *signer = steps[state]
        if step == "verify":
            written(stage, name, Path(report))
        stage.tonne("statement", step, name, *signer)
        state = stage.json("statement", "show", name, visible=False)["state"]
    return name


def written(stage: Stage, name: str, report: Path) -> None:
    """Write the verifier's report of statement `name`, completed with example texts."""
    report.parent.mkdir(parents=True, exist_ok=True)
    stage.tonne("statement", "template", name, "--out", str(report))
    text = report.read_text("utf-8")
    for key, words in WORDS.items():
        text = text.replace(f'{key}: ""', f'{key}: "{words}"')
    report.write_text(text, "utf-8")


def ensure_keys(stage: Stage) -> None:
    """Create the operator's and the verifier's key unless they exist."""
    for role, name in KEYS.items():
        if not (stage.home / "keys" / f"{name}.json").exists():
            stage.tonne("keys", "create", "--role", role, "--name", name, *BOUNDS[role])


def summary(figures: list[dict[str, Any]]) -> None:
    """Print a table of the statements' figures."""
    click.secho("Statements", fg="green")
    for figure in figures:
        claims = read(Claims, figure["credentialSubject"], figure["statement"])
        tonnes = claims.emissions
        click.echo(f"  {figure['statement']}  {figure['state']}, credited {claims.credited.t} t")
        click.echo(
            f"    baseline {tonnes.baseline.t} t - project {tonnes.project.t} t"
            f" - leakage {tonnes.leakage.t} t = {tonnes.reduction.t} tCO2e,"
            f" coverage {Words('en').percent(claims.coverage)}"
        )


def look(stage: Stage) -> None:
    """Print the locations of files and URLs of servers."""
    click.secho("Where to look", fg="green")
    click.echo(f"  {'console':13} http://{stage.api}/")
    click.echo(f"  {'api':13} http://{stage.api}/v1/openapi.json")
    click.echo(f"  {'metrics':13} http://{stage.metrics}/metrics")
    for name, url in stage.json("local", "status", visible=False).items():
        if name.endswith("_url") and url:
            click.echo(f"  {name:13} {masked(url)}")


def what_next(stage: Stage) -> None:
    """Print suggested next commands."""
    pack = next(iter(sorted(stage.packs.glob("TN-*"))), stage.packs)
    tonne = _program()
    steps = {
        f"{tonne} demo --resume": "the console again, without replaying data",
        f"{tonne} verify {_short(pack)} --keys {_short(stage.packs / RING)}": "an auditor's check",
        f"{tonne} registry template --country VN > mine.yaml": "a registry file for your own plant",
        f"{tonne} --help": "all commands",
    }
    click.secho("What to do next", fg="green")
    width = max(map(len, steps))
    for command, does in steps.items():
        click.echo(f"  {command:<{width}}  {does}")


def _program() -> str:
    """Return the command to type for `tonne`: a full path if it is not on PATH."""
    ours = Path(sys.executable).with_name("tonne")
    return "tonne" if which("tonne") or not ours.exists() else str(_short(ours))


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@click.command()
@click.option("--once", is_flag=True, help="End when everything is verified, and stop the servers.")
@click.option(
    "--resume", is_flag=True, help="Start servers, API and console of an earlier demo again."
)
def demo(*, once: bool, resume: bool) -> None:
    """
    Run a complete demonstration: replay a real inverter, simulate a fleet, close, sign and verify a
    period.

    All input data come with tonne; all output stays in TONNE_HOME. The simulated days end
    yesterday; a charger and a chiller fail during them. With --resume an earlier demo continues:
    its past days are not sent again. If Grafana is installed, or GRAFANA_HOME names it, its
    dashboards are served too.

    \b
    Example:
      tonne demo --once
      tonne demo --resume
    """
    if once and resume:
        raise click.UsageError("use --once or --resume, not both")
    stage = Stage(Settings().home.absolute())
    if resume and not any(stage.packs.glob("TN-*")):
        raise InputError(f"no demo was run in {stage.home}; run `tonne demo` first")
    stage.packs.mkdir(parents=True, exist_ok=True)
    warm("local", "migrate", "registry", "invoice", "log", "period", "statement", "keys", "verify")
    boards = ["--grafana"] if grafana_home() else []
    brief_servers(stage.tonne("local", "up", "--no-kafka", *boards))
    try:
        brief(stage.tonne("migrate"))
        if resume:
            again(stage, fleet_of(stage))
        else:
            first(stage, fleet_of(stage), once=once)
    finally:
        brief(stage.tonne("local", "down"))
    if once:
        what_next(stage)


def first(stage: Stage, fleet: Fleet, *, once: bool) -> None:
    """Run a new demo: register devices, send readings, close periods, serve the API."""
    brief(stage.tonne("registry", "import", str(fleet.registry)), lines=2)
    brief(stage.tonne("invoice", "import", str(fleet.invoices)))
    days = (fleet.month.first.isoformat(), fleet.month.end.isoformat())
    periods = (REAL, *((project, *days) for project in SIMULATED))
    with stage.running("run") as process, stage.running("api") as api:
        reach(stage, fleet)
        send(stage, process, fleet)
        figures = [account(stage, *period) for period in periods]
        served(stage, api, figures)
        on_duty(stage, fleet)
        summary(figures)
        if not once:
            look(stage)
            what_next(stage)
            stay(stage, fleet)


def reach(stage: Stage, fleet: Fleet) -> None:
    """Register the API's current address, to which the QR code of certificates links."""
    path = fleet.registry / "programme.yaml"
    text = _ADDRESS.sub("", path.read_text("utf-8"))
    path.write_text(f"{text.rstrip()}\n  public_url: http://{stage.api}\n", "utf-8")
    stage.tonne("registry", "import", str(path), visible=False)


def on_duty(stage: Stage, fleet: Fleet) -> None:
    """Register example alarm contacts and duty times; without a mail server none is notified."""
    contact = "control-room"
    if not stage.json("alarms", "contacts", "list", visible=False):
        to = ("--address", f"mailto:{contact}@example.org")
        stage.tonne("alarms", "contacts", "add", contact, *to, visible=False)
        days = [fleet.today.isoformat(), (fleet.today + DUTY).isoformat()]
        stage.tonne("alarms", "duty", contact, "--from", days[0], "--to", days[1], visible=False)


def again(stage: Stage, fleet: Fleet) -> None:
    """Serve the data of an earlier demo."""
    with stage.running("run"), stage.running("api"):
        reach(stage, fleet)
        look(stage)
        stay(stage, fleet)


def brief_servers(text: str) -> None:
    """Print the running servers from the status table."""
    cells = [line.split() for line in text.splitlines()]
    names = [words[0] for words in cells if words[1:2] == ["up"]]
    click.echo(f"  {', '.join(names)} are up")


def served(stage: Stage, api: subprocess.Popen[bytes], figures: list[dict[str, Any]]) -> None:
    """
    Check that the API returns the same statements as the packs.

    Raises ServerError or InputError if the API does not answer, or returns something else.
    """
    if api.poll() is not None:
        raise ServerError(f"tonne api stopped; see {stage.packs / 'api.log'}")
    with Client(f"http://{stage.api}") as client:
        for figure in figures:
            name = figure["statement"]
            if client.document(name) != (figure["pack"] / "statement.json").read_bytes():
                raise InputError(
                    f"statement {name} of the API differs from {figure['pack']}; see "
                    f"{stage.packs / 'api.log'}"
                )
            client.status(name)
    click.echo(f"the API returns the same statements: http://{stage.api}/v1/statements")
