"""The golden closes: the result of each, and that a released rule set does not change."""

import pytest

from mrv.registry.project import ACCOUNTING, VERSIONS
from mrv.rules import rules
from tests.closes import corpus
from tests.closes.plain import fact, plain
from tests.soak import SOAK

EXPECTED = corpus.expected()


@pytest.fixture(scope="module")
def closes():
    """Return the inputs of all closes, and their factor books."""
    found, books = corpus.read()
    return found, corpus.books_of(books)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_close_comes_to_what_it_did(name, closes):
    """A change of the rules would change an owner's tonnes, or raise a finding, unnoticed."""
    assert corpus.closed(name, *closes) == EXPECTED[name]


def test_the_facts_are_those_that_the_outcomes_are_of(closes):
    """A changed input of a golden close would be taken for a changed result."""
    found, _ = closes
    assert found.keys() == EXPECTED.keys()
    assert [name for name, facts in found.items() if corpus.name_of(facts) != name] == []


def test_facts_come_back_as_they_went(closes):
    """A field that the file loses would permanently change the facts of a golden close."""
    for facts in [*closes[0].values()][:: 1 if SOAK else 10]:
        assert plain(fact(facts)) == facts


def test_every_rule_of_a_close_is_raised_by_one():
    """A rule that no golden close raises could be changed unseen."""
    raised = {
        rule
        for one in EXPECTED.values()
        for rule in (*one.get("holds", ()), *one.get("does not hold", ()))
    }
    # by the registry and the plan, which a close does not read
    elsewhere = {"REG-02", "REG-04", "EVD-08", "EVD-09", "BND-01", "CLM-04",
                 "PLN-01", "PLN-02", "PLN-03"}  # fmt: skip
    assert rules().keys() - raised == elsewhere


def test_a_released_rule_set_stays_as_it_was():
    """A statement of a release would be computed to other tonnes than it was signed with."""
    for number, digest in corpus.released().items():
        assert corpus.set_digest(number, EXPECTED) == digest, (
            f"rule set {number} was released: give what you change the next number"
        )
    # the newest one is pinned when its release is tagged (README.md)
    assert {*map(str, VERSIONS)} - corpus.released().keys() <= {str(ACCOUNTING)}
