"""Examples and descriptions for the OpenAPI document, by names of properties and parameters."""

from __future__ import annotations

from typing import Any

_STATEMENT = "TN-roof-1-20260101-20260201-1"
_HASH = "jU3NNmY0mZ8bWm8u5aJx0C2n3i1oZ4d9dNn8c1Q2yGk="
_ARRAY = {
    "dc_power_w": 115_000, "tilt": 10.0, "azimuth": 180.0,
    "temperature_coefficient_percent": -0.35, "since": "2026-01-01T00:00:00Z",
}  # fmt: skip
_SOILING = {"percent": 2.1, "low": 1.6, "high": 2.7, "intervals": 9, "missing": None}
_TREND = {
    "percent_per_year": -0.6, "low": -0.9, "high": -0.3, "first_day": "2024-01-01",
    "last_day": "2026-02-01",
}  # fmt: skip
# examples by name of a property; an example in the property's own schema takes precedence
_PROPERTIES: dict[str, Any] = {
    "accounts": "the city's account is modelled, the projects' measured; they are not " "added",
    "accuracy_class": "0.5S", "action": "1-03", "appended": "2026-02-05T03:00:00Z",
    "at": "2026-02-05T03:00:00Z", "baseline_ug": 4_112_550_000, "basis": "Annex I, list 2, I.3",
    "body": '{"event":"issued","statement":"TN-roof-1-20260101-20260201-1"}',
    "by": "Harbour Park", "certificate": "VMI-123", "commissioned": None,
    "condition": "already registered under the JCM", "channel": "ch4_percent",
    "found_error_percent": "0.3",
    "content_type": "application/json", "coordinates": [106.66, 20.85], "day": "2026-03-02",
    "note": "roots at 14 m", "properties": {"kind": "pipe", "diameter_mm": 600}, "count": 1,
    "created": "2026-01-01T00:00:00Z",
    "created_by": "admin", "credit_t": 10, "crediting_from": "2026-01-01",
    "crediting_to": "2036-01-01",
    "detail": "time 2031-01-01T00:00:00Z is more than 5 minutes ahead",
    "device": "inv-001", "device_id": "inv-001", "expected": {"energy_kwh_per_year": 120000},
    "expected_t_per_year": "39.9", "expires": "2027-01-01T00:00:00Z", "first": 1,
    "first_root": _HASH, "from": "2026-01-01T00:00:00+01:00", "gateway": None, "hashes": [_HASH],
    "id": 17, "in_force": "2026-05-19", "index": 41, "installed": "2026-01-01T00:00:00Z",
    "issued_credits_t": 10, "kind": "issued", "last_reading": "2026-02-01T00:00:00Z",
    "leaf_hash": _HASH, "leakage_ug": 0, "log_index": 41, "max_error_percent": "0.5",
    "measured_share": 1.0, "method": "GET", "monitored_percent_of_target": "0.002",
    "monitored_t": "10.836590", "name": "Rooftop PV", "next": None,
    "path": f"/v1/statements/{_STATEMENT}/evidence", "parameters": {}, "part_of": "1",
    "performed": "2025-12-20", "principal": "key:4m2k9x0qpz1c", "profile": "generic",
    "programme": "City programme", "project": "roof-1", "project_ug": 0, "projects": ["roof-1"],
    "rated_power_w": 100000, "reason": "late readings of inv-003",
    "received": "2026-02-01T00:00:00Z", "reduction_ug": 4_112_550_000, "removed": None,
    "reported_percent_of_target": "1.2", "reported_t": "17724", "request": "9f86d081884c7d65",
    "revoked": None, "role": "auditor", "root_hash": _HASH, "rules": "Act 7 of 2026",
    "second": 42, "second_root": _HASH, "serial": "A1B2", "since": "2026-02-05T03:00:00Z",
    "site": "harbour-park", "size": 42, "start": "2026-01-01T05:00:00Z", "state": "online",
    "statement": _STATEMENT, "status": 200, "superseded_by": None, "supersedes": None,
    "target_t_per_year": "1477000", "target_year": 2030, "title": "Not Found",
    "to": "2026-02-01T00:00:00+01:00", "token": "tonne_KEY_SECRET", "topic":
    "tonne/v1/inv-001/telemetry", "transferable_t": 5, "type": "about:blank", "valid_until":
    "2027-12-20", "validFrom": "2026-01-01T00:00:00Z", "validUntil": None, "value": 12350,
    "year": 2026,
}  # fmt: skip
_INVOICE: dict[str, Any] = {
    "id": "CPC-2026-01", "issuer": "City Power Co.", "number": "0012345", "issued": "2026-02-03",
    "devices": ["inv-001"], "quantity": "energy_export", "from": "2026-01-01", "to": "2026-02-01",
    "tolerance_percent": "2", "sha256": "9f86d081" * 8, "corrects": None,
    "signed": "eyJhbGciOiJFZERTQSIsImtpZCI6Ino2TWsifQ..c2lnbmF0dXJl",
}  # fmt: skip
_PARK_MEMBER = "steel-works"
_OF_SCHEMAS: dict[str, dict[str, Any]] = {
    "Action": {"name": "Green Industry", "action": "1"},
    "Entry": {"index": 41},
    "Delivered": {"id": "CPC-2026-01", "result": "created"},
    "Invoice": {
        **_INVOICE,
        "unit": "Wh",
        "value": "12500000",
        "author": "Harbour Park",
        "imported": "2026-02-05T03:00:00Z",
        "corrected_by": None,
        "from": "2025-12-31T17:00:00Z",
        "to": "2026-01-31T17:00:00Z",
        "reason": None,
    },
    "NewInvoice": {**_INVOICE, "amount": "12500", "unit": "kWh", "reason": None},
    "Sampled": {"random": 8, "by_risk": 8, "population": 62},
    "Alarm": {"kind": "gateway_silent", "state": "open"},
    "AlarmDetail": {"kind": "gateway_silent", "state": "open"},
    "TakenApproval": {"state": "verified", "approvals": 2},
    "TakenList": {"valid_from": "2026-02-03T08:00:00Z"},
    "Finding": {"finding": "CAR-1", "kind": "CAR", "state": "open", "effect_t": "0.003"},
    "FindingStep": {
        "by": "green-verify",
        "text": "certificate VMI-098 expired on 2026-01-20",
        "sha256": "9f86d081" * 8,
    },
    "Signature": {
        "issuer": {"id": "did:key:z6Mk", "name": "plant"},
        "proof": {"type": "DataIntegrityProof", "cryptosuite": "eddsa-jcs-2022"},
    },
    "Submitted": {"unmet": []},
    "Key": {"id": "4m2k9x0qpz1c", "name": "Third-party entity"},
    "Letter": {"reason": "time_ahead"},
    "MadeKey": {"id": "4m2k9x0qpz1c", "name": "Third-party entity"},
    "Park": {"park": "park-1", "park_balance": {"energy_made": {"value": "1200", "unit": "kWh"}}},
    "ParkFlow": {
        "amount": "1200",
        "unit": "kWh",
        "measured_share": "0.998",
        "to": _PARK_MEMBER,
        "from": "harbour-park",
        "device": "inv-1",
    },
    "ParkMember": {
        "name": "Harbour Park: steel works",
        "site": _PARK_MEMBER,
        "balance": {"energy_used": {"value": "800", "unit": "kWh"}},
    },
    "Problem": {
        "status": 404,
        "detail": "there is no site 'x' that you may see; check the id and the scope of your key",
    },
    "Sewer": {"id": "P-0417"},
    "SewerFeature": {"id": "P-0417"},
    "SewerEvent": {"kind": "cctv", "condition": 3},
    "Statement": {"project": "roof-1"},
    "StatementDetail": {
        "document": {"type": ["VerifiableCredential", "EmissionReductionStatement"]},
        "verification": {"type": ["VerifiableCredential", "VerificationStatement"]},
    },
    "SystemField": {
        "device": "vb-tube-1",
        "system": "green-agriculture",
        "days": 31,
        "dry_days": 5,
        "dry_downs": 3,
        "lowest_cm": -18.0,
    },
    "SystemIndicator": {
        "device": "air-1",
        "system": "air-and-noise",
        "indicator": "pm2_5_24h_ug_m3",
        "days": 30,
        "days_judged": 30,
        "days_exceeded": 2,
        "mean": 87.5,
        "highest": 127.0,
        "lowest": 41.0,
    },
    "SystemProject": {
        "system": "rooftop-pv",
        "methodology": "ams-i-d",
        "expected_t_so_far": "3.388",
        "expected_ahead_t": "36.5",
        "issued_by_grade_t": {"B": "8", "C": "2"},
        "measured_percent_of_expected": "98.2",
        "plan_error": None,
        "transferable_t": "not determined",
        "transfer_basis": "the project's class is not set",
        "provisional": [],
    },
    "SystemReport": {
        "system": "air-and-noise",
        "title": "Air and noise monitoring",
        "devices": 4,
        "reason": "its result is air quality and noise",
        "devices_heard": 4,
        "tCO2": None,
        "expected_t": None,
        "issued_credits_t": None,
        "registry": None,
    },
    "Transferable": {"condition": None},
    "Served": {"project": "roof-1", "role": "generation"},
    "Register": {
        "quantity": "energy_export",
        "unit": "Wh",
        "interval": "2026-02-01T00:00:00Z",
        "stands_at": 412_345_000,
        "read": "2026-02-01T00:04:00Z",
        "rose": "2026-02-01T00:04:00Z",
        "waiting_at": None,
        "waiting": 0,
    },
    "DayAmount": {
        "day": "2026-02-01",
        "quantity": "energy_export",
        "value": 412_345,
        "unit": "Wh",
        "measured_h": 24.0,
        "unknown_h": 0.0,
    },
    "QuarterAmount": {
        "start": "2026-02-01T03:00:00Z",
        "quantity": "energy_export",
        "value": 12_345,
        "unit": "Wh",
    },
    "FlagCount": {
        "channel": "active_power_w",
        "test": "spike",
        "readings": 2,
        "last": "2026-02-01T03:00:00Z",
    },
    "Refused": {
        "received": "2026-02-01T03:00:00Z",
        "reason": "unknown_device",
        "topic": "tonne/v1/inv-001/telemetry",
        "principal": "inv-001",
    },
    "Credential": {
        "kind": "certificate",
        "serial": "4f",
        "issued": "2026-01-01T00:00:00Z",
        "revoked": None,
        "reason": None,
    },
    "Behind": {"devices": 12, "online": 0},
    "DeviceDetail": {
        "id": "inv-001",
        "registered": True,
        "state": "offline",
        "cause": "gateway",
        "since": "2026-02-01T00:00:00Z",
        "what_to_do": "Check the gateway: its power supply, its uplink, then its outbox.",
        "cost_t": "0.012345",
        "cost_t_per_day": "0.108000",
        "side": "baseline",
        "received": "2026-02-01T00:00:01Z",
        "expected_s": 900.0,
        "gateway": "gw-1",
        "gateway_dark": True,
        "gateway_heard": "2026-02-01T00:00:00Z",
        "behind": {"devices": 0, "online": 0},
        "said": "offline",
        "said_at": "2026-02-01T00:00:30Z",
        "firmware": "1.4.2",
        "completeness_today": 0.5,
        "clock": "good",
        "clock_offset_s": -0.5,
        "clock_drift_s_per_day": 0.0,
        "maker": "Example",
        "model": "X-100",
        "site_name": "Harbour Park Industrial Park",
        "timezone": "Europe/Berlin",
        "attributes": {},
        "newest": {"active_power_w": 41_000.0},
        "pv": None,
    },
    "PvArray": _ARRAY,
    "PvDay": {
        "energy_kwh": 412.5, "yield_h": 3.59, "performance_ratio": 0.79,
        "performance_ratio_25": 0.83, "availability": 1.0, "energy_availability": 1.0,
        "expected_kwh": 431.2, "standing_kwh": 0.0, "clipped_kwh": 0.0, "other_kwh": 18.7,
        "no_ratio": None,
    },
    "PvTrend": _TREND,
    "PvSoiling": _SOILING,
    "Pv": {"array": _ARRAY, "against_site": -0.02, "trend": _TREND, "soiling": _SOILING},
}  # fmt: skip
_PARAMETERS = {
    "$count": "`true`: state the number of entities in `@iot.count`.",
    "$expand": "Navigation properties to include, with options in brackets.",
    "$filter": "Conditions, such as `result gt 5 and Datastream/id eq 'inv-1:energy_export'`.",
    "$orderby": "Properties, each with `asc` or `desc`.",
    "$select": "Properties to show.",
    "$skip": "Number of entities to skip.",
    "$top": "Maximum number of entities on a page: 100 unless given, up to 1,000.",
    "after": "Id of the last item of the previous page: its `next`.",
    "asset": "Id of an asset of the sewerage registry.",
    "cursor": "End of the previous page: its `next`.",
    "device": "Id of a device.",
    "form": "Whose format.",
    "from": "Local date of the site, or RFC 3339; start, included.",
    "invoice": "Id of a stored invoice.",
    "index": "Index of the entry, from 0.",
    "key": "Id of the key, not its token.",
    "limit": "Maximum number of items on a page.",
    "party": "Party of the Paris Agreement, ISO 3166-1 alpha-3.",
    "path": "Entity set, id in brackets and quotes, navigation properties.",
    "park": "Id of a park: a group of sites in the registry.",
    "project": "Id of a project in the registry.",
    "reason": "Only messages that were rejected for this reason.",
    "site": "Id of a site.",
    "statement": "Id of a statement.",
    "to": "Local date of the site, or RFC 3339; end, excluded.",
    "version": "Version of the submission.",
    "webhook": "Id of a webhook.",
    "year": "Calendar year of the city's account.",
}


def add(document: dict[str, Any]) -> None:
    """Add an example to every property and a description to every parameter."""
    for name, schema in document["components"]["schemas"].items():
        own = _OF_SCHEMAS.get(name, {})
        for key, content in schema.get("properties", {}).items():
            if _needs_example(content) and key in {**_PROPERTIES, **own}:
                content["examples"] = [own[key] if key in own else _PROPERTIES[key]]
    for operations in document["paths"].values():
        for direction in operations.values():
            # the docstring's first line is clearer than the function's name as a summary
            direction["summary"] = direction["description"].partition("\n")[0].rstrip(".")
            for parameter in direction.get("parameters", ()):
                if "description" not in parameter and parameter["name"] in _PARAMETERS:
                    parameter["description"] = _PARAMETERS[parameter["name"]]


def _needs_example(content: dict[str, Any]) -> bool:
    lines = {"examples", "enum", "const", "$ref"} & content.keys()
    listed = content.get("type") == "array" and "$ref" in content["items"]
    return not (lines or listed or content.get("type") == "boolean")
