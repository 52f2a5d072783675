"""
Walk the whole log and hold the database against it, in numbered steps.

Nothing in the database is believed: not even its owner can change a row that is
under a seal without one of these steps naming it.  What was added since the last
seal is no one's word yet; how much that is stands in the report.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple

from psycopg import Connection

from ingest.errors import InputError
from services.issuer import audit_log, audit_sealed
from services.issuer.audit_walk import Walk
from services.issuer.close import snapshot


@dataclass(frozen=True, slots=True)
class Checked:
    """A step: what it looked at, what is wrong, and what it cannot say anything about."""

    number: int
    name: str
    detail: str
    breaks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All steps; every one is walked, whatever was wrong before it."""

    origin: str
    size: int
    steps: tuple[Checked, ...]

    @property
    def first_break(self) -> str | None:
        """The first thing that is wrong, or None."""
        return next((f"{s.name}: {s.breaks[0]}" for s in self.steps if s.breaks), None)

    def to_json(self) -> dict[str, Any]:
        """Write the report for programs."""
        return {
            "log": self.origin,
            "size": self.size,
            "ok": self.first_break is None,
            "firstBreak": self.first_break,
            "steps": [asdict(step) for step in self.steps],
        }


class Step(NamedTuple):
    """A step: its name, and what it does."""

    name: str
    run: Callable[[Walk], str]


def audit(conn: Connection, now_us: int, held: tuple[str, ...] = ()) -> AuditReport:
    """
    Walk all steps.

    Parameters
    ----------
    conn : Connection
        In autocommit; it only reads.
    now_us : int
        By which time days should have been sealed. [us UTC]
    held : tuple of str
        Signed heads that the auditor kept from earlier: the log must still lead
        to each of them.
    """
    walk = Walk(conn, now_us, held)
    every = iter(enumerate(STEPS, 1))
    with snapshot(conn):  # the log and what it names as they are at one moment
        log = [_take(number, step, walk) for number, step in islice(every, _OF_THE_LOG)]
    steps = (*log, *(_take(number, step, walk) for number, step in every))
    return AuditReport(walk.origin, len(walk.entries), steps)


def _take(number: int, step: Step, walk: Walk) -> Checked:
    walk.breaks, walk.notes = [], []
    try:
        detail = step.run(walk)
    except InputError as error:
        detail = "could not be walked to its end"
        walk.breaks.append(str(error))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        detail = "could not be walked to its end"
        walk.breaks.append(f"a field is missing or malformed ({type(error).__name__}: {error})")
    return Checked(number, step.name, detail, tuple(walk.breaks), tuple(walk.notes))


STEPS = (
    Step("entries", audit_log.entries),
    Step("signed heads", audit_log.heads),
    Step("witnesses", audit_log.witnesses),
    Step("statements", audit_sealed.statements),
    Step("registry, plan and keys", audit_sealed.states),
    Step("factors", audit_sealed.published_factors),
    Step("append-only tables", audit_sealed.append_only),
    Step("sealed days", audit_sealed.sealed_days),
    Step("lateness", audit_sealed.lateness),
)
# the first ones; rows are compared a few days at a time, each in a snapshot of its own
_OF_THE_LOG = 4
