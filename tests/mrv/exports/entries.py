"""Complete entries of an authority for the statement of `tests.mrv.packs`; tests omit parts."""

from copy import deepcopy

PROJECT = "pv"
WHOLE = {
    "registrations": [{
        "project": PROJECT,
        "programme": "Joint Crediting Mechanism",
        "registry": "Joint Crediting Mechanism",
        "programme_id": "JCM-VN",
        "project_id": "VN021",
        "link": "https://example.org/VN021",
        "description": "Solar modules on the roofs of a factory.",
        "developer": "Nam Cau Kien Solar",
        "status_date": "2026-01-15",
        "registered": "2025-12-01",
        "place": {"country": "VNM", "region": "035", "subdivision": "VN-HP, Hai Phong"},
        "validation": {
            "id": 1, "type": "Validation of Project Design Document", "date": "2025-11-01",
            "body": "VKU Certification Private Limited", "period_number": 1,
        },
        "estimation": {"id": 1, "date": "2025-11-01", "status": "Validated"},
        "cdop": {
            "programme": "Joint Crediting Mechanism", "standard": "JCM Standard",
            "registry": "Joint Crediting Mechanism", "project_status": "Registered",
            "project_sector": "D35 - Electricity, gas, steam and air conditioning supply",
            "project_type": "Solar", "mitigation_type": "Reduction - technical",
            "unit_type": "JCM", "sdgs": ["SDG 7: Affordable and Clean Energy"],
            "methods": ["kWh by meter"],
        },
        "cad_trust": {
            "project_status": "Registered", "types": ["Solar"],
            "sectors": ["Energy industries (renewable-/ non renewable sources)"],
            "unit_type": "Reduction - technical",
            "cobenefits": ["SDG 7 - Affordable and clean energy"],
        },
        "disclosures": {
            "carbon_credit_ownership_attestation": True,
            "carbon_credit_ownership_documentation": "https://example.org/o",
            "legal_compliance_attestation": True,
            "legal_compliance_documentation": "https://example.org/l",
            "project_governance_structure": "a board",
        },
    }],
}  # fmt: skip


def whole(statement, year, tonnes):
    """Return the entries with verification, issuance and units of a statement."""
    found = deepcopy(WHOLE)
    one = found["registrations"][0]
    one["verifications"] = [{
        "statement": statement, "id": "V-1", "visit_from": "2026-02-02",
        "visit_to": "2026-02-03", "report": "https://example.org/v",
    }]  # fmt: skip
    one["issuances"] = [{"statement": statement, "id": "I-1", "date": "2026-03-01"}]
    one["units"] = [{
        "statement": statement, "vintage": year, "first": 101, "last": 100 + tonnes,
        "serial": "VN021-101", "account": "JP-1", "status": "Issued", "cdop_status": "Active",
        "status_reason": "issued", "status_date": "2026-03-01",
    }]  # fmt: skip
    return found
