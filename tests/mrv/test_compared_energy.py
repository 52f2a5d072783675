"""Which energy a statement compares with the design."""

from dataclasses import replace

import numpy as np
import pytest

from mrv.accounting.rounded_figures import energy_roles
from mrv.documents.statement import claims_of
from mrv.errors import PeriodError
from mrv.methodologies import find
from mrv.registry.project import ProjectDevice
from mrv.report.sheets import workbook
from mrv.report.words import Words
from mrv.statement.compose import Label, compose
from mrv.statement.earlier_statements import figures
from mrv.statement.evidence_case import Case
from mrv.statement.plan_reader import read_plan
from tests.findings import worded
from tests.mrv.report import sample
from tests.mrv.report.test_workbook import opened, row_of

LABEL = Label(1, "tonne 0")


@pytest.fixture(scope="module")
def plant():
    """Return the evidence of a plant that produces 28.8 MWh in a day and draws 0.48."""
    return sample.waste_heat_case()


def _energy(case):
    return compose(case, LABEL)["credentialSubject"]["comparisons"][0]


def _with(case, plan):
    return Case(plan, case.frames, case.rows, case.from_us, case.to_us, case.factors)


def test_what_a_plant_draws_is_not_what_it_made(plant):
    """A plant short of its design would be taken for one above it, by drawing from the grid."""
    found = _energy(plant)
    assert found["roles"] == ["turbine"]
    assert (found["expected"], found["actual"]) == ("24000.000000", "28800.000000")
    assert found["difference_percent"] == "20.00"


def test_a_pack_from_before_verifies(plant):
    """Every pack of such a plant that was issued before would be called false."""
    written = plant.plan.to_json()
    assert written.pop("energyRoles") == ["turbine"]
    before = _with(plant, read_plan(written))
    found = _energy(before)
    assert "roles" not in found
    assert found["actual"] == "29280.000000"
    assert before.plan.to_json() == written


def test_a_plan_cannot_choose(plant):
    """An operator would compare the design with whichever meter fits best."""
    with pytest.raises(PeriodError, match=r"auxiliary.*acm0012 uses that of turbine"):
        compose(_with(plant, replace(plant.plan, energy=("auxiliary",))), LABEL)


def test_other_periods_are_compared_by_the_same_meters(plant):
    """Electricity drawn in an earlier period would count as generated."""
    body = compose(plant, LABEL)
    assert figures(claims_of(body), energy=plant.plan.energy).energy_wh == "28800000"
    assert figures(claims_of(body)).energy_wh == "29280000"


@pytest.mark.parametrize(
    ("method", "roles", "expected"),
    [
        ("jcm-vn-am007", ["generation"], ()),
        ("am0020", ["volume", "power"], ()),
        ("ams-iii-c", ["vehicle", "charging"], ()),
        ("acm0012", ["turbine", "fuel"], ()),
        ("acm0012", ["turbine", "auxiliary"], ("turbine",)),
    ],
)
def test_only_plants_that_meter_both_say_which(method, roles, expected):
    """Statements of all others would change their bytes without need."""
    bound = [ProjectDevice(role, role) for role in roles]
    assert energy_roles(find(method), bound) == expected


def test_the_workbook_adds_the_same_meters_and_names_them(plant):
    """The reader of the workbook would find another figure than the statement's."""
    book = workbook(sample.draft(plant), Words("en"))
    sheet = opened(book)["Comparisons"]
    row = row_of(sheet, "project design, a year of 365 days")
    values = [cell.value for cell in sheet[row]]
    assert values[1] == "Energy [kWh]: turbine"
    assert (values[6], values[7], values[9]) == (28_800, 20, "yes")
    formula = opened(book, values=False)["Comparisons"].cell(row, 7).value
    assert formula.count("Calculation") == 1


def test_a_turbine_that_tells_no_import_is_named_and_one_that_does_adds_nothing(plant):
    """
    A plant that unplugs the import register would pay nothing for its import, and no finding would
    say so.
    """

    def unmet(case):
        said = compose(case, LABEL)["credentialSubject"]["applicability"]
        return [f for f in said if "import of the generator" in f.get("rule", f.get("clause", ""))]

    (found,) = unmet(plant)
    assert not found["holds"]
    assert "no import of turbine is metered" in worded(found)
    frames = []
    for one in plant.frames:
        columns = dict(one.columns)
        if one.class_id == "waste_heat_turbine":
            columns["energy_import_wh"] = np.arange(len(one), dtype=np.int64) * 10
        frames.append(replace(one, columns=columns))
    assert unmet(sample._case(plant.plan, frames, plant.from_us, plant.to_us)) == []
