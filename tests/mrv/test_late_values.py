"""Values fixed ex ante that are changed after the readings are known."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from mrv import factors
from mrv.errors import MethodologyError
from mrv.registry.project import (
    ACCOUNTING,
    ChangedLate,
    Document,
    Project,
    ProjectDevice,
    SupportingData,
)
from mrv.rules.issued import LATE, choose
from tests.mrv import plant

FIRST = date(2026, 1, 1)
SURVEY = Document("kwh_per_m3_baseline", "survey 7", "Institute", date(2025, 9, 1), "a1" * 32)
OTHER = replace(SURVEY, document="survey 8", sha256="b2" * 32)


def pumps(**parameters):
    """Return a project of pumps with two devices that have a count each."""
    bound = tuple(ProjectDevice(name, "vehicle", {"kwh_per_km": 1}) for name in ("b1", "b2"))
    return Project(
        "p", "P", "ams-iii-c", "16.0", plant.ZONE, plant.FROM, plant.TO,
        parameters=parameters, devices=bound,
    )  # fmt: skip


def late(name, before, was=None, document=None, device=None):
    """Return a change of 2 March."""
    changed = plant.FROM + 60 * 86_400_000_000
    return ChangedLate(device, name, before, changed, "owner", was, document)


def value(name, project):
    return int(project.parameters[name] * 10**6)


def chosen(changes, project, reduction_by):
    """Close with both values; return the applied project, and the findings."""
    supporting = SupportingData(accounting=ACCOUNTING, late=tuple(changes))
    return choose(project, supporting, FIRST, factors.load(), reduction_by)


def kept(changes, project, reduction_by):
    """Close with both values; return the applied one, and the text."""
    project, found = chosen(changes, project, reduction_by)
    assert all(f.rule == LATE and not f.holds for f in found)
    return project.parameters, "".join(f.detail for f in found)


def test_a_value_that_is_raised_without_a_document_counts_as_it_was():
    """If a value is raised without a document, the earlier value is applied."""
    now = pumps(kwh_per_m3_baseline=Decimal("0.25"))

    def left(one):
        return value("kwh_per_m3_baseline", one)

    parameters, said = kept([late("kwh_per_m3_baseline", "0.215")], now, left)
    assert parameters["kwh_per_m3_baseline"] == Decimal("0.215")
    assert "kwh_per_m3_baseline was 0.215 and is 0.25, changed on 2026-" in said
    assert "by owner, after the period began: the earlier value is applied, which lowers" in said
    assert "the reduction by 0.000001 t" in said
    assert "as no third party's document is entered. Restore it, or enter another document" in said


@pytest.mark.parametrize(
    ("was", "document", "counts", "says"),
    [
        (None, SURVEY, "0.25", "document survey 7 states the new value, which is applied"),
        (SURVEY, OTHER, "0.25", "document survey 8 states the new value, which is applied"),
        (SURVEY, SURVEY, "0.215", "survey 7 is also the document of the earlier value"),
        # another file of the same name, giver and date, and one that was given without its file
        (
            SURVEY,
            replace(SURVEY, sha256="b2" * 32),
            "0.215",
            "survey 7 is also the document of the earlier",
        ),
        (
            replace(SURVEY, sha256=None),
            SURVEY,
            "0.215",
            "survey 7 is also the document of the earlier value",
        ),
        (
            SURVEY,
            replace(SURVEY, document="b"),
            "0.215",
            "b is also the document of the earlier value",
        ),
        (SURVEY, replace(OTHER, issued=date(2026, 2, 1)), "0.215", "after the period began"),
        (None, replace(SURVEY, sha256=None), "0.215", "has no `sha256`"),
    ],
)
def test_a_typing_error_is_mended_by_another_document_of_before(was, document, counts, says):
    """
    An honest mistake would cost tonnes permanently, or a document of the old value would support
    any value.
    """
    now = pumps(kwh_per_m3_baseline=Decimal("0.25"))
    change = late("kwh_per_m3_baseline", "0.215", was, document)
    parameters, said = kept([change], now, lambda one: value("kwh_per_m3_baseline", one))
    assert parameters["kwh_per_m3_baseline"] == Decimal(counts)
    assert says in said


def test_a_value_that_leaves_less_counts_and_is_named():
    """A project that corrects itself against its own interest would be held to the old value."""
    now = pumps(kwh_per_m3_baseline=Decimal("0.2"))
    change = late("kwh_per_m3_baseline", "0.215")
    parameters, said = kept([change], now, lambda one: value("kwh_per_m3_baseline", one))
    assert parameters["kwh_per_m3_baseline"] == Decimal("0.2")
    assert "the new value is applied, as it is more conservative by 0.000001 t" in said


def test_shares_that_are_known_only_together_count_as_they_were_together():
    """Two changed shares of one sum can only be evaluated together."""

    def left(one):
        food, paper = one.parameters["food"], one.parameters["paper"]
        if food + paper != 1:
            raise MethodologyError("shares must add up to 1")
        return int(food * 10**6)

    changes = [late("food", "0.5"), late("paper", "0.5")]
    now = pumps(food=Decimal("0.9"), paper=Decimal("0.1"))
    parameters, said = kept(changes, now, left)
    assert (parameters["food"], parameters["paper"]) == (Decimal("0.5"), Decimal("0.5"))
    assert "food was 0.5 and is 0.9" in said
    assert "the earlier value gives no result without the other earlier values" in said


def test_two_changes_that_gain_only_together_gain_nothing():
    """Two late changes that are conservative only together would both stay in force."""
    tonnes = {(1, 1): 5, (2, 2): 10, (1, 2): 11, (2, 1): 11}

    def left(one):
        return tonnes[one.parameters["a"], one.parameters["b"]]

    parameters, said = kept([late("a", "1"), late("b", "1")], pumps(a=2, b=2), left)
    assert (parameters["a"], parameters["b"]) == (1, 1)
    assert "a was 1 and is 2" in said
    assert "b was 1 and is 2" in said


def test_the_same_change_of_many_devices_is_told_once():
    """A fleet of a thousand would be closed a thousand times, and no one would read it."""
    asked = []

    def left(one):
        asked.append(one)
        return sum(int(bound.params["kwh_per_km"]) for bound in one.devices)

    changes = [late("kwh_per_km", "2", device=name) for name in ("b1", "b2")]
    project, (found,) = chosen(changes, pumps(), left)
    assert "kwh_per_km of b1, b2 was 2 and is 1, changed on" in found.detail
    assert found.detail.count("changed on") == 1
    assert len(asked) == 2
    assert [bound.params["kwh_per_km"] for bound in project.devices] == [1, 1]


def test_a_value_that_was_not_given_before_is_left_out_again():
    """A parameter without a value in earlier statements is not added later."""
    now = pumps(kwh_per_m3_baseline=Decimal("0.25"))

    def left(one):
        return int(one.parameters.get("kwh_per_m3_baseline", 0) * 10**6)

    parameters, said = kept([late("kwh_per_m3_baseline", None)], now, left)
    assert parameters == {}
    assert "was not entered and is 0.25" in said
    assert kept([late("kwh_per_m3_baseline", None, None, SURVEY)], now, left)[0] == now.parameters


def test_a_document_that_is_dated_anew_is_told():
    """A report of November would become one of March, and no one would see it."""
    was = replace(SURVEY, issued=date(2026, 2, 1))
    now = pumps(kwh_per_m3_baseline=Decimal("0.25"))
    change = replace(late("kwh_per_m3_baseline", None, was, SURVEY), paper_only=True)
    parameters, said = kept([change], now, lambda one: value("kwh_per_m3_baseline", one))
    assert parameters == now.parameters
    assert (
        "The document of kwh_per_m3_baseline was survey 7 (issuer Institute, date 2026-02-01,"
        f" SHA-256 {'a1' * 32}) and is survey 7 (issuer Institute, date 2025-09-01,"
    ) in said
    # another file of the same title reads otherwise
    change = replace(change, was=replace(SURVEY, sha256="b2" * 32))
    _, said = kept([change], now, lambda one: value("kwh_per_m3_baseline", one))
    assert f"SHA-256 {'b2' * 32}) and is survey 7" in said


@pytest.mark.parametrize("lacks", [{"sha256": None}, {"by": None, "issued": None}])
def test_a_document_that_is_completed_as_asked_is_no_change(lacks):
    """Anyone who gave `by`, `issued` and `sha256`, as a condition asks, met another condition."""
    change = replace(
        late("kwh_per_m3_baseline", None, replace(SURVEY, **lacks), SURVEY), paper_only=True
    )
    now = pumps(kwh_per_m3_baseline=Decimal("0.25"))
    assert chosen([change], now, lambda _: 0) == (now, [])
    # another giver than before is one
    other = replace(SURVEY, by="Somebody else", sha256=None)
    change = replace(change, was=other)
    assert chosen([change], now, lambda _: 0)[1]
