"""Permissions: every route, by every role and without login."""

import pytest

from tests.services.api import plain

ALL = ("operator", "verifier", "auditor", "admin")
# status by role; 200 stands for "let in", whatever the request then meets
READ = dict.fromkeys((*ALL, "scoped"), 200) | {None: 401}
# of all projects: no scope of some of them sees it
WHOLE = dict.fromkeys(ALL, 200) | {"scoped": 403, "stranger": 403, None: 401}
OPEN = dict.fromkeys((*ALL, "scoped", "stranger", None), 200)
ADMIN = {"admin": 200, "operator": 403, "verifier": 403, "auditor": 403, None: 401}
OPERATOR = {"operator": 200, "verifier": 403, "auditor": 403, "admin": 403, None: 401}
VERIFIER = {"verifier": 200, "operator": 403, "auditor": 403, "admin": 403, None: 401}
# path with the issued statement in it, and one where the stranger's scope hides it
MATRIX = {
    ("GET", "/v1/me"): READ,
    ("GET", "/v1/keys"): ADMIN,
    ("POST", "/v1/keys"): ADMIN,
    ("DELETE", "/v1/keys/{key}"): ADMIN,
    ("GET", "/v1/audit"): ADMIN,
    ("GET", "/v1/projects"): READ,
    ("GET", "/v1/projects/{project}"): READ | {"stranger": 404},
    ("GET", "/v1/projects/{project}/money"): READ | {"stranger": 404},
    ("GET", "/v1/projects/{project}/due"): READ | {"stranger": 404},
    ("GET", "/v1/projects/{project}/entry"): READ | {"stranger": 404},
    ("GET", "/v1/devices"): READ,
    ("GET", "/v1/alarms"): READ,
    ("GET", "/v1/alarms/{alarm}"): READ | {"stranger": 404},
    ("POST", "/v1/alarms/{alarm}/acknowledge"): OPERATOR | {"rival": 404},
    ("POST", "/v1/alarms/{alarm}/comment"): OPERATOR | {"rival": 404},
    ("GET", "/v1/devices/{device}"): READ | {"stranger": 404},
    ("GET", "/v1/intervals"): READ | {"stranger": 404},
    ("GET", "/v1/intervals/file.{form}"): READ | {"stranger": 404},
    ("GET", "/v1/emissions"): READ | {"stranger": 404},
    ("GET", "/v1/schemas/{name}"): OPEN,
    ("GET", "/v1/statements"): OPEN,
    ("GET", "/v1/statements/{statement}"): OPEN,
    ("GET", "/v1/statements/{statement}.json"): OPEN,
    ("GET", "/v1/statements/{statement}.pdf"): OPEN,
    ("GET", "/v1/statements/{statement}.xlsx"): READ | {"stranger": 404},
    ("GET", "/v1/statements/{statement}/verification.json"): OPEN,
    ("GET", "/v1/statements/{statement}/status"): OPEN,
    ("GET", "/v1/statements/{statement}/receipt"): OPEN,
    ("GET", "/v1/statements/{statement}/evidence"): READ | {"stranger": 404},
    ("POST", "/v1/projects/{project}/periods"): OPERATOR | {"rival": 404},
    ("POST", "/v1/statements/{statement}/issue"): OPERATOR | {"rival": 404},
    ("POST", "/v1/statements/{statement}/supersede"): OPERATOR | {"rival": 404},
    ("GET", "/v1/statements/{statement}/sampling.json"): OPEN,
    ("POST", "/v1/statements/{statement}/sampling"): VERIFIER | {"elsewhere": 404},
    ("GET", "/v1/statements/{statement}/findings"): OPEN,
    ("GET", "/v1/statements/{statement}/findings.json"): OPEN,
    # an event that raises; `test_handed_in` has the operator answer
    ("POST", "/v1/statements/{statement}/findings"): VERIFIER | {"rival": 404, "elsewhere": 404},
    ("POST", "/v1/statements/{statement}/submission"): OPERATOR | {"rival": 404},
    ("POST", "/v1/statements/{statement}/verification"): VERIFIER | {"elsewhere": 404},
    ("GET", "/v1/invoices"): READ,
    ("GET", "/v1/invoices/{invoice}"): READ | {"stranger": 404},
    ("POST", "/v1/projects/{project}/invoices"): OPERATOR | {"rival": 404},
    ("GET", "/v1/log/checkpoint"): OPEN,
    ("GET", "/v1/log/entries/{index}"): OPEN,
    ("GET", "/v1/log/proof/inclusion"): OPEN,
    ("GET", "/v1/log/proof/consistency"): OPEN,
    ("GET", "/v1/keyring"): OPEN,
    ("GET", "/v1/trust-root"): OPEN,
    ("GET", "/v1/status-list"): OPEN,
    ("POST", "/v1/status-list"): OPERATOR | {"rival": 404},
    ("GET", "/v1/statements/{statement}/approvals.json"): OPEN,
    ("POST", "/v1/statements/{statement}/approval"): OPERATOR | {"rival": 404},
    # one that nobody here asked for; `test_signer` has the one who did
    ("GET", "/v1/jobs/{job}"): READ | {"stranger": 404},
    ("GET", "/v1/projects/{project}/exports/{form}.zip"): READ | {"stranger": 404},
    ("GET", "/v1/statements/{statement}/exports/jcm.zip"): READ | {"stranger": 404},
    ("GET", "/v1/statements/{statement}/submission"): READ | {"stranger": 404},
    ("GET", "/v1/statements/{statement}/verification-template"): OPEN,
    # once it is published, by `test_exports`
    ("GET", "/v1/statements/{statement}/exports/public.zip"): OPEN,
    ("GET", "/v1/exports/aef.zip"): WHOLE,
    ("GET", "/v1/sites/{site}/exports/facility.zip"): WHOLE,
    # what is in it goes by the scope: `test_sensorthings`
    ("GET", "/v1/sensorthings/v1.1"): OPEN,
    ("GET", "/v1/sensorthings/v1.1/{path}"): OPEN,
    ("GET", "/v1/webhooks"): ADMIN,
    ("POST", "/v1/webhooks"): ADMIN,
    ("GET", "/v1/webhooks/{webhook}"): ADMIN,
    ("GET", "/v1/webhooks/{webhook}/deliveries"): ADMIN,
    ("POST", "/v1/webhooks/{webhook}/secret"): ADMIN,
    ("POST", "/v1/webhooks/{webhook}/replay"): ADMIN,
    ("POST", "/v1/webhooks/{webhook}/end"): ADMIN,
    ("GET", "/v1/jobs/{job}/file"): READ | {"stranger": 404},
    ("GET", "/v1/programme"): WHOLE,
    ("GET", "/v1/deadletters"): READ,
    ("GET", "/v1/programme/report"): WHOLE,
    ("GET", "/v1/programme/report.xlsx"): WHOLE,
    ("GET", "/v1/programme/report.pdf"): WHOLE,
    ("GET", "/v1/parks/{park}"): WHOLE,
    ("GET", "/v1/sewers"): WHOLE,
    ("GET", "/v1/sewers/{asset}"): WHOLE,
}
QUERIES = {
    "/v1/exports/aef.zip": {"party": "VNM", "year": 2026},
    "/v1/sites/{site}/exports/facility.zip": {"year": 2026},
    "/v1/status-list": {"project": "pv"},
    "/v1/intervals": {"device": "inv-1", "from": "2026-03-02", "to": "2026-03-03"},
    "/v1/intervals/file.{form}": {"device": "inv-1", "from": "2026-03-02", "to": "2026-03-03"},
    "/v1/projects/{project}/money": {"from": "2026-03-02", "to": "2026-03-03"},
    "/v1/parks/{park}": {"year": 2026},
    "/v1/emissions": {"project": "pv", "from": "2026-03-02", "to": "2026-03-03"},
    "/v1/log/proof/inclusion": {"index": 0},
    "/v1/log/proof/consistency": {"first": 1},
}
SIGNED = {
    "@context": ["x"],
    "id": "x",
    "type": ["x"],
    "issuer": {"id": "x", "name": "x"},
    "validFrom": "2026-03-04T00:00:00Z",
    "proof": {
        "type": "DataIntegrityProof",
        "cryptosuite": "eddsa-jcs-2022",
        "created": "2026-03-04T00:00:00Z",
        "verificationMethod": "x",
        "proofPurpose": "assertionMethod",
        "proofValue": "z1",
    },
    "relatedResource": [],
}
EVENT = {
    "id": "x",
    "finding": "CAR-1",
    "event": "raised",
    "text": "seen in the files of the period",
    "effect_t": None,
}
OPINION = {
    "id": "x",
    "opinion": "adverse",
    "levelOfAssurance": "limited",
    "materiality_percent": "5",
    "findings": [],
    "procedure": "x",
}
APPROVED = {"id": "x", "verificationSha256": "0" * 64}
BITS = {"id": "x", "type": "BitstringStatusList", "statusPurpose": "x", "encodedList": "uA"}
BODIES = {
    "/v1/webhooks": {"id": "x", "url": "https://10.0.0.1/", "topics": ["alarm"]},
    "/v1/webhooks/{webhook}/secret": {"overlap_h": 1},
    "/v1/webhooks/{webhook}/replay": {"dead": True},
    "/v1/webhooks/{webhook}/end": {"reason": "replaced in a test of access"},
    "/v1/alarms/{alarm}/acknowledge": {"text": "a test"},
    "/v1/alarms/{alarm}/comment": {"text": "a test"},
    "/v1/statements/{statement}/approval": {**SIGNED, "credentialSubject": APPROVED},
    "/v1/status-list": {
        **{name: value for name, value in SIGNED.items() if name != "relatedResource"},
        "credentialSubject": BITS,
    },
    "/v1/statements/{statement}/findings": {**SIGNED, "credentialSubject": EVENT},
    "/v1/statements/{statement}/verification": {**SIGNED, "credentialSubject": OPINION},
    "/v1/statements/{statement}/submission": {"issuer": {}, "proof": {}},
    "/v1/projects/{project}/periods": {"from": "2020-01-01", "to": "2020-01-02"},
    "/v1/statements/{statement}/supersede": {"reason": "replaced in a test of access"},
    "/v1/projects/{project}/invoices": {
        "invoices": [
            {
                "id": "E-0",
                "issuer": "EVN",
                "number": "1",
                "issued": "2026-03-04",
                "devices": ["none"],
                "from": "2026-03-02",
                "to": "2026-03-03",
                "amount": "1",
            }
        ]
    },
    "/v1/statements/{statement}/sampling": {
        **SIGNED,
        "credentialSubject": {
            "id": "x",
            "draw": "z1",
            "seed": "0" * 64,
            "population": "0",
            "random": "0",
            "byRisk": "0",
            "items": [],
        },
    },
}
LET_IN = {200, 201, 206, 404, 409, 422}


def test_the_matrix_names_every_route(served):
    """A route that no one thought of could be open to anyone."""
    paths = served.ask("/v1/openapi.json").json()["paths"]
    there = {(method.upper(), path) for path, ways in paths.items() for method in ways}
    assert there == set(MATRIX)


@pytest.mark.parametrize(("method", "path"), sorted(MATRIX))
def test_each_role_gets_what_is_its_own(served, method, path):
    """Each role has access to its own routes only."""
    names = {
        "{project}": "pv",
        "{device}": "inv-1",
        "{statement}": served.issued,
        "{index}": "0",
        "{asset}": "P-1",
        "{park}": "none",
        "{invoice}": "E-1",
        "{name}": "statement",
        "{key}": "000000000000",
        "{job}": "00000000-0000-4000-8000-000000000000",
        "{alarm}": "1",
        "{webhook}": "none",
        "{path}": "Things",
        "file.{form}": "file.csv",
        "{form}": "cdop",
        "{site}": "hp",
    }
    address = path
    for name, value in names.items():
        address = address.replace(name, value)
    for who, wanted in MATRIX[method, path].items():
        query, body = QUERIES.get(path), BODIES.get(path)
        found = served.ask(address, who, method, params=query, json=body).status_code
        if wanted == 200:
            assert found in LET_IN, (who, found)
        else:
            assert found == wanted, who
    for who in ("revoked", "expired"):
        assert served.ask(address, who, method, params=QUERIES.get(path)).status_code == 401, who


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Basic dGVzdDp0ZXN0", "Bearer tonne_a_b", "Bearer a.b.c",
     "Bearer tonne_000000000000_" + "x" * 5_000, "Bearer tonne__", "bearer tonne"],
)  # fmt: skip
def test_a_broken_token_is_never_taken_for_none(served, authorization):
    """An invalid token is rejected and not treated as anonymous."""
    found = plain.get(f"{served.url}/v1/statements", headers={"Authorization": authorization})
    assert found.status_code == 401
    assert found.headers["www-authenticate"].startswith("Bearer")
    assert found.headers["content-type"] == "application/problem+json"


def test_a_draft_is_seen_within_its_scope_alone(served):
    """A competitor would read figures that no one has verified."""
    path = f"/v1/statements/{served.draft}"
    for suffix in ("", ".json", "/status"):
        assert served.ask(path + suffix, "scoped").status_code == 200
        hidden = served.ask(path + suffix, "stranger")
        never = served.ask(f"/v1/statements/TN-pv-19990101-19990201-1{suffix}", "stranger")
        assert hidden.status_code == never.status_code == served.ask(path + suffix).status_code
        assert hidden.json()["detail"].split("'")[0] == never.json()["detail"].split("'")[0]
    listed = served.ask("/v1/statements", "stranger").json()["items"]
    assert [one["statement"] for one in listed] == [served.issued]


def test_lists_keep_to_the_scope(served):
    """A list would show data that single pages hide."""
    assert [p["id"] for p in served.ask("/v1/projects", "stranger").json()["items"]] == ["bus"]
    devices = served.ask("/v1/devices", "stranger").json()["items"]
    assert [d["id"] for d in devices] == ["bus-1", "ch-1"]
    assert len(served.ask("/v1/devices", "auditor").json()["items"]) == 4


def test_an_administrator_of_one_project_makes_no_key_of_all(served):
    """A scope would be worth nothing: its holder would make a key without one."""
    made = served.ask(
        "/v1/keys",
        "admin",
        "POST",
        json={"name": "of one project", "role": "admin", "projects": ["pv"]},
    ).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    wide = {"name": "of all", "role": "operator"}
    assert plain.post(f"{served.url}/v1/keys", json=wide, headers=headers).status_code == 403
    for path in ("/v1/keys", "/v1/audit"):
        assert plain.get(served.url + path, headers=headers).status_code == 403
    assert plain.get(f"{served.url}/v1/me", headers=headers).json()["projects"] == ["pv"]


def test_a_key_is_revoked_at_once(served):
    """A revoked key would still give access."""
    made = served.ask(
        "/v1/keys", "admin", "POST", json={"name": "short-lived", "role": "auditor"}
    ).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    assert plain.get(f"{served.url}/v1/me", headers=headers).json()["name"] == "short-lived"
    assert served.ask(f"/v1/keys/{made['id']}", "admin", "DELETE").status_code == 200
    assert plain.get(f"{served.url}/v1/me", headers=headers).status_code == 401
    rows = served.ask("/v1/audit", "admin", params={"limit": 1000}).json()["items"]
    assert ("DELETE", f"/v1/keys/{made['id']}", 200) in [
        (r["method"], r["path"], r["status"]) for r in rows
    ]
