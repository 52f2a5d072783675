"""Evidence that lies in the archive, asked of the API."""

import asyncio

import httpx
import pytest
import structlog
from fastapi import FastAPI

from services.api import problems
from services.issuer import keys
from services.issuer import transitions as life
from services.store.postgres.pool import connect
from services.vault.part import VaultError
from tests.opinions import concluded
from tests.services.api.test_bad_requests import is_problem
from tests.services.archive import shelved


@pytest.fixture(scope="module")
def archived(served, tmp_path_factory):
    """Folder of the archive; the draft is verified and rests on it."""
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
    """An auditor would look for the fault in the request, or be told of folders of the server."""
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
    """Whoever is called at night would restart the wrong server."""
    app = FastAPI()
    problems.install(app, structlog.get_logger(), lambda _request, answer, _detail: answer)

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
