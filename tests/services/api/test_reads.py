"""
Answers of the API equal the stored data, and can be verified without trusting it.

Sewers over the API: a window of the map, page by page, and one asset's history.

Evidence that is in the archive, requested through the API.
"""

import asyncio
import base64
import io
import json
import zipfile
from pathlib import Path

import httpx
import jsonschema_rs
import msgspec
import psycopg
import pytest
import structlog
from fastapi import FastAPI

from mrv.signatures import canonical
from mrv.signatures.merkle_tree import verify_consistency, verify_inclusion
from services.api import answers
from services.issuer import keys
from services.issuer import transitions as life
from services.registry.files import document
from services.registry.sewer_files import read
from services.store.postgres.pool import connect
from services.store.registry import sewers
from services.store.registry.entries_from_rows import load_registry
from services.store.timeseries import queries as series
from services.vault import VaultError
from tests.invoked import tonne
from tests.opinions import concluded
from tests.services.api import plain
from tests.services.api.test_bad_requests import is_problem
from tests.services.archive import shelved
from tests.services.issuer import plant


@pytest.fixture(scope="module")
def archived(served, tmp_path_factory):
    """Return the folder of the archive; the draft is verified and depends on it."""
    place = tmp_path_factory.mktemp("archive")
    shelved.archive(served.database_url, place)
    signer = {r: life.Signer(*keys.load(served.home, f"the-{r}")) for r in ("operator", "verifier")}
    with connect(served.database_url, role="tonne_mrv", autocommit=True) as conn:
        life.submit(conn, served.draft, signer["operator"])
        life.verify(
            conn, served.draft, signer["verifier"], concluded("unmodified", of=(conn, served.draft))
        )
    return place


def test_a_damaged_archive_is_no_mistake_of_the_caller(served, archived):
    """
    An auditor would look for the fault in the request, or learn names of the
    server's folders.
    """
    path = f"/v1/statements/{served.draft}/evidence"
    (file,) = archived.glob("pv_inverter/2026/03/2026-03-03_*.parquet")
    data = file.read_bytes()
    file.unlink()
    found = served.ask(path, "auditor")
    is_problem(found, 503)
    assert "archive" in found.json()["detail"]
    assert str(archived) not in found.text
    assert file.name in (served.home / "api.log").read_text()
    file.write_bytes(data)
    assert served.ask(path, "auditor").status_code == 200


def test_an_archive_that_is_away_is_not_called_the_database():
    """Anyone who is called at night would restart the wrong server."""
    app = FastAPI()
    answers.install(app, structlog.get_logger(), lambda _request, answer, _detail: answer)

    @app.get("/evidence")
    def evidence():
        raise VaultError("archive s3://bucket/of-the-city: it does not answer")

    async def ask():
        through = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=through, base_url="http://api") as client:
            return await client.get("/evidence")

    found = asyncio.run(ask())
    assert is_problem(found, 503) == "the archive is not available; try again"
    assert found.headers["retry-after"]


CATALOG = Path(__file__).parents[3] / "deploy" / "catalog" / "haiphong" / "sewers"


@pytest.fixture(scope="module")
def network(served):
    """Register the catalog's network, without its sensors' devices."""
    found = read(sorted(CATALOG.iterdir()))
    with psycopg.connect(served.database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO device (id, site, class, profile, installed) SELECT 'sw-level-' || n,"
            " (SELECT id FROM site LIMIT 1), 'sewer_level', 'generic', '2026-01-01'"
            " FROM generate_series(1, 3) n"
        )
        sewers.write(conn, found.assets.values(), found.events, "test")
    return found


def test_a_window_holds_what_meets_it(served, network):
    """The map would show pipes that are elsewhere, or leave some out."""
    answer = served.ask("/v1/sewers?bbox=106.6549,20.8498,106.6562,20.8503", "auditor")
    assert answer.headers["content-type"] == "application/geo+json"
    names = {f["id"] for f in answer.json()["features"]}
    assert names == {"MH-100", "MH-101", "MH-102", "P-001", "P-002", "P-003"}
    assert answer.json()["next"] is None


def test_pages_hold_every_asset_once(served, network):
    """A network larger than a page would end in the middle of a street."""
    found, after = [], ""
    while after is not None:
        page = served.ask(f"/v1/sewers?limit=10&after={after}", "auditor").json()
        found += [f["id"] for f in page["features"]]
        after = page["next"]
    assert found == sorted(network.assets)


def test_an_asset_tells_its_history(served, network):
    """A crew would dig without knowing that the pipe was relined."""
    found = served.ask("/v1/sewers/P-004", "auditor").json()
    assert found["geometry"]["type"] == "LineString"
    assert [e["day"] for e in found["history"]] == ["2024-09-02", "2024-05-14"]


@pytest.mark.parametrize("bbox", ["1,2,3", "a,b,c,d", "10,0,5,1", "0,0,0,nan", "0,-91,0,0"])
def test_a_window_that_is_none_is_refused(served, bbox):
    """A mistyped map window would be answered with the whole city, or with nothing."""
    answer = served.ask(f"/v1/sewers?bbox={bbox}", "auditor")
    assert answer.status_code == 422
    assert "west,south,east,north" in answer.json()["detail"]


DAY = {"from": "2026-03-02", "to": "2026-03-03"}


def everything(served, path, who, limit, **query):
    """Return all items of a list, page by page."""
    items, cursor = [], None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = served.ask(path, who, params={**query, **more, "limit": limit}).json()
        items += page["items"]
        assert len(page["items"]) <= limit
        cursor = page["next"]
        if cursor is None:
            return items


def test_an_entry_is_that_of_the_registry(served):
    """Plan, surveys and design of a project could be read within a signed statement alone."""
    with connect(served.database_url) as conn:
        stored = load_registry(conn).projects["pv"]
    found = served.ask("/v1/projects/pv/entry", "auditor").json()
    assert found == json.loads(
        msgspec.json.Encoder(decimal_format="number").encode(document(stored))
    )
    assert found["monitoring"][0]["lines"]
    operation = served.ask("/v1/openapi.json", None).json()["paths"]["/v1/projects/{project}/entry"]
    jsonschema_rs.validate(
        operation["get"]["responses"]["200"]["content"]["application/json"]["schema"], found
    )


@pytest.mark.parametrize("limit", [7, 1000])
def test_series_are_those_of_the_command_line(served, limit):
    """An auditor would compute with other figures than the operator sees."""
    span = plant.us(DAY["from"]), plant.us(DAY["to"])
    with connect(served.database_url) as conn:
        quantities = series.quantities(conn, "inv-1", *span)
        emissions = series.emissions(conn, "pv", *span)
    assert len(quantities) == len(emissions) == 96
    assert (
        everything(served, "/v1/intervals", "auditor", limit, device="inv-1", **DAY) == quantities
    )
    assert everything(served, "/v1/emissions", "auditor", limit, project="pv", **DAY) == emissions


def test_pages_neither_skip_nor_repeat_when_rows_are_added(served):
    """A list read while keys are made would miss an entry, or show one twice."""
    first = served.ask("/v1/audit", "admin", params={"limit": 2}).json()
    if first["next"] is None:
        for _ in range(3):
            served.ask("/v1/keys", "auditor", "POST", json={"name": "n", "role": "auditor"})
        first = served.ask("/v1/audit", "admin", params={"limit": 2}).json()
    served.ask("/v1/keys", "auditor", "POST", json={"name": "later", "role": "auditor"})
    rest = everything(served, "/v1/audit", "admin", 3)
    seen = [row["id"] for row in rest]
    assert seen == sorted(set(seen))
    assert [row["id"] for row in first["items"]] == seen[:2]
    second = served.ask("/v1/audit", "admin", params={"limit": 2, "cursor": first["next"]}).json()
    assert [row["id"] for row in second["items"]] == seen[2:4]


def test_a_statement_is_served_byte_for_byte_and_only_once(served):
    """A signature would not fit what the API gives out."""
    path = f"/v1/statements/{served.issued}"
    with connect(served.database_url, autocommit=True) as conn:
        have = life.documents(conn, served.issued)
    found = served.ask(f"{path}.json")
    assert found.content == canonical.encode(have.statement)
    assert served.ask(f"{path}/verification.json").content == canonical.encode(have.verification)
    whole = served.ask(path).json()
    assert (whole["document"], whole["verification"]) == (have.statement, have.verification)
    assert [e["state"] for e in whole["events"]] == [
        "draft",
        "submitted",
        "under_verification",
        "verified",
        "issued",
    ]
    again = served.ask(f"{path}.json", headers={"If-None-Match": found.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert served.ask(f"{path}/status").json()["state"] == "issued"


def test_proofs_of_the_log_hold(served):
    """An auditor could not tell that the log was rewritten."""
    note = served.ask("/v1/log/checkpoint").text
    _, size, root = note.splitlines()[:3]
    for index in range(int(size)):
        found = served.ask("/v1/log/proof/inclusion", params={"index": index}).json()
        entry = served.ask(f"/v1/log/entries/{index}").json()
        assert entry["leaf_hash"] == found["leaf_hash"]
        assert found["root_hash"] == root
        hashes = [base64.b64decode(one) for one in found["hashes"]]
        leaf = base64.b64decode(found["leaf_hash"])
        verify_inclusion(index, int(size), leaf, hashes, base64.b64decode(root))
    for first in range(1, int(size) + 1):
        found = served.ask("/v1/log/proof/consistency", params={"first": first}).json()
        hashes = [base64.b64decode(one) for one in found["hashes"]]
        roots = [base64.b64decode(found[k]) for k in ("first_root", "second_root")]
        verify_consistency(first, int(size), hashes, roots[0], roots[1])
    assert served.ask(f"/v1/statements/{served.issued}/receipt").text.startswith("c2sp.org/tlog")


def test_a_downloaded_pack_verifies_offline(served, tmp_path):
    """The third-party entity would get a pack that cannot be verified."""
    path = f"/v1/statements/{served.issued}/evidence"
    whole = served.ask(path, "scoped")
    assert whole.headers["content-type"] == "application/zip"
    zipfile.ZipFile(io.BytesIO(whole.content)).extractall(tmp_path)
    # no keys were given, no status list
    report = tonne("verify", tmp_path / served.issued, "--json", code=4)
    steps = {s["name"]: s["outcome"] for s in json.loads(report.stdout)["steps"]}
    # whether it still counts is for the operator's newest status list to say
    # authorities and witnesses are those that a reader trusts
    apart = {"status", "sampling", "time stamps", "witnesses"}
    assert {n for n, outcome in steps.items() if outcome != "ok"} <= apart


def test_health_and_metrics(served):
    """An operator would not see that the API is down, or how slow it is."""
    assert served.ask("/healthz").text == "ok\n"
    assert served.ask("/readyz").text == "ready\n"
    served.ask(f"/v1/statements/{served.issued}")
    text = served.ask("/metrics").text
    assert 'tonne_api_requests_total{method="GET",route=' in text
    assert served.issued not in text
    assert "tonne_build_info" in text


def test_the_openapi_document_is_whole(served):
    """A client generated from it would not know of errors, or of tokens."""
    document = served.ask("/v1/openapi.json").json()
    for path, ways in document["paths"].items():
        for method, said in ways.items():
            assert said["description"], (method, path)
            assert {"401", "404", "422", "429", "503"} <= said["responses"].keys()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert plain.get(f"{served.url}/docs").status_code == 404
