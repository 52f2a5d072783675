"""
What changed since a day was sealed, and whether that may be sealed again.

Late readings only add, and each was noted when it was stored: without them a day holds
what was sealed.  What differs even so was done by hand, and stays what it is: a difference
from the seal, for the audit to name.  Derived rows may change whenever readings or registry
did; they need only follow from them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from mrv.errors import LogError
from mrv.log.entries import PARTS
from mrv.signatures import canonical
from mrv.signatures.day_digests import DayLeaf, Difference, Digest, differences, digest_leaves


class Changes(NamedTuple):
    """Differences of a day from its seal: of its readings, and of what is derived from them."""

    late: list[Difference]
    by_hand: list[Difference]
    derived: list[Difference]

    def __bool__(self) -> bool:
        return bool(self.late or self.by_hand or self.derived)


def sealed_leaves(
    entry: Mapping[str, object], detail: bytes | None
) -> dict[str, tuple[DayLeaf, ...]]:
    """
    Leaves under a sealed day's roots.

    Raises
    ------
    LogError
        If they are missing or do not lead to the roots.
    """
    if detail is None:
        raise LogError("the details of the log entry are missing; restore log_detail")
    record = canonical.parse_object(detail)
    found = {}
    for name in PARTS:
        leaves = tuple(DayLeaf.from_json(leaf) for leaf in record[name])
        part = entry[name]
        if not isinstance(part, dict) or digest_leaves(leaves).root != part["root"]:
            raise LogError(f"the {name} stored with the log entry do not match its root hash")
        found[name] = leaves
    return found


def detail_of(parts: Mapping[str, Digest]) -> bytes:
    """What stands under the roots of a day."""
    return canonical.encode(
        {name: [leaf.to_json() for leaf in parts[name].leaves] for name in PARTS}
    )


def compare(
    sealed: Mapping[str, tuple[DayLeaf, ...]],
    now: Mapping[str, Digest],
    before: Sequence[DayLeaf],
    noted: Collection[tuple[str, str]],
) -> Changes:
    """
    Tell how a day differs from its seal.

    Parameters
    ----------
    before : sequence of DayLeaf
        Its readings without late ones.
    noted : collection of (str, str)
        Device and day that tonne 0.1.0 noted late readings for, without saying which.
    """
    late = differences(before, now["readings"].leaves)
    by_hand: list[Difference] = []
    was, is_ = ({x.key: x.rows for x in some} for some in (sealed["readings"], before))
    for difference in differences(sealed["readings"], before):
        key = (difference.device.encode(), difference.day.encode(), difference.table.encode())
        grew = is_.get(key, 0) >= was.get(key, 0)
        (late if grew and (difference.device, difference.day) in noted else by_hand).append(
            difference
        )
    derived = [
        difference
        for name in ("intervals", "emissions")
        for difference in differences(sealed[name], now[name].leaves)
    ]
    return Changes(late, by_hand, derived)
