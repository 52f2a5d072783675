"""Methodologies compared with the golden cases, and rejected inputs."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import classes
from mrv import factors, methodologies
from mrv.errors import MethodologyError
from mrv.factors.ledger import Ledger
from mrv.methodologies import _tools as tools
from mrv.model import Activity, Candidate, CandidateDevice, Tool
from mrv.parameters import ChoiceSpec, ListSpec, MapSpec, ParameterSpec, RecordSpec, read
from mrv.rounding import decimal_text, floor_credit
from tests.golden import NAMES
from tests.golden import case as golden

# Worked examples of these stand in test_worked_examples.
METHODS = tuple(methodologies.load().values())
WITHOUT_CASE = {"ams-iii-f-monthly", "pv-panel-recycling"}
BUS = {"sfc_l_per_100km": Fraction(34), "baseline_year": 2025, "tdl": Fraction("0.0615")}
BUS_INPUTS = golden("ams-iii-c", Decimal)["inputs"]


@pytest.mark.parametrize("name", sorted(m for m in methodologies.load() if m not in WITHOUT_CASE))
def test_golden_case(name):
    """Each methodology gives the result of an independently calculated case."""
    case = golden(name, Decimal)
    method = methodologies.find(name)
    result = methodologies.evaluate(method, case["inputs"], factors.load().within("VN"), name)
    expected = dict(case["expected"])
    assert floor_credit(result.reduction_t) == expected.pop("credit_t")
    for key, value in expected.items():
        mine = result.extra.get(key)
        exact = getattr(result, key) if mine is None else mine
        assert Decimal(decimal_text(exact, 6, "half_up")) == value, key


@pytest.mark.parametrize("method", methodologies.load().values(), ids=lambda m: m.id)
def test_roles_ask_for_what_classes_deliver(method):
    """A project would be imported whose devices can never be counted."""
    known = classes.load()
    for role, needs in method.roles.items():
        for device_class in needs.classes:
            quantities = {c.quantity for c in known[device_class].registers}
            assert needs.quantity in quantities, (role, device_class)


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.id)
def test_every_input_says_its_unit_source_and_certainty(method):
    """Each input states its unit, its source, and how the text of the source was available."""
    for one in _numbers([*method.inputs.values(), *method.parameters.values()]):
        assert one.unit
        assert one.source
        assert one.certainty in {"[R]", "[T]", "[r]", "[B]", "[M]"}
        assert one.side in {"baseline", "project", "both"}
        assert bool(one.option) == bool(one.frequency), one.meaning
        assert one.maximum is not None or one.below is not None or one.choices


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.id)
def test_every_default_and_choice_names_factors_that_exist(method):
    """The printed description of a methodology would fail, or refer to missing inputs."""
    for one in _numbers([*method.inputs.values(), *method.parameters.values()]):
        if one.factor is not None:
            assert factors.load().within("VN").select(*one.factor).unit == one.unit
        if one.published:
            assert any(f.kind.startswith(one.published) for f in factors.load().within("VN")), (
                one.published
            )


@pytest.mark.parametrize("method", [*METHODS, *tools.load().values()], ids=lambda m: m.id)
def test_the_factors_that_a_file_names_are_those_that_it_uses(method):
    """A person who checks a page against the text would not see a number that counts."""
    book = factors.load().within("VN")
    for kind in method.uses:
        assert any(f.kind.startswith(kind) for f in book), kind
    if method.id not in NAMES:
        return
    given = golden(method.id, Decimal)["inputs"]
    inputs, ledger = read(method.inputs, given, method.id), Ledger(book)
    (method.compute if isinstance(method, Tool) else method.reductions)(
        methodologies.filled(method.inputs, inputs, book), ledger
    )
    used = {f.kind for f in ledger.used()}
    assert {k for k in used if not k.startswith(method.uses or ("-",))} == set()


def _numbers(specs):
    for spec in specs:
        if isinstance(spec, ParameterSpec):
            yield spec
        elif isinstance(spec, ListSpec | RecordSpec | MapSpec):
            yield from _numbers(spec.fields.values())
        else:
            assert isinstance(spec, ChoiceSpec)
            assert spec.source


def test_unknown_methodologies_are_refused_with_those_there_are():
    """A typing slip would look like a missing feature."""
    with pytest.raises(MethodologyError, match=r"'jcm-vn-am07' is unknown.*jcm-vn-am007"):
        methodologies.find("jcm-vn-am07")
    with pytest.raises(MethodologyError, match=r"no version '2.0'.*1\.0"):
        methodologies.find("jcm-vn-am007", "2.0")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"tdl": Decimal("6.15")}, "tdl = 6.15 must be below 1"),
        ({"tdl": "0.0615"}, "tdl = '0.0615' must be a number"),
        ({"tdl": True}, "tdl = true must be a number"),
        ({"tdl": None}, "tdl = null must be a number"),
        ({"distance_km": -1}, "distance_km = -1 must not be less"),
        ({"distance_km": Decimal("NaN")}, "distance_km = NaN must be a finite"),
        ({"distance_km": float("inf")}, "distance_km = Infinity must be a finite"),
        ({"distance_km": Decimal("1e999999999")}, "more than 30 digits"),
        ({"ef_grid_t_per_mwh": 659}, "ef_grid_t_per_mwh = 659 must not be more than 2"),
        ({"years_since_baseline": 1.5}, "years_since_baseline = 1.5 must be a whole number"),
        ({"distance_m": 1}, "unknown key 'distance_m'"),
    ],
)
def test_wrong_inputs_are_refused_by_name(change, says):
    """A slip of a unit would come out as a plausible-looking number of tonnes."""
    with pytest.raises(MethodologyError, match=says):
        read(methodologies.find("ams-iii-c").inputs, {**BUS_INPUTS, **change}, "in.json")


def test_missing_inputs_are_refused_by_name():
    """A default that no one chose would appear in the result."""
    for key in BUS_INPUTS:
        less = {k: v for k, v in BUS_INPUTS.items() if k != key}
        with pytest.raises(MethodologyError, match=f"'{key}' is missing"):
            read(methodologies.find("ams-iii-c").inputs, less, "in.json")


@pytest.mark.parametrize(
    ("systems", "says"),
    [
        ([], "at least one"),
        ({}, "must be a list"),
        ([1], r"systems\[0\]: 1 must be an object"),
        ([{"case": 4, "eg_mwh": 1}], "case = 4 must be one of 1, 2, 3"),
        ([{"case": 1, "eg_mwh": 1}, {"case": 1}], r"systems\[1\]: 'eg_mwh' is missing"),
    ],
)
def test_wrong_systems_are_refused_by_place(systems, says):
    """The error would not name the wrong one of a hundred systems in the file."""
    with pytest.raises(MethodologyError, match=says):
        read(methodologies.find("jcm-vn-am007").inputs, {"systems": systems}, "in.json")


def test_a_consumption_that_no_vehicle_has_is_named():
    """Kilowatt-hours for megawatt-hours, or metres for kilometres, would pass."""
    method, book = methodologies.find("ams-iii-c"), factors.load().within("VN")
    metres = {**BUS_INPUTS, "distance_km": 3_000_000_000}
    with pytest.raises(MethodologyError, match="charging_mwh divided by distance_km"):
        methodologies.evaluate(method, metres, book, "in.json")
    # which is the user's own loss
    kwh = {**BUS_INPUTS, "charging_mwh": 3_450_000}
    assert methodologies.evaluate(method, kwh, book, "in.json").reduction_t < 0
    said = methodologies.odd(method, read(method.inputs, kwh, "in.json"))
    assert said.startswith("charging_mwh over distance_km is 1150 kWh/km")


def test_the_grid_factor_follows_the_year_and_losses_have_a_default():
    """The grid factor is that of the year; losses have a default."""
    method = methodologies.find("ams-iii-c")
    given_parameters = {k: v for k, v in BUS.items() if k != "tdl"}
    inputs = method.inputs_of(
        [], {**given_parameters, "baseline_year": 2020}, factors.load().within("VN"), 2022
    )
    assert inputs["ef_grid_t_per_mwh"] == Fraction("0.6766")
    assert inputs["tdl"] == Fraction("0.2")
    assert inputs["years_since_baseline"] == 2


@given(
    st.lists(st.tuples(st.sampled_from(["vehicle", "charging"]), st.integers(0, 10**12))),
    st.integers(2025, 2035),
)
def test_one_unit_prices_every_amount(activities, year):
    """The live rows and the statement would follow two different formulas."""
    method, book = methodologies.find("ams-iii-c"), factors.load().within("VN")
    whole = method.reductions(
        method.inputs_of([Activity(r, {}, Fraction(v)) for r, v in activities], BUS, book, year),
        book,
    )
    parts = [
        (v, methodologies.unit_reductions(method, r, {}, BUS, book, year)) for r, v in activities
    ]
    assert whole.baseline_t == sum(v * unit.baseline_t for v, unit in parts)
    assert whole.project_t == sum(v * unit.project_t for v, unit in parts)


def test_applicability_names_what_does_not_hold():
    """Each applicability condition that is not met is named."""
    pv, bus = methodologies.find("jcm-vn-am007"), methodologies.find("ams-iii-c")
    bare = Candidate(
        {}, (CandidateDevice("inv-1", "generation", "pv_inverter", 0),), 2026, None, "DE"
    )
    checks = (*pv.applicability, methodologies.hosted(pv.countries))
    assert [str(c.test(bare)) for c in checks] == [
        "inv-1 has no calibration certificate",
        (
            "the project is in DE, and the methodology with its reference values is for projects in"
            " VN; use a methodology of the project's country, such as ams-i-d for generation with"
            " the grid's own factor"
        ),
    ]
    wrong = Candidate(
        {"baseline_year": 2027},
        (CandidateDevice("bus-1", "vehicle", "vehicle", 0),),
        2026,
        Fraction(70_000),
    )
    assert [str(c.test(wrong)) for c in bus.applicability] == [
        "no device has the role charging",
        "baseline_year 2027 is after the project's first year, 2026; enter the year of the survey",
        (
            "reduction_t_per_year = 70,000 is above 60,000; split the project, or use a large-scale"
            " methodology"
        ),
    ]
    # a certificate or a charger can still come; a plant that is too large stays so
    refusing = [c.refuses for c in (*checks, *bus.applicability)]
    assert refusing == [False, False, False, True, True]
    good = Candidate(
        {"baseline_year": 2025},
        (*wrong.devices, CandidateDevice("ch-1", "charging", "ev_charger", 1)),
        2026,
        Fraction(279),
    )
    assert [c.test(good) for c in bus.applicability] == [None, None, None]
