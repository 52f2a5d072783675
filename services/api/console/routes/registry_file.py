"""
Registry import page: changes, errors and warnings of a file, and its import after
confirmation.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from psycopg import Connection
from starlette.responses import Response

from ingest.errors import RegistryError
from mrv import countries, methodologies
from mrv.signatures import canonical
from services.api.console.render import Language, render
from services.api.console.routes.documents import Form, Upload
from services.api.console.session import View, refuse_foreign, signed_in_for_all
from services.api.negotiation import ACCEPTED
from services.api.principals import refuse
from services.api.problems import ProblemError
from services.api.request_context import Asked
from services.processing.registry_import import Outcome, try_out
from services.registry import forms
from services.registry.files import FORMATS, read_bytes
from services.registry.plan import Result
from services.store.registry import known

router = APIRouter(include_in_schema=False)
# text of a form is YAML, or CSV for devices
_NAMES = {"yaml": "registry.yaml", "csv": "devices.csv"}
_SHOWN, _MOST_VALUE = 500, 400
_MOST_BYTES = 4 << 20
_ROLE = "operator"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("/console/{language}/registry")
def page(ask: View, language: Language) -> Response:
    """Return the page with the form for a registry file."""
    signed_in_for_all(ask, "a registry file")
    return _page(ask, language)


@router.post("/console/{language}/registry")
def tried(ask: View, language: Language, form: Form) -> Response:
    """Return the page with the result of importing the file; nothing is stored."""
    signed_in_for_all(ask, "a registry file")
    refuse_foreign(ask)
    name, data = _given(form)
    if not data.strip():
        return _page(ask, language, form, empty=True)
    return _page(ask, language, form, _tried(ask, name, data))


@router.post("/console/{language}/registry/take")
def taken(ask: View, language: Language, form: Form) -> Response:
    """Import the file whose result was confirmed, as `tonne registry import` does."""
    signed_in_for_all(ask, "a registry file")
    refuse_foreign(ask)
    if ask.who.role != _ROLE:
        with ask.reading() as conn:
            ask.noted(conn, 403)
        refuse(ask.who, (_ROLE,))
    name, label, sha256 = (form.said(key) for key in ("name", "shown", "sha256"))
    try:
        data = b64decode(form.said("data"), validate=True)
    except (Base64Error, ValueError):
        data = b""
    if not data or hashlib.sha256(data).hexdigest() != sha256:
        raise ProblemError(422, "the file differs from the one that was checked; check it again")
    content = canonical.encode({"name": name, "file": b64encode(data).decode(), "shown": label})

    def check(conn: Connection) -> None:
        del conn  # the scope is all projects, and the outcome is compared where it is written

    answer = ask.step("registry", sha256, content, check)
    done = None if answer.status_code == ACCEPTED else msgspec.json.decode(answer.body)
    return _page(ask, language, done={"sha256": sha256, "name": name, "result": done})


@router.get("/console/{language}/registry/template.xlsx")
def template(
    ask: View,
    language: Language,
    methodology: Annotated[str, Query(max_length=64)],
    country: Annotated[str, Query(min_length=2, max_length=2)],
) -> Response:
    """Return an example workbook for a methodology."""
    del language  # its words are keys of the registry
    signed_in_for_all(ask, "a form of the registry")
    if country.upper() not in countries.known():
        raise ProblemError(422, f"{country!r} is not a country; enter two letters such as DE")
    try:
        data = forms.form(methodology, country.upper()).workbook()
    except RegistryError as error:
        raise ProblemError(422, str(error)) from None
    name = f"{methodology}-{country.upper()}.xlsx"
    return Response(
        data, media_type=_XLSX, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _page(
    ask: Asked,
    language: str,
    form: Upload | None = None,
    tried: dict[str, Any] | None = None,
    done: dict[str, Any] | None = None,
    *,
    empty: bool = False,
) -> Response:
    return render(
        ask, language, "registry_file.html", tried=tried, done=done, empty=empty, formats=FORMATS,
        text=form.fields.get("text", "") if form else "",
        form=form.said("form") if form else "yaml", may=ask.who.role == _ROLE,
        methods=_methods(ask),
    )  # fmt: skip


def _methods(ask: Asked) -> list[tuple[str, str]]:
    """Return the methodologies of the sites' countries; all before a site has one."""
    with ask.reading() as conn:
        here = known.countries(conn)
    return [
        (methodology.id, methodology.title)
        for methodology in methodologies.load().values()
        if not here or any(methodologies.abroad(methodology.countries, c) is None for c in here)
    ]


def _given(form: Upload) -> tuple[str, bytes]:
    """Return name and bytes of the chosen file, or of the entered text."""
    if "file" in form.files:
        name, data = form.files["file"]
    elif (kind := form.said("form")) in _NAMES:
        # a browser ends the lines of a text with two signs
        name, data = _NAMES[kind], form.fields.get("text", "").replace("\r\n", "\n").encode()
    else:
        raise ProblemError(422, f"form = {kind!r}; it is one of {', '.join(_NAMES)}")
    if len(data) > _MOST_BYTES:
        raise ProblemError(
            413, f"{name} is larger than {_MOST_BYTES >> 20} MiB; split it, or use"
            " `tonne registry import`"
        )  # fmt: skip
    return name, data


def _tried(ask: Asked, name: str, data: bytes) -> dict[str, Any]:
    file = {"name": name, "sha256": hashlib.sha256(data).hexdigest()}
    try:
        incoming = read_bytes(name, data)
        with ask.reading() as conn:
            outcome = try_out(conn, incoming)
    except RegistryError as error:
        return {**file, "error": str(error), "rows": [], "counts": {}}
    return {**file, "data": b64encode(data).decode(), **_outcome_values(outcome)}


def _outcome_values(outcome: Outcome) -> dict[str, Any]:
    planned = outcome.plan
    counts: dict[str, int] = {}
    for item in planned.results:
        counts[item.result] = counts.get(item.result, 0) + 1
    # what stands in the way first, then what is warned of, then what changes
    order = ("error", "warned", "updated", "created", "unchanged")

    def place(entry: Result) -> int:
        return order.index("warned" if entry.messages and entry.result != "error" else entry.result)

    changed = {(change["kind"], change["id"]): change for change in outcome.changes}
    rows = sorted(planned.results, key=place)
    return {
        "error": None,
        "refused": planned.refused,
        "nothing": not planned.changes,
        "shown": outcome.digest,
        "counts": counts,
        "rows": [
            {
                "result": row.result,
                "kind": row.kind,
                "id": row.id,
                "messages": list(row.messages),
                "changes": _changes(changed.get((row.kind, row.id))),
            }
            for row in rows[:_SHOWN]
        ],
        "more": max(0, len(rows) - _SHOWN),
    }


def _changes(item: dict[str, Any] | None) -> list[tuple[str, str | None, str | None]]:
    """Return the changes to an existing entry: key, before, after."""
    if item is None or item["before"] is None:
        return []
    before, after = item["before"], item["after"]
    return [
        (key, *(None if value is None else str(value)[:_MOST_VALUE] for value in pair))
        for key in dict.fromkeys((*before, *after))
        if (pair := (before.get(key), after.get(key)))[0] != pair[1]
    ]
