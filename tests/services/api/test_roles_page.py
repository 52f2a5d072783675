"""The page that says who may do what, held against the routes and what they were seen to do."""

import runpy

from tests.deploy.files import DEPLOY, ROOT
from tests.services.api.test_access import ADMIN, MATRIX, WHOLE

SCRIPT = runpy.run_path(str(DEPLOY / "roles.py"))


def test_the_page_is_what_the_routes_say():
    """An administrator would hand out keys that open more than the page tells."""
    assert (ROOT / "docs/roles.md").read_text() == SCRIPT["page"](), "run `make pages`"


def test_the_page_is_what_each_role_was_seen_to_get():
    """A route whose guard was forgotten would stand there as if it were meant so."""
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
