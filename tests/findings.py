"""Findings of documents in English."""

import msgspec

from mrv.documents.period_account import Condition


def worded(condition):
    """Return what a condition of a statement's JSON says, in English."""
    return msgspec.convert(condition, Condition).words()
