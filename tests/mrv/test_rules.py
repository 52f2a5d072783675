"""The list of rules is complete: every rule has its texts in each language."""

import json
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy import rule_docs as rules_docs
from mrv.countries import ruling
from mrv.errors import RuleError
from mrv.methodologies import load
from mrv.rules import CODES, code_words, rule, rules, words
from mrv.texts import languages
from services.cli.calculate.rules import rules_

ROOT = Path(__file__).parents[2]


def test_titles_are_unique():
    """Two rules under one title cannot be distinguished in a report."""
    for language in languages():
        titles = [words(name, language).title for name in rules()]
        assert len(set(titles)) == len(titles), language


@pytest.mark.parametrize("language", languages())
def test_each_code_of_a_row_has_words_and_no_word_is_left_over(language):
    """A code without a text breaks `tonne rules show`; a text without a code is unused."""
    used = {
        "stage": {row.stage for row in rules().values()},
        "severity": {row.severity for row in rules().values()},
        "effects": set(chain.from_iterable(row.effects for row in rules().values())),
        "asks": set(chain.from_iterable(row.asks for row in rules().values())),
        "needs": set(chain.from_iterable(row.needs for row in rules().values())),
        "group": {row.group for row in rules().values()},
    }
    for kind, codes in used.items():
        assert all(code_words(kind, code, language) for code in codes)
    text = tomllib.loads((ROOT / f"mrv/rules/words/{language}.toml").read_text("utf-8"))
    assert set(text) == {*CODES, *rules()}
    assert {kind: set(text[kind]) for kind in used} == used


def test_no_row_lacks_a_source():
    """A rule without a source is an opinion; a statement may not rest on it."""
    assert [name for name, row in rules().items() if not row.source.strip()] == []
    assert [name for name, row in rules().items() if not row.asks or not row.needs] == []


def test_the_page_is_what_the_catalogue_says():
    """docs/rules.md is what a verifier reads; `make pages` writes it."""
    text = (ROOT / rules_docs.PAGE).read_text("utf-8")
    assert text == rules_docs.rules_page(text)
    for name, page in rules_docs.pages().items():
        assert (ROOT / rules_docs.FOLDER / name).read_text("utf-8") == page


def test_each_methodology_names_the_rules_that_acted_on_it():
    """A verifier would read a methodology's page and miss the rule that cut its tonnes."""
    named = {m.id: {row.id for row in rules_docs.acting_on(m)} for m in load().values()}
    missing = set()
    for line in (ROOT / "tests/closes/outcomes.jsonl").read_text("utf-8").splitlines():
        one = json.loads(line)
        number, method, _ = one["close"].split("/")
        if number != "1":
            reported = {*one.get("holds", ()), *one.get("does not hold", ())} & rules().keys()
            missing |= {(method, name) for name in reported - named[method]}
    assert missing == set()


def test_every_rule_can_be_shown():
    """`tonne rules show` explains each id that a statement may name."""
    for language in languages():
        for name in rules():
            shown = CliRunner().invoke(rules_, ["show", name, "--lang", language])
            assert shown.exit_code == 0
            assert words(name, language).remedy in shown.output


def test_an_unknown_rule_is_refused_with_the_remedy():
    """A typing error ends with the list of ids, not with a trace."""
    with pytest.raises(RuleError, match="rule 'MTR-99' is not known; `tonne rules list` shows all"):
        rule("MTR-99")


def test_an_act_of_one_country_is_named_as_that_countrys():
    """A verifier in Nairobi would look for a Vietnamese circular that does not bind there."""
    assert [row.id for row in rules().values() if re.search(r"/20\d\d/", row.source)] == []
    acts = {country: ruled["sources"] for country, ruled in ruling("rules").items()}
    assert acts.keys() == {"VN"}
    assert acts["VN"].keys() <= rules().keys()
