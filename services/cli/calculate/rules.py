"""Command `tonne rules`: the rules applied when a period is closed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar, get_args

import click
import msgspec

from mrv.rules import STAGES, Rule, Severity, code_words, rule, rules, words
from mrv.texts import languages, sourced
from services.cli import Choice, Group, json_option
from services.cli.output import table

F = TypeVar("F", bound=Callable[..., Any])
_HEAD = ("id", "title", "severity", "stage", "effect")


def _language(*, default: str = "en") -> Callable[[F], F]:
    return click.option(
        "--lang", "language", type=Choice(languages()), default=default,
        show_default=True, help="Language of the texts.",
    )  # fmt: skip


@click.group("rules", cls=Group)
def rules_() -> None:
    """
    List and explain the rules that are applied when a monitoring period is closed.

    Each finding of a statement names the rule that raised it. The documentation page docs/rules.md
    has the same content.

    \b
    Example:
      tonne rules list --stage meter
      tonne rules show MTR-02 --lang vi
    """


@rules_.command("list")
@click.option("--stage", type=Choice(STAGES), help="Only rules of this stage; default: all.")
@click.option(
    "--severity", type=Choice(get_args(Severity)), help="Only rules of this severity; default: all."
)
@_language()
@json_option
def list_(stage: str | None, severity: str | None, language: str, *, as_json: bool) -> None:
    """
    List the rules: id, title, severity, stage and effect.

    \b
    Example:
      tonne rules list --severity CAR
    """
    listed = [
        row
        for row in rules().values()
        if stage in {None, row.stage} and severity in {None, row.severity}
    ]
    if as_json:
        click.echo(json.dumps([_document(row, language) for row in listed], ensure_ascii=False))
        return
    cells = [
        [row.id, words(row.id, language).title, row.severity,
         code_words("stage", row.stage, language), described("effects", row.effects, language)]
        for row in listed
    ]  # fmt: skip
    click.echo(table(_HEAD, cells, empty="no rule has this stage and severity"))


@rules_.command()
@click.argument("name", metavar="RULE")
@_language()
@json_option
def show(name: str, language: str, *, as_json: bool) -> None:
    """
    Show a rule: what it checks, its effect and tolerance, and how a finding is resolved.

    \b
    Example:
      tonne rules show MTR-02
    """
    row = rule(name.upper())
    if as_json:
        click.echo(json.dumps(_document(row, language), ensure_ascii=False))
        return
    text = words(row.id, language)
    click.echo(f"{row.id}  {text.title}\n")
    click.echo(f"{text.checks}\n")
    lines = [
        ("severity", code_words("severity", row.severity, language)),
        ("stage", code_words("stage", row.stage, language)),
        ("effects", described("effects", row.effects, language)),
        ("asks", described("asks", row.asks, language)),
        ("tolerance", text.tolerance),
        ("needs", described("needs", row.needs, language)),
        ("remedy", text.remedy),
        ("source", sourced(row.source, language)),
        ("since", f"{row.since} +"),
    ]
    for label, value in lines:
        click.echo(f"{code_words('label', label, language)}: {value}")


def described(kind: str, codes: tuple[str, ...], language: str = "en") -> str:
    """Return the words of codes of a rule, separated by semicolons."""
    return "; ".join(code_words(kind, code, language) for code in codes)


def _document(row: Rule, language: str) -> dict[str, Any]:
    return {**msgspec.to_builtins(row), **msgspec.to_builtins(words(row.id, language))}
