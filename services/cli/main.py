"""
The command `tonne`.

A subcommand's module is loaded when it is called: the driver of a broker or a
Parquet reader takes longer to import than most commands take to run.
"""

from importlib import import_module
from typing import NamedTuple

import click

from services.cli.errors import explain


class Entry(NamedTuple):
    """Where a command lives, below `services.cli`, and what it does in one line."""

    where: str
    does: str


COMMANDS = {
    "demo": Entry("local.demo:demo", "The whole road, from meter to verified tonne."),
    "local": Entry("local.servers:local", "Start and stop local servers."),
    "doctor": Entry("local.doctor:doctor", "What is missing or misconfigured, and the fix."),
    "migrate": Entry("data.migrate:migrate", "Bring the database schema up to date."),
    "registry": Entry("registry.registry:registry", "Sites, devices and projects."),
    "sewer": Entry("registry.sewer:sewer", "Sewers: pipes, manholes, their history."),
    "devices": Entry("registry.devices:devices", "Who is heard, who knocks, what arrives."),
    "broker": Entry("pipeline.broker:broker", "A broker that knows who is who."),
    "plan": Entry("registry.plan:plan", "A project's monitoring plan and its diagram."),
    "invoice": Entry("registry.invoice:invoice", "Documents that meters are held against."),
    "run": Entry("pipeline.run:run", "The pipeline: MQTT to TimescaleDB."),
    "topics": Entry("pipeline.topics:topics", "The Kafka topic of bridges and workers."),
    "edge": Entry("pipeline.edge:edge", "A gateway in the field: records and forwards."),
    "bridge": Entry("pipeline.bridge:bridge", "Past one machine: MQTT to Kafka."),
    "worker": Entry("pipeline.worker:worker", "Past one machine: Kafka to TimescaleDB."),
    "watch": Entry("pipeline.watch:watch", "Gauges and audits of the database, for alerts."),
    "api": Entry("api:api", "The REST API for auditors, and its keys."),
    "simulate": Entry("local.simulate:simulate", "Field devices, made up or replayed."),
    "intervals": Entry("data.intervals:intervals", "Stored quantities and emissions."),
    "indicators": Entry("data.indicators:indicators", "Stored air, noise and water."),
    "quality": Entry("data.quality:quality", "What is unusual in stored readings."),
    "evaluate": Entry("calculate.evaluate:evaluate", "One methodology on given inputs."),
    "estimate": Entry("calculate.estimate:estimate", "A planned system, before its meters."),
    "indicator": Entry("calculate.indicator:indicator", "Air, water and noise: no carbon."),
    "factors": Entry("registry.factors:factors", "Published factors, and what they change."),
    "programme": Entry("registry.programme:programme", "Targets and progress by action."),
    "period": Entry("statements.period:period", "Close a monitoring period."),
    "statement": Entry("statements.statement:statement", "The life of a statement."),
    "verify": Entry("statements.verify:verify", "Check a statement or evidence pack, offline."),
    "log": Entry("statements.log:log", "Seal what was measured, and audit the seals."),
    "trust": Entry("statements.trust:trust", "Whom a programme trusts, signed and versioned."),
    "keys": Entry("statements.keys:keys", "Signing keys of operator and verifier."),
    "rebuild": Entry("data.rebuild:rebuild", "Derived rows again from raw readings."),
    "archive": Entry("data.archive:archive", "Sealed days to Parquet files, and back."),
    "signed": Entry("statements.signed:signed", "What meters signed, as evidence."),
    "deadletter": Entry("data.dead_letters:deadletter", "What was refused, and why."),
}


class LazyGroup(click.Group):
    """A group whose commands are names in a table until one is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return names in the table's order, which is the order of work."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].where.partition(":")
        command = getattr(import_module(f"services.cli.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name].where} is no click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.does) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run, and turn expected errors into a sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            known = explain(error)
            if known is None:
                raise
            code, sentence = known
            click.echo(f"tonne: {sentence}", err=True)
            ctx.exit(code)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tonne", prog_name="tonne")
def main() -> None:
    """
    From a field meter's MQTT message to a verified tonne of avoided CO2.

    \b
    Example:
      tonne local up && tonne migrate && tonne run

    \b
    Exit codes:
      0  done
      1  the thing checked is false
      2  bad usage or input
      3  a server cannot be reached
    """


if __name__ == "__main__":
    main()
