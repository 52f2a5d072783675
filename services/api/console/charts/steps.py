"""Waterfall chart from one total to another, with a bar for each step."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from markupsafe import Markup

from services.api.console.charts.svg import tag

_LEAST, _HIGH = 0.3, 10


class Step(NamedTuple):
    """
    Step of a waterfall chart.

    `value` is a total, or the change from the previous step.  `shown` is its text in the reader's
    language.
    """

    label: str
    value: Fraction
    shown: str
    total: bool


class Drawn(NamedTuple):
    """Step with the position of its bar."""

    step: Step
    bar: Markup


def steps(result: Sequence[Step]) -> list[Drawn]:
    """Return the steps with their bars on one scale that includes zero; positions in per cent."""
    spans: list[tuple[Fraction, Fraction]] = []
    at = Fraction(0)
    for step in result:
        begin = Fraction(0) if step.total else at
        at = begin + step.value
        spans.append((min(begin, at), max(begin, at)))
    low = min(Fraction(0), *(begin for begin, _ in spans))
    high = max(Fraction(0), *(end for _, end in spans))
    scale = (high - low) or Fraction(1)

    def percent(value: Fraction) -> float:
        return float(value / scale * 100)

    drawn = []
    for step, (begin, end) in zip(result, spans, strict=True):
        wide = max(percent(end - begin), _LEAST)
        kind = "total" if step.total else "gain" if step.value > 0 else "cost"
        bar = tag(
            "rect", x=f"{min(percent(begin - low), 100 - wide):.2f}%", width=f"{wide:.2f}%",
            y=0, height=_HIGH, class_=kind,
        )  # fmt: skip
        drawn.append(Drawn(step, tag("svg", bar, class_="step", aria_hidden="true")))
    return drawn
