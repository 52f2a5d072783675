"""Value of the rules, counted over the results of all cases."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from math import fsum
from pathlib import Path
from typing import Any, NamedTuple

from mrv.rules import rules
from tests.docket.world import plant

RESULTS = Path(__file__).with_name("results.json")
# an honest case is right within, and a fraud earns more than it may above
NEAR, TOLERATED = 0.01, 1.02
OPEN = ("CL", "CAR")
IMPORT = "refused"
_WORST = 25
_MOST = 0.5


class Result(NamedTuple):
    """A case with its result; `expected` is the share of the truth that a fair account credits."""

    name: str
    label: str
    grade: str
    methodology: str
    asked: tuple[str, ...]
    expected: float
    truth_t: float
    t: float
    open: frozenset[str]  # rules with a clarification or corrective action request
    said: frozenset[str]  # rules with any finding, or that take something
    costs: Mapping[str, tuple[float, float]]
    rests: Mapping[str, float]  # share of the reduction by grade, as the statement says it
    listed: Mapping[str, str]  # what is false, with its grade in the verifier's worklist
    text: str
    remedied: Result | None  # after the remedy that a finding names

    @property
    def honest(self) -> bool:
        """Return whether the case is honest."""
        return self.label == "honest"

    @property
    def share(self) -> float:
        """Return the credited share of the truth."""
        return self.t / self.truth_t if self.truth_t else float(self.t != 0)

    @property
    def lost_t(self) -> float:
        """Return the shortfall of an honest case from a fair account. [t]"""
        return max(0.0, self.expected * self.truth_t - self.t)

    @property
    def right(self) -> bool:
        """
        Return whether an honest case is credited as in a fair account, and
        no more than the truth.
        """
        return self.lost_t <= NEAR * abs(self.truth_t) and self.share <= TOLERATED

    @property
    def settled(self) -> bool:
        """Return whether an honest case is right at first, or after its remedy, unaccused."""
        last = self.remedied or self
        return last.right and last.free

    @property
    def free(self) -> bool:
        """Return whether no rule raises a request that a fair verifier would not raise."""
        return not self.open - set(self.asked)

    @property
    def unseen(self) -> bool:
        """Return whether a fraud is credited too much, and no rule raises a request."""
        return not self.honest and self.more_t > 0 and not self.open

    @property
    def flattered(self) -> bool:
        """
        Return whether the statement shows a smaller share at such a weak grade than the fraud
        gained.

        Or whether no false item is in the verifier's worklist with so weak a grade.
        """
        weak = sum(share for grade, share in self.rests.items() if grade >= self.grade)
        listed = any(grade >= self.grade for grade in self.listed.values())
        return self.unseen and (min(1, self.more_t / self.t) > weak + NEAR or not listed)

    @property
    def more_t(self) -> float:
        """Return the tonnes that a fraud is credited beyond the truth."""
        return self.t - self.truth_t if self.t > self.truth_t + 0.02 * abs(self.truth_t) else 0.0


def stored() -> dict[str, Any]:
    """Return the results that `make docket` wrote."""
    found: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return found


def results(
    cases: Mapping[str, Mapping[str, Any]], found: Mapping[str, Mapping[str, Any]]
) -> list[Result]:
    """
    Return cases with their results.

    A finding that the undistorted plant also has does not detect a fraud.
    """
    none = {"findings": {}}
    return [
        _result(name, case, found[name], found.get(f"{case['plant']}/as-it-is", none)["findings"])
        for name, case in cases.items()
        if name in found
    ]


def _result(
    name: str, case: Mapping[str, Any], one: Mapping[str, Any], usual: Mapping[str, str]
) -> Result:
    open_ = {rule for rule, severity in one["findings"].items() if severity in OPEN}
    if one.get("refused"):
        open_ = {IMPORT}
    if case["label"] == "fraud":
        open_ -= {rule for rule, severity in usual.items() if severity in OPEN}
    after = one.get("remedied")
    remedied = after and _result(name, {**case, **case.get("remedy", {})}, after, usual)
    return Result(
        name, case["label"], case["grade"], plant(case["plant"])["methodology"],
        tuple(case["asked"]), case["earns"], one["truth_t"], one["t"], frozenset(open_),
        frozenset({*one["findings"], *one.get("costs", {})}),
        {rule: tuple(cost) for rule, cost in one.get("costs", {}).items()},
        one.get("rests", {}), one.get("listed", {}), case["is"], remedied,
    )  # fmt: skip


class OfRule(NamedTuple):
    """
    Effect of a rule.

    `caught` are frauds in which it raises a request, `only` those in which no other rule does,
    `taken_t` its own deduction in frauds, `only_t` the increase if it alone is resolved; `accused`
    are honest cases in which it raises a request that no fair verifier would raise, `cut` those
    from which it deducts more than 1 %, `lost_t` its own deduction in honest cases.
    """

    rule: str
    caught: int
    only: int
    taken_t: float
    only_t: float
    accused: int
    cut: int
    lost_t: float


def by_rule(some: Iterable[Result]) -> list[OfRule]:
    """Return the counts for each rule of the catalogue, and for rejections by an import."""
    some = [*some]
    honest = [one for one in some if one.honest]
    frauds = [one for one in some if not one.honest]
    others = sorted({rule for one in some for rule in one.open} - rules().keys() - {IMPORT})
    found = []
    for rule in (*rules(), *others, IMPORT):
        caught = [one for one in frauds if rule in one.open]
        cost = {one.name: one.costs.get(rule, (0.0, 0.0)) for one in some}
        cut = [
            one
            for one in honest
            if not one.right and cost[one.name][0] > NEAR * abs(one.expected * one.truth_t)
        ]
        found.append(
            OfRule(
                rule,
                len(caught),
                sum(one.open == {rule} for one in caught),
                fsum(cost[one.name][0] for one in frauds),
                fsum(cost[one.name][1] for one in frauds),
                sum(rule in one.open and rule not in one.asked for one in honest),
                len(cut),
                fsum(min(cost[one.name][0], one.lost_t) for one in cut),
            )
        )
    return found


class OfMethodology(NamedTuple):
    """
    Honest cases: all, correct, without a request, both, both at first or after the remedy that a
    finding names; frauds: all, credited too much, undetected; tonnes.

    `weak` are honest cases in which most of the reduction has grade D. `flattered` are undetected
    frauds whose evidence the statement grades too well, or whose false items the verifier's
    worklist does not name.
    """

    methodology: str
    honest: int
    right: int
    free: int
    both: int
    settled: int
    lost_t: float
    weak: int
    frauds: int
    more: int
    passed: int
    passed_t: float
    flattered: int


def by_methodology(some: Iterable[Result]) -> list[OfMethodology]:
    """Return the counts for each methodology, and for all of them."""
    some = [*some]
    found = []
    for name in (*sorted({one.methodology for one in some}), "all"):
        of = [one for one in some if name in (one.methodology, "all")]
        honest, frauds = [o for o in of if o.honest], [o for o in of if not o.honest]
        passed = [one for one in frauds if one.unseen]
        found.append(
            OfMethodology(
                name, len(honest), sum(o.right for o in honest), sum(o.free for o in honest),
                sum(o.right and o.free for o in honest),
                sum(o.settled for o in honest), fsum(o.lost_t for o in honest),
                sum(o.rests.get("D", 0) > _MOST for o in honest),
                len(frauds), sum(o.more_t > 0 for o in frauds), len(passed),
                fsum(o.more_t for o in passed), sum(o.flattered for o in passed),
            )
        )  # fmt: skip
    return found


def worst(some: Iterable[Result]) -> tuple[list[Result], list[Result]]:
    """
    Return honest cases with the largest losses or accusations, and
    undetected frauds, worst first.
    """
    some = [*some]
    wronged = [one for one in some if one.honest and (not one.right or not one.free)]
    passed = [one for one in some if not one.honest and one.more_t]
    return (
        sorted(wronged, key=lambda one: -one.lost_t / (abs(one.truth_t) or 1)),
        sorted(passed, key=lambda one: (bool(one.open), -one.more_t / (abs(one.truth_t) or 1))),
    )


# --- for people ---------------------------------------------------------------------------


def _line(cells: Iterable[Any]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _t(value: float) -> str:
    return f"{value:,.1f}" if value else "0"


def tables(some: Iterable[Result], *, whole: bool = True) -> Iterator[str]:
    """Yield the tables by rule and by methodology, as Markdown; `whole` of all cases."""
    some = [*some]
    yield _line(("rule", "frauds detected", "by this rule only", "deduction [t]",
                 "deduction by this rule only [t]", "honest cases accused", "honest cases reduced",
                 "honest tonnes lost"))  # fmt: skip
    yield "|---|---|---|---|---|---|---|---|"
    for one in by_rule(some):
        if any(one[1:]):
            figures = (one.caught, one.only, _t(one.taken_t), _t(one.only_t), one.accused, one.cut,
                       _t(one.lost_t))  # fmt: skip
            yield _line(
                (
                    "`rejected`" if one.rule == IMPORT else one.rule,
                    *("" if str(each) == "0" else each for each in figures),
                )
            )
    said = frozenset().union(*(one.said for one in some))
    shown = {one.rule for one in by_rule(some) if any(one[1:])}
    silent = ", ".join(rule for rule in rules() if rule in said - shown)
    idle = ", ".join(rule for rule in rules() if rule not in said)
    if silent and whole:
        yield f"\nRules with only justified requests or observations: {silent}."
    if idle and whole:
        yield f"\nRules without a case: {idle}."
    yield ""
    yield _line(("methodology", "honest cases", "credited within 1 % of the truth",
                 "without a request", "both", "both, after remedies", "tonnes lost", "grade D",
                 "frauds",
                 "frauds credited above 1.02 times the truth", "of these undetected",
                 "undetected [t]", "evidence overrated"))  # fmt: skip
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|---|"
    for row in by_methodology(some):
        yield _line((*row[:6], _t(row.lost_t), *row[7:11], _t(row.passed_t), row.flattered))


def shown(some: Iterable[Result], *, whole: bool = True) -> Iterator[str]:
    """Yield the tables and the worst cases of both sides."""
    some = [*some]
    yield from tables(some, whole=whole)
    wronged, passed = worst(some)
    yield f"\nHonest cases that lose or are accused ({len(wronged)}):"
    for one in wronged[:_WORST]:
        yield f"  {_case(one)}"
    yield f"\nFrauds that earn more than 1.02 of the truth ({len(passed)}), the unseen first:"
    for one in passed[: 2 * _WORST]:
        yield f"  {_case(one)}"


def _case(one: Result) -> str:
    requests = ", ".join(sorted(one.open)) or "no request"
    if one.remedied:
        asked = ", ".join(sorted(one.remedied.open)) or "no request"
        requests += f"; {one.remedied.share:.2f} after its remedy, {asked}"
    requests += ", graded too well" if one.flattered else ""
    return (
        f"{one.name}: {one.t:.1f} t of {one.truth_t:.1f} t ({one.share:.2f}), grade {one.grade};"
        f" {requests}. {one.text}"
    )
