"""How much may go abroad under Decree 112/2026."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from mrv.registry.article6_transfer import TransferClass, rules, transferable


def test_the_dossiers_example():
    """E18: a city would promise one tonne more than the decree lets go."""
    adjusted = transferable(71_497, TransferClass(1, "I.6", adjusted=True), "VN")
    assert adjusted.credit_t == 64_347
    assert "Annex I: list 1, with corresponding adjustment (read in a transcription)" in str(
        adjusted.basis
    )
    assert transferable(71_497, TransferClass(2, adjusted=True), "VN").credit_t == 35_748
    assert transferable(71_497, TransferClass(2, adjusted=False), "VN").credit_t == 64_347


def test_nothing_is_guessed():
    """A rooftop whose list nobody has asked the ministry about would be sold abroad."""
    for one in (TransferClass(), TransferClass(1), TransferClass(None, None, adjusted=True)):
        found = transferable(71_497, one, "VN")
        assert (found.credit_t, found.share) == (None, None)
        assert str(found.basis).startswith("not determined")


def test_a_measures_condition_is_said():
    """On-grid rooftops registered after the decree would pass as list 2."""
    found = transferable(100, TransferClass(2, "I.3", adjusted=True), "VN")
    assert "already registered under JCM" in found.condition
    assert transferable(100, TransferClass(1, "I.6", adjusted=True), "VN").condition is None


@given(st.integers(0, 10**12), st.sampled_from([1, 2]), st.booleans())
def test_never_more_than_the_share(credit, number, adjusted):
    """Rounding would let a part of a tonne more go abroad than was issued for it."""
    found = transferable(credit, TransferClass(number, adjusted=adjusted), "VN")
    assert found.credit_t <= found.share * credit
    assert found.share * credit - found.credit_t < 1
    assert found.share <= Fraction(9, 10)


def test_the_decree_names_its_source():
    """A verifier could not find the paragraph."""
    assert rules("VN").in_force.isoformat() == "2026-05-19"
    assert rules("VN").certainty == "T"
