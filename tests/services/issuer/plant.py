"""A small plant in a real database: registry from YAML, readings stored by the pipeline."""

import hashlib

import numpy as np

from ingest import classes
from ingest.model import NULL, Frame
from mrv import factors
from mrv.calendar import instant_us
from services.processing.commit import Store
from services.settle import Plan
from services.store.dead_letter_write import Letters
from services.store.postgres.pool import connect
from services.store.registry import load as registry
from tests import registering

ZONE = "Asia/Ho_Chi_Minh"
MINUTE_US = 60_000_000
REGISTRY = """
sites:
  - {id: hp, name: Hai Phong, latitude: 20.9, longitude: 106.6, timezone: Asia/Ho_Chi_Minh}
devices:
  - id: inv-1
    site: hp
    class: pv_inverter
    profile: generic
    rated_power_w: 1000000
    installed: 2026-01-01T00:00:00+07:00
    serial: A1
    calibrations:
      - {performed: 2025-12-20, valid_until: 2027-12-20, certificate: C-1, accuracy_class: "0.5S"}
  - id: inv-2
    site: hp
    class: pv_inverter
    profile: generic
    rated_power_w: 1000000
    installed: 2026-01-01T00:00:00+07:00
    calibrations:
      - {performed: 2025-12-20, valid_until: 2026-03-03, certificate: C-2, max_error_percent: 0.5}
  - {id: ch-1, site: hp, class: ev_charger, profile: generic, rated_power_w: 60000,
     installed: 2026-01-01T00:00:00+07:00}
  - {id: bus-1, site: hp, class: vehicle, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
projects:
  - id: pv
    name: Rooftop PV
    methodology: jcm-vn-am007
    version: "1.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices:
      - {device: inv-1, role: generation, case: 1}
      - {device: inv-2, role: generation, case: 3}
    expected: {energy_kwh_per_year: 2400000, reduction_t_per_year: 799.2}
    monitoring:
      - version: "1"
        from: 2026-01-01
        responsible: Energy manager
        reason: first plan
        approval:
          by: Joint Committee
          date: 2025-12-15
          reference: JC-2025-17
          sha256: abababababababababababababababababababababababababababababababab
        procedures:
          organisation: the energy manager answers, the operator reads and keeps the meters
          data flow: meter to gateway to database, four times an hour
          emergency: a meter that fails is replaced within a week, its last value is written down
          missing data: counted as nothing; the gap stands in the statement
          retention: ten years after the last credit
        lines:
          - {parameter: generation, channel: energy_export_kwh, option: C, frequency: continuous,
             accuracy_class: "0.5S", qa_qc: monthly comparison with invoices, responsible: Operator}
  - id: bus
    name: Electric buses
    methodology: ams-iii-c
    version: "16.0"
    crediting_period: {from: 2026-01-01, to: 2036-01-01}
    devices: [{device: ch-1, role: charging}, {device: bus-1, role: vehicle}]
    parameters: {sfc_l_per_100km: 34.0, baseline_year: 2025, tdl: 0.0615}
"""


PLAN = REGISTRY[REGISTRY.index("    monitoring:") : REGISTRY.index("  - id: bus\n")]


def documented(litres="34.0"):
    """Return the registry with the documents of its values."""
    given = f"sfc_l_per_100km: {litres}, baseline_year: 2025, tdl: 0.0615}}\n"
    every = {
        "case": ("connection agreements", "Grid operator", "{inv-1: 1, inv-2: 3}"),
        "tdl": ("annual report", "Grid operator", "0.0615"),
        "sfc_l_per_100km": (f"survey of {litres}", "Department of Transport", litres),
    }
    rows = {
        name: f"      {name}: {{document: {title}, by: {by}, issued: 2025-11-30,"
        f" sha256: {hashlib.sha256(title.encode()).hexdigest()}, value: {value}}}\n"
        for name, (title, by, value) in every.items()
    }
    changes = {
        "    expected:": f"    documents:\n{rows.pop('case')}    expected:",
        "sfc_l_per_100km: 34.0, baseline_year: 2025, tdl: 0.0615}\n": (
            f"{given}    documents:\n{''.join(rows.values())}"
        ),
    }
    text = REGISTRY
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    return text


def quarter_hours(url, folder):
    """
    Import the registry and store three days of two inverters, a reading
    each 15-minute interval.
    """
    register(url, folder)
    fill_pv(url, minutes=15)


def us(text):
    """Return local midnight of a date, or an RFC 3339 time. [us]"""
    return instant_us(text, ZONE)


def register(url, folder, text=REGISTRY):
    """Import the registry."""
    registering.register(url, folder, text)


def imported(url, folder, text):
    """Import a registry, and derive its rows again, as `tonne run` does."""
    register(url, folder, text)
    derive(url)


def derive(url):
    """Derive the rows that an import or a change asks for."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store_of(conn).remake_requested(conn)


def store_of(conn):
    """Return a store for the present registry."""
    projects = registry.load_projects(conn)
    return Store(Plan.of(registry.load_fleet(conn), projects, factors.load()))


def send(url, device, times_us, **columns):
    """Store readings of a device, as `tonne run` would."""
    send_all(url, {device: (times_us, columns)})


def send_all(url, readings):
    """Store times and columns of several devices in one commit."""
    with connect(url, role="tonne_ingest", autocommit=True) as conn:
        store = store_of(conn)
        fleet, frames = store.plan.fleet, []
        for device, (times_us, columns) in readings.items():
            index = fleet.by_id[device]
            times = np.asarray(times_us, dtype=np.int64)
            frames.append(frame(fleet.devices[index].class_id, index, times, **columns))
        store.commit(conn, together(frames), [], Letters([], [], [], [], 0))


def together(frames):
    """Join frames of a class, as a batch has them."""
    kinds = sorted({one.class_id for one in frames})
    return [Frame.concat([one for one in frames if one.class_id == kind]) for kind in kinds]


def frame(class_id, index, times_us, **given):
    """Return readings of a device, or of one device for each time, by index in the fleet."""
    n = len(times_us)
    columns = {}
    for channel in classes.load()[class_id].channels.values():
        if channel.kind == "register":
            values = given.get(channel.name, np.full(n, NULL))
            columns[channel.name] = np.asarray(values, dtype=np.int64)
        else:
            values = given.get(channel.name, np.full(n, np.nan))
            columns[channel.name] = np.asarray(values, dtype=np.float64)
    device = np.full(n, index, dtype=np.int32)
    return Frame(class_id, device, times_us, np.zeros(n, dtype=np.int32), columns)


def sunny(begin, end, minutes=5, watts=800_000):
    """Return times, register [Wh] and power [W] of an inverter under a clear sky, UTC+7."""
    times = np.arange(us(begin), us(end), minutes * MINUTE_US) + 17_000_000
    hour = ((times + 7 * 3_600_000_000) % 86_400_000_000) / 3_600_000_000
    power = np.maximum(np.sin((hour - 6) / 12 * np.pi), 0) * watts
    energy = np.cumsum(power * minutes / 60).astype(np.int64) + 5_000_000
    return times, energy, np.round(power, 1)


def fill_pv(url, begin="2026-03-01", end="2026-03-04", minutes=5, *, silent=True):
    """Store sunny days of both inverters; a silent inv-2 has no readings on one morning."""
    times, energy, power = sunny(begin, end, minutes)
    morning = (times >= us("2026-03-02T08:00:00+07:00")) & (times < us("2026-03-02T09:30:00+07:00"))
    kept = ~morning | (not silent)
    first = {"energy_export_wh": energy, "active_power_w": power}
    second = {"energy_export_wh": energy[kept] // 2, "active_power_w": power[kept] / 2}
    send_all(url, {"inv-1": (times, first), "inv-2": (times[kept], second)})


def fill_buses(url, begin="2026-03-01"):
    """Store nightly sessions of the charger and a day's distance of the bus."""
    times = np.arange(us(begin), us("2026-03-04"), 10 * MINUTE_US)
    hour = (times + 7 * 3_600_000_000) // 3_600_000_000 % 24
    charge = np.cumsum(np.where(hour < 5, 8_000, 0))
    way = np.cumsum(np.where(hour >= 6, 3_000, 0))
    send_all(
        url, {"ch-1": (times, {"energy_import_wh": charge}), "bus-1": (times, {"odometer_m": way})}
    )
