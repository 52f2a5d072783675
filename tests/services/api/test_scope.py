"""
A key of another project sees nothing of this one, at any address.

The page of permissions, compared with the routes and their observed behaviour.
"""

import runpy

import httpx
import pytest

from services.api import app
from services.api.console.routes import live, overview, programme, projects, sewers, statements
from services.store.postgres.pool import connect
from tests.deploy.files import DEPLOY, ROOT
from tests.services.api import plain
from tests.services.api.test_access import ADMIN, MATRIX, OPEN, QUERIES, WHOLE

SCRIPT = runpy.run_path(str(DEPLOY / "pages.py"))


def test_the_page_is_what_the_routes_say():
    """An administrator would hand out keys that open more than the page tells."""
    assert (ROOT / "docs/roles.md").read_text() == SCRIPT["roles_page"](), "run `make pages`"


def test_the_page_is_what_each_role_was_seen_to_get():
    """A route whose guard was forgotten would be listed as if it were meant so."""
    found = {(row.method, row.path): row.let_in for row in SCRIPT["rows"]()}
    for (method, path), wanted in MATRIX.items():
        let_in = found.pop((method, path), None)
        if let_in is None:  # shapes of documents: nobody is asked who they are
            assert set(wanted.values()) == {200}, path
            continue
        roles, whole = let_in
        if path.endswith("/findings") and method == "POST":  # by what the event says
            assert set(roles) == {"operator", "verifier"}
            continue
        for role in SCRIPT["ROLES"]:
            assert (not roles or role in roles) == (wanted[role] != 403), (path, role)
        assert (wanted[None] == 200) == (not roles), path
        assert whole == (wanted is WHOLE or wanted is ADMIN), path
    assert found == {}


# answered with what is within the scope: what must not be in it
LISTS = {"/v1/me", "/v1/projects", "/v1/devices", "/v1/invoices", "/v1/deadletters", "/v1/alarms"}
OF_ANOTHER = ("inv-1", "inv-2", '"pv"')
NAMES = {
    "{language}": "en", "{project}": "pv", "{device}": "inv-1", "{day}": "2026-03-02",
    "{park}": "none", "{wanted}": "xlsx", "{asset}": "P-1",
}  # fmt: skip
# shown to everybody: what was issued, sums of projects, words and shapes
PUBLIC_PAGES = {
    "/", "/console", "/console/", "/console/{language}/", "/console/{language}/statements",
    "/console/{language}/check", "/console/{language}/reference", "/console/{language}/sign-in",
    "/console/{language}/tonne",
    "/console/{language}/projects/{project}", "/console/{language}/statements/{statement}",
    "/console/{language}/statements/{statement}/check",
}  # fmt: skip
PAGES = sorted(
    route.path
    for router in (
        *(part.router for part in (live, overview, programme, projects, sewers, statements)),
        app.reference_router,
    )
    for route in router.routes
    if "GET" in route.methods
)


def test_every_route_says_what_an_outsider_gets():
    """Each route denies access to a key of another project."""
    inside = {path for (_, path), wanted in MATRIX.items() if wanted is not OPEN} - LISTS
    outsiders = {"stranger", "rival", "elsewhere"}
    open_to_one = {
        path
        for (_, path), wanted in MATRIX.items()
        if path in inside and not outsiders & set(wanted) and set(wanted.values()) - {401, 403}
    }
    administration = {"/v1/keys", "/v1/keys/{key}", "/v1/audit"}
    administration |= {path for path in inside if path.startswith("/v1/webhooks")}
    assert open_to_one <= administration


@pytest.mark.parametrize("path", sorted(LISTS))
def test_a_list_holds_nothing_of_another_project(served, path):
    """A competitor would read from a list what the single pages hide."""
    text = served.ask(path, "stranger", params=QUERIES.get(path)).text
    assert not [one for one in OF_ANOTHER if one in text]


def test_pages_keep_to_the_scope(served):
    """Console pages show only projects of the key."""
    with httpx.Client(
        verify=plain.NO_AUTHORITIES, base_url=served.url, timeout=plain.PATIENCE_S
    ) as browser:
        assert (
            browser.post("/console/en/sign-in", data={"key": served.tokens["stranger"]}).status_code
            == 303
        )
        for path in PAGES:
            address = path.replace("{statement}", served.draft)
            for name, value in NAMES.items():
                address = address.replace(name, value)
            if path.endswith("/events"):
                continue
            hidden = [served.draft] if path in PUBLIC_PAGES else ["inv-1", "inv-2", served.draft]
            found = browser.get(address)
            assert found.status_code in {403, 404, 422} or not [
                one for one in hidden if one in found.text
            ], address


def test_failed_sign_ins_are_counted_and_grow_nothing(served):
    """Failed sign-ins are counted without filling a table."""
    with connect(served.database_url, role="tonne_api") as conn:
        (rows,) = conn.execute("SELECT count(*) FROM api_audit").fetchone()
    for _ in range(5):
        wrong = plain.post(f"{served.url}/console/vi/sign-in", data={"key": "tonne_x_y"})
        assert wrong.status_code == 401
    with connect(served.database_url, role="tonne_api") as conn:
        assert conn.execute("SELECT count(*) FROM api_audit").fetchone() == (rows,)
        counted = conn.execute(
            "SELECT count(*), sum(times) FROM api_refusal WHERE path = '/console/vi/sign-in'"
        ).fetchone()
    assert counted in {(1, 5), (2, 5)}  # two where an hour began
