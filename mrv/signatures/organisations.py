"""
Whether two keys are of one organisation, whatever way its name is written.

A verifier of the preparer's own organisation verifies nothing.  Ids of a public
register decide where both have one; names that differ only in case, punctuation or the
word for the legal form are one name as well.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrv.signatures.keys import EnrolledKey

_LEGAL_FORMS = {
    "limited": "ltd",
    "company": "co",
    "corporation": "corp",
    "incorporated": "inc",
    "jointstockcompany": "jsc",
}


def normalised(name: str) -> str:
    """Return a name without case, width, accents, punctuation and ways to write a legal form."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    kept = "".join(c if c.isalnum() else " " for c in plain if not unicodedata.combining(c))
    words = [_LEGAL_FORMS.get(word, word) for word in kept.split()]
    return "".join(words)


def organisation_of(key: EnrolledKey) -> str:
    """Name of the holder's organisation; of the holder where the keyring names none."""
    return key.bounds.organisation or key.name


def same_organisation(one: EnrolledKey, other: EnrolledKey) -> bool:
    """Whether two keys are of one organisation, or of one holder."""
    ids = [key.bounds.organisation_id for key in (one, other)]
    if None not in ids and ids[0].strip().casefold() == ids[1].strip().casefold():  # type: ignore[union-attr]
        return True
    if one.multikey == other.multikey or normalised(one.name) == normalised(other.name):
        return True
    mine = {normalised(one.name), normalised(organisation_of(one))}
    return not mine.isdisjoint({normalised(other.name), normalised(organisation_of(other))})
