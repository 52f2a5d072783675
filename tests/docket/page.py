"""The docket's page, docs/rules/docket.md, from `results.json`: no database is needed for it."""

from __future__ import annotations

from pathlib import Path

from tests.docket.cases import cases
from tests.docket.table import results, stored, tables

PAGE = Path("docs/rules/docket.md")
_HEAD = """\
# Tests of the rules by labelled cases

For: verifiers. Written by `make pages` from `tests/docket`; `make docket` closes the cases again.

{honest} honest months and {frauds} frauds of {plants} plants, closed by these rules. Honest
operators make ordinary mistakes and bring true documents; a request that a fair verifier would
raise accuses no one. A fraud is caught where a rule raises a request that the untouched plant does
not get. It is unseen where no rule raises one and it earns more than 1.02 times the true reduction.
It is graded too well where the statement says that less rests on such weak evidence than the fraud
earns, or where its worklist does not name what is false. Graded D is an honest case of which most
rests on the claimant's word. Tonnes are of the cases alone and say nothing of a programme.

What a rule takes is `deductedAlone_t`, what only it takes `returnsIfResolved_t`
([effect of a rule](../statement-figures.md#effect-of-a-rule)). `t lost` of a rule is of honest
cases from which it cuts more than 1 %; of a methodology, what all its honest cases lack. A blank
cell is 0.
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
