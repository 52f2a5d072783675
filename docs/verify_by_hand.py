"""
Recalculate the tonnes of an evidence pack without tonne; only pandas is needed.

    python verify_by_hand.py PACK

For methodologies that multiply electricity by a constant factor: ams-i-d, jcm-vn-am007.  The steps
of the others are in docs/methodologies, and in the workbook of `tonne statement report`.

It compares digests, adds up the energy of each meter while it is assigned to the project, deducts
the permissible error of time without a certificate and the meter's import, compares the sum with
the increase of the registers, multiplies, and rounds down once.  It shares no code with `tonne
verify`, which also verifies signatures and the log (eddsa-jcs-2022, c2sp.org/tlog-proof).
"""

import hashlib
import json
import sys
from datetime import date
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd

STEP = pd.Timedelta(minutes=15)
COLUMNS = ["device", "time", "energy_export_wh"]
CLASS_PERCENT = {
    "0.2S": "0.2", "0.2": "0.2", "0.5S": "0.5", "0.5": "0.5", "1": "1", "1.0": "1",
    "2": "2", "2.0": "2", "C": "0.5", "B": "1", "A": "2",
}  # fmt: skip
OTHER = {"calibration", "own use", "design"}  # deductions that are no rule's
UNKNOWN_PERCENT = "2"  # a meter of which nothing is known


def load(pack, name):
    """Return a JSON document of the pack."""
    return json.loads((pack / name).read_text(encoding="utf-8"))


def digests_hold(pack, said):
    """Check plan and factors against the digests in the statement (RFC 8785, without floats)."""
    for name in ("plan", "factors"):
        text = json.dumps(
            load(pack, f"{name}.json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        if hashlib.sha256(text.encode()).hexdigest() != said[name]:
            raise SystemExit(f"{name}.json is not the one that the statement names")
    listed = load(pack, "manifest.json")["files"]
    for name, digest in listed.items():
        if hashlib.sha256((pack / name).read_bytes()).hexdigest() != digest:
            raise SystemExit(f"{name} is not the file that the manifest lists")


def percent_of(certificate):
    """Return the maximum permissible error in a certificate. [%]"""
    return Fraction(
        certificate["maxErrorPercent"]
        or CLASS_PERCENT.get(certificate["accuracyClass"], UNKNOWN_PERCENT)
    )


def midnight(text, zone):
    """Return the local midnight at which a date begins."""
    return pd.Timestamp(date.fromisoformat(text)).tz_localize(ZoneInfo(zone)).tz_convert("UTC")


def error_percent(certificates, start, zone):
    """Return the error to deduct in an interval: 0 under a valid certificate. [%]"""
    before, after = [], []
    for one in certificates:
        last = one.get("due", one["validUntil"])  # due: its interval of calibration is over before
        begin, end = midnight(one["performed"], zone), midnight(last, zone)
        if begin <= start and start + STEP <= end:
            return Fraction(0)
        (before if end <= start + STEP else after).append((end, begin, percent_of(one)))
    near = [max(before)[2]] if before else []
    near += [min(after, key=lambda one: one[1])[2]] if after else []
    return max(near, default=Fraction(UNKNOWN_PERCENT))


def energy_of(rows, bound, device, certificates, period, zone):
    """Return a meter's energy that is included in the account. [Wh]"""
    begin = max(map(pd.Timestamp, (period["from"], bound["from"], device["installed"])))
    end = min(pd.Timestamp(t) for t in (period["to"], bound["to"], device["removed"]) if t)
    rows = rows[(rows.device == device["id"]) & (rows.start >= begin) & (rows.start + STEP <= end)]
    own = int(rows[rows.quantity == "energy_import"].value.sum())
    rows, total = rows[rows.quantity == "energy_export"], Fraction(-own)
    for start, value in zip(rows.start, rows.value, strict=True):
        error = error_percent(certificates, start, zone)
        total += int(value) * (1 - error / 100)
    return total


def risen(readings, device):
    """Return the increase of a register over all readings in the pack. [Wh]"""
    steps = readings[readings.device == device].sort_values("time").energy_export_wh.dropna()
    return int(steps.diff().clip(lower=0).sum())


def factor_of(bound, claims, value):
    """Return the emission factor of the grid or of a system's case; the lower of two cases."""
    name = "ef_grid_t_per_mwh" if claims["methodology"]["id"] == "ams-i-d" else "case"
    of_it = [p for p in claims.get("fixedParameters", ()) if p["parameter"] == name]
    if name != "case":
        return min(Fraction(one["value"]) for one in of_it)
    entered = str(bound["params"]["case"])
    cases = [one["value"] for one in of_it if one["device"] == bound["device"]]
    cases = [entered] if entered in cases else [entered, *cases]
    return min(value[f"jcm-vn-am007-case-{case}"] for case in cases)


def main(pack):
    """Recalculate, compare with the statement, and print the result."""
    claims, plan = load(pack, "statement.json")["credentialSubject"], load(pack, "plan.json")
    if claims["methodology"]["id"] not in ("ams-i-d", "jcm-vn-am007"):
        raise SystemExit("this page knows ams-i-d and jcm-vn-am007 alone; use tonne verify")
    if any(one["kind"] not in OTHER or "by_plan" in str(one) for one in claims["deductions"]):
        raise SystemExit("a rule excludes energy, or the plan corrects it; use tonne verify")
    certified = [c for p in claims["monitoredParameters"] for c in p["calibrations"]]
    if any(key in one for one in certified for key in ("channel", "foundErrorPercent")):
        raise SystemExit("a certificate is of one channel, or found an error; use tonne verify")
    digests_hold(pack, claims["digests"])
    period, zone = claims["monitoringPeriod"], claims["monitoringPeriod"]["timezone"]
    value = {one["id"]: Fraction(one["value"]) for one in load(pack, "factors.json")}
    devices = {one["id"]: one for one in plan["devices"]}
    rows = pd.read_parquet(pack / "intervals.parquet")
    kinds = {devices[one["device"]]["class"] for one in plan["project"]["devices"]}
    files = [f for f in pack.glob("readings/**/*.parquet") if kinds & {f.stem, *f.parts}]
    readings = pd.concat(pd.read_parquet(f, columns=COLUMNS) for f in sorted(files))
    tonnes = Fraction(int(plan["carried"]["ug"]), 10**12)
    certificates = {p["device"]: p["calibrations"] for p in claims["monitoredParameters"]}
    for bound in plan["project"]["devices"]:
        device = devices[bound["device"]]
        energy = energy_of(rows, bound, device, certificates[device["id"]], period, zone)
        if energy > risen(readings, device["id"]) and not device["replacements"]:
            raise SystemExit(f"{device['id']}: more energy is claimed than its register rose by")
        factor = factor_of(bound, claims, value)
        tonnes += energy * factor / 10**6
        print(f"{device['id']:<20} {int(energy) / 1000:>16.3f} kWh at {float(factor)} t/MWh")
    credited = max(0, tonnes.numerator // tonnes.denominator)
    said = f"the statement says {claims['credited']['t']}"
    print(f"{int(tonnes * 10**6) / 10**6:.6f} t, {credited} credited; {said}")
    ug, said = int(tonnes * 10**12) - int(plan["carried"]["ug"]), claims["emissions"]
    if (credited, ug) != (int(claims["credited"]["t"]), int(said["reduction"]["ug"])):
        raise SystemExit("NOT the tonnes that the statement claims")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
