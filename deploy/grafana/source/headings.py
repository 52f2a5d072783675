"""What a column is called on a panel: units stand in its cells, so its name need not say them."""

from __future__ import annotations

import re

HEADINGS = {
    "acknowledged_by": "acknowledged by",
    "against_site": "against its site",
    "avoided_t": "avoided",
    "avoided_t_per_day": "avoided a day",
    "baseline_t": "baseline",
    "clean_transport": "Clean Transport",
    "clipped_h": "clipped",
    "clock_drift_s_per_day": "drift a day",
    "clock_offset_s": "off by",
    "cost_t": "cost",
    "cost_t_per_day": "cost a day",
    "credit_t": "credit",
    "days_ago": "ago",
    "device_id": "device",
    "distance_km": "distance",
    "energy_efficiency": "Energy Efficiency",
    "energy_kwh": "energy",
    "expected_30_days_t": "expected, 30 days",
    "expected_t": "expected",
    "expected_this_year_t": "expected this year so far",
    "expected_t_per_year": "expected a year",
    "flags_last_day": "flags of a day",
    "flat_line": "flat line",
    "from_time": "from",
    "gateway_state": "gateway is",
    "green_building": "Green Building",
    "green_industry": "Green Industry",
    "gross_range": "out of range",
    "issued_t": "issued",
    "kg_d": "COD load",
    "km_per_day": "a day",
    "kwh_km": "energy a kilometre",
    "last_30_days_t": "last 30 days",
    "last_heard": "last heard",
    "last_reading": "last reading",
    "last_sealed_day": "last sealed day",
    "local_from": "from",
    "local_to": "until",
    "mean_kw": "mean",
    "missed_t": "missed",
    "monitored_t": "monitored",
    "peak_kw": "peak",
    "performance_ratio": "performance ratio",
    "project_id": "project",
    "project_t": "project",
    "reduction_t": "reduction",
    "runs_out": "runs out",
    "share_of_target": "of the target",
    "silent_since": "silent since",
    "silent_s": "silent for",
    "statement_id": "statement",
    "target_t_per_year": "target a year",
    "this_year_t": "this year",
    "to_time": "until",
    "usual_kwh": "usual",
    "valid_until": "valid until",
    "vn_wqi": "index",
    "volume_m3": "volume",
    "volume_nm3": "volume",
    "yield_h": "yield",
}


def headings(query: str) -> dict[str, str]:
    """Headings of the columns that a query may give."""
    words = set(re.findall(r"[a-z_0-9]+", query))
    return {name: heading for name, heading in HEADINGS.items() if name in words}
