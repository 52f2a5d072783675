"""`tonne log witnesses`: ask the configured witnesses to cosign the log's last head."""

from __future__ import annotations

import click

from ingest.errors import InputError
from services.cli.errors import Exit
from services.cli.options.database_url import database_url
from services.cli.options.json_option import json_option
from services.cli.output.counts import counted
from services.cli.output.json_text import print_json
from services.cli.output.table import table
from services.issuer.cosigning import Round, Witnesses, have_cosigned
from services.settings import Settings
from services.store.postgres.pool import connect


@click.command()
@json_option
def witnesses(*, as_json: bool) -> None:
    """
    Ask the witnesses of TONNE_WITNESS_POLICY to cosign the last head; show what each said.

    `tonne run` and `tonne watch --seal` ask by themselves. Ends with 4 where too few
    signed, with 1 where one of them saw another history of this log.

    \b
    Example:
      TONNE_WITNESS_POLICY=policy.txt tonne log witnesses
    """
    whom = Witnesses.by(Settings())
    if whom is None:
        raise InputError(
            "TONNE_WITNESS_POLICY is not set; name a file of `witness NAME VKEY URL` and"
            " `quorum NAME` lines"
        )
    url = database_url()
    with connect(url, role="tonne_mrv", name="tonne log witnesses", autocommit=True) as conn:
        done = have_cosigned(conn, whom)
    if as_json:
        print_json(
            {
                "size": done.size,
                "cosigned_by": done.names,
                "lacks": done.lacks,
                "asked": {
                    name: {"state": one.state, "why": one.why, "seconds": round(one.took_s, 3)}
                    for name, one in done.outcomes.items()
                },
            }
        )
    else:
        _show(done, whom)
    if done.contradicting:
        click.get_current_context().exit(Exit.FALSE)
    click.get_current_context().exit(Exit.DONE if done.lacks is None else Exit.NOT_ENOUGH)


def _show(done: Round, whom: Witnesses) -> None:
    rows = []
    for name, one in whom.policy.witnesses.items():
        found = done.outcomes.get(name)
        state = "cosigned" if name in done.names else found.state if found else "not asked"
        why = found.why if found is not None else "" if one.url else "the policy names no URL"
        rows.append((name, one.key.name, state, why))
    click.echo(table(("witness", "key", "state", "why"), rows, empty="the policy names no witness"))
    if done.lacks is None:
        click.echo(f"the head over {counted(done.size, 'entry')} is cosigned enough")
    else:
        click.echo(f"the head over {counted(done.size, 'entry')} lacks {done.lacks}")


def warn_of(done: Round | None) -> None:
    """Say on standard error what witnesses did not sign, where they were asked."""
    if done is None:
        return
    for line in done.said():
        click.echo(f"witness {line}", err=True)
    if done.lacks is not None:
        click.echo(
            f"the log's head over {counted(done.size, 'entry')} lacks {done.lacks}; `tonne run`"
            " and `tonne log witnesses` ask again",
            err=True,
        )
