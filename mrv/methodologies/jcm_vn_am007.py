"""
Installation of a solar PV system in Viet Nam.

JCM VN_AM007 version 1.0, sectoral scope 1, from VN_PM009, proposed by IGES, approved 10 October
2017 (jcm.go.jp/vn-jp/methodologies/45).  The structure of the equations, the monitored quantity and
the absence of project emissions are those of the official page (primary source).  The symbols and
the emission factors 0.333 and 0.533 were not compared with the text of the methodology; each of
these factors has `verified = false`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest.classes import SUN
from mrv.model import Activity, Candidate, Check, Factors, Methodology, RoleNeeds
from mrv.parameters import Inputs, ListSpec, ParameterSpec
from mrv.steps import Published, Step, steps
from mrv.texts import Text, text

ID = "jcm-vn-am007"
VERSION = "1.0"
ADDITIVE = True

_WH_PER_MWH = 10**6

_CASE = ParameterSpec(
    unit="1",
    meaning="grid connection of the system: 1 national grid, 2 internal grid with national"
    " grid and captive generator, 3 captive diesel generator alone",
    choices=(1, 2, 3),
    symbol="i",
    source="VN_AM007 ver 1.0, calculation of reference emissions",
    side="baseline",
)
_GENERATION = ParameterSpec(
    unit="MWh",
    meaning="AC electricity of the system that was consumed or sold",
    maximum="10000000",  # more than the yearly generation of any plant
    source="export register on the AC side (option B: invoices)",
    certainty="[R]",
    symbol="EG_i,p",
    option="C",
    frequency="continuous, recorded monthly or oftener",
    side="baseline",
)


def meters_are_certified(candidate: Candidate) -> Text | None:
    """Return a finding if a system lacks an AC meter with a certificate; else None."""
    bare = tuple(d.id for d in candidate.devices if d.role == "generation" and d.certificates == 0)
    return text("condition.no_certificate", device=bare) if bare else None


def inputs_of(
    activities: Sequence[Activity], parameters: Inputs, factors: Factors, year: int
) -> Inputs:
    """Return generation [Wh] as [MWh], by system."""
    del parameters, factors, year  # the factors are fixed ex ante, for all years
    return {
        "systems": [{"case": a.params["case"], "eg_mwh": a.value / _WH_PER_MWH} for a in activities]
    }


STEPS = steps(
    Published(
        "ef_re_t_per_mwh", "EF_RE,i", "tCO2/MWh", f"{ID}.case-{{case}}", "avoided", over="systems"
    ),
    Step(
        "system_t",
        "RE_i,p",
        "tCO2",
        "eg_mwh * ef_re_t_per_mwh",
        "JCM VN_AM007 ver 1.0, reference emissions",
        "emissions of grid electricity displaced by a system",
        over="systems",
    ),
    Step(
        "baseline_t",
        "RE_p",
        "tCO2",
        "sum(system_t)",
        "JCM VN_AM007 ver 1.0, reference emissions",
        "reference emissions",
    ),
    lists={"systems": ""},
)


METHODOLOGY = Methodology(
    id=ID,
    versions=(VERSION,),
    title="Installation of Solar PV System",
    reference="JCM VN_AM007 ver 1.0, 10 October 2017",
    programme="JCM Viet Nam",
    countries=("VN",),
    notes=__doc__.strip(),
    additive=ADDITIVE,
    roles={
        "generation": RoleNeeds(
            classes=("pv_inverter", "energy_meter"),
            quantity="energy_export",
            side="baseline",
            params={"case": _CASE},
            symbol=_GENERATION.symbol,
            source=_GENERATION.source,
            frequency=_GENERATION.frequency,
            made_from=SUN,
        )
    },
    parameters={},
    inputs={"systems": ListSpec("the PV systems", {"case": _CASE, "eg_mwh": _GENERATION})},
    applicability=(
        Check("VN_AM007 eligibility: certified kWh meter on the AC side", meters_are_certified),
    ),
    inputs_of=inputs_of,
    steps=STEPS,
    uses=(f"{ID}.case-",),
    rules=(
        (
            "The reference emission factor is that of the most efficient fossil power plant. It"
            " is lower than the grid's emission factor, and therefore conservative."
        ),
        "Tonnes are rounded down: 71,497.291 t give 71,497 credits, not 71,500.",
    ),
)
