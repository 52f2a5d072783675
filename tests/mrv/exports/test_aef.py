"""The five tables of Article 6.2: what a Party files, and what stays as filed."""

from copy import deepcopy
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from mrv.errors import ExportError
from mrv.exports.aef import COLUMNS, aef, digest, to_csv, workbook
from mrv.exports.contradictions import check
from mrv.exports.entered import holdings, read_authority
from tests.soak import often

STATEMENT = "TN-pv-20260101-20260201-1"
AUTHORIZATION = {
    "id": "VN-1", "project": "pv", "approach": "CA0004", "date": "2026-03-01", "version": 1,
    "party": "VNM", "quantity": 5000, "gwp": "100-year values from 5th IPCC assessment",
    "sector": "Energy industries (renewable-/ non renewable sources)", "activity_type": "Solar",
    "purposes": "NDC", "first_transfer": "Authorization", "authorized_party": "JPN",
    "entities": [{"id": "E1", "name": "Plant", "country": "VNM", "date": "2026-03-01"}],
    "units": [{"statement": STATEMENT, "vintage": 2026, "first": 1, "last": 3000, "registry": "R1",
               "unit_registry": "JCM", "unit_first": "a1", "unit_last": "a3000"}],
    "actions": [
        {"date": "2026-04-01", "type": "First Transfer", "subtype": "NDC", "first": 1,
         "last": 1000, "registry": "R1", "document": "letter 7", "from_party": "VNM",
         "to_party": "JPN"},
    ],
}  # fmt: skip
SUBMISSION = {"party": "VNM", "year": 2026, "version": 1, "date": "2027-04-10", "ndc_from": 2021,
              "ndc_to": 2030}  # fmt: skip


def _whole(*submissions, **changes):
    return {
        "authorizations": [{**deepcopy(AUTHORIZATION), **changes}],
        "submissions": [SUBMISSION, *submissions],
    }


def _made(record, version=1, statements=(STATEMENT,), year=2026):
    authority = read_authority(record, "entries")
    check(authority)
    return aef(authority, statements, "VNM", year, version)


def test_a_year_is_reported_with_holdings_of_its_last_day():
    """A ministry that reports more than it holds has its whole year sent back."""
    draft = _made(_whole())
    (t1,), (t2,), (t3,), (t4,), (t5,) = (draft.tables[table] for table in COLUMNS)
    assert (t1["party"], t1["reportedYear"], t1["version"]) == ("VNM", 2026, 1)
    assert (t2["authorizationId"], t2["quantity"]) == ("VN-1", 5000)
    assert (t3["quantity"], t3["acquiringParty"], t3["vintageYear"]) == (1000, "JPN", 2026)
    assert (t4["itmoFirstId"], t4["itmoLastId"], t4["quantity"]) == (1001, 3000, 2000)
    assert t5["entityId"] == "E1"
    # serials of a part of a range are not guessed
    assert {(m.table, m.field) for m in draft.missing} == {
        ("T3", "unitFirstId"),
        ("T4", "unitFirstId"),
    }
    assert "unitFirstId" not in t4


def test_units_of_a_statement_that_nobody_gave_are_named():
    """A tonne of a statement that was revoked would be in the year's holdings."""
    draft = _made(_whole(), statements=())
    assert {m.field for m in draft.missing if STATEMENT in m.remedy} == {"quantity"}


def test_csv_and_workbook_say_the_same():
    """The file for people and the file for machines would be two submissions."""
    draft = _made(_whole())
    book = load_workbook(BytesIO(workbook(draft)))
    for sheet, (table, columns) in zip(book.worksheets, COLUMNS.items(), strict=True):
        rows = [["" if c is None else str(c) for c in row] for row in sheet.values]
        assert rows[0] == list(columns)
        assert [",".join(row) for row in rows[1:] if '"' not in to_csv(draft, table)] == [
            line
            for line in to_csv(draft, table).splitlines()[1:]
            if '"' not in to_csv(draft, table)
        ]
    assert workbook(draft) == workbook(_made(_whole()))
    with pytest.raises(ExportError, match="formula"):
        to_csv(_made(_whole(terms="=1+1")), "T2")


def test_a_filed_year_never_changes_and_a_revision_is_a_new_version():
    """A filed year that is corrected without a note would have two versions with one date."""
    filed = digest(_made(_whole()))
    late = {**AUTHORIZATION["actions"][0], "date": "2026-05-01", "first": 1001, "last": 1500}
    actions = [AUTHORIZATION["actions"][0], late]
    record = _whole(actions=actions)
    record["submissions"] = [{**SUBMISSION, "filed": filed}]
    with pytest.raises(ExportError, match="a filed year does not change"):
        _made(record)
    record["authorizations"][0]["actions"][1] = {**late, "reported_in": 2}
    record["submissions"].append({**SUBMISSION, "version": 2, "date": "2027-09-01"})
    assert digest(_made(record)) == filed
    revised = _made(record, version=2)
    assert sum(row["quantity"] for row in revised.tables["T4"]) == 1500
    assert [row["quantity"] for row in revised.tables["T3"]] == [1000, 500]


def _action(**changes):
    return {"actions": [{**AUTHORIZATION["actions"][0], **changes}]}


def _twice(kind):
    first = {**AUTHORIZATION["actions"][0], "type": kind, "to_party": None}
    return {"actions": [first, {**first, "date": "2026-06-01"}]}


REFUSED = {
    "a party that is none": ({"party": "VN"}, "is not a Party"),
    "a receiver that is none": (_action(to_party="TWN"), "is not a Party"),
    "an approach that is none": ({"approach": "CA4"}, "CA and four digits"),
    "more than is authorized": ({"quantity": 10}, "are authorized"),
    "ranges that overlap": ({"units": AUTHORIZATION["units"] * 2, "quantity": 6000}, "overlap"),
    "units that nobody entered": (_action(last=3001), "is not in any range"),
    "a transfer before the authorization": (_action(date="2026-02-01"), "before the authorization"),
    "a giver who does not hold": (_action(from_party="JPN"), "not by JPN"),
    "a use of what was used": (_twice("Use"), "used or cancelled earlier"),
    "a purpose that is none": ({"purposes": "sale"}, "is not one of"),
    "a type that is none": (_action(type="Gift"), "is not a type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_contradiction_is_refused_with_its_rule(case):
    """Two Parties would count one tonne."""
    changes, rule = REFUSED[case]
    with pytest.raises(ExportError, match=rule):
        _made(_whole(**changes))


def test_a_year_that_nobody_submits_is_refused():
    """A submission without a date would be one that can be made twice."""
    with pytest.raises(ExportError, match="no version 2 of VNM 2026"):
        _made(_whole(), version=2)


@settings(max_examples=often(30, 60), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["First Transfer", "Transfer", "Acquisition", "Use", "Cancellation"]),
            st.integers(1, 40),
            st.integers(1, 40),
            st.sampled_from(["JPN", "CHE", None]),
        ),
        max_size=8,
    )
)
def test_what_is_held_and_what_is_gone_is_what_was_issued(steps):
    """A unit without an issuance would represent a tonne that no one avoided."""
    units = [{**AUTHORIZATION["units"][0], "last": 40}]
    actions = [
        {"date": f"2026-04-{day:02}", "type": kind, "first": min(a, b), "last": max(a, b),
         "registry": "R1", "document": "d", "to_party": to}
        for day, (kind, a, b, to) in enumerate(steps, 1)
    ]  # fmt: skip
    (one,) = read_authority(_whole(units=units, actions=actions), "entries").authorizations
    gone = set()
    done = []
    for action in one.actions:
        numbers = set(range(action.first, action.last + 1))
        if numbers & gone:
            with pytest.raises(ExportError, match="earlier"):
                holdings([one], [*done, (one, action)])
            continue
        done.append((one, action))
        if action.type in ("Use", "Cancellation"):
            gone |= numbers
    held = holdings([one], done)
    numbers = [n for part in held for n in range(part.first, part.last + 1)]
    assert numbers == list(range(1, 41))
    assert {n for p in held if p.holder is None for n in range(p.first, p.last + 1)} == gone
