"""What a verification found, step by step."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Outcome = Literal["ok", "failed", "not applicable", "not reached"]


@dataclass(frozen=True, slots=True)
class StepResult:
    """A step: its number and name, how it came out, what was found, and what to do."""

    number: int
    name: str
    outcome: Outcome
    detail: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.number:>2}  {self.outcome:<14}  {self.name}"
        return f"{text}: {self.detail}" if self.detail else text


@dataclass(frozen=True, slots=True)
class Report:
    """
    A whole verification.

    Attributes
    ----------
    statement : str
        Its id, as far as it could be read.
    state : str
        How far the evidence carries it: draft, submitted, verified or issued.
    keys : str
        Where the trusted keys came from, in a sentence.
    steps : tuple of StepResult
    """

    statement: str
    state: str
    keys: str
    steps: tuple[StepResult, ...]

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return self.failure is None

    @property
    def failure(self) -> StepResult | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.outcome == "failed"), None)

    def to_json(self) -> dict[str, Any]:
        """Write the report for programs."""
        return {
            "statement": self.statement,
            "state": self.state,
            "ok": self.ok,
            "keys": self.keys,
            "steps": [asdict(step) for step in self.steps],
        }


def lines(report: Report) -> Iterator[str]:
    """Write a report for people, a line a step; the last lines say what it comes to."""
    yield f"{report.statement}, {report.state}"
    yield report.keys
    yield from map(str, report.steps)
    failure = report.failure
    if failure is None:
        yield "everything that this statement has holds"
        return
    yield f"FAILED at step {failure.number}, {failure.name}: {failure.detail}"
    yield f"what to do: {failure.remedy}"
