"""The whole document: its blocks, then its bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from itertools import chain
from typing import Any, Final

import typst

from mrv.calendar import instant_us
from mrv.errors import ReportError
from mrv.report.blocks import Block, banner
from mrv.report.opinion import first_proof, state
from mrv.report.page.account import account, summary
from mrv.report.page.audit_file import audit_file, status
from mrv.report.page.basis import basis
from mrv.report.page.calendar import calendar
from mrv.report.page.certificate import certificate
from mrv.report.page.corrected import corrected
from mrv.report.page.generation import generation
from mrv.report.page.losses import deductions, gaps
from mrv.report.page.verified import checked, evidence, verified
from mrv.report.printable_text import legible, printable
from mrv.report.report_data import Facts
from mrv.report.words import Words
from mrv.signatures import canonical

# PDF/A-3a: what is attached is allowed, every letter has its Unicode, and the parts are tagged
STANDARD: Final = "a-3a"
_PARTS = (
    certificate, summary, corrected, account, generation, calendar, gaps, deductions, checked,
    basis, audit_file, verified, evidence, status,
)  # fmt: skip
_HEADER = 70


def page(facts: Facts, words: Words) -> bytes:
    """
    Return the report as a PDF, the same bytes each time.

    Raises
    ------
    ReportError
        If it cannot be set: a defect, with what the typesetter says.
    """
    blocks = _of_all_parts(facts, words)
    return typeset(_head(facts, words), blocks, _attached(facts, words), _when(facts), words)


def typeset(
    head: dict[str, Any],
    blocks: list[Block],
    attached: list[dict[str, str]],
    when: datetime,
    words: Words,
) -> bytes:
    """
    Return blocks as a PDF, the same bytes each time.

    Parameters
    ----------
    head : dict
        `title`, `description` and, for the head of each page, `id`, `state`, `project`, `made`.
    attached : list of dict
        Files within: `name`, `text`, `mime`, `about`.

    Raises
    ------
    ReportError
        As `page` does.
    """
    said = {**_said(head, blocks, when, words), "attached": attached}
    with _set(said) as given:
        found: bytes = typst.compile(**given, pdf_standards=STANDARD, timestamp=when)
    return found


def chapters(facts: Facts, words: Words) -> dict[str, int]:
    """Return the page on which each chapter of the report stands, by its heading."""
    blocks = _of_all_parts(facts, words)
    said = _said(_head(facts, words), blocks, _when(facts), words)
    with _set({**said, "attached": _attached(facts, words)}) as given:
        asked = typst.query(**given, selector="<chapters>", field="value", one=True)
    found: dict[str, int] = {}
    for heading, number in json.loads(asked):
        found.setdefault(heading, number)
    return found


@contextmanager
def _set(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Give what the typesetter takes; ReportError with what it says, where it cannot set it."""
    with resources.as_file(resources.files("mrv.report")) as here:
        try:
            yield {
                "input": str(here / "page" / "page.typ"),
                "font_paths": [str(here / "fonts")],
                "ignore_system_fonts": True,
                "sys_inputs": {"said": json.dumps(said, ensure_ascii=False)},
            }
        except typst.TypstError as error:
            raise ReportError(
                f"the page of {said['id']} cannot be set: {error.diagnostic}; tell us with its data"
            ) from error


def _of_all_parts(facts: Facts, words: Words) -> list[Block]:
    of_parts = chain.from_iterable(part(facts, words) for part in _PARTS)
    return [*_public(facts, words), *of_parts]


def _head(facts: Facts, words: Words) -> dict[str, Any]:
    name = facts.subject.project.name
    return {
        "title": words["page.title_statement" if facts.opinion is None else "page.title"],
        "description": f"{facts.name}, {name}",
        "id": facts.name,
        "project": legible(name, _HEADER),
        "state": state(facts, words).partition(":")[0].partition("\N{FULLWIDTH COLON}")[0],
        "made": f"{words['code_version']} {facts.subject.code_version}",
    }


def _said(
    head: dict[str, Any], blocks: list[Block], when: datetime, words: Words
) -> dict[str, Any]:
    shown: dict[str, Any] = _printable(
        {
            **head,
            "lang": words.language.partition("-")[0],
            "date": [when.year, when.month, when.day],
            "page": words["page.page"],
            "of": words["page.of"],
            "not_stated": words["not_stated"],
            "blocks": blocks,
        }
    )
    return shown


def _public(facts: Facts, words: Words) -> Iterator[Block]:
    if facts.hidden is not None:
        hidden, original = facts.hidden
        yield banner(words["public.text"].format(hidden=hidden, original=original), "warn")


def _printable(value: Any) -> Any:
    """Make every text one that our fonts can show."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _printable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_printable(one) for one in value]
    return value


def _attached(facts: Facts, words: Words) -> list[dict[str, str]]:
    """Signed documents, byte for byte, so that the page carries what it speaks of."""
    if facts.twin is not None:
        twin = canonical.encode(facts.twin).decode()
        about = words["public.title"]
        return [{"name": "public.json", "text": twin, "mime": "application/vc", "about": about}]
    documents = (("statement", facts.statement), ("verification", facts.verification))
    return [
        {
            "name": f"{name}.json",
            "text": canonical.encode(one).decode(),
            "mime": "application/vc",
            "about": words[name],
        }
        for name, one in documents
        if one is not None
    ]


def _when(facts: Facts) -> datetime:
    """When the last of its documents was signed; of a draft, its period's end."""
    signed = facts.opinion or facts.stated
    proof = first_proof(signed.proof)
    said = proof.created if proof else signed.valid_from
    return datetime.fromtimestamp(instant_us(said, "UTC") / 1e6, UTC)
