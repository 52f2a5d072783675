"""Column headings of tables without units, which the cells show."""

from __future__ import annotations

import re

HEADINGS = {
    "acknowledged_by": "acknowledged by",
    "against_site": "difference from its site",
    "avoided_t": "avoided",
    "before_t": "before evidence",
    "avoided_t_per_day": "avoided per day",
    "baseline_t": "baseline",
    "capacity_factor": "capacity factor",
    "clean_transport": "Clean Transport",
    "clipped_h": "clipped",
    "clipped_share": "clipped",
    "clock_drift_s_per_day": "drift per day",
    "clock_offset_s": "clock offset",
    "cost_t": "cost",
    "cost_t_per_day": "cost per day",
    "credit_t": "credit",
    "days_ago": "days since",
    "device_id": "device",
    "distance_km": "distance",
    "energy_efficiency": "Energy Efficiency",
    "energy_kwh": "energy",
    "expected_30_days_t": "expected, 30 days",
    "expected_t": "expected",
    "expected_t_per_year": "expected per year",
    "expected_this_year_t": "expected this year so far",
    "first_day": "from",
    "flags_last_day": "flags in 24 hours",
    "flat_line": "value does not change",
    "from_time": "from",
    "gateway_state": "gateway state",
    "green_building": "Green Building",
    "green_industry": "Green Industry",
    "gross_range": "outside the permitted range",
    "issued_t": "issued",
    "kg_d": "COD load",
    "km_per_day": "per day",
    "kwh_km": "energy per kilometre",
    "last_30_days_t": "last 30 days",
    "last_day": "until",
    "last_heard": "last data",
    "last_reading": "last reading",
    "last_sealed_day": "last sealed day",
    "local_from": "from",
    "local_to": "until",
    "lost_kwh": "lost",
    "lost_t": "tonnes",
    "mean_kw": "mean",
    "missed_t": "missed",
    "monitored_t": "monitored",
    "no_ratio": "reason without ratio",
    "peak_kw": "peak",
    "percent_per_year": "change per year",
    "performance_ratio": "performance ratio",
    "performance_ratio_25": "ratio at 25 °C",
    "project_id": "project",
    "project_t": "project",
    "reduction_t": "reduction",
    "runs_out_on": "end",
    "runs_out": "expires",
    "share_of_target": "share of target",
    "silent_s": "no data for",
    "silent_since": "no data since",
    "soiling_high": "soiling, upper limit",
    "soiling_low": "soiling, lower limit",
    "soiling_percent": "soiling",
    "standing_share": "standstill",
    "statement_id": "statement",
    "target_t_per_year": "target per year",
    "this_year_t": "this year",
    "to_time": "until",
    "usual_kwh": "usual",
    "valid_until": "valid until",
    "vn_wqi": "index",
    "volume_m3": "volume",
    "volume_nm3": "volume",
    "wind_speed": "wind speed",
    "why_no_soiling": "reason without soiling",
    "why_none": "reason without change",
    "yield_h": "yield",
}


# columns whose name is one word, said in the reader's language as well
_PLAIN = (
    "acknowledged", "action", "amount", "availability", "busy", "cause", "channel", "change", "class", "clipped", "clock",
    "counted", "coverage", "currency", "day", "days", "devices", "energy", "entries", "exceeded", "flags", "gateway",
    "grade", "high", "hour", "id", "irradiance", "kind", "km", "last", "letters", "low", "methodology", "money", "name", "not_reporting", "oldest",
    "online", "other", "pairs", "part", "place", "principal", "problem", "programme", "projects", "readings", "reason",
    "registered", "role", "rule", "severity", "side", "since", "site", "source", "spike", "standard", "standing", "state",
    "statements", "subject", "successor", "system", "test", "things", "utilisation", "actor", "what", "worth",
)  # fmt: skip
_OTHER = {
    "actor": "by", "clipped": "clipping", "high": "upper limit", "km": "distance", "letters": "rejected", "low": "lower limit",
    "last": "last", "not_reporting": "not reporting", "online": "online", "part": "channel or indicator", "principal": "sender",
    "standing": "standstill", "things": "number", "what": "fault",
}  # fmt: skip


def headings(query: str) -> dict[str, str]:
    """Return the headings of the columns that a query can return."""
    words = set(re.findall(r"[a-z_0-9]+", query))
    known = {**{heading: heading for heading in _PLAIN}, **_OTHER, **HEADINGS}
    return {name: heading for name, heading in known.items() if name in words}
