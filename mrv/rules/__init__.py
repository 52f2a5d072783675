"""
Catalogue of rules applied when a period is closed, in addition to the methodologies' equations.

`rules.toml` has one row per rule, in the order of display; `words/` has a file per language with
title, check, tolerance and remedy, by the rule's id.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal, get_args

import msgspec

from mrv import texts
from mrv.documents.period_account import Remedy
from mrv.errors import RuleError
from mrv.texts import filled

Stage = Literal["registry", "issued", "range", "relation", "documented", "meter", "use",
                "service", "evidence", "values", "check"]  # fmt: skip
Severity = Literal["observation", "CL", "CAR"]
Effect = Literal["cap_baseline", "raise_project", "exclude", "set_aside", "no_reduction",
                 "choose_value", "remove_evidence", "report"]  # fmt: skip
STAGES: tuple[Stage, ...] = get_args(Stage)
# groups of codes for which each language has texts
CODES = ("label", "group", "stage", "severity", "effects", "asks", "needs")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """
    Rule of the catalogue: its stage, its effects, and how its finding is resolved.

    `severity`: severity if its tonnes are at least 0.5 % of the reduction.
    `asks`: codes of the conditions under which the rule applies.
    `needs`: codes of the evidence or entries that resolve a finding.
    `source`: source of the rule; [M] marks a source that was not read.
    `since`: first rule set that contains it; rule set 1 is that of release 0.1.0.
    `programme`: whether it is a requirement of the programme, whose severity does not depend on the
    tonnes.
    """

    id: str
    stage: Stage
    severity: Severity
    effects: tuple[Effect, ...]
    asks: tuple[str, ...]
    needs: tuple[Remedy, ...]
    source: str
    since: int
    programme: bool = False

    @property
    def group(self) -> str:
        """Return the group of the rule: the first three letters of its id."""
        return self.id.partition("-")[0]


class RuleWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The words of a rule in one language."""

    title: str
    checks: str
    tolerance: str
    remedy: str


@cache
def rules() -> Mapping[str, Rule]:
    """Return every rule by its id, in the order of the catalogue."""
    return {
        name: msgspec.convert({"id": name, **row}, Rule)
        for name, row in _read("rules.toml").items()
    }


def rule(name: str) -> Rule:
    """Return the rule of an id. Raises RuleError if the catalogue has none."""
    result = rules().get(name)
    if result is None:
        raise RuleError(f"rule {name!r} is not known; `tonne rules list` shows all")
    return result


def words(name: str, language: str = "en") -> RuleWords:
    """Return the texts of a rule; in English if the language has none."""
    rule(name)
    return msgspec.convert(_language(language)[name], RuleWords)


def titled(name: str, language: str = "en") -> str:
    """
    Return the id and title of a rule, or the title of a methodology's clause.

    A title that tonne 0.1.0 wrote in words is returned unchanged.
    """
    if name in rules():
        return f"{name} {words(name, language).title}"
    return texts.words(language).get(f"clause.{name}", name)


def remedy_of(name: str, language: str = "en") -> str:
    """Return the text on how a rule's finding is resolved; empty for a methodology's condition."""
    return words(name, language).remedy if name in rules() else ""


def needs_of(name: str) -> tuple[Remedy, ...]:
    """Return the codes of remedies for a rule's finding; none for a methodology's condition."""
    return rules()[name].needs if name in rules() else ()


def severity_of(name: str) -> Severity:
    """Return the severity of a rule's finding; CAR for a methodology's condition."""
    row = rules().get(name)
    return "CAR" if row is None else row.severity


def code_words(kind: str, code: str, language: str = "en") -> str:
    """Return the text of a code of `CODES`."""
    text: str = _language(language)[kind][code]
    return text


def _language(language: str) -> Mapping[str, Mapping[str, str]]:
    return filled(__name__, "words", language)


def _read(file: str) -> Mapping[str, dict[str, str]]:
    return tomllib.loads(resources.files(__name__).joinpath(file).read_text(encoding="utf-8"))
