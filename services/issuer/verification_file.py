"""
The verifier's report as a YAML file: a template with known data, and its parser.

Known data that are not the verifier's words are comments.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml

from ingest.errors import InputError
from mrv.documents.form import Form
from mrv.documents.statement import Claims
from mrv.documents.verification import ParameterVerified, RequirementVerified
from mrv.report.words import Words as Language
from mrv.statement.conditions import unmet
from mrv.statement.opinion import Words, known

_WIDTH = 96
_HEAD = """\
Verification of {}. Write in words, each with at least 20 characters, what was done and
found: `means` and `opinion` of each parameter and requirement, and the `reason` for which each
open finding is closed. `source` and `crossChecked` contain what is known. An unqualified opinion
needs all of it; a finding without a reason stays open, and the opinion must be qualified. Then:
tonne statement verify {} --report THIS-FILE --key NAME
--opinion .. --assurance .."""


class FindingClosed(Form):
    """Open finding of the statement, and the verifier's reason for closing it."""

    rule: str
    text: str
    reason: str = ""


class Report(Form, rename=None):
    """Content of the verifier's file."""

    statement: str
    parameters: tuple[ParameterVerified, ...] = ()
    requirements: tuple[RequirementVerified, ...] = ()
    findings: tuple[FindingClosed, ...] = ()


def template(claims: Claims) -> str:
    """Return the template of a statement's verification file."""
    return "\n".join(_lines(claims)) + "\n"


def _lines(claims: Claims) -> Iterator[str]:
    words, language = known(claims), Language("en")
    yield from _comment(_HEAD.format(claims.statement, claims.statement), "")
    yield f"statement: {_text(claims.statement)}"
    yield "parameters:"
    for parameter in words.parameters:
        yield from _row(
            {
                "parameter": parameter.parameter,
                **({} if parameter.device is None else {"device": parameter.device}),
                "means": "",
                "source": parameter.source,
                "crossChecked": parameter.cross_checked,
                "opinion": "",
            }
        )
    yield "requirements:"
    for each in words.requirements:
        yield from _comment(language[f"requirement.{each.requirement}"], "  ")
        yield from _row({"requirement": each.requirement, "means": "", "opinion": ""})
    open_ = unmet(claims)
    yield "findings:" if open_ else "findings: []"
    for result in open_:
        cost = f", {result.tonnes} t" if result.tonnes else ""
        yield from _comment(f"{result.severity}{cost}", "  ")
        yield from _row({"rule": result.rule, "text": str(result), "reason": ""})


def _row(keys: dict[str, str]) -> Iterator[str]:
    for place, (key, value) in enumerate(keys.items()):
        yield f"  {'- ' if place == 0 else '  '}{key}: {_text(value)}"


def _text(text: str) -> str:
    # a JSON string is a YAML string as well
    return json.dumps(text, ensure_ascii=False)


def _comment(text: str, indent: str) -> Iterator[str]:
    for line in text.splitlines():
        for part in textwrap.wrap(line, _WIDTH):
            yield f"{indent}# {part}"


def read(path: Path, claims: Claims) -> Words:
    """
    Return the content of a verifier's file for a statement.

    Raises InputError if it has another form, is of another statement, or lists other findings.
    """
    try:
        safe_load = yaml.safe_load(path.read_text("utf-8-sig"))
        report = msgspec.convert(safe_load, Report)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, msgspec.ValidationError) as error:
        raise InputError(
            f"{path} is not a verification report: {error}; start from `tonne statement template`"
        ) from error
    if report.statement != claims.statement:
        raise InputError(
            f"{path} is the report on {report.statement!r}, not on {claims.statement}; pass "
            "the report on the latter"
        )
    stated = [(finding.rule, finding.text) for finding in report.findings]
    if stated != [(item.rule, str(item)) for item in unmet(claims)]:
        raise InputError(
            f"{path} lists other findings than {claims.statement} has; get them by"
            f" `tonne statement template {claims.statement}`"
        )
    reasons = tuple(finding.reason for finding in report.findings)
    return Words(report.parameters, report.requirements, reasons)
