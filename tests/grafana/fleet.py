"""A city's fleet as its registry file: sites, devices, projects of several kinds."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from tests import registering

# the registry refuses marks that turn the direction of writing; SQL does not
TURNED = "\u202egnp.exe"
HOSTILE = '<img src=x onerror=alert(1)> "O\'Brien" ' + "very " * 40 + "long"
SITES = (
    ("nam-cau-kien", "Nam Cau Kien Industrial Park", 20.94, 106.60),
    ("cat-ba", "Cat Ba Island", 20.73, 107.05),
    ("trang-cat", "Trang Cat works", 20.83, 106.74),
    ("hostile", HOSTILE, 20.86, 106.68),
)
# classes of one board, a device or more each
WORKS = (
    "wind_turbine", "waste_heat_turbine", "steam_meter", "fuel_meter", "compost_windrow",
    "water_tube", "passenger_counter", "sewer_level", "waterworks", "weather_station",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Size:
    """Number of devices of each class, number of days, and minutes between readings."""

    days: int = 26
    minutes: int = 15
    inverters: int = 4
    chargers: int = 3
    buses: int = 3
    meters: int = 3
    air: int = 2
    noise: int = 2
    plants: int = 2
    bridges: int = 1
    canal: int = 1
    works: int = 1


SMALL = Size()
YEAR = Size(365, 15, 80, 30, 30, 40, 8, 6, 4, 2)  # 200 devices


def zone(now: datetime) -> str:
    """
    Return the city's time zone: Hai Phong's, unless its day has just begun or is about to end.

    Panels of today would then be empty, correctly, and a test of them would fail for an hour or two
    of each day; in that case it is a zone five hours east of Greenwich, of no country.
    """
    hour = now.astimezone(ZoneInfo("Asia/Ho_Chi_Minh")).hour
    return "Asia/Ho_Chi_Minh" if 1 <= hour < 23 else "Etc/GMT-5"


def register(url: str, folder: Path, size: Size, now: datetime, clock: str = "") -> None:
    """Import the fleet, its sites and projects, by the command."""
    made = registry(size, clock or zone(now))
    registering.register(
        url, folder, yaml.dump(made, Dumper=yaml.CSafeDumper, sort_keys=False, allow_unicode=True)
    )


def registry(size: Size, clock: str) -> dict[str, Any]:
    """Return the registry file: sites, devices, projects of three kinds, the programme."""
    return {
        "sites": [
            {
                "id": i,
                "name": n,
                "latitude": a,
                "longitude": o,
                "timezone": clock,
                "country": "VN",
                **({"park": "nck"} if i == "nam-cau-kien" else {}),
            }
            for i, n, a, o in SITES
        ],
        "devices": _devices(size),
        "projects": _projects(size),
        "programme": {
            "name": "Hai Phong AIM-LCS",
            "actions": [
                {"id": "1", "name": "Green Industry", "target_kt": 1477, "target_year": 2030},
                {"id": "1-03", "name": "Regional energy supply", "target_kt": 514.8},
                {"id": "2", "name": "Green Building", "target_kt": 262, "target_year": 2030},
                {"id": "3", "name": "Energy Efficiency", "target_kt": 363, "target_year": 2030},
                {"id": "4", "name": "Clean Transport", "target_kt": 2541, "target_year": 2030},
            ],
        },
    }


def _devices(size: Size) -> list[dict[str, Any]]:
    counts = {
        "pv_inverter": ("inv", size.inverters, "nam-cau-kien"),
        "ev_charger": ("chg", size.chargers, "cat-ba"),
        "vehicle": ("bus", size.buses, "cat-ba"),
        "energy_meter": ("met", size.meters, "nam-cau-kien"),
        "air_station": ("air", size.air, "nam-cau-kien"),
        "noise_station": ("noi", size.noise, "cat-ba"),
        "wastewater_plant": ("wwt", size.plants, "trang-cat"),
        "water_station": ("wst", size.canal, "trang-cat"),
        "weighbridge": ("wgh", size.bridges, "nam-cau-kien"),
        "furnace": ("fur", size.bridges, "nam-cau-kien"),
        **{class_id: (class_id, size.works, "trang-cat") for class_id in WORKS},
    }
    rated = {
        "pv_inverter": 100_000,
        "ev_charger": 120_000,
        "energy_meter": 400_000,
        "furnace": 1_000_000,
        "wind_turbine": 8_000_000,
    }
    limits = {
        "wastewater_plant": {"standard": "qcvn-40-2011", "column": "B", "kq": 0.9, "kf": 1.0},
        "noise_station": {"standard": "qcvn-26-2010", "area": "ordinary"},
    }
    found = [
        _device("gw-1", "hostile", "energy_meter"),
        _device("gw-2", "cat-ba", "energy_meter"),
        {**_device("inv-away", "cat-ba", "pv_inverter"), "rated_power_w": 100_000},
    ]
    for class_id, (stem, count, site) in counts.items():
        for k in range(count):
            # every fourth stands at the site with the hostile name
            where = "hostile" if k % 4 == 3 and class_id != "pv_inverter" else site
            one = _device(f"{stem}-{k + 1}", where, class_id)
            if class_id in rated:
                one["rated_power_w"] = rated[class_id]
            if class_id == "pv_inverter" and k % 40 != 3:  # one lacks what a ratio needs
                one |= {"dc_power_w": 125_000, "tilt": 10, "azimuth": 180,
                        "temperature_coefficient_percent": -0.35}  # fmt: skip
            if class_id in limits:
                one["attributes"] = {"limits": limits[class_id]}
            if class_id == "pv_inverter" and k % 4 == 3:
                one |= {"gateway": "gw-1", "site": "hostile"}
            if class_id in {"pv_inverter", "ev_charger", "vehicle"} and k % 5 != 4:
                one["calibrations"] = [_calibration(k)]
            found.append(one)
    return found


def _device(name: str, site: str, class_id: str) -> dict[str, Any]:
    return {
        "id": name, "site": site, "class": class_id, "profile": "generic",
        "installed": "2020-01-01T00:00:00Z", "serial": HOSTILE[:60] if name == "inv-1" else name,
    }  # fmt: skip


def _calibration(k: int) -> dict[str, Any]:
    until = datetime.now(UTC).date() + timedelta(days=(400, 20, -8, 400)[k % 4])
    return {
        "performed": str(until - timedelta(days=730)),
        "valid_until": str(until),
        "certificate": f"VMI-{k}",
        "accuracy_class": "0.5S",
    }


def _projects(size: Size) -> list[dict[str, Any]]:
    period = {"from": "2024-01-01", "to": "2031-01-01"}
    factor = {"accept_factors": ["jcm-vn-am007-case-1", "ams-iii-c-improvement"]}
    buses = {"sfc_l_per_100km": 34.0, "baseline_year": 2023, "tdl": 0.0615}
    return [
        {
            "id": "rooftop-pv", "name": f"Rooftop PV {HOSTILE[:40]}", "methodology": "jcm-vn-am007",
            "version": "1.0", "crediting_period": period, "action": "1-03",
            "devices": [
                {"device": f"inv-{k + 1}", "role": "generation", "case": 1}
                for k in range(size.inverters)
            ],
            "parameters": {"accept_factors": factor["accept_factors"][:1]},
            "expected": {"energy_kwh_per_year": 130_000 * size.inverters,
                         "reduction_t_per_year": 43 * size.inverters},
        },
        {
            "id": "ebus", "name": "Electric buses", "methodology": "ams-iii-c", "version": "16.0",
            "crediting_period": period, "action": "4",
            "devices": [
                *({"device": f"chg-{k + 1}", "role": "charging"} for k in range(size.chargers)),
                *({"device": f"bus-{k + 1}", "role": "vehicle"} for k in range(size.buses)),
            ],
            "parameters": buses | {"accept_factors": factor["accept_factors"][1:]},
            "expected": {"reduction_t_per_year": 27 * size.buses},
        },
        {
            "id": "chillers", "name": "Efficient chillers", "methodology": "jcm-vn-am003",
            "version": "1.0", "crediting_period": period, "action": "2",
            "devices": [
                {"device": f"met-{k + 1}", "role": "equipment"} for k in range(size.meters)
            ],
            "parameters": {"cop_reference": 4.2, "cop_project": 5.8, "ef_grid_t_per_mwh": 0.6592},
        },
        {
            "id": "foundry", "name": "Foundry", "system": "foundry-furnaces",
            "methodology": "ams-ii-d", "version": "13.0",
            "crediting_period": period, "action": "1",
            "devices": [
                *({"device": f"wgh-{k + 1}", "role": "production"} for k in range(size.bridges)),
                *({"device": f"fur-{k + 1}", "role": "power"} for k in range(size.bridges)),
            ],
            "parameters": {"production_hist_t": 11_500, "sec_baseline_mwh_per_t": 0.72,
                           "ef_grid_t_per_mwh": 0.6592},
            "expected": {"reduction_t_per_year": 1364},
        },
        {
            "id": "elsewhere", "name": "A replay that is not the city's",
            "methodology": "jcm-vn-am007",
            "version": "1.0", "crediting_period": period,
            "devices": [{"device": "inv-away", "role": "generation", "case": 1}],
            "parameters": {"accept_factors": factor["accept_factors"][:1]},
            "expected": {"reduction_t_per_year": 49.9},
        },
    ]  # fmt: skip
