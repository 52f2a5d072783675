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
    when = _when(facts)
    with _set(facts, words, when) as given:
        found: bytes = typst.compile(**given, pdf_standards=STANDARD, timestamp=when)
    return found


def chapters(facts: Facts, words: Words) -> dict[str, int]:
    """Return the page on which each chapter of the report stands, by its heading."""
    with _set(facts, words, _when(facts)) as given:
        said = typst.query(**given, selector="<chapters>", field="value", one=True)
    found: dict[str, int] = {}
    for heading, number in json.loads(said):
        found.setdefault(heading, number)
    return found


@contextmanager
def _set(facts: Facts, words: Words, when: datetime) -> Iterator[dict[str, Any]]:
    """Give what the typesetter takes; ReportError with what it says, where it cannot set it."""
    with resources.as_file(resources.files("mrv.report")) as here:
        said = json.dumps(_said(facts, words, when), ensure_ascii=False)
        try:
            yield {
                "input": str(here / "page" / "page.typ"),
                "font_paths": [str(here / "fonts")],
                "ignore_system_fonts": True,
                "sys_inputs": {"said": said},
            }
        except typst.TypstError as error:
            raise ReportError(
                f"the page of {facts.name} cannot be set: {error.diagnostic}; tell us with its pack"
            ) from error


def _said(facts: Facts, words: Words, when: datetime) -> dict[str, Any]:
    blocks = chain(
        _public(facts, words), chain.from_iterable(part(facts, words) for part in _PARTS)
    )
    title = words["page.title_statement" if facts.opinion is None else "page.title"]
    name = facts.subject.project.name
    found: dict[str, Any] = {
        "title": title,
        "description": f"{facts.name}, {name}",
        "lang": words.language.partition("-")[0],
        "date": [when.year, when.month, when.day],
        "id": facts.name,
        "project": legible(name, _HEADER),
        "state": state(facts, words).partition(":")[0].partition("\N{FULLWIDTH COLON}")[0],
        "made": f"{words['code_version']} {facts.subject.code_version}",
        "page": words["page.page"],
        "of": words["page.of"],
        "not_stated": words["not_stated"],
        "blocks": list(blocks),
    }
    shown: dict[str, Any] = _printable(found)
    return {**shown, "attached": _attached(facts, words)}


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
