"""
The command `tonne`: options of commands without a server, and the table of all commands.

Options are groups, choices, times, `--json` and pack size limits; the table has the headings of
`tonne --help`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from ingest.errors import did_you_mean
from mrv import countries
from mrv.packs import LARGE, USUAL, Budget


def _known(context: click.Context, option: click.Parameter, code: str | None) -> str | None:
    del context, option
    if code is not None and code.upper() not in countries.known():
        raise click.BadParameter(
            f"{code!r} is not a country; enter its two letters of ISO 3166-1, such as KE or DE"
        )
    return None if code is None else code.upper()


def _grid(context: click.Context, option: click.Parameter, code: str | None) -> str | None:
    first, dot, area = (code or "").partition(".")
    country = _known(context, option, first or None)
    grids = countries.grids(country)
    if dot and area not in grids:
        known = ", ".join(f"{country}.{name}" for name in grids) or country
        raise click.BadParameter(f"{code!r} is not a grid of {country}; known: {known}")
    return country and country + dot + area


_HELP = "Country of the project (ISO 3166-1, such as DE); selects the grid factor"
country_option = click.option(
    "--country",
    metavar="CODE",
    callback=_grid,
    help=f"{_HELP}; CODE.GRID, such as ID.jamali, if the country has several grids.",
)
needed_country = click.option(
    "--country", metavar="CODE", callback=_known, required=True, help=f"{_HELP}."
)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Group(click.Group):
    """Command group that suggests the nearest name for a mistyped command, also in subgroups."""

    group_class = type

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command named by the first argument."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = did_you_mean(args[0], self.list_commands(ctx))
            if near and not args[0].startswith("-"):
                error.message = f"{error.message} {near[:1].upper()}{near[1:]}"
            raise


class Choice(click.Choice[str]):
    """Choice option that suggests the nearest word for a mistyped one."""

    def __init__(self, choices: Sequence[str]) -> None:
        super().__init__(choices)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the chosen word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = did_you_mean(str(value), map(str, self.choices))
            error.message = f"{error.message} {near[:1].upper()}{near[1:]}".rstrip()
            raise


class Moment(click.ParamType):
    """Command-line type of an RFC 3339 time with offset."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the time of an RFC 3339 text."""
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            time = None
        if time is None or time.tzinfo is None:
            self.fail(
                f"{value!r} is not a time with offset; write 2026-01-31T08:00:00Z", param, ctx
            )
        return time.astimezone(UTC)


def pack_budget(*, large: bool = False) -> Budget:
    """Return the size limit for an evidence pack; `large` raises it for packs of a known origin."""
    from services.settings import Settings  # noqa: PLC0415 - `verify` needs nothing else of it

    return LARGE if large or Settings().large_packs else USUAL


class Entry(NamedTuple):
    """Module path of a command below `services.cli`, and its one-line description."""

    where: str
    does: str


SECTIONS = {
    "First steps": {
        "demo": Entry("local.demo:demo", "Complete demonstration, from meter to verified tonne."),
        "local": Entry("local.servers:local", "Start and stop local servers."),
        "doctor": Entry(
            "local.doctor:doctor", "Check the installation and explain how to correct it."
        ),
        "migrate": Entry("columnstore:migrate", "Bring the database schema up to date."),
        "simulate": Entry("local.simulate:simulate", "Simulated or replayed field devices."),
    },
    "Registry": {
        "registry": Entry("registry.registry:registry", "Sites, devices and projects."),
        "est": Entry(
            "registry.credentials:est", "Server that issues certificates to devices (EST)."
        ),
        "devices": Entry(
            "registry.devices:devices", "Registered and unknown devices, and their data."
        ),
        "sewer": Entry("registry.sewer:sewer", "Sewers: pipes, manholes and their history."),
        "plan": Entry("registry.plan:plan", "A project's monitoring plan and its diagram."),
        "invoice": Entry("registry.plan:invoice", "Invoices used to cross-check meters."),
        "factors": Entry(
            "registry.factors:factors", "Published factors, and the effect of changes."
        ),
        "programme": Entry("registry.programme:programme", "Targets and progress by action."),
    },
    "Pipeline": {
        "run": Entry("run:run", "The pipeline: MQTT to TimescaleDB."),
        "edge": Entry("edge:edge", "A gateway in the field: stores and forwards."),
        "bridge": Entry("topics:bridge", "MQTT to Kafka, for more than one machine."),
        "worker": Entry("worker:worker", "Kafka to TimescaleDB, for more than one machine."),
        "topics": Entry("topics:topics", "The Kafka topic of bridges and workers."),
        "broker": Entry("broker:broker", "Access rules of a broker, for devices."),
    },
    "Data": {
        "intervals": Entry("quality:intervals", "Stored quantities and emissions."),
        "indicators": Entry("quality:indicators", "Stored air, noise and water."),
        "quality": Entry("quality:quality", "Unusual values in stored readings."),
        "signed": Entry(
            "statements.signed:signed", "Values signed by meters; rows signed by suppliers."
        ),
        "deadletter": Entry("dead_letters:deadletter", "Rejected messages and their reasons."),
        "rebuild": Entry("columnstore:rebuild", "Recalculate derived rows from raw readings."),
        "columnstore": Entry("columnstore:columnstore", "Compress old chunks of the database."),
        "archive": Entry("archive:archive", "Archive sealed days as Parquet files, and restore."),
    },
    "Statements and verification": {
        "period": Entry("statements.period:period", "Close a monitoring period."),
        "statement": Entry(
            "statements.statement:statement", "Sign, verify, issue and export statements."
        ),
        "submission": Entry(
            "statements.period:submission", "Completeness check before submission."
        ),
        "verify": Entry("statements.verify:verify", "Check a statement or evidence pack, offline."),
        "export": Entry("statements.export:export", "Files for registries and authorities."),
        "units": Entry("statements.units:units", "Units after issue: transfers, cancellations."),
        "certificates": Entry(
            "statements.units:certificates", "Certificates of energy, without double claiming."
        ),
        "log": Entry("statements.log:log", "Seal each day in the log, and audit the seals."),
        "timestamp": Entry(
            "statements.timestamp:timestamp", "Time stamps of external authorities (RFC 3161)."
        ),
        "keys": Entry("statements.keys:keys", "Signing keys of operator and verifier."),
        "trust": Entry(
            "statements.trust:trust", "Trusted keys of a programme, signed and versioned."
        ),
    },
    "Operation": {
        "alarms": Entry("alarms:alarms", "Alarms of the field, and their acknowledgement."),
        "webhooks": Entry("webhooks:webhooks", "Signed messages to other systems."),
        "api": Entry("api:api", "The REST API for auditors, and its keys."),
        "signer": Entry("run:signer", "Signs with the log's key on request."),
        "witness": Entry(
            "statements.timestamp:witness", "Cosign the logs of other operators as a witness."
        ),
        "watch": Entry("run:watch", "Metrics and audits of the database, for alerts."),
        "words": Entry("words:words", "Languages of pages and reports: add and check."),
    },
    "Calculate": {
        "rules": Entry(
            "calculate.rules:rules_", "Rules applied when a period is closed, explained."
        ),
        "evaluate": Entry(
            "calculate.evaluate:evaluate", "Calculate one methodology from given inputs."
        ),
        "estimate": Entry(
            "calculate.evaluate:estimate", "Estimate a planned system before it has meters."
        ),
        "indicator": Entry(
            "calculate.evaluate:indicator", "Air, water and noise indicators; no tonnes."
        ),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}
