"""Texts of findings: every code has words in every language, and nothing else has."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

from mrv import methodologies
from mrv.texts import Text, joined, languages, lines, plain, render, text, words

ROOT = Path(__file__).parents[2]


def _fields(pattern):
    return sorted({name for _, name, _, _ in string.Formatter().parse(pattern) if name})


def _literals():
    """Yield strings of the product's code, and whether a call of `text` begins with them."""
    for folder in ("mrv", "services"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                called = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
                if called and node.func.id == "text" and node.args:
                    yield from ((one, True) for one in _strings(node.args[0]))
                elif isinstance(node, ast.Constant):
                    yield from ((one, False) for one in _strings(node))


def _strings(tree):
    found = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return (one for one in found if isinstance(one, str) and "." in one)


def test_every_language_says_the_same_with_the_same_values():
    """A reader of one language would miss a finding, or the device that it names."""
    english = {code: _fields(pattern) for code, pattern in words("en").items()}
    assert english
    assert {"de", "en", "ja", "vi"} <= set(languages())
    for language in languages():
        assert {c: _fields(p) for c, p in words(language).items()} == english, language


def test_no_text_stays_in_english():
    """A reader of another language would get a sentence in English."""
    for code, pattern in words("en").items():
        literals = [literal for literal, *_ in string.Formatter().parse(pattern)]
        if any(map(str.isalpha, "".join(literals))):
            for language in languages()[1:]:
                assert words(language)[code] != pattern, (language, code)


def test_words_are_those_of_the_texts_that_the_product_makes():
    """A finding would be shown as its code, or words that nothing says would be kept for ever."""
    known, literals = words("en").keys(), set(_literals())
    made = {one for one, called in literals if called}
    begun = tuple(one for one in made if one.endswith("_"))  # a code that is put together
    assert {one for one in made - known if one not in begun} == set()
    said = {one for one, _ in literals}
    clauses = {
        f"clause.{one.clause}"
        for method in methodologies.load().values()
        for one in (*method.applicability, *method.conditions, methodologies.hosted(()))
    }
    assert {one for one in known if one.startswith("clause.")} == clauses
    assert {one for one in known - said - clauses if not one.startswith(begun)} == set()


@pytest.mark.parametrize(
    ("language", "shown"), [("en", "1,234.5 %"), ("vi", "1.234,5 %"), ("ja", "1,234.5 %")]
)
def test_numbers_have_the_form_of_the_language(language, shown):
    """A Vietnamese reader would take 1,234.5 t for one tonne and a bit."""
    one = text(
        "cross_check.differs", kind=text("cross_check.invoice"), against="evn-1",
        devices=("inv-1", "inv-2"), percent="1234.5", tolerance="4", effect="-0.25",
    )  # fmt: skip
    assert shown in render(one, language)
    assert "inv-1, inv-2" in render(one, language)


def test_a_code_of_another_release_is_shown_with_its_values():
    """A reader would see nothing of what a later release found."""
    one = text("MTR-99.odd", device="inv-1", wh=5)
    assert render(one, "vi") == "MTR-99.odd (device = inv-1, wh = 5)"
    assert list(one.named("device")) == ["inv-1"]
    assert list(text("a.b", device=("a", "b"), why=one).named("device")) == ["a", "b", "inv-1"]


def test_more_lines_than_are_shown_are_counted():
    """A finding about two thousand meters would be two thousand lines."""
    found = lines([*plain("a"), *plain("b"), *plain("c")], 2)
    assert joined(found) == "a; b; and 1 more"
    assert plain("") == ()


def test_texts_are_ordered_and_equal_by_their_values():
    """Which of two equal bounds gives its reason would be left to chance."""
    assert text("a.b", x=1, y=2) == Text("a.b", (("x", 1), ("y", 2)))
    assert text("a.b", x=1) < text("a.c", x=0)
    assert len({text("a.b", x=1), text("a.b", x=1)}) == 1
