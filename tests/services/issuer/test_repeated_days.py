"""Copies of meters and of an earlier year in the database, before and after days are summed."""

import re

import numpy as np

from services.issuer.close import preview_period
from tests.findings import worded
from tests.services.issuer import logged, plant

FIRST, END = "2026-03-01", "2026-03-15"
DAYS, HOUR_US = 14, 3_600_000_000
METERS = {
    # id: its site, its project
    "a-1": ("hp", "first"),
    "b-honest": ("far", "second"),
    "c-half": ("far", "second"),
    "c-noise": ("far", "second"),
    "c-turned": ("far", "second"),
    "r-larger": ("far", "second"),
    "r-own": ("far", "second"),
}


def _registry():
    devices = "".join(
        f"  - {{id: {name}, site: {site}, class: pv_inverter, profile: generic, maker: M,"
        f" serial: N-{name}, rated_power_w: 100000, installed: 2025-01-01T00:00:00+07:00}}\n"
        for name, (site, _) in METERS.items()
    )
    projects = "".join(
        f'  - {{id: {project}, name: P, methodology: jcm-vn-am007, version: "1.0",\n'
        "     crediting_period: {from: 2025-01-01, to: 2035-01-01}, devices: ["
        + ", ".join(
            f"{{device: {name}, role: generation, case: 1}}"
            for name, (_, mine) in METERS.items()
            if mine == project
        )
        + "]}\n"
        for project in ("first", "second")
    )
    sites = "".join(
        f"  - {{id: {name}, name: {name}, latitude: {latitude}, longitude: 106.6,"
        " timezone: Asia/Ho_Chi_Minh}\n"
        for name, latitude in (("hp", 20.9), ("far", 20.7))
    )
    return f"sites:\n{sites}devices:\n{devices}projects:\n{projects}"


def _days(seed):
    """Return the hourly energies of some days with clouds. [Wh]"""
    draw = np.random.default_rng(seed)
    sun = np.maximum(np.sin((np.arange(24) + 0.5 - 6) / 12 * np.pi), 0)
    clouds = draw.uniform(0.3, 1, (DAYS, 1)) * draw.uniform(0.9, 1, (DAYS, 24))
    return np.rint(80_000 * sun * clouds).astype(np.int64)


def _send(url, name, first, hours, register=0):
    """Store readings on the hour; return the register."""
    times = plant.us(first) + np.arange(hours.size + 1) * HOUR_US
    stands = register + np.concatenate([[0], np.cumsum(hours)])
    power = np.append(hours.reshape(-1), 0)
    plant.send(url, name, times, energy_export_wh=stands, active_power_w=power.astype(float))
    return int(stands[-1])


def _fill(url):
    noise = np.random.default_rng(3).uniform(-0.02, 0.02, (DAYS, 24))
    _send(url, "a-1", FIRST, _days(1))
    _send(url, "b-honest", FIRST, _days(2))
    _send(url, "c-half", FIRST, np.where(np.arange(DAYS)[:, None] < 7, _days(1), _days(4)))
    _send(url, "c-noise", FIRST, np.rint(_days(1) * (1 + noise * 0.35)).astype(np.int64))
    _send(url, "c-turned", FIRST, _days(1)[:, ::-1])
    for name, part, factor in (("r-own", 0, 1), ("r-larger", noise / 4, 1.1)):
        old = _days(sum(map(ord, name)))
        again = np.rint(old * (1 + part) * factor).astype(np.int64)
        _send(url, name, FIRST, again, _send(url, name, "2025-03-01", old))


def _previewed(url, project, first=FIRST):
    """Return the counted energy of each meter, and the conditions on repeated days."""
    with logged.issuer(url) as conn:
        edges = plant.us(first), plant.us(END)
        claims = preview_period(conn, project, *edges).document["credentialSubject"]
    counted = {p["device"]: float(p["counted"]) > 0 for p in claims["monitoredParameters"]}
    repeated = [worded(a) for a in claims["applicability"] if a["rule"] == "CLM-02"]
    why = "; ".join(
        worded(a) for a in claims["applicability"] if a["rule"] in {"REG-01", "CLM-02", "MTR-03"}
    )
    return counted, "; ".join(repeated), why


def test_copies_and_histories_sent_twice_are_seen(database_url, tmp_path):
    """Copied data series and resent histories are detected."""
    url = database_url
    plant.register(url, tmp_path, _registry())
    _fill(url)
    counted, repeated, why = _previewed(url, "second")
    assert counted == {name: name not in {"c-turned", "r-own"} for name in counted}
    assert "c-turned has the daily sums of a-1 (project first)" in why
    assert "r-own has the daily sums of r-own 365 days earlier" in why
    parts = re.split(r"; |\. (?=[A-Z])", repeated)
    excluded, alike = parts[:2], parts[2:]
    assert [text.split()[0] for text in excluded] == ["c-turned", "r-own"]
    assert [text.split()[4] for text in alike] == ["r-larger", "c-noise"]
    assert "those of r-larger 365 days earlier on 14 of 14 days" in repeated
    assert "times those of a-1 (project first)" in repeated
    # who closes each day has nothing of it
    assert _previewed(url, "second", "2026-03-14") == (counted, repeated, why)
    # its own project, whose meter was there first by its id
    counted_first, _, why_first = _previewed(url, "first")
    assert counted_first == {"a-1": True}
    assert " has the daily sums of " not in why_first
    with logged.issuer(url) as conn:
        conn.execute("SELECT tonne_refresh_days()")
        made = conn.execute("SELECT count(*) FROM day_quantity").fetchone()
        waiting = conn.execute("SELECT count(*) FROM v_day_mark").fetchone()
    assert made[0] > 9 * DAYS - 1
    assert waiting == (0,)
    assert _previewed(url, "second") == (counted, repeated, why)


def test_copies_inside_a_large_project_are_seen(database_url, tmp_path, monkeypatch):
    """Above 200 meters a copy that is scaled, or has gaps, would count without a message."""
    plant.register(database_url, tmp_path)
    plant.fill_pv(database_url, minutes=15, silent=False)
    for most, first, clause in (
        (200, FIRST, "MTR-03"),
        (1, FIRST, "MTR-03"),
        (200, "2026-03-03", "MTR-03"),  # of one day the accounting sees too little
    ):
        monkeypatch.setattr("mrv.accounting.twin_series.MANY", most)
        monkeypatch.setattr("services.issuer.same_series.MANY", most)
        with logged.issuer(database_url) as conn:
            edges = plant.us(first), plant.us("2026-03-04")
            claims = preview_period(conn, "pv", *edges).document["credentialSubject"]
        repeated = [(a["rule"], worded(a)) for a in claims["applicability"]]
        alike = "inv-2 is proportional to inv-1"
        assert [rule for rule, words in repeated if words.startswith(alike)] == [clause]
