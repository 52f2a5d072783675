"""What an owner types: factors beside the official ones, constants in place of meters."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest

from ingest.model import INTERVAL_US, Device, Fleet
from mrv import factors
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.factors.records import book_of, factor_of, records_of, unmarked
from mrv.methodologies import find
from mrv.registry.project import (
    ACCOUNTING,
    FIRST,
    Besides,
    FixedBefore,
    Measured,
    Project,
    ProjectDevice,
    Sample,
)
from mrv.rules.closing import close
from tests.mrv import plant
from tests.mrv.test_live_systems import CASES
from tests.mrv.test_service_attacks import earned

BOOK = factors.load()
RULE, MEASURED, OFFICIAL, UNCREDITED = "PAR-01", "PAR-06", "FAC-01", "BND-02"
WEEK = 7 * plant.DAY
END = plant.FROM + WEEK * INTERVAL_US
PUMPS = Fleet(
    [
        Device("flow", "s", "waterworks", installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=10**6, installed_us=plant.FROM),
    ]
)
PLANT = Fleet(
    [
        Device("in", "s", "wastewater_plant", installed_us=plant.FROM),
        Device("gas", "s", "wastewater_plant", installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=10**5, installed_us=plant.FROM),
    ]
)
COD = {
    "cod_in_kg_per_m3": 6, "cod_out_kg_per_m3": Decimal("0.15"),
    "eta_cod_baseline": Decimal("0.85"), "eta_cod_project": Decimal("0.8"),
    "mcf_baseline": Decimal("0.8"), "mcf_project": Decimal("0.8"),
    "mcf_discharge": Decimal("0.1"), "ch4_fraction": Decimal("0.62"),
    "flare_efficiency": Decimal("0.9"), "tdl": Decimal("0.0615"),
}  # fmt: skip


# what each plant was built for, which bounds nothing that these tests ask about
BUILT = {
    "am0020": {"design_flow_m3_per_d": 120_000, "design_kwh_per_m3": Decimal("0.18")},
    "ams-iii-h": {"design_flow_m3_per_d": 600, "design_cod_kg_per_d": 36_000,
                  "design_kwh_per_m3": Decimal("0.8")},
}  # fmt: skip


def closed(
    fleet, methodology, version, roles, parameters, rows, besides, book=BOOK, built=BUILT,
    *, certified=True,
):  # fmt: skip
    """Close a week of a project of which each device has a role."""
    built = built.get(methodology, {})
    parameters = {**built, **parameters}
    bills = plant.bills(rows, "power")
    # the losses stand in a publication of the operator of the grid
    papers = (*plant.papers(*built, *find(methodology).papers), *plant.LOSSES)
    besides = replace(besides, documents=papers, invoices=bills)
    bound = tuple(ProjectDevice(device, role) for device, role in roles.items())
    one = Project(
        "p", "P", methodology, version, plant.ZONE, plant.FROM, plant.TO,
        parameters=parameters, devices=bound,
    )  # fmt: skip
    papers = {d.id: plant.CERTIFICATES["inv-1"] for d in fleet.devices if certified}
    given = plant.laid_out(fleet, rows)
    return close(one, fleet, papers, given, plant.FROM, END, book, besides=besides)


def pumped(factor, accounting=ACCOUNTING, specific="0.215", fixed=(), built=BUILT, certified=True):
    """Close a week of pumps whose owner typed a factor."""
    rows = {("flow", "flow"): [10**9] * WEEK, ("power", "energy_import"): [178_000] * WEEK}
    parameters = {"kwh_per_m3_baseline": Decimal(specific), "head_m": 40,
                  "ef_grid_t_per_mwh": Decimal(factor)}  # fmt: skip
    roles = {"flow": "volume", "power": "power"}
    besides = Besides(accounting=accounting, fixed=fixed)
    return closed(
        PUMPS, "am0020", "2.0", roles, parameters, rows, besides, built=built, certified=certified
    )


def treated(samples=(), channels=None, accounting=ACCOUNTING, book=BOOK, **parameters):
    """Close a week of a wastewater plant."""
    rows = {
        ("in", "flow"): [5 * 10**6] * WEEK,
        ("gas", "biogas"): [12 * 10**6] * WEEK,
        ("power", "energy_import"): [4_000] * WEEK,
    }
    roles = {"in": "inflow", "gas": "biogas", "power": "power"}
    besides = Besides(accounting=accounting, samples=samples, channels=channels or {})
    return closed(PLANT, "ams-iii-h", "19.0", roles, {**COD, **parameters}, rows, besides, book)


def lab(sha256="a1" * 32, **found):
    """Return one sample of each parameter, in the period."""
    told = "ISO 6060", "Lab, ISO 17025", sha256
    return tuple(
        Sample(name, f"S-{name}", date(2026, 1, 3), Decimal(str(value)), *told)
        for name, value in found.items()
    )


def used(result):
    """Values of the parameters that counted."""
    return {p.name: p.value for p in result.parameters}


def detail(result, clause):
    """Conditions of a clause: whether each holds, and what it says."""
    return [(f.holds, f.detail) for f in result.applicability if f.rule == clause]


def test_factor_of_the_owner_earns_no_more_than_the_official_one():
    """A factor of 2.0 t/MWh, typed, would earn three times what the official one does."""
    official = pumped("0.6592")
    typed = pumped("2.0")
    assert float(pumped("2.0", 1).net.reduction.t) > 3 * float(official.net.reduction.t)
    assert typed.net == official.net
    ((holds, said),) = detail(typed, OFFICIAL)
    assert not holds
    assert "vn-grid-2023 = 0.6592" in said
    (cost,) = (one for one in typed.rules if one.rule == OFFICIAL)
    whole = Decimal(typed_alone := pumped("2.0", 1).net.reduction.t) - Decimal(
        typed.net.reduction.t
    )
    assert abs(Decimal(cost.alone_t) - whole) < Decimal("0.00001"), typed_alone
    assert not detail(official, OFFICIAL)


def _with(value, direction="consumed"):
    """The book with a factor of the grid that a registry file brought."""
    record = {
        "id": "own-grid", "kind": "grid.vn", "value": value, "unit": "tCO2/MWh",
        "direction": direction, "valid_from": "2026-01-01", "source": "the owner",
        "certainty": "R", "verified": True,
    }  # fmt: skip
    return BOOK.with_more([replace(factor_of(record), brought=True)])


def _treated_by(book):
    values = {name: COD[name] for name in MONITORED}
    return treated(lab(**values), book=book)


@pytest.mark.parametrize(("value", "counts"), [("0.57", "vn-grid-2023"), ("0.75", "own-grid")])
def test_brought_factor_counts_only_where_it_leaves_less(value, counts):
    """A factor that an owner brings within 15 % of the official one would earn what it says."""
    book = _with(value)
    result, official = _treated_by(book), _treated_by(BOOK)
    assert counts in {f.id for f in result.factors}
    assert result.net.reduction.ug <= official.net.reduction.ug
    assert (result.net == official.net) is (counts == "vn-grid-2023")
    ((holds, said),) = [one for one in detail(result, OFFICIAL) if "registry file" in one[1]]
    assert not holds
    assert f"own-grid = {value} tCO2/MWh came with a registry file" in said
    assert "published vn-grid-2023 = 0.6592 tCO2/MWh" in said


def test_a_pack_marks_brought_factors_and_others_are_refused():
    """A pack could call an owner's own factor published, and a newer tonne believe it."""
    book = _with("0.75")
    records = records_of({"grid.vn"}, book)
    again = list(book_of(records))
    assert [f.id for f in again if f.brought] == ["own-grid"]
    assert unmarked(again) == []
    bare = [{k: v for k, v in one.items() if k != "brought"} for one in records]
    assert unmarked(book_of(bare)) == ["own-grid"]


def test_live_rates_leave_out_a_brought_factor_that_would_earn():
    """A dashboard would show tonnes that no statement says."""

    def sources(book):
        return compile_bindings([plant.BUS], plant.FLEET, book).sources

    assert sources(_with("0.57")) == sources(BOOK)
    assert "own-grid" in str(sources(_with("0.75")))


def test_live_rows_of_a_plant_claim_nothing_by_typed_constants():
    """A live board would show tonnes by a COD that nobody measured, and the close take them."""
    bound = (
        ProjectDevice("in", "inflow"),
        ProjectDevice("gas", "biogas"),
        ProjectDevice("power", "power"),
    )
    one = Project(
        "p", "P", "ams-iii-h", "19.0", plant.ZONE, plant.FROM, plant.TO, parameters=COD,
        devices=bound,
    )  # fmt: skip
    given = plant.laid_out(PLANT, {("in", "flow"): [5 * 10**6], ("gas", "biogas"): [12 * 10**6],
                                   ("power", "energy_import"): [4_000]})  # fmt: skip
    live = account(given, compile_bindings([one], PLANT, BOOK))
    assert live.reduction_ug.tolist() == [], "its open time is accounted as the close does"


def test_constants_in_place_of_what_is_monitored_are_named():
    """COD, methane and flare of a plant with meters for them would be whatever is typed."""
    ((holds, said),) = detail(treated(), MEASURED)
    assert not holds
    for name in ("cod_in_kg_per_m3 = 0", "cod_out_kg_per_m3", "ch4_fraction", "eta_cod_project"):
        assert name in said


MONITORED = (
    "cod_in_kg_per_m3",
    "cod_out_kg_per_m3",
    "ch4_fraction",
    "eta_cod_project",
    "flare_efficiency",
)


def test_analysers_count_and_of_two_witnesses_the_one_that_leaves_less():
    """An analyser that reads too high would outvote the laboratory."""
    measured = {n: Measured(Fraction(COD[n]), f"{n} of in on 7 of 7 days") for n in MONITORED[:4]}
    alone = treated(lab(flare_efficiency="0.9"), measured)
    assert used(alone)["cod_in_kg_per_m3"] == "6"
    ((holds, said),) = detail(alone, MEASURED)
    assert holds
    assert "cod_in_kg_per_m3 = 6 kg/m3: mean of the plant's own analyser" in said
    both = treated(lab(flare_efficiency="0.9", cod_in_kg_per_m3=5), measured)
    assert used(both)["cod_in_kg_per_m3"] == "5"
    high = treated(lab(flare_efficiency="0.9", cod_in_kg_per_m3=9), measured)
    assert used(high)["cod_in_kg_per_m3"] == "6"


ALL = {name: COD[name] for name in MONITORED}


def test_a_sample_without_its_report_is_named():
    """A result that the owner made up would stand as measured, with nothing to ask for."""
    bare, proven = treated(lab(None, **ALL)), treated(lab(**ALL))
    assert detail(proven, MEASURED) == [(True, "")]
    holds, said = detail(bare, MEASURED)[-1]
    assert not holds
    assert "cod_in_kg_per_m3: the reports of samples S-cod_in_kg_per_m3 have no file" in said
    assert bare.net == proven.net


def test_an_analyser_that_is_read_at_one_hour_of_the_day_is_named():
    """The strongest hour of each day would stand for the whole of it."""
    seldom = {"cod_in_kg_per_m3": Measured(Fraction(7), "by in on 7 of 7 days", 7, 168)}
    often = {"cod_in_kg_per_m3": Measured(Fraction(7), "by in on 7 of 7 days", 84, 168)}
    rest = lab(**{name: COD[name] for name in MONITORED[1:]})
    assert all(holds for holds, _ in detail(treated(rest, often), MEASURED))
    holds, said = detail(treated(rest, seldom), MEASURED)[-1]
    assert not holds
    assert "cod_in_kg_per_m3: the analyser was read in 7 of 168 hours" in said


def test_a_reactor_removes_what_its_gas_was_formed_from():
    """A removal of zero, typed, would leave nothing to escape and earn a fifth more."""
    honest = treated(lab(**ALL))
    none = treated(lab(**{**ALL, "eta_cod_project": 0}))
    assert Decimal(used(none)["eta_cod_project"]) == Decimal("0.646423273")
    ((holds, said),) = detail(none, MEASURED)
    assert not holds
    assert "eta_cod_project: the other metered quantities are consistent with 0.646423273" in said
    assert none.net.reduction.ug < honest.net.reduction.ug * 106 // 100
    assert used(honest)["eta_cod_project"] == "0.8"
    assert used(treated(lab(**ALL), accounting=FIRST))["eta_cod_project"] == "0.8"


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        ("flare_efficiency", "1", "0.9"),
        ("mcf_baseline", "0.7", "0.5"),
        ("mcf_project", "0.9", "0.9"),
    ],
)
def test_a_value_beside_the_published_list_counts_by_the_list(name, value, counts):
    """A flare that burns all, and a lagoon that gives off more than any, would be believed."""
    given = {name: Decimal(value)}
    result = treated(lab(**{**ALL, **(given if name in ALL else {})}), **given)
    assert Decimal(used(result)[name]) == Decimal(counts)
    said = [text for holds, text in detail(result, OFFICIAL) if not holds]
    assert any(f"{name} = {value} is not in the published" in text for text in said)
    listed = treated(lab(**{**ALL, **({name: counts} if name in ALL else {})}),
                     **{name: Decimal(counts)})  # fmt: skip
    assert result.net.reduction == listed.net.reduction


COMPOST = Fleet(
    [
        Device("scale", "s", "weighbridge", installed_us=plant.FROM),
        Device("power", "s", "energy_meter", rated_power_w=10**5, installed_us=plant.FROM),
        Device("fuel", "s", "fuel_meter", installed_us=plant.FROM),
    ]
)


def composted(
    quarter_t=5,
    methodology="ams-iii-f",
    accounting=ACCOUNTING,
    book=BOOK,
    power=4_000,
    fuel=1_000,
    **more,
):
    """Close a week of a composting plant."""
    rows = {
        ("scale", "mass"): [quarter_t * 10**6] * WEEK,
        ("power", "energy_import"): [power] * WEEK,
        ("fuel", "flow"): [fuel] * WEEK,
    }
    parameters = {"first_year": 2026, "share_food": 1, "phi": Decimal("0.85"), "f_captured": 0,
                  "mcf": 1, "tdl": Decimal("0.0615"), **more}  # fmt: skip
    roles = {"scale": "waste", "power": "power", "fuel": "fuel"}
    besides = Besides(accounting=accounting, samples=lab(share_food=1))
    return closed(COMPOST, methodology, "12.0", roles, parameters, rows, besides, book)


@pytest.mark.parametrize("methodology", ["ams-iii-f", "ams-iii-f-monthly"])
def test_waste_of_before_the_crediting_period_earns_nothing(methodology):
    """Nine typed years of waste that nobody weighed would earn eight times the week's own."""
    typed = {"first_year": 2024, "waste_t_year_1": 10**5, "waste_t_year_2": 10**5}
    own, old = composted(methodology=methodology), composted(methodology=methodology, **typed)
    before = composted(methodology=methodology, accounting=FIRST, **typed)
    assert before.net.reduction.ug > own.net.reduction.ug * 3 // 2
    assert old.net.reduction.ug <= own.net.reduction.ug
    ((holds, said),) = detail(old, UNCREDITED)
    assert not holds
    assert "waste_t_year_1 = 100,000 t is of a year before the crediting period" in said
    assert not detail(own, UNCREDITED)


def test_a_baseline_that_rises_after_the_first_statement_earns_nothing():
    """A survey of yesterday would raise the baseline of a project that runs for years."""
    before = (FixedBefore(None, "kwh_per_m3_baseline", "0.215", "TN-1"),)
    honest, raised = pumped("0.6592"), pumped("0.6592", specific="0.3")
    assert float(raised.net.reduction.t) > float(honest.net.reduction.t)
    held = pumped("0.6592", specific="0.3", fixed=before)
    assert held.net == honest.net
    assert used(held)["kwh_per_m3_baseline"] == "0.215"
    ((holds, said),) = detail(held, RULE)
    assert not holds
    assert "is 0.3 and was 0.215 in issued statement TN-1: the issued value is applied" in said


def test_an_official_factor_that_counted_was_not_fixed_by_the_project():
    """An owner's factor would be asked about twice, and the second finding never be settled."""
    before = (FixedBefore(None, "ef_grid_t_per_mwh", "0.6592", "TN-1"),)
    typed = pumped("2.0", fixed=before)
    assert typed.net == pumped("0.6592").net
    assert not detail(typed, RULE)
    ((_, said),) = detail(typed, OFFICIAL)
    assert "the official factor vn-grid-2023 = 0.6592 tCO2/MWh is applied" in said
    assert {f.severity for f in typed.applicability if f.rule == OFFICIAL} == {"CAR"}
    # one that the project had fixed lower is its own
    lower = (FixedBefore(None, "ef_grid_t_per_mwh", "0.5", "TN-1"),)
    assert detail(pumped("0.6592", fixed=lower), RULE)


def test_a_baseline_that_sinks_counts():
    """A project that corrects itself against its own interest would be held to the old value."""
    before = (FixedBefore(None, "kwh_per_m3_baseline", "0.215", "TN-1"),)
    lower = pumped("0.6592", specific="0.2", fixed=before)
    assert lower.net == pumped("0.6592", specific="0.2").net
    ((holds, said),) = detail(lower, RULE)
    assert not holds
    assert "the current value is applied" in said


def test_what_farmers_write_down_is_not_asked_of_a_laboratory():
    """The owner of a field would look for a laboratory that counts days."""
    ((holds, said),) = detail(earned("rice-awd", built=CASES["rice-awd"]), MEASURED)
    assert not holds
    assert "season_days = 107.5 d is a constant" in said
    assert "Enter its values of the period as `laboratory` rows" in said


def test_a_pack_carries_the_factors_that_a_share_of_nothing_was_tried_with():
    """The statement of a plant that composts no textiles would be closed, and never exported."""
    whole = composted()
    kinds = {one.kind for one in whole.factors} | {*whole.compared}
    assert composted(book=book_of(records_of(kinds, BOOK))) == whole


# of each methodology with a published default: a parameter, a value that leaves more than it
BESIDE_DEFAULTS = [
    ("ams-iii-f", "tdl", "0.01"),
    ("ams-ii-c", "technical_losses", "0.3"),
    ("rice-awd", "sf_p", "2.41"),
]  # fmt: skip


@pytest.mark.parametrize(("methodology", "name", "value"), BESIDE_DEFAULTS)
def test_a_value_in_place_of_a_default_earns_by_a_third_partys_document_alone(
    methodology, name, value
):
    """Losses of 1 %, typed, earned twice what the default of 20 % does; so did other defaults."""
    given, parameters = CASES[methodology]
    bare = {k: v for k, v in parameters.items() if k != name}
    documents = plant.papers(*(n for n in find(methodology).documented if n != name), *(
        n for n in find(methodology).parameters if n.startswith("design_")))  # fmt: skip

    def of(values, *more):
        built = given, values
        return earned(methodology, built=built, documents=(*documents, *more))

    default, typed = of(bare), of({**bare, name: Decimal(value)})
    stated = plant.papers(name, issued=date(2027, 3, 1), value=Fraction(value))
    published = of({**bare, name: Decimal(value)}, *stated)
    assert typed.net == default.net
    assert published.net.reduction.ug > default.net.reduction.ug
    assert used(published)[name] == value
    (found,) = (f for f in typed.applicability if f.rule == OFFICIAL)
    assert (found.holds, found.severity) == (False, "observation")
    said = found.detail
    assert f"{name} = {value} was entered in place of the default" in said
    assert "(no document is named)" in said
    assert not [text for holds, text in detail(published, OFFICIAL) if name in text]
    for lacking in ("sha256", "value"):
        partly = of({**bare, name: Decimal(value)}, replace(stated[0], **{lacking: None}))
        assert partly.net == default.net
        assert f"has no `{lacking}`" in detail(partly, OFFICIAL)[0][1]


def test_factors_and_values_that_the_account_does_not_use_are_not_asked_about():
    """A plant that burns no diesel was asked to compare the density of diesel with its source."""
    burning, quiet = composted(), composted(power=0, fuel=0, tdl=Decimal("0.01"))
    assert "diesel" in detail(burning, "FAC-02")[0][1]
    assert "diesel" not in "".join(text for _, text in detail(quiet, "FAC-02"))
    assert "diesel.ncv" in {f.kind for f in quiet.factors}, "it is looked up all the same"
    assert not detail(quiet, OFFICIAL)


@pytest.mark.parametrize(
    ("methodology", "name", "value", "counts"), [("rice-awd", "sf_w_baseline", "3", "1")]
)
def test_a_value_beside_an_open_list_earns_by_a_third_partys_document_alone(
    methodology, name, value, counts
):
    """A field that gives off three times what any does, typed, earned three times as much."""
    given, parameters = CASES[methodology]
    documents = plant.papers(*(n for n in find(methodology).documented if n != name), *(
        n for n in find(methodology).parameters if n.startswith("design_")))  # fmt: skip

    def of(number, *more):
        values = {**parameters, name: Decimal(number)}
        return earned(methodology, built=(given, values), documents=(*documents, *more))

    typed, listed = of(value), of(counts)
    assert typed.net == listed.net
    assert used(typed)[name] == counts
    (said,) = [text for holds, text in detail(typed, OFFICIAL) if not holds]
    assert f"{name} = {value}" in said
    assert "is not in the published list" in said
    documented = of(value, *plant.papers(name, value=Fraction(value)))
    assert used(documented)[name] == value
    assert not [text for _, text in detail(documented, OFFICIAL) if name in text]
    kinds = {one.kind for one in typed.factors} | {*typed.compared}
    assert (
        earned(
            methodology, built=(given, {**parameters, name: Decimal(value)}), documents=documents
        )
        == typed
    )
    assert all(f.kind in kinds for f in BOOK if f.value == Decimal(counts) and
               f.kind.startswith(find(methodology).parameters[name].published))  # fmt: skip
