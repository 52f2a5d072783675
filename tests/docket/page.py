"""The docket's section of docs/rules.md, from `results.json`: no database is needed for it."""

from __future__ import annotations

from pathlib import Path

from tests.docket.cases import cases
from tests.docket.table import results, stored, tables

PAGE = Path("docs/rules.md")
_BEGIN, _END = "<!-- docket: begin, `make pages` -->", "<!-- docket: end -->"
_HEAD = "\n## Annex: tests of the rules by labelled cases\n"
_HOW = (
    "{honest} honest months and {frauds} frauds of {plants} plants, closed by these rules"
    " (`tests/docket`; `make docket` closes them again). Honest operators make ordinary mistakes"
    " and bring true documents; a request that a fair verifier would raise accuses no one. A fraud"
    " is caught where a rule raises a request that the untouched plant does not get; it is unseen"
    " where no rule raises one and it earns more than 1.02 times the true reduction, and graded too"
    " well where the"
    " statement says that less rests on such weak evidence than the fraud earns, or where its"
    " worklist does not name what is false. Graded D is an"
    " honest case of which the statement says that most rests on the claimant's word. Tonnes are of"
    " the cases alone and say nothing of a programme.\n"
)
_COSTS = (
    "A rule takes tonnes alone (`alone_t`), and those that only it takes come back without it"
    " (`beside_t`). Rules without an entry in `rules` of a statement have neither. `t lost` of a"
    " rule is of honest cases from which it cuts more than 1 %; of a methodology, what all its"
    " honest cases lack.\n"
)


def page(text: str) -> str:
    """Return the page with its annex written anew."""
    before = text.partition(_BEGIN)[0]
    return f"{before.rstrip()}\n\n{_BEGIN}\n{_section()}\n\n{_END}\n"


def _section() -> str:
    some = results(cases(), stored())
    how = _HOW.format(
        honest=sum(one.honest for one in some),
        frauds=sum(not one.honest for one in some),
        plants=len({one.name.partition("/")[0] for one in some}),
    )
    return "\n".join((_HEAD, how, _COSTS, *tables(some)))


def main() -> None:
    """Write the page below the current folder."""
    PAGE.write_text(page(PAGE.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
