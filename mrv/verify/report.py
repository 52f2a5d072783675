"""Result of a verification: steps, missing evidence and the basis of the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

Outcome = Literal["ok", "failed", "not applicable", "not checked", "not reached"]
# states that a reader may require; each includes the requirements of the earlier ones
STATES = ("draft", "submitted", "verified", "issued")
RELIABLE, FALSE, NOT_ENOUGH = 0, 1, 4
FORMAT = 1
_MAX_DAYS_LISTED = 3
_MAX_CHARACTERS = 4_000  # maximum length of a line from a pack


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step: number, name, outcome, findings and remedy."""

    number: int
    name: str
    outcome: Outcome
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.number:>2}  {self.outcome:<14}  {self.name}"
        return f"{text}: {self.detail}" if self.detail else text


class Missing(NamedTuple):
    """
    Evidence that a reader still needs.

    `code`: stable identifier, for programs.
    `state`: state from which on a reader needs it.
    `what`: description, in a sentence.
    `remedy`: option or command that supplies it.
    `waiver`: value of `--accept` that waives it; empty if none.
    """

    code: str
    state: str
    what: str
    remedy: str
    waiver: str = ""


class SealedArrival(NamedTuple):
    """
    Arrival of a day's readings, from its seal.  `sealed_late`: whether the day was sealed more than
    36 hours after its end.
    """

    day: str
    readings: int
    late: int
    hours: int
    sealed_late: bool

    @property
    def striking(self) -> bool:
        """Return whether an auditor should examine the day: late, or all within two hours."""
        return bool(self.late) or (0 < self.hours <= 2)  # noqa: PLR2004 - as mrv.statement.device_days


class StampedStatement(NamedTuple):
    """
    Time stamps of a statement by trusted authorities.

    `stamps`: each authority, and the time of its first stamp of the statement or of the log with
    it.
    `issue_by`: time by which enough of them had stamped the log with this issue, UTC.
    `ends`: authorities whose certificate has expired, and when.
    """

    stamps: tuple[tuple[str, str], ...] = ()
    issue_by: datetime | None = None
    ends: tuple[tuple[str, str], ...] = ()


class StampedDay(NamedTuple):
    """
    Seal of a day: its stated time, and the time by which enough authorities stamped it.

    `late`: whether it was stamped later than 36 hours after the end of the day.
    """

    day: str
    sealed: str | None
    stamped: str | None
    late: bool


class Figures(NamedTuple):
    """Result of a period: reduction [t CO2e], and whole tonnes credited."""

    reduction_t: str
    credited_t: str

    def __str__(self) -> str:
        return f"{self.reduction_t} t reduced, {self.credited_t} t credited"


class Rules(NamedTuple):
    """
    Versions of the rules of a statement, and the current ones.

    `today`: result under the current rules, if they differ.
    `why`: reason for a missing result under the current rules.
    """

    metering: int
    accounting: int
    metering_today: int
    accounting_today: int
    today: Figures | None = None
    why: str = ""

    @property
    def older(self) -> bool:
        """Return whether the statement's rules are older than the current ones."""
        return (self.metering, self.accounting) != (self.metering_today, self.accounting_today)

    @property
    def then(self) -> str:
        """Return the versions of the statement's rules, in words."""
        return f"metering {self.metering}, accounting {self.accounting}"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, as part of the report's."""
        return {
            "metering": self.metering,
            "accounting": self.accounting,
            "meteringToday": self.metering_today,
            "accountingToday": self.accounting_today,
            "today": None if self.today is None else self.today._asdict(),
            "notComputed": self.why or None,
        }

    def __str__(self) -> str:
        now = f"metering {self.metering_today}, accounting {self.accounting_today}"
        return (
            f"correct under the rules of that time ({self.then}); under today's "
            f"rules ({now}): {self.today or f'not calculated: {self.why}'}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """
    A complete verification.

    `statement`: its id, if readable.
    `state`: state supported by the evidence: draft, submitted, verified or issued.
    `keys`: source of the trusted keys, in a sentence.
    `lacking`: evidence of an issued statement that is missing.
    `accepted`: state required by the reader, and accepted weaknesses.
    `relied`, `not_relied`: what the result relies on, and what not, in sentences.
    `unmet`: conditions not met according to the statement.
    `effects`: rules with a deduction, each with its tonnes.
    `gaps`: gaps by device and cause, with hours and tonnes.
    `graded`: the share of the reduction by grade of evidence; empty before 0.2.0.
    `arrived`: arrival of the readings of each sealed day.
    `stamps`: trusted time-stamp authorities of the statement, each with its first time.
    `stamped_days`: time by which they stamped the seal of each day.
    `rules`: versions of its rules, and the result under the current ones; None without evidence.
    """

    statement: str
    state: str
    keys: str
    steps: tuple[StepResult, ...]
    lacking: tuple[Missing, ...] = ()
    accepted: frozenset[str] = frozenset()
    relied: tuple[str, ...] = ()
    not_relied: tuple[str, ...] = ()
    unmet: tuple[str, ...] = ()
    effects: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    graded: str = ""
    arrived: tuple[SealedArrival, ...] = ()
    stamps: tuple[tuple[str, str], ...] = ()
    stamped_days: tuple[StampedDay, ...] = ()
    rules: Rules | None = None

    @property
    def wanted(self) -> str:
        """Return the state that the reader requires: the earliest of those accepted."""
        return next((state for state in STATES if state in self.accepted), STATES[-1])

    @property
    def missing(self) -> tuple[Missing, ...]:
        """Return missing evidence for the state that the reader requires."""
        upto = STATES.index(self.wanted)
        return tuple(
            missing
            for missing in self.lacking
            if STATES.index(missing.state) <= upto and missing.waiver not in self.accepted
        )

    @property
    def waived(self) -> tuple[Missing, ...]:
        """Return missing evidence that was accepted with `--accept`."""
        return tuple(missing for missing in self.lacking if missing not in self.missing)

    @property
    def consistent(self) -> bool:
        """Return whether no step failed; this alone is not sufficient for reliance."""
        return self.failure is None

    @property
    def reliable(self) -> bool:
        """Return whether no step failed and no required evidence is missing."""
        return self.consistent and not self.missing

    @property
    def exit_code(self) -> int:
        """Return 0 for reliable, 1 for a failed step, 4 for consistent but incomplete."""
        if not self.consistent:
            return FALSE
        return RELIABLE if self.reliable else NOT_ENOUGH

    @property
    def failure(self) -> StepResult | None:
        """Return the first failed step."""
        return next((step for step in self.steps if step.outcome == "failed"), None)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; `docs/verify.md` explains each field."""
        return {
            "format": FORMAT,
            "statement": self.statement,
            "state": self.state,
            "exit": self.exit_code,
            "ok": self.reliable,
            "consistent": self.consistent,
            "accepted": sorted(self.accepted),
            "keys": self.keys,
            "steps": [asdict(step) for step in self.steps],
            "unmet": list(self.unmet),
            "effects": list(self.effects),
            "gaps": list(self.gaps),
            "evidence": self.graded,
            "rules": None if self.rules is None else self.rules.to_json(),
            "arrival": [arrival._asdict() for arrival in self.arrived],
            "timestamps": {
                "statement": [{"authority": name, "time": at} for name, at in self.stamps],
                "days": [stamped_day._asdict() for stamped_day in self.stamped_days],
            },
            "missing": [missing._asdict() for missing in self.missing],
            "waived": [missing._asdict() for missing in self.waived],
            "reliedOn": list(self.relied),
            "notReliedOn": list(self.not_relied),
        }


def plain(text: str) -> str:
    """
    Return text of a pack on one line.

    Line breaks or terminal control codes in a name could otherwise produce false lines.
    """
    if len(text) > _MAX_CHARACTERS:
        text = f"{text[:_MAX_CHARACTERS]}..."
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text
    )


def lines(report: Report) -> Iterator[str]:
    """Yield a report for people, one line per step; the last lines state the result."""
    yield from map(plain, _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.statement}, {report.state}"
    yield report.keys
    yield from map(str, report.steps)
    failure = report.failure
    if failure is not None:
        yield f"FAILED at step {failure.number}, {failure.name}: {failure.detail}"
        yield f"what to do: {failure.remedy}"
        return
    if report.graded:
        yield f"share of the reduction by grade of evidence: {report.graded}"
    yield from (f"rule with an effect: {effect}" for effect in report.effects)
    yield from (f"gaps of {gap}" for gap in report.gaps)
    yield from (f"not met, as stated in the statement: {text}" for text in report.unmet)
    if report.rules is not None and report.rules.older:
        yield str(report.rules)
    yield from _arrivals(report)
    yield from _stamped(report)
    yield from (f"relied on: {text}" for text in report.relied)
    yield from (f"not relied on: {text}" for text in report.not_relied)
    yield from _outcome(report)


def _arrivals(report: Report) -> Iterator[str]:
    """
    Yield a line on each day with readings that arrived late or all at once, the most late ones
    first.
    """
    arrivals = [arrival for arrival in report.arrived if arrival.striking]
    for arrival in sorted(arrivals, key=lambda x: (-x.late, x.hours, x.day))[:_MAX_DAYS_LISTED]:
        hours = "1 hour" if arrival.hours == 1 else f"{arrival.hours} different hours"
        yield (
            f"arrival of {arrival.day}: {arrival.readings} readings in {hours},"
            f" {arrival.late} of them later than 36 h after the day"
        )
    if len(arrivals) > _MAX_DAYS_LISTED:
        yield f"arrival: and {len(arrivals) - _MAX_DAYS_LISTED} more such days; --json lists all"


def _stamped(report: Report) -> Iterator[str]:
    """Yield texts on days whose seals were not time-stamped in time, the latest first."""
    late = [stamped_day for stamped_day in report.stamped_days if stamped_day.late]
    for day in sorted(late, key=lambda x: x.stamped or "", reverse=True)[:_MAX_DAYS_LISTED]:
        message = f"sealed at {day.sealed} by the log's own clock" if day.sealed else "sealed"
        yield (
            f"time stamp of {day.day}: {message}, seen by authorities at {day.stamped}: "
            "no evidence that it was sealed earlier"
        )
    if len(late) > _MAX_DAYS_LISTED:
        yield f"time stamps: and {len(late) - _MAX_DAYS_LISTED} more such days; --json lists all"
    unseen = [stamped_day for stamped_day in report.stamped_days if stamped_day.stamped is None]
    if unseen and len(unseen) < len(report.stamped_days):
        yield (
            f"time stamps: the seals of {len(unseen)} of {len(report.stamped_days)} "
            "days were stamped by too few trusted authorities"
        )


def _outcome(report: Report) -> Iterator[str]:
    yield from (f"missing, and accepted by you (--accept): {m.what}" for m in report.waived)
    if report.missing:
        yield "INCOMPLETE: consistent so far, but the following evidence is missing:"
        yield from (f"missing: {missing.what}; {missing.remedy}" for missing in report.missing)
    elif report.accepted:
        yield f"complete to the extent requested (--accept {', '.join(sorted(report.accepted))})"
    else:
        yield f"{report.statement} is issued and may be relied on, on the grounds named above"
