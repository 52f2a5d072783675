"""The docket's page, docs/rules/docket.md, from `results.json`; needs no database."""

from __future__ import annotations

from pathlib import Path

from tests.docket.cases import cases
from tests.docket.table import results, stored, tables

PAGE = Path("docs/rules/docket.md")
_HEAD = """\
# Tests of the rules by labelled cases

For: verifiers. Written by `make pages` from `tests/docket`; `make docket` recalculates the cases.

This page shows how the rules treat {honest} honest and {frauds} fraudulent monitoring periods of
{plants} simulated plants. In the honest cases the operator makes ordinary mistakes and provides
genuine documents.

## Terms

- Request: a clarification or corrective action request. In an honest case, a request that a
  verifier would also raise is not counted as an accusation.
- Detected fraud: a rule raises a request that the same plant without the fraud does not receive.
- Undetected fraud: no rule raises such a request, and the reduction is more than 1.02 times the
  true one.
- Evidence overrated: a fraud whose false quantity or value the worklist does not list, or for
  which the statement shows, at its grade, a smaller share than the fraud has gained.
- After remedies: the operator followed the finding (an entry of the registry, a corrected invoice,
  another period), and the period was closed again.
- `rejected`: the registry import rejects the case, before any rule.
- Grade D: an honest case in which more than half of the reduction depends on evidence of grade D.

Tonnes are sums over these cases only; they say nothing about a real programme. A blank cell is 0.

## Rules

The column "deduction" has `deductedAlone_t` of the rule, the column "deduction by this rule only"
its `returnsIfResolved_t` ([effect of a rule](../statement-figures.md#effect-of-a-rule)). "Honest
cases reduced" is the number of honest cases that are credited over 1 % less than is
justified, where the rule deducts more than 1 % of the justified reduction. "Honest tonnes lost" is
that shortfall.
"""


def page() -> str:
    """Return the page."""
    some = results(cases(), stored())
    head = _HEAD.format(
        honest=sum(one.honest for one in some),
        frauds=sum(not one.honest for one in some),
        plants=len({one.name.partition("/")[0] for one in some}),
    )
    return "\n".join((head, *tables(some), ""))


def main() -> None:
    """Write the page below the current folder."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
