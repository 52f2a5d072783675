"""
GLOSSARY.md against the texts of console and reports: one word for one thing.

A reader who meets "baseline" on one page and "reference" on the next takes them for
two figures.
"""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONSOLE, REPORTS = "services/api/console/words", "mrv/report/words"
LANGUAGES = ("en", "vi", "ja")

# keys of the texts, and the term of the glossary that each must use
TERMS = {
    CONSOLE: {
        "statement": "statement", "project": "project", "methodology": "methodology",
        "programme": "programme", "action": "action", "device": "device", "class": "device class",
        "crediting_period": "crediting period", "baseline": "baseline",
        "project_emissions": "project emissions", "leakage": "leakage", "reduction": "reduction",
        "avoided": "avoided", "credited": "credited", "vintage": "vintage", "coverage": "coverage",
        "gaps": "gap", "measured": "measured", "estimated": "estimated", "missing": "missing",
        "kind.unknown": "unknown", "opinion": "opinion", "findings": "finding",
        "factors": "factor", "applicability": "applicability condition",
        "monitored_parameters": "monitored parameter", "account": "account", "receipt": "receipt",
        "role.operator": "operator", "role.verifier": "verifier", "state.draft": "draft",
        "state.submitted": "submitted", "state.verified": "verified", "state.issued": "issued",
        "state.superseded": "superseded", "state.revoked": "revoked", "alarm": "alarm",
        "alarm.state.acknowledged": "acknowledged", "alarm.state.cleared": "cleared",
    },
    REPORTS: {
        "statement": "statement", "project": "project", "methodology": "methodology",
        "period": "monitoring period", "device": "device", "baseline": "baseline",
        "project_emissions": "project emissions", "leakage": "leakage", "reduction": "reduction",
        "page.baseline": "baseline", "page.project": "project emissions",
        "page.leakage": "leakage", "page.reduction": "reduction", "page.account": "account",
        "page.covered": "coverage", "vintage": "vintage", "measured_share": "measured share",
        "gaps": "gap", "deductions": "deduction", "missing": "missing", "kind.unknown": "unknown",
        "factors": "factor", "verification": "verification", "verifier": "verified by",
        "opinion": "opinion", "assurance": "level of assurance", "materiality": "materiality",
        "finding": "finding", "sampling": "sampling list", "checks": "cross-check",
        "witness": "comparison source", "accuracy_class": "accuracy class", "meter": "meter",
        "digest.plan": "monitoring plan", "page.monitored": "monitored parameter",
    },
}  # fmt: skip
# a heading may say who did it rather than name the person
PHRASES = {"verified by": ("verified by", "thẩm tra", "検証者")}


def glossary():
    """Terms by their English word: (English, Vietnamese, Japanese)."""
    lines = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if "|" in line]
    found = {row[0]: tuple(row[:3]) for row in rows if len(row) == 4}
    return {**found, **PHRASES}


def texts(folder, language):
    return tomllib.loads((ROOT / folder / f"{language}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", TERMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_use_the_words_of_the_glossary(folder, language):
    """Two words for one figure make two figures of it."""
    terms, said = glossary(), texts(folder, language)
    place = LANGUAGES.index(language)
    other = {
        key: f"{said[key]!r} lacks {terms[term][place]!r}"
        for key, term in TERMS[folder].items()
        if terms[term][place].casefold() not in said[key].casefold()
    }
    assert other == {}


def test_no_term_is_explained_twice():
    """A word with two meanings is what the page is there to prevent."""
    lines = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8").splitlines()
    names = [m[1] for line in lines if (m := re.match(r"\| ([a-z][^|]*?) \|", line))]
    assert sorted(set(names)) == sorted(names)


def test_every_term_has_three_languages_and_a_meaning():
    """An empty cell leaves a translator to invent."""
    for term, row in glossary().items():
        assert all(row), term
