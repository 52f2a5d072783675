"""
Annual greenhouse gas inventory of a facility from its meters, for Viet Nam.

Decree 06/2022 as amended by 119/2025, forms of its Appendix II; the exact cells of the forms were
not available, so they are in a map file (`cell_map`).  Included are carbon
dioxide of fuels, and electricity by the national grid factor of the year; entries without factor,
meter or document are reported as missing, never set to zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from mrv.errors import FactorError
from mrv.exports import Draft
from mrv.exports.contradictions import LINES
from mrv.exports.entered import Facility, Supply
from mrv.model import Factor, Factors

SCOPES = {"fuel": 1, "process": 1, "waste": 1, "electricity": 2, "steam": 2}
COLUMNS = ("scope", "line", "source", "device", "amount", "unit", "measured_percent", "factor",
           "factor_value", "factor_unit", "factor_source", "emissions_t", "document")  # fmt: skip
VALUES = ("site", "name", "tax_code", "address", "sector", "representative", "year",
          "uncertainty_percent", "qa_qc", "scope_1_t", "scope_2_t", "total_t")  # fmt: skip
_WH_A_MWH, _G_A_GG, _ML_A_L = 10**6, 10**9, 1000


class Metered(NamedTuple):
    """A meter's annual sum in base units, and the measured share of the year."""

    value: int
    unit: str
    measured: Fraction


class Inventory(NamedTuple):
    """Single values, rows of sources, and missing entries."""

    values: dict[str, Any]
    rows: list[dict[str, Any]]
    draft: Draft


def inventory(
    facility: Facility, year: int, metered: Mapping[tuple[str, str], Metered], factors: Factors
) -> Inventory:
    """
    Return a facility's inventory of a calendar year.

    `metered` (mapping of (device, quantity) to Metered): quantities of the local year; absent for a
    meter without data.

    Notes
    -----
    Emissions are rounded up to grams, as the conservative direction of an inventory.
    """
    draft = Draft()
    rows = [_row(draft, supply, year, metered, factors) for supply in facility.supplies]
    rows.sort(key=lambda row: (row["scope"], LINES.index(row["line"]), row["source"]))
    sums = {scope: sum((r["emissions_t"] or Decimal(0) for r in rows if r["scope"] == scope),
                       Decimal(0)) for scope in (1, 2)}  # fmt: skip
    values: dict[str, Any] = {
        "site": facility.site, "year": year, "scope_1_t": sums[1], "scope_2_t": sums[2],
        "total_t": sums[1] + sums[2],
    }  # fmt: skip
    for name in (
        "name",
        "tax_code",
        "address",
        "sector",
        "representative",
        "qa_qc",
        "uncertainty_percent",
    ):
        values[name] = getattr(facility, name)
        if values[name] is None:
            draft.lacks("facility", name, f"enter facilities[{facility.site}].{name}")
    if not facility.supplies:
        draft.lacks("facility", "supplies", f"enter facilities[{facility.site}].supplies")
    draft.tables = {"inventory": values, "sources": rows}
    return Inventory(values, rows, draft)


def _row(
    draft: Draft,
    supply: Supply,
    year: int,
    metered: Mapping[tuple[str, str], Metered],
    factors: Factors,
) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "scope": SCOPES[supply.line],
        "line": supply.line,
        "source": supply.id,
        "device": supply.device,
    }
    if supply.device is None:
        year_entered = next((e for e in supply.entered if e.year == year), None)
        if year_entered is None:
            draft.lacks(
                supply.id, "emissions_t", f"enter it for {year} with its document, or a meter"
            )
        else:
            row |= {
                "emissions_t": Decimal(year_entered.emissions_t),
                "document": year_entered.document,
            }
        return row
    meter = metered.get((supply.device, supply.quantity or ""))
    if meter is None:
        draft.lacks(supply.id, "amount", f"{supply.device} has no {supply.quantity} in {year}")
        return row
    row["measured_percent"] = _up(meter.measured * 100, 2, down=True)
    if meter.measured < 1:
        draft.lacks(
            supply.id,
            "amount",
            f"{supply.device} measured {row['measured_percent']} % of {year}; the sum "
            "excludes the rest: enter it by the Decree's rule for lost data",
        )
    try:
        emissions = _emissions(row, supply, year, meter, factors)
    except FactorError as error:
        draft.lacks(supply.id, "factor", f"{error}; enter emissions_t with its document")
        return row
    if emissions is None:
        draft.lacks(
            supply.id,
            "factor",
            f"tonne has no factor for {supply.line} in {meter.unit}; enter"
            " emissions_t with its document",
        )
    else:
        row["emissions_t"] = _up(emissions, 6)
    if supply.line == "fuel":
        draft.lacks(
            supply.id,
            "CH4 and N2O",
            "tonne has no CH4 and N2O factors for burnt fuel; enter a source with `line: fuel` "
            "and its document",
        )
    if "provisional" in str(row["factor_source"] or ""):
        draft.lacks(
            supply.id,
            "factor",
            f"no factor of {year} is published; the last published one is used: "
            "compare it with the ministry's",
        )
    return row


def _emissions(
    row: dict[str, Any], supply: Supply, year: int, meter: Metered, factors: Factors
) -> Fraction | None:
    """Write amount and factor into a row, and return its emissions. [t CO2]"""
    middle = date(year, 7, 1)
    if supply.line == "electricity" and meter.unit == "Wh":
        grid = factors.select("grid", "consumed", middle)
        amount = Fraction(meter.value, _WH_A_MWH)
        row |= {"amount": _up(amount, 6), "unit": "MWh"} | _factor_cells(grid)
        return amount * grid.value
    if supply.line != "fuel":
        return None
    if meter.unit == "g":
        gigagrams = Fraction(meter.value, _G_A_GG)
        row |= {"amount": _up(gigagrams * 1000, 6), "unit": "t"}
    elif meter.unit == "mL":
        density = factors.select(f"{supply.fuel}.density", "either", middle)
        litres = Fraction(meter.value, _ML_A_L)
        row |= {"amount": _up(litres, 3), "unit": "L"}
        gigagrams = litres * density.value / 10**6
    else:
        return None
    # an inventory uses the central value, a project's account the conservative bound
    heat = factors.select(f"{supply.fuel}.ncv", "either", middle)
    carbon = factors.select(f"{supply.fuel}.co2", "either", middle)
    row |= _factor_cells(carbon)
    return gigagrams * heat.value * carbon.value


def _factor_cells(factor: Factor) -> dict[str, Any]:
    source = f"{factor.source} (provisional)" if factor.provisional else factor.source
    return {"factor": factor.id, "factor_value": Decimal(factor.text), "factor_unit": factor.unit,
            "factor_source": source}  # fmt: skip


def _up(value: Fraction, places: int, *, down: bool = False) -> Decimal:
    scaled = value * 10**places
    whole = (
        scaled.numerator // scaled.denominator
        if down
        else -(-scaled.numerator // scaled.denominator)
    )
    return Decimal(whole).scaleb(-places)
