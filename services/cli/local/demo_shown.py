"""What the demo prints at its end: figures, where to look, what to do next."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import Any

import click

from mrv.documents.form import read
from mrv.documents.statement import Claims
from services.cli.local.demo_stage import Stage
from services.cli.local.demo_statements import RING
from services.cli.output.masks import masked


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
    tonne = _program()
    steps = {
        f"{tonne} demo --resume": "the console again, nothing is replayed",
        f"{tonne} verify {_short(pack)} --keys {_short(stage.packs / RING)}": "as an auditor does",
        f"{tonne} registry template --country VN > mine.yaml": "a registry file for your own plant",
        f"{tonne} --help": "all commands",
    }
    click.secho("What to do next", fg="green")
    width = max(map(len, steps))
    for command, does in steps.items():
        click.echo(f"  {command:<{width}}  {does}")


def _program() -> str:
    """Return what to type for `tonne`: its path, where no PATH leads to it."""
    ours = Path(sys.executable).with_name("tonne")
    return "tonne" if which("tonne") or not ours.exists() else str(_short(ours))


def _short(path: Path) -> Path:
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
