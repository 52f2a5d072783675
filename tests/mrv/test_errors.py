"""Errors of the statement's side."""

import pickle

from ingest.errors import InputError
from mrv.errors import VerificationError


def test_a_failed_step_says_which_what_and_what_to_do() -> None:
    """An auditor would read that a pack is wrong, but not where or what to do."""
    error = VerificationError("3 readings", "root is ab, not cd", "ask for the readings again")
    assert str(error) == "3 readings: root is ab, not cd; ask for the readings again"
    assert isinstance(error, InputError)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301  # our own bytes, as a process pool sends
    assert (again.step, again.what, again.remedy) == (error.step, error.what, error.remedy)
