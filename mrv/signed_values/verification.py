"""
What signed values show: verified, refused, or not checked.

1. The text is read as OCMF.
2. The meter that it names is looked up; its key comes from the registry, or from the
   verifier's own hand, never from the message alone.
3. The signature is over the payload's bytes by that key.
4. A page of a meter stands for one payload: a second one with the same page is refused.

`not checked` says that nobody here could tell.  It is never a kind of yes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from mrv.errors import SignedValueError
from mrv.signed_values import ocmf
from mrv.signed_values.meter_keys import MeterKey, NotCheckedError, decode_key, verifies

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from mrv.signed_values.ocmf import Reading, Record
    from mrv.signed_values.packaging import Item

    _Place = tuple[str, str | None, str | None, str]

Outcome = Literal["verified", "refused", "not checked"]
VERIFIED: Final = "verified"
REFUSED: Final = "refused"
NOT_CHECKED: Final = "not checked"


class DatedKey(NamedTuple):
    """A key of a meter, the time from which it is that meter's, and who says so."""

    key: MeterKey
    begins: datetime | None
    holder: str


@dataclass(frozen=True, slots=True)
class Checked:
    """
    What one value shows.

    Parameters
    ----------
    outcome : str
        `verified`, `refused` or `not checked`.
    detail : str
        Why, in a sentence.
    record : Record or None
        None where it could not be read.
    holder : str or None
        Whose key verified it, as the registry says.
    notes : tuple of str
        What a reader must know beside: clocks, states, repetitions.
    """

    outcome: Outcome
    detail: str
    record: Record | None = None
    holder: str | None = None
    notes: tuple[str, ...] = ()


def check_items(items: Iterable[Item], keys: Mapping[str, Sequence[DatedKey]]) -> list[Checked]:
    """
    Check values against the keys of their meters.

    Parameters
    ----------
    items : iterable of Item
        In the order in which they came.
    keys : mapping of str to sequence of DatedKey
        Serial number to the keys of that meter or gateway.
    """
    pages: dict[_Place, bytes] = {}
    return [_once(check_item(one, keys), pages) for one in items]


def check_item(item: Item, keys: Mapping[str, Sequence[DatedKey]]) -> Checked:
    """Check one value by itself; its page may still be a repeated one."""
    if not ocmf.is_ocmf(item.text):
        return Checked(NOT_CHECKED, "it is not OCMF, the one format that is checked here")
    try:
        record = ocmf.read(item.text)
    except SignedValueError as error:
        return Checked(REFUSED, str(error))
    notes = tuple(dict.fromkeys(note for one in record.readings for note in _notes(one)))
    known = _known(record, keys)
    if not known:
        return replace(_beside(record, item), record=record, notes=notes)
    return replace(_by_keys(record, known), record=record, notes=notes)


def of_device(found: Checked, device: str | None) -> Checked:
    """Refuse a value that verifies, and was sent by another device than its key is of."""
    if found.outcome != VERIFIED or found.holder == device:
        return found
    text = f"sent by {device or 'no known device'}, and signed by the meter of {found.holder}"
    return replace(found, outcome=REFUSED, detail=text, holder=None)


def _known(record: Record, keys: Mapping[str, Sequence[DatedKey]]) -> list[DatedKey]:
    """Keys of the meter, or else of its gateway, that may have signed at the record's time."""
    held = next((keys[n] for n in (record.meter, record.gateway) if n and keys.get(n)), ())
    last = record.readings[-1]
    if last.clock == "U":
        return list(held)  # its time picks no key
    begun = [one for one in held if one.begins is None or one.begins <= last.time]
    return list({one.holder: one for one in begun}.values())  # the last of each holder


def _by_keys(record: Record, known: Sequence[DatedKey]) -> Checked:
    for one in known:
        try:
            if verifies(one.key, record.algorithm, record.signature, record.signed):
                return Checked(VERIFIED, f"signed by the key of {one.holder}", holder=one.holder)
        except SignedValueError as error:
            return Checked(NOT_CHECKED, str(error))
    return Checked(
        REFUSED,
        f"not signed by the key of {' or '.join(one.holder for one in known)}:"
        " it was changed, or another meter signed it",
    )


def _beside(record: Record, item: Item) -> Checked:
    """Hold a value of an unknown meter against the key beside it, which can only refuse it."""
    unknown = f"no key of {record.name} is known for that time; register it, or give it"
    if item.key is None:
        return Checked(NOT_CHECKED, unknown)
    try:
        fits = verifies(decode_key(item.key), record.algorithm, record.signature, record.signed)
    except NotCheckedError as error:
        return Checked(NOT_CHECKED, str(error))
    except SignedValueError as error:
        return Checked(NOT_CHECKED, f"{unknown}; the key beside it cannot be read: {error}")
    if not fits:
        return Checked(REFUSED, "not signed by the key that stands beside it")
    return Checked(
        NOT_CHECKED, f"the key beside it fits, and anybody can make such a pair: {unknown}"
    )


def _once(found: Checked, pages: dict[_Place, bytes]) -> Checked:
    """Refuse a page that stands for another payload already, and tell one that comes again."""
    record = found.record
    if record is None or found.outcome == REFUSED:
        return found
    # apart by outcome: what nobody checked must take nothing verified down
    place = found.outcome, record.gateway, record.meter, record.page
    before = pages.setdefault(place, record.signed)
    if before == record.signed:
        fresh = before is record.signed
        return found if fresh else replace(
            found, notes=(*found.notes, f"page {record.page} again, the same value: count it once")
        )  # fmt: skip
    text = f"page {record.page} of {record.name} stands for another value already"
    if found.outcome == VERIFIED:
        return replace(found, outcome=REFUSED, detail=text, holder=None)
    return replace(found, notes=(*found.notes, text))


def _notes(one: Reading) -> Iterable[str]:
    if one.clock != "S":
        yield f"time {one.clock}: {ocmf.TIMES[one.clock]}"
    if one.status != ocmf.GOOD:
        yield f"state {one.status}: {ocmf.STATES[one.status]}"
    if one.errors:
        parts = [text for flag, text in (("E", "energy"), ("t", "time")) if flag in one.errors]
        yield f"not to be used, as the meter says: {' and '.join(parts) or one.errors}"
