"""
What each system of the programme comes to in some days, calculated by hand.

The equations and numbers stand here once more, from the dossier, in plain floats and
without `mrv`: `rose` is what a device's register rose by, in its own payload's unit.
"""

import math
from collections.abc import Callable
from typing import Any

Rose = Callable[[str, str], float]
# mean of a gauge over days, weighed by what a register of the device rose by on each
Mean = Callable[[str, str, str], float]

GRID, LOSSES, JCM = 0.6592, 0.0615, 0.333
YEAR = 365  # days
CH4, N2O = 28, 265
# kg/L, and the upper bounds of IPCC in TJ/Gg and t/TJ, as TOOL03 asks
DIESEL_T_PER_L = 0.84 / 1000 * 43.3 / 1000 * 74.8
# phi (1 - f) GWP (1 - OX) 16/12 F DOC_f MCF, and DOC_j (1 - e^-k_j) of the mix
MIX = ((0.75, 0.15, 0.40), (0.20, 0.20, 0.17), (0.05, 0.40, 0.07))
DECAY = sum(share * doc * (1 - math.exp(-k)) for share, doc, k in MIX)


def kwh(rose: Rose, *devices: str, channel: str = "energy_import_kwh") -> float:
    """Electricity of some meters. [kWh]"""
    return sum(rose(device, channel) for device in devices)


def composting(rose: Rose, weigh: str, power: str, fuel: str, mcf: float) -> tuple[float, float]:
    """AMS-III.F in its first year: E5 of the dossier."""
    tonnes = rose(weigh, "net_total_kg") / 1000
    baseline = tonnes * DECAY * 0.85 * CH4 * 0.9 * 16 / 12 * 0.5 * 0.5 * mcf
    gases = tonnes * (0.002 * CH4 + 0.0002 * N2O)
    drawn = kwh(rose, power) / 1000 * GRID * (1 + LOSSES)
    return baseline, gases + drawn + rose(fuel, "fuel_total_l") * DIESEL_T_PER_L


def plastic(rose: Rose, lines: dict[str, str], power: str, fuel: str) -> tuple[float, float]:
    """AMS-III.AJ: E9."""
    virgin = {"HDPE": (0.83, 15), "LDPE": (1.67, 15), "PET": (1.11, 15), "PP": (0.56, 11.6)}
    baseline = sum(
        rose(line, "output_total_kg") / 1000 * 0.75 * (mwh * GRID + gj * 0.0561)
        for polymer, line in lines.items()
        for mwh, gj in [virgin[polymer]]
    )
    burnt = rose(fuel, "fuel_total_l") * DIESEL_T_PER_L
    return baseline, kwh(rose, power) / 1000 * GRID + burnt


def buses(rose: Rose, chargers: list[str], buses: list[str]) -> tuple[float, float]:
    """AMS-III.C: E3."""
    per_km = 34 / 100 * 0.84 * 1000 * 43_000 * 74.1e-6 * 0.99  # g/km
    km = sum(rose(bus, "odometer_km") for bus in buses)
    return km * per_km * 1e-6, kwh(rose, *chargers) / 1000 * GRID / (1 - LOSSES)


def solar(rose: Rose, *inverters: str, sunspec: tuple[str, ...] = ()) -> tuple[float, float]:
    """JCM VN_AM007: E1; a SunSpec inverter says Wh."""
    made = kwh(rose, *inverters, channel="energy_export_kwh")
    made += sum(rose(device, "WH") / 1000 for device in sunspec)
    return made / 1000 * JCM, 0.0


def wind(rose: Rose, *turbines: str) -> tuple[float, float]:
    """AMS-I.D: E2; export less import."""
    made = kwh(rose, *turbines, channel="energy_export_kwh") - kwh(rose, *turbines)
    return made / 1000 * GRID, 0.0


def waste_heat(rose: Rose) -> tuple[float, float]:
    """ACM0012: E6 and E6c."""
    made = kwh(rose, "tn-turbine", channel="energy_export_kwh") - kwh(rose, "tn-turbine")
    power = made / 1000 * GRID
    heat_tj = rose("tn-steam", "steam_total_t") * (2776 - 420) / 1e6
    burnt = rose("tn-fuel", "fuel_total_l") * DIESEL_T_PER_L
    drawn = kwh(rose, "tn-grid") / 1000 * GRID * (1 + LOSSES)
    return 0.95 * (power + heat_tj / 0.85 * 56.1), burnt + drawn


def e_waste(rose: Rose) -> tuple[float, float]:
    """AMS-III.BA: E10."""
    metals = {"td-al": 8.4, "td-steel": 1.27, "td-cu": 3.0}
    saved = sum(rose(d, "output_total_kg") / 1000 * ef for d, ef in metals.items())
    abs_t = rose("td-abs", "output_total_kg") / 1000
    saved += abs_t * 0.75 * (0.95 * GRID + 15 * 0.0561)
    burnt = rose("td-fuel", "fuel_total_l") * DIESEL_T_PER_L
    return saved, kwh(rose, "td-power") / 1000 * GRID + burnt


def panels(rose: Rose) -> tuple[float, float]:
    """The form of AMS-III.BA for panels: E10b."""
    tonnes = rose("pp-panels", "pieces_count") * 22 / 1000
    saved = tonnes * (0.1 * 8.4 + 0.7 * 0.6 + 0.01 * 3.0)
    burnt = rose("pp-fuel", "fuel_total_l") * DIESEL_T_PER_L
    return saved, kwh(rose, "pp-power") / 1000 * GRID + burnt


def chillers(rose: Rose) -> tuple[float, float]:
    """JCM VN_AM003: E8e."""
    used = kwh(rose, "hp-chiller-1", "hp-chiller-2") / 1000 * GRID
    return used * 5.8 / 4.2, used


def building(rose: Rose, days: int) -> tuple[float, float]:
    """AMS-II.E: E8f, the base load pro rata of the year."""
    line = 1450 * days / YEAR + 0.62 * rose("hp-weather", "cooling_degree_kd")
    return line * GRID, kwh(rose, "hp-building") / 1000 * GRID


def lamps(rose: Rose) -> tuple[float, float]:
    """AMS-II.C: E8d."""
    hours = 120 * rose("cb-lamps-1", "operating_h") + 90 * rose("cb-lamps-2", "operating_h")
    return hours * 0.15 / 0.9 / 1000 * GRID, hours * 0.08 / 0.9 / 1000 * GRID


def pumps(rose: Rose) -> tuple[float, float]:
    """AM0020: E8."""
    water = rose("ad-works", "flow_total_m3")
    return water * 0.215 / 1000 * GRID, kwh(rose, "ad-pump-1", "ad-pump-2") / 1000 * GRID


def village(rose: Rose, mean: Mean) -> tuple[float, float]:
    """AMS-III.I: E4b, COD as the plant's analyser has it."""
    cod = mean("tm-inflow", "cod_in_mg_l", "flow_total_m3") / 1000
    load = rose("tm-inflow", "flow_total_m3") * cod / 1000 * 0.85
    drawn = kwh(rose, "tm-power") / 1000 * GRID * (1 + LOSSES)
    return load * 0.5 * 0.25 * 0.89 * CH4, drawn


def biogas(rose: Rose, mean: Mean) -> tuple[float, float, float]:
    """AMS-III.H: E4; the third is what the methane that was burnt caps it at."""
    water = rose("nck-wwtp-1", "flow_total_m3")
    cod_in, cod_out = (
        mean("nck-wwtp-1", f"cod_{end}_mg_l", "flow_total_m3") / 1000 for end in ("in", "out")
    )
    methane = mean("nck-biogas-1", "ch4_percent", "biogas_total_nm3") / 100
    load = water * cod_in / 1000
    baseline = load * (0.85 * 0.8 + 0.15 * 0.1) * 0.25 * 0.89 * CH4
    power = kwh(rose, "nck-wwtp-power") / 1000 * GRID * (1 + LOSSES)
    out = water * cod_out / 1000 * 0.1 * 0.25 * 1.12 * CH4
    fugitive = 0.1 * load * 0.8 * 0.8 * 0.25 * 1.12 * CH4
    gas_t = rose("nck-biogas-1", "biogas_total_nm3") * methane * 0.0007168
    flare = gas_t * 0.1 * CH4
    return baseline, power + out + fugitive + flare, gas_t * 0.9 * CH4 - power


def line(rose: Rose) -> tuple[float, float]:
    """AMS-III.U: E11 with the published improvements, a year after the survey."""
    modes = ((0.70, 90.83, 1.3, 0.997), (0.12, 181.74336, 1.6, 0.99), (0.10, 910.0073, 22, 0.99))
    per_pkm = sum(share * ef / people * better for share, ef, people, better in modes)
    baseline = rose("line-tickets", "tickets_validated") * 8.4 * per_pkm * 1e-6
    return baseline, kwh(rose, "line-power") / 1000 * GRID / (1 - LOSSES)


def furnace(rose: Rose, days: int) -> tuple[float, float]:
    """AMS-II.D: E7b; the output is below its part of history."""
    tonnes = rose("md-castings", "net_total_kg") / 1000
    assert tonnes < 11_500 * days / YEAR
    return tonnes * 0.72 * GRID, kwh(rose, "md-furnace") / 1000 * GRID


def rice(rose: Rose) -> tuple[float, float, float]:
    """IPCC 2019: E12; the third is the reduction after its deduction."""
    areas = {"vb-tube-1": 500, "vb-tube-2": 520, "vb-tube-3": 480}
    ha_days = sum(ha * rose(d, "season_h") / 24 for d, ha in areas.items())
    daily = 1.22 * (1 + 2 * 1.0) ** 0.59 * CH4 / 1000
    nitrous = ha_days / 107.5 * 100 * (0.005 - 0.003) * 44 / 28 * N2O / 1000
    before, now = ha_days * daily, ha_days * daily * 0.55
    return before, now + nitrous, (before - now) * 0.85 - nitrous


def projects(rose: Rose, mean: Mean, days: int) -> dict[str, tuple[float, float, float]]:
    """Baseline, project and reduction of each project. [tCO2e]"""
    polymers = {"HDPE": "pl-hdpe", "LDPE": "pl-ldpe", "PET": "pl-pet", "PP": "pl-pp"}
    both = {
        "trang-cat-compost": composting(rose, "tc-weigh", "tc-power", "tc-fuel", 1.0),
        "cat-ba-compost": composting(rose, "cb-weigh", "cb-compost-power", "cb-compost-fuel", 0.8),
        "thuy-nguyen-whr": waste_heat(rose),
        "trang-due-ewaste": e_waste(rose),
        "cat-ba-plastic": plastic(
            rose, {"PET": "cb-pet", "HDPE": "cb-hdpe"}, "cb-plastic-power", "cb-plastic-fuel"
        ),
        "dinh-vu-plastic": plastic(rose, polymers, "pl-power", "pl-fuel"),
        "dinh-vu-panels": panels(rose),
        "nck-pv": solar(rose, "nck-inv-1", "nck-inv-2", sunspec=("nck-inv-3",)),
        "dinh-vu-pv": solar(rose, "dv-pv"),
        "cat-ba-pv": solar(rose, "cb-inv-1"),
        "hp-chillers": chillers(rose),
        "hp-building": building(rose, days),
        "cat-ba-lamps": lamps(rose),
        "bach-long-vi-wind": wind(rose, "blv-wind-1", "blv-wind-2"),
        "hp-line": line(rose),
        "hp-ebus": buses(
            rose, [f"hp-charger-{i}" for i in (1, 2, 3)], [f"hp-bus-{i}" for i in range(1, 9)]
        ),
        "cat-ba-ebus": buses(
            rose, [f"cb-charger-{i}" for i in (1, 2, 3)], [f"cb-bus-{i}" for i in range(1, 8)]
        ),
        "an-duong-pumps": pumps(rose),
        "trang-minh-wastewater": village(rose, mean),
        "my-dong-furnace": furnace(rose, days),
    }
    found = {name: (before, now, before - now) for name, (before, now) in both.items()}
    before, now, cap = biogas(rose, mean)
    found["nck-wastewater"] = (before, now, min(before - now, cap))
    found["vinh-bao-rice"] = rice(rose)
    return found


# Indices, from the tables of the dossier (sections 18.1 and 18.6).
AQI = {
    "pm2_5_24h": (0, 25, 50, 80, 150, 250, 350, 500),
    "pm10_24h": (0, 50, 150, 250, 350, 420, 500, 600),
    "o3_1h": (0, 160, 200, 300, 400, 800, 1000, 1200),
    "o3_8h": (0, 100, 120, 170, 210, 400),
    "no2_1h": (0, 100, 200, 700, 1200, 2350, 3100, 3850),
    "so2_1h": (0, 125, 350, 550, 800, 1600, 2100, 2630),
    "co_1h": (0, 10_000, 30_000, 45_000, 60_000, 90_000, 120_000, 150_000),
}
AQI_I = (0, 50, 100, 150, 200, 300, 400, 500)
WQI_Q = (100, 75, 50, 25, 10)
WQI = {
    "bod5_mg_l": (4, 6, 15, 25, 50),
    "cod_mg_l": (10, 15, 30, 50, 150),
    "nh4_n_mg_l": (0.3, 0.3, 0.6, 0.9, 5),
    "no3_n_mg_l": (2, 5, 10, 15, 15),
    "po4_p_mg_l": (0.1, 0.2, 0.3, 0.5, 4),
    "coliform_mpn_100ml": (2500, 5000, 7500, 10_000, 10_000),
}
# Noise by QCVN 26:2010 (section 18.3): day from six to nine in the evening, and night [dBA]
NOISE = {"nck-noise-1": (70, 55), "hp-noise-1": (55, 45)}
# Domestic wastewater by QCVN 14:2008, column B with K 1.0 (section 18.5)
DOMESTIC = {"bod5_mg_l": 50, "tss_mg_l": 100, "nh4_n_mg_l": 10}
DOMESTIC_PH = (5, 9)
DO = (20, 50, 75, 88, 112, 125, 150, 200)
DO_Q = (25, 50, 75, 100, 100, 75, 50, 25)


def between(value: float, at: tuple[float, ...], values: tuple[float, ...]) -> float:
    """Value on a line of straight parts, held at its ends."""
    if value <= at[0]:
        return values[0]
    for i in range(1, len(at)):
        if value <= at[i]:
            part = (value - at[i - 1]) / (at[i] - at[i - 1]) if at[i] > at[i - 1] else 1.0
            return values[i - 1] + part * (values[i] - values[i - 1])
    return values[-1]


def aqi_of_day(hours: dict[str, list[float]], o3_8h: float) -> int:
    """VN_AQI of a day from 24 hourly means by pollutant, rounded half up."""
    sub = [
        between(sum(hours[f"{x}_ug_m3"]) / 24, AQI[f"{x}_24h"], AQI_I) for x in ("pm2_5", "pm10")
    ]
    sub += [
        between(max(hours[f"{x}_ug_m3"]), AQI[f"{x}_1h"], AQI_I) for x in ("o3", "no2", "so2", "co")
    ]
    sub.append(between(o3_8h, AQI["o3_8h"], AQI_I))
    return max(math.floor(value + 0.5) for value in sub)


def wqi_of_day(mean: dict[str, float]) -> int:
    """VN_WQI of a day's means, in the form with the cube root."""
    warm = mean["temperature_c"]
    most = 14.652 - 0.41022 * warm + 0.0079910 * warm**2 - 0.000077774 * warm**3
    four = [between(mean["do_mg_l"] / most * 100, DO, DO_Q)]
    four += [between(mean[x], WQI[x], WQI_Q) for x in list(WQI)[:-1]]
    fifth = between(mean["coliform_mpn_100ml"], WQI["coliform_mpn_100ml"], WQI_Q)
    first = between(mean["ph"], (5.5, 6, 8.5, 9), (50, 100, 100, 50))
    fourth = sum(four) / len(four)
    return math.floor(first / 100 * (fourth**2 * fifth) ** (1 / 3) + 0.5)


def dry_downs(name: str, days: list[dict[str, list[float]]]) -> dict[str, object]:
    """Falls of a field's water to 15 cm below ground that ended under water, read off in hours."""
    levels = [level for hours in days for level in hours["level_cm"]]
    ended, fallen, seen = 0, False, False
    for level in levels:
        if level >= 0:
            ended += fallen
            fallen, seen = False, True
        fallen = fallen or (seen and level <= -15)
    dry = [min(hours["level_cm"]) <= -15 for hours in days]
    return {
        "device": name,
        "system": "green-agriculture",
        "days": len(days),
        "dry_days": sum(dry),
        "dry_downs": ended,
        "lowest_cm": min(levels),
    }


def leq(levels: list[float]) -> float:
    """Energy mean of sound levels. [dBA]"""
    return 10 * math.log10(sum(10 ** (x / 10) for x in levels) / len(levels))


def too_loud(name: str, hours: list[list[float]]) -> int:
    """How many of day and night of one calendar day are above the limit of their place."""
    means = [leq(levels) for levels in hours]
    day, night = means[6:21], means[:6] + means[21:]
    return sum(leq(part) > most for part, most in zip((day, night), NOISE[name], strict=True))


def discharged(mean: dict[str, float]) -> int:
    """How many limits of domestic wastewater a day's means exceed."""
    low, high = DOMESTIC_PH
    over = sum(mean[channel] > most for channel, most in DOMESTIC.items())
    return over + (not low <= mean["ph"] <= high)


def sewers(features: list[dict[str, Any]]) -> dict[str, object]:
    """What a network counts, and which of its pipes run uphill or end nowhere."""
    told = {one["id"]: one["properties"] for one in features}
    pipes = {name: one for name, one in told.items() if one["kind"] == "pipe"}
    nodes = told.keys() - pipes.keys()
    return {
        "assets": {
            kind: sum(o["kind"] == kind for o in told.values())
            for kind in {o["kind"] for o in told.values()}
        },
        "with_sensor": sum("sensor" in one for one in told.values()),
        "in_poor_condition": sum(one.get("condition", 0) >= 4 for one in told.values()),
        "wrong": [
            name
            for name, one in pipes.items()
            if not {one["from_node"], one["to_node"]} <= nodes
            or (one["level_m"] < one["level_to_m"] and not one.get("pressurised"))
        ],
    }
