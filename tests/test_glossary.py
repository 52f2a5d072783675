"""
docs/lexicon.toml against the texts of console and reports: one word for one thing.

A reader who meets "baseline" on one page and "reference" on the next takes them for
two figures.
"""

import re
import tomllib
from pathlib import Path

import pytest

from deploy import lexicon
from mrv.texts import languages
from mrv.texts.word_files import read
from services.cli.words import FOLDERS

ROOT = Path(__file__).parents[1]
CONSOLE, REPORTS = "services/api/console/words", "mrv/report/words"

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
PHRASES = {
    "verified by": {"en": "verified by", "vi": "thẩm tra", "ja": "検証者", "de": "verifiziert"}
}


def terms():
    """All terms, in the order of the page."""
    return [term for section in lexicon.lexicon()["section"] for term in section["terms"]]


def glossary():
    """Terms by their English word: what each language says."""
    return {**{one["en"]: one for one in terms()}, **PHRASES}


def texts(folder, language):
    return tomllib.loads((ROOT / folder / f"{language}.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", TERMS)
@pytest.mark.parametrize("language", languages())
def test_texts_use_the_words_of_the_glossary(folder, language):
    """Two words for one figure make two figures of it."""
    known, said = glossary(), texts(folder, language)
    other = {
        key: f"{said[key]!r} lacks {known[term][language]!r}"
        for key, term in TERMS[folder].items()
        if known[term][language].casefold() not in said[key].casefold()
    }
    assert other == {}


def test_no_term_is_explained_twice():
    """A word with two meanings is what the page is there to prevent."""
    names = [one["en"] for one in terms()]
    assert sorted(set(names)) == sorted(names)


def test_every_term_has_every_language_and_a_meaning():
    """An empty cell leaves a translator to invent."""
    assert set(lexicon.COLUMNS) == set(languages())
    for one in terms():
        assert one.keys() == {*languages(), "means"}
        assert all(one.values()), one


# endings of sentences: polite on pages, plain in documents that are signed and printed
_POLITE = re.compile(r"(です|ます|ません|ました|でした|ください)(?=[。」\uff09;、]|$)")


def test_japanese_is_polite_on_pages_and_plain_in_documents():
    """A report would change its tone from one sentence to the next, as no Japanese report does."""
    plain = {
        f"{folder}: {key}"
        for folder in FOLDERS
        if folder.startswith("mrv/")
        for key, text in _flat(read(ROOT / folder, "ja"))
        if _POLITE.search(text)
    }
    assert plain == set()
    assert _POLITE.search("登録してください。")


def _flat(words, head=""):
    for key, one in words.items():
        if isinstance(one, dict):
            yield from _flat(one, f"{head}{key}.")
        else:
            yield f"{head}{key}", one


def test_the_glossary_is_that_of_the_lexicon():
    """A reader would look a word up that the translators changed."""
    assert lexicon.GLOSSARY.read_text("utf-8") == lexicon.page()


def test_refused_words_are_found_where_people_read(tmp_path):
    """Dialect would come back into help, pages and word files without a word of the linter."""
    page = tmp_path / "page.md"
    page.write_text("Held against it.\n`told` ](told.md)\n```\nnobody\n```\nNobody.\n", "utf-8")
    code = tmp_path / "code.py"
    docstring = '"""`told` is by nobody.\n\n    told : str\n"""\n'
    code.write_text(f'{docstring}told = f"{{told}} was told"\nraise E("no")\n', "utf-8")
    words = tmp_path / "words.toml"
    words.write_text('"reason.untold" = "the documents are missing"\nx = "the papers"\n', "utf-8")
    found = {
        path.name: [word for _, text in lexicon.prose(path) for word in lexicon.refused(text)]
        for path in (page, code, words)
    }
    assert found == {
        "page.md": ["held against", "nobody"], "code.py": ["nobody", "told"],
        "words.toml": ["papers"],
    }  # fmt: skip
