"""Reasons of deductions in each language: none stays as the account wrote it."""

import ast
import re
from pathlib import Path

import pytest

from mrv.documents.period_account import Deduction
from mrv.report.translations import reason
from mrv.report.words import LANGUAGES, Words

WRITERS = ("mrv/registry/calibration.py",)


def text(node):
    """Words of a string in the source; a number stands where one is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(p.value) if isinstance(p, ast.Constant) else "2026" for p in node.values)
    elif isinstance(node, ast.IfExp):
        yield from text(node.body)
        yield from text(node.orelse)


def written():
    """All reasons that the account can write."""
    for name in WRITERS:
        for node in ast.walk(ast.parse(Path(name).read_text("utf-8"))):
            if isinstance(node, ast.Assign):
                targets = [t.id for t in node.targets if isinstance(t, ast.Name)]
                if "reason" in targets:
                    yield from ((name, found) for found in text(node.value))
            elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Uncovered":
                yield from ((name, found) for a in node.args for found in text(a))


def all_reasons():
    """Reasons as they stand in a statement."""
    yield from (found for _, found in written())
    yield "certified elsewhere: certificate IREC-1, I-REC"


def test_the_walk_finds_the_reasons():
    """A test over nothing would pass for ever."""
    assert len(set(all_reasons())) >= 4


@pytest.mark.parametrize("language", [one for one in LANGUAGES if one != "en"])
@pytest.mark.parametrize("said", sorted(set(all_reasons())))
def test_every_reason_has_its_words(said, language):
    """A reader would be told in a language that is not theirs why tonnes were taken off."""
    one = Deduction(device="d", from_="2026-01-01T00:00:00Z", to="2026-01-02T00:00:00Z",
                    reason=said, percent="1", quantity="1", cost_t="1")  # fmt: skip
    shown = reason(one, Words(language))
    assert shown != said
    assert "{" not in shown
    left = re.findall("[a-z]{4,}", shown)
    assert not {
        "plausible",
        "while",
        "counts",
        "certificate",
        "before",
        "certified",
        "counted",
    } & set(left), shown
