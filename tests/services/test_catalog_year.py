"""A year of the catalog's rooftop PV and of its park's meter, as a Party and a ministry take it."""

import csv
import json
import re
import tomllib
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from pathlib import Path

import numpy as np
import yaml

from mrv import factors
from mrv.calendar import utc_text
from services.cli.output import Exit
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from tests.invoked import tonne
from tests.registering import imported
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period
from tests.soak import SOAK

CATALOG = Path(__file__).parents[2] / "deploy" / "catalog" / "haiphong"
INVERTERS = {"nck-inv-1": 100_000, "nck-inv-2": 100_000, "nck-inv-3": 50_000}
METER, SITE, YEAR = "nck-meter-1", "nam-cau-kien", 2025
EDGES = "2025-01-01T00:00:00+07:00", "2026-01-01T00:00:00+07:00"
# of the statement, each of whose days is sealed; a whole year in the soak
PERIOD = EDGES if SOAK else ("2025-11-01T00:00:00+07:00", EDGES[1])
HOUR_US = 3_600_000_000
MOVED = 8


def _year_before(text):
    """Every date of the catalog a year earlier: a year that has ended."""
    return re.sub(r"\b(20\d\d)(-\d\d-\d\d)", lambda m: f"{int(m[1]) - 1}{m[2]}", text)


def _filled(url, home):
    """The catalog, and a period of readings each 15 minutes."""
    folder = home / "catalog"
    folder.mkdir()
    for file in CATALOG.glob("*.yaml"):
        (folder / file.name).write_text(_year_before(file.read_text("utf-8")), "utf-8")
    planned = imported(url, folder)
    assert not planned.refused, [r.messages for r in planned.results if r.messages]
    begin, end = _around(PERIOD)
    # two that say the same would be one
    for share, (device, rated) in zip((0.4, 0.38, 0.36), INVERTERS.items(), strict=True):
        times, energy, power = plant.sunny(begin, end, 15, rated * share)
        plant.send(url, device, times, energy_export_wh=energy, active_power_w=power)
    return logged.signers(url, home)


def _metered(url):
    """A year of the park's meter, which stands outside of the statement."""
    times = plant.sunny(*_around(EDGES), 15)[0]
    drawn = np.cumsum(20_000 + 30_000 * (np.arange(len(times)) // 4 % 24 > 7))
    plant.send(url, METER, times, energy_import_wh=drawn)


def _around(edges):
    begin, end = map(plant.us, edges)
    return utc_text(begin - HOUR_US), utc_text(end + HOUR_US)


def _read(conn, table, column, device, edges):
    """Energy between edges, from the readings alone: the register runs straight there."""
    at = []
    for edge in edges:
        (before, v0), (after, v1) = (
            conn.execute(
                f"SELECT extract(epoch FROM time), {column} FROM {table} WHERE device_id = %s"
                f" AND time {sign} %s::timestamptz ORDER BY time {way} LIMIT 1",
                [device, edge],
            ).fetchone()
            for sign, way in (("<=", "DESC"), (">", "ASC"))
        )
        moment = Decimal(plant.us(edge)) / 10**6
        at.append(v0 + (v1 - v0) * Fraction(moment - before) / Fraction(after - before))
    return at[1] - at[0]


def _factor(file, id_=None):
    rows = tomllib.loads((resources.files(factors) / file).read_text("utf-8"))["factor"]
    if id_ is not None:
        return Fraction(next(one for one in rows if one["id"] == id_)["value"])
    return Fraction(max(rows, key=lambda one: one["valid_from"])["value"])


def test_a_year_of_the_catalog_is_what_its_meters_read(database_url, tmp_path):
    """A Party would report, and a ministry file, tonnes that no reading carries."""
    who = _filled(database_url, tmp_path)
    logged.seal_now(database_url, who, plant.us("2026-01-03T12:00:00+07:00"))
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        name = close_period(conn, "nck-pv", *map(plant.us, PERIOD), "test").statement
        logged.signed(conn, name, who)
        life.issue(conn, name, who["log"], "test")
    _metered(database_url)
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        table = "reading_pv_inverter", "energy_export_wh"
        made = sum(_read(conn, *table, device, PERIOD) for device in INVERTERS)
        drawn = _read(conn, "reading_energy_meter", "energy_import_wh", METER, EDGES)
    credited = int(made / 10**6 * _factor("jcm_vn_am007.toml", "jcm-vn-am007-case-1"))
    assert credited > MOVED + 1

    def run(*words):
        return tonne(*words, env={"TONNE_DATABASE_URL": database_url})

    letter = {
        "id": "VN-1", "project": "nck-pv", "approach": "CA0004", "date": "2026-01-10",
        "version": 1, "party": "VNM", "document": "letter 12/2026", "quantity": 5000,
        "gwp": "100-year values from 5th IPCC assessment", "activity_type": "Solar",
        "sector": "Energy industries (renewable-/ non renewable sources)", "purposes": "NDC",
        "first_transfer": "Authorization", "authorized_party": "JPN",
        "entities": [{"id": "E1", "name": "Plant", "country": "VNM", "date": "2026-01-10"}],
        "units": [{"statement": name, "vintage": YEAR, "first": 1, "last": credited,
                   "registry": "R1"}],
        "actions": [{"date": "2026-02-01", "type": "First Transfer", "subtype": "NDC", "first": 1,
                     "last": MOVED, "registry": "R1", "document": "letter 7", "from_party": "VNM",
                     "to_party": "JPN"}],
    }  # fmt: skip
    facility = {
        "site": SITE, "name": "Park", "tax_code": "0201234567", "address": "1 Quay, Hai Phong",
        "sector": "industry", "representative": "Nguyen Van A", "qa_qc": "monthly, by invoice",
        "uncertainty_percent": "2.5",
        "supplies": [{"id": "grid", "line": "electricity", "device": METER,
                      "quantity": "energy_import"}],
    }  # fmt: skip
    submission = {"party": "VNM", "year": 2026, "version": 1, "date": "2027-04-10",
                  "ndc_from": 2021, "ndc_to": 2030}  # fmt: skip
    file = tmp_path / "letters.yaml"
    one_more = {
        "authorizations": [{**letter, "units": [{**letter["units"][0], "last": credited + 1}]}]
    }
    file.write_text(yaml.safe_dump(one_more), "utf-8")
    refused = run("registry", "import", file)
    assert (refused.exit_code, "are entered, but" in refused.output) == (Exit.INPUT, True)
    whole = {"authorizations": [letter], "submissions": [submission], "facilities": [facility]}
    file.write_text(yaml.safe_dump(whole), "utf-8")
    assert run("registry", "import", file).exit_code == Exit.DONE

    done = run("export", "aef", "--party", "VNM", "--year", 2026, "--out", tmp_path / "aef")
    assert done.exit_code == Exit.DONE, done.output
    with (tmp_path / "aef" / "T3.csv").open(newline="") as table:
        (moved,) = [r for r in csv.DictReader(table) if r["actionType"] == "First Transfer"]
    with (tmp_path / "aef" / "T4.csv").open(newline="") as table:
        (held,) = csv.DictReader(table)
    assert (moved["quantity"], moved["vintageYear"]) == (str(MOVED), str(YEAR))
    assert (held["quantity"], held["vintageYear"]) == (str(credited - MOVED), str(YEAR))
    assert (held["itmoFirstId"], held["itmoLastId"]) == (str(MOVED + 1), str(credited))

    done = run(
        "export", "facility", "--site", SITE, "--year", YEAR, "--out", tmp_path / "vn", "--json"
    )
    made = json.loads((tmp_path / "vn" / "inventory.json").read_text("utf-8"))["inventory"]
    wanted = drawn / 10**6 * _factor("vn_grid.toml")
    assert abs(Fraction(made["scope_2_t"]) - wanted) < Fraction(1, 1000)
    assert Fraction(made["scope_2_t"]) >= wanted - Fraction(1, 10**6)
    lacks = " ".join(json.loads(done.stdout)["missing"])
    assert "measured" not in lacks  # of the whole year

    for form in ("cdop", "cad-trust", "jcm"):
        done = run("export", form, name, "--out", tmp_path / form, "--json")
        assert done.exit_code in {Exit.DONE, Exit.NOT_ENOUGH}, done.output
    issued = json.loads((tmp_path / "cdop" / "Issuances.json").read_text("utf-8"))
    assert str(credited) in json.dumps(issued)
