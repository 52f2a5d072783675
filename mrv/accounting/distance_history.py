"""
A service held against what the project used for it before: an odometer that runs fast.

Inside the range of a class a distance may still be claimed too high.  What a kilometre
took before is the witness: the project's issued statements of the last year, and the
earlier parts of the period itself.  A part of about four weeks that shows less than
nine tenths of it counts the service that its use carries at the usual rate, and no more,
and does not enter the history.  This is a rule of tonne's own: no methodology that was
read has one.  A part is as long as four weeks so that charging on other days than driving
evens out.  What was claimed too high from the first day on has no history to differ from;
the range of the class alone holds it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from ingest.model import HOUR_US, INTERVAL_US
from mrv.accounting.device_period import Raised
from mrv.accounting.period_result import Finding
from mrv.calendar import local_date, utc_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mrv.accounting.device_period import Monitored
    from mrv.model import Consumption, Methodology
    from mrv.registry.project import Usage

WEEKS = 4
LEAST = Fraction(9, 10)
# a part of which more than a tenth of the time of its meters is lost says nothing of what is usual
_LOST = Fraction(1, 10)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class _Part:
    """Some weeks of a period: first and last stretch, half-open, and their sums."""

    first: int
    last: int
    begin_us: int
    end_us: int
    used: Fraction
    served: int
    whole: bool


def limited(
    monitored: Sequence[Monitored],
    methodology: Methodology,
    history: Iterable[Usage],
    edges: Sequence[int],
    timezone: str,
) -> tuple[list[Monitored], list[Finding]]:
    """
    Take off what is served beyond what its use carries, and say so.

    Parameters
    ----------
    monitored : sequence of Monitored
        With the sums of each stretch, and with what was charged already.
    history : iterable of Usage
        Of issued statements of the project.
    edges : sequence of int
        Of the stretches. [interval numbers]

    Returns
    -------
    The devices with what they are limited by, and a condition for each such service.
    """
    found, said = list(monitored), []
    before = [*history]
    for one in methodology.consumptions:
        if one.by_history:
            finding = _held(found, methodology, one, before, edges, timezone)
            said += [] if finding is None else [finding]
    return found, said


def _held(
    found: list[Monitored],
    methodology: Methodology,
    one: Consumption,
    before: Sequence[Usage],
    edges: Sequence[int],
    timezone: str,
) -> Finding | None:
    """Hold each part against all that was before it; None where nothing was."""
    used = Fraction(sum(u.used for u in before))
    served = sum(u.served for u in before)
    told, asked = [], False
    for part in _parts(found, one, edges):
        usual = used / served if served else Fraction(0)
        asked = asked or usual > 0
        if part.used < LEAST * usual * part.served:
            reason = (
                f"{_told(part.used / part.served * one.per_base)} {one.unit}, and the project used"
                f" {_told(usual * one.per_base)} before: what its use carries at that counts"
            )
            _cut(found, one, part, part.served - part.used / usual, reason, timezone)
            told.append(f"{utc_text(part.begin_us)} to {utc_text(part.end_us)}: {reason}")
        elif part.whole:
            used, served = used + part.used, served + part.served
    if not asked:
        return None
    clause = f"{methodology.id}, plausibility of {' and '.join(one.serves)}: what it took before"
    more = f"; and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return Finding(clause, not told, "; ".join(told[:_SHOWN]) + more)


def _parts(monitored: Sequence[Monitored], one: Consumption, edges: Sequence[int]) -> list[_Part]:
    """Cut the period into parts of about four weeks, those without service left out."""
    weeks = len(edges) - 1
    count = max(1, weeks // WEEKS)
    users = [m for m in monitored if m.bound.role in one.uses]
    servers = [m for m in monitored if m.bound.role in one.serves]
    found = []
    for first, last in pairwise(weeks * k // count for k in range(count + 1)):
        served = sum(s.value for m in servers for s in m.stretches[first:last])
        both = [s for m in (*users, *servers) for s in m.stretches[first:last]]
        lost, time = sum(s.lost_us for s in both), sum(s.time_us for s in both)
        span_us = edges[first] * INTERVAL_US, edges[last] * INTERVAL_US
        used = sum((_used(m, first, last, span_us) for m in users), start=Fraction(0))
        if served:
            found.append(_Part(first, last, *span_us, used, served, lost <= _LOST * time))
    return found


def _used(one: Monitored, first: int, last: int, span_us: tuple[int, int]) -> Fraction:
    """Quantity of some stretches, with what is charged for lost time and for standing still."""
    rate = one.rate or Fraction(0)
    charged = (
        r.quantity for p in one.parts for r in p.raised if span_us[0] <= r.start_us < span_us[1]
    )
    metered = (s.value + rate * Fraction(s.lost_us, HOUR_US) for s in one.stretches[first:last])
    return sum((*metered, *charged), start=Fraction(0))


def _cut(
    found: list[Monitored],
    one: Consumption,
    part: _Part,
    excess: Fraction,
    reason: str,
    timezone: str,
) -> None:
    """Take an excess off the devices that served, each by its share of the service."""
    year = local_date(part.begin_us, timezone).year
    for i, server in enumerate(found):
        if server.bound.role not in one.serves:
            continue
        left = excess * sum(s.value for s in server.stretches[part.first : part.last]) / part.served
        parts = list(server.parts)
        for j, whole in enumerate(parts):
            less = min(left, max(Fraction(0), server.counted(whole)))
            if whole.year >= year and less:
                begin_us = max(part.begin_us, server.service.first * INTERVAL_US)
                cut = Raised(begin_us, part.end_us, reason, less)
                parts[j] = replace(whole, limited=(*whole.limited, cut))
                left -= less
        found[i] = replace(server, parts=tuple(parts))


def _told(value: Fraction) -> str:
    return f"{float(value):.4g}"
