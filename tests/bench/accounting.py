"""A year of 15-minute intervals accounted and closed, project by project, in bounded memory."""

import argparse
import json
import resource
import time
from datetime import date

import numpy as np

from ingest.classes import QUANTITY_INDEX
from ingest.model import INTERVAL_US, Device, Fleet, IntervalRows
from mrv import factors
from mrv.accounting.live_emissions import account, compile_bindings
from mrv.calendar import midnight_us
from mrv.registry import Calibration
from mrv.registry.project import Project, ProjectDevice
from mrv.rules.closing import close
from tests.running import Pipeline

ZONE = "Asia/Ho_Chi_Minh"
YEAR = tuple(midnight_us(date(y, 1, 1), ZONE) for y in (2026, 2027))
INTERVALS = (YEAR[1] - YEAR[0]) // INTERVAL_US
OF_PROJECT = 100


def measure(pipeline: Pipeline | None = None) -> dict[str, float]:
    """Measure rows per second of live account and closed period, for a twentieth of the fleet."""
    del pipeline  # no server has a part in it
    return run(OF_PROJECT)


def run(devices: int) -> dict[str, float]:
    """
    Account for a year of a number of inverters.

    Each project's rows are created, accounted as in the live stream, and closed; creating them is
    not measured.
    """
    book = factors.load()
    took, rows, credits_t = 0.0, 0, 0
    for number in range(devices // OF_PROJECT):
        project, fleet = plant(number)
        made = year_of(number)
        certificates = {
            d.id: [Calibration(date(2025, 1, 1), date(2027, 6, 1), "C", None, None)]
            for d in fleet.devices
        }
        began = time.process_time()
        live = account(made, compile_bindings([project], fleet, book))
        closed = close(project, fleet, certificates, made, *YEAR, book)
        took += time.process_time() - began
        check(made, int(live.reduction_ug.sum()), closed.gross.reduction.ug)
        rows += len(made)
        credits_t += closed.credit_t
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(
        f"accounted {rows:,} intervals of {devices} devices in {took:.1f} s of one core:"
        f" {credits_t:,} t, peak {peak_mb:,.0f} MB"
    )
    return {"account_rows_per_s": rows / took}


def plant(number: int) -> tuple[Project, Fleet]:
    """Return a solar project of inverters."""
    ids = [f"a-{number:03d}-{i:03d}" for i in range(OF_PROJECT)]
    fleet = Fleet(
        [Device(d, "s", "pv_inverter", rated_power_w=100_000, installed_us=YEAR[0]) for d in ids]
    )
    bound = tuple(ProjectDevice(d, "generation", {"case": 1}) for d in ids)
    project = Project(
        f"p-{number}", "P", "jcm-vn-am007", "1.0", ZONE, YEAR[0], YEAR[1], devices=bound,
        parameters={"accept_factors": ["jcm-vn-am007.case-1"]},
    )  # fmt: skip
    return project, fleet


def year_of(seed: int) -> IntervalRows:
    """Return every 15-minute interval of a project's year; one in a thousand is missing."""
    chance = np.random.default_rng(seed)
    device = np.repeat(np.arange(OF_PROJECT, dtype=np.int32), INTERVALS)
    start = np.tile(YEAR[0] + np.arange(INTERVALS) * INTERVAL_US, OF_PROJECT)
    kept = chance.random(len(device)) > 0.001
    device, start = device[kept], start[kept]
    n = len(device)
    none = np.zeros(n, dtype=np.int64)
    export = np.full(n, QUANTITY_INDEX["energy_export"], dtype=np.int16)
    value = chance.integers(0, 25_000, n)
    return IntervalRows(device, export, start, value, none + INTERVAL_US, none, none)


def check(rows: IntervalRows, live_ug: int, gross_ug: int) -> None:
    """Check that three sums of the same year agree to the microgram."""
    direct = int(rows.value.sum()) * 333_000  # 0.333 t/MWh
    if not live_ug == gross_ug == direct:
        raise AssertionError(f"live {live_ug}, period {gross_ug}, by hand {direct} ug")


def main() -> None:
    """Account for the whole fleet, or for the requested number of devices."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.accounting")
    parser.add_argument("--devices", type=int, default=2_000)
    figures = run(parser.parse_args().devices)
    print(json.dumps({k: round(v) for k, v in figures.items()}))


if __name__ == "__main__":
    main()
