# ruff: noqa: INP001 - a script, run by `make pages`
"""Write docs/roles.md: permissions over the API, from its routes."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import NamedTuple

from fastapi.routing import APIRoute, APIRouter
from structlog import get_logger

from services.api import routes
from services.api.app import Choices, make_app
from services.api.console import routes as console
from services.api.request_context import LET_IN, LetIn
from services.metrics import Metrics

PAGE = Path(__file__).parents[1] / "docs/roles.md"
ROLES = ("operator", "verifier", "auditor", "admin")
_HEAD = """\
# Permissions of the API by role

For: operators and engineers. `make pages` writes this page from the routes. An API key has one role and a scope: all projects, or the projects named when it was created (`tonne api keys create --role ROLE --project ID`). Data outside the scope are answered as not found (404). Issued statements, their status, proofs and reports are public. Drafts, meters and evidence require a key with the project in its scope.

Signing requires no API role: the signing key of a document determines whether it is accepted ([signing-keys.md](signing-keys.md#who-signs)).

"""  # noqa: E501 - a page, a line a paragraph


_OWN = "projects in the scope of the key"
_ALL = 'all projects: the key needs the scope "all projects"'
_PUBLIC = "public data; with a key, also drafts of the projects in its scope"


class Row(NamedTuple):
    """API route, its description, and its permitted roles."""

    method: str
    path: str
    does: str
    let_in: LetIn


def rows() -> list[Row]:
    """Return all routes of `/v1`, by path and method."""
    served = make_app("", Choices(Path(), 1.0), Metrics(), get_logger("roles")).openapi()["paths"]
    rows = []
    for route in _routes():
        path = f"/v1{route.path}"
        calls = [dependency.call for dependency in route.dependant.dependencies]
        let_in = next((LET_IN[call] for call in calls if call in LET_IN), None)
        if let_in is None or path not in served:
            continue
        does = (route.endpoint.__doc__ or "").strip().splitlines()[0].rstrip(".")
        rows += [Row(method, path, does, let_in) for method in sorted(route.methods)]
    return sorted(rows, key=lambda row: (row.path, row.method))


def _routes() -> list[APIRoute]:
    """Return the routes of all route modules."""
    listed = []
    for package in (routes, console):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            for router in vars(importlib.import_module(module.name)).values():
                listed += router.routes if isinstance(router, APIRouter) else []
    return [route for route in listed if isinstance(route, APIRoute)]


def page() -> str:
    """Return the page."""
    lines = [
        "| request | what it does | who may send it | data that it concerns |",
        "|---" * 4 + "|",
    ]
    for row in rows():
        roles, whole = row.let_in
        # a public route shows a key its drafts as well
        data = _ALL if whole else _OWN if roles else _PUBLIC
        named = [role for role in ROLES if role in roles]
        who = f"keys with the role {' or '.join(named)}" if roles else "everyone, without a key"
        if len(named) == len(ROLES):
            who = "keys with any role"
        lines.append(f"| `{row.method} {row.path}` | {row.does} | {who} | {data} |")
    return _HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
