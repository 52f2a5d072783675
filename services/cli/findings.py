"""`tonne statement finding`: what a verifier found, what was answered, how it was closed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, get_args

import click

from mrv.statement.findings import Kind
from services.cli.database import database_url
from services.issuer import accept, keys, steps
from services.issuer.findings import sign
from services.settings import Settings
from services.store.pool import connect

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

    from mrv.statement.findings import Record, What

_id = click.argument("id_", metavar="ID")
_name = click.argument("name", metavar="FINDING")
_key = click.option("--key", "key_name", required=True, metavar="N", help="Signer's key, by name.")
_text = click.option("--text", required=True, help="In words.")


@click.group()
def finding() -> None:
    """
    Raise, answer and close findings of a verification.

    The verifier raises and closes, the operator answers; each event is signed and
    stands in the verifier's credential and in the pack. While a CAR or a CL is open
    no opinion can be unqualified.

    \b
    Example:
      tonne statement finding add TN-.. --kind CAR --key auditor --text "no certificate of inv-2"
      tonne statement finding answer TN-.. CAR-1 --key plant --text "certificate C-7 imported"
      tonne statement finding close TN-.. CAR-1 --key auditor --text "seen" --effect 0
    """


@finding.command()
@_id
@click.option("--kind", type=click.Choice(get_args(Kind)), required=True,
              help="Corrective action, clarification, observation, forward action.")  # fmt: skip
@_key
@_text
@click.option("--effect", metavar="T", help="By how many tonnes the reduction is too high for it; "
              "negative where it is too low.")  # fmt: skip
def add(id_: str, kind: str, key_name: str, text: str, effect: str | None) -> None:
    """
    Raise a finding, as the verifier; the first puts the statement under verification.

    \b
    Example:
      tonne statement finding add TN-.. --kind CL --key auditor --text "which meter is main?"
    """
    _take(id_, key_name, ("raised", kind, text, effect))


@finding.command()
@_id
@_name
@_key
@_text
def answer(id_: str, name: str, key_name: str, text: str) -> None:
    """
    Answer a finding, as the operator.

    \b
    Example:
      tonne statement finding answer TN-.. CL-1 --key plant --text "the one with serial A1"
    """
    _take(id_, key_name, ("answered", name, text, None))


@finding.command()
@_id
@_name
@_key
@_text
@click.option("--effect", metavar="T", help="What of its effect remains in the statement; "
              "as it was where it is not given.")  # fmt: skip
def close(id_: str, name: str, key_name: str, text: str, effect: str | None) -> None:
    """
    Close a finding, as the verifier.

    \b
    Example:
      tonne statement finding close TN-.. CL-1 --key auditor --text "agreed" --effect 0
    """
    _take(id_, key_name, ("closed", name, text, effect))


@finding.command("list")
@_id
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(id_: str, *, as_json: bool) -> None:
    """
    List a statement's findings with their events.

    \b
    Example:
      tonne statement finding list TN-nck-pv-20260101-20260201-1
    """
    with _database() as conn:
        found = steps.records(conn, steps.documents(conn, id_))
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found], indent=2, ensure_ascii=False))
        return
    for one in found:
        click.echo("\n".join(_lines(one)))


def _lines(one: Record) -> list[str]:
    shown: dict[str, Any] = one.to_json()
    effect = "" if shown["effect_t"] is None else f", {shown['effect_t']} t"
    return [
        f"{one.name}  {one.state}{effect}",
        *(f"  {e.at}  {e.what} by {e.by}: {e.text}" for e in one.events),
    ]


def _take(id_: str, key_name: str, said: tuple[What, str, str, str | None]) -> None:
    signer = steps.Signer(*keys.load(Settings().home, key_name))
    with _database() as conn:
        event = accept.finding(conn, id_, sign(conn, id_, signer, said))
    click.echo(f"{event.finding} of {id_} is {event.what}, signed by {signer.holder.name}")


def _database() -> Connection[TupleRow]:
    return connect(database_url(), role="tonne_mrv", name="tonne statement", autocommit=True)
