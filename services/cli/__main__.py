"""
Entry point of the command `tonne`.

A subcommand's module is imported when it is called, because drivers and the Parquet library take
longer to import than most commands take to run.
"""

from __future__ import annotations

import atexit
import gc
import os
import select
import sys
from importlib import import_module

import click
from click.shell_completion import CompletionItem

from services.cli import COMMANDS, SECTIONS, Group
from services.cli.output import Exit, explain, masked

_STDOUT = 1


def reader_is_gone() -> bool:
    """Return whether standard output was closed by its reader, such as `head`."""
    poll = select.poll()
    poll.register(_STDOUT, 0)  # errors and hang-ups are reported without being requested
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


def discard_output() -> None:
    """Discard remaining buffered output, so that Python reports no error at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, _STDOUT)
    os.close(nowhere)
    sys.stdout.flush()


# matrices are small: threads of BLAS would wait for each other on a busy machine and use several
# times the processor time
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# the process ends and frees its memory: a last garbage collection would take 0.2 s
atexit.register(gc.freeze)

__all__ = ["COMMANDS", "main"]


class LazyGroup(Group):
    """Command group that imports a command's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the command names in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command after importing its module; None for an unknown name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].where.partition(":")
        command = getattr(import_module(f"services.cli.{module}"), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name].where} is not a click command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings, without importing them."""
        del ctx
        widest = max(map(len, COMMANDS))
        for heading, commands in SECTIONS.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{n:<{widest}}", e.does) for n, e in commands.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return command names for shell completion, without importing the commands."""
        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [
            CompletionItem(name, help=entry.does)
            for name, entry in COMMANDS.items()
            if name.startswith(incomplete)
        ]

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; print an expected error as one sentence and exit with its code."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except click.ClickException as error:
            error.message = masked(error.message)
            raise
        except (Exception, KeyboardInterrupt) as error:
            if isinstance(error, BrokenPipeError) and reader_is_gone():
                discard_output()
                ctx.exit(Exit.PIPE)
            known = explain(error)
            if known is None:
                raise
            code, sentence = known
            click.echo(f"tonne: {masked(sentence)}", err=True)
            ctx.exit(code)
        return result


def _version(ctx: click.Context, _: click.Parameter, requested: bool) -> None:
    if requested:
        from mrv.program import program  # noqa: PLC0415 - reads every file of the program

        click.echo(program())
        ctx.exit()


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "show_default": True}
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
    help="Show the version and the digest of the program, and exit.",
)  # fmt: skip
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
      4  consistent but incomplete: not sufficient to rely on (verify, signed, monitor)

    \b
    Completion of commands and options by the Tab key:
      eval "$(_TONNE_COMPLETE=bash_source tonne)"     # or zsh_source, fish_source
    """


if __name__ == "__main__":
    main()
