"""
Uploaded files: documents and invoices with hash and registry row, and registry files.

A registry file is imported after a page with its changes, errors and warnings, on confirmation.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_string
from email.message import Message
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request
from psycopg import Connection
from starlette.responses import Response

from ingest.errors import RegistryError
from mrv import countries, methodologies
from mrv.signatures import canonical
from services.api.answers import ACCEPTED, ProblemError
from services.api.console.render import Language, View, refuse_foreign, render, signed_in_for_all
from services.api.principals import refuse
from services.api.request_context import RequestContext
from services.processing import registry_import
from services.processing.registry_import import Outcome, try_out
from services.registry import forms
from services.registry.fields import GROUPED, Row
from services.registry.files import FORMATS, read_bytes
from services.registry.located import Plain, Table, dump
from services.registry.plan import Result
from services.store import registry as known
from services.store.registry import invoices as files
from services.store.registry.load import load_projects

router = APIRouter(include_in_schema=False)
_ROLE = "operator"
_LISTED = 100
_KEYS = ("id", "project", "issuer", "number", "issued", "devices", "from", "to", "amount", "unit",
         "quantity", "corrects", "reason")  # fmt: skip
_CREATED = 201
# 24583.86, 24,583.86 or 24.583,86
_TYPED = re.compile(r"^(\d+|\d{1,3}(?:([.,])\d{3})+)(?!\2)[.,](\d+)$")


@router.get("/console/{language}/documents")
def page(ask: View, language: Language) -> Response:
    """Return the page of stored documents with an upload form."""
    signed_in_for_all(ask, "documents")
    return _page(ask, language)


@router.post("/console/{language}/documents")
def keep(ask: View, language: Language, form: Form) -> Response:
    """Store a document; return the registry row that refers to it."""
    name, data = _allowed(ask, form)

    def work(conn: Connection) -> tuple[int, Any]:
        return _CREATED, {"sha256": files.keep(conn, name, data, ask.who.name, ask.who.id)}

    sha256 = hashlib.sha256(data).hexdigest()
    ask.write(sha256, work)
    content = {"document": form.field("title") or name, "by": form.field("by"),
            "issued": form.field("issued"), "sha256": sha256}  # fmt: skip
    row = dump({key: value for key, value in content.items() if value}, flow=True).strip()
    return _page(ask, language, kept={"name": name, "sha256": sha256, "row": row})


@router.post("/console/{language}/documents/invoice")
def invoice(ask: View, language: Language, form: Form) -> Response:
    """Store an invoice with its file, both or none."""
    name, data = _allowed(ask, form)
    sha256 = hashlib.sha256(data).hexdigest()

    def work(conn: Connection) -> tuple[int, Any]:
        row = Row(Table(0, {**_cells(form), "sha256": sha256}, {}), "form", "invoice")
        with conn.transaction():
            files.keep(conn, name, data, ask.who.name, ask.who.id)
            result = registry_import.deliver(conn, [row], ask.who.name)
            wrong = [text for row in result.results for text in row.messages if result.refused]
            if wrong:
                raise ProblemError(422, "; ".join(t.removeprefix("form:0: ") for t in wrong))
        return _CREATED, {"invoice": form.field("id")}

    try:
        ask.write(f"{sha256} {dict(form.fields)}", work)
    except ProblemError as error:
        return _page(ask, language, form=form, wrong=error.detail, status=error.status)
    return _page(ask, language, kept={"name": name, "sha256": sha256, "invoice": form.field("id")})


@router.get("/console/{language}/documents/{sha256}")
def file(
    ask: View, language: Language, sha256: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """Return a document as uploaded, for download only."""
    del language  # the file is returned unchanged, whatever the page's language
    signed_in_for_all(ask, "a document")
    with ask.reading() as conn:
        result = files.find(conn, sha256)
        ask.noted(conn, 200 if result else 404)
    if result is None:
        raise ProblemError(404, f"no document with the SHA-256 {sha256} is stored; upload it first")
    ending = "".join(c for c in result[0].rpartition(".")[2] if c.isascii() and c.isalnum())[:8]
    headers = {
        "Content-Disposition": f'attachment; filename="{sha256[:16]}.{ending or "bin"}"',
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }
    return Response(result[1], media_type="application/octet-stream", headers=headers)


def _cells(form: Upload) -> dict[str, Plain]:
    """Return the keys of an invoice from its form; ProblemError for an amount without unit."""
    if not form.field("unit"):
        raise ProblemError(422, "unit: enter the unit of the amount, such as kWh, m3, km or t")
    cells = {key: Plain(form.field(key)) for key in _KEYS if form.field(key)}
    return {**cells, "amount": Plain(_decimal(form.field("amount")))}


def _decimal(text: str) -> str:
    """Return a number with a decimal point, from the notation of any country."""
    bare = "".join(text.split()).replace("'", "")
    if GROUPED.match(bare):
        raise ProblemError(
            422,
            f"amount: {text!r} can mean two numbers; write it without separators of thousands, or"
            f" with four decimals",
        )
    match = _TYPED.match(bare)
    if match is None:
        return bare
    return f"{re.sub('[.,]', '', match[1])}.{match[3]}"


def _allowed(ask: RequestContext, form: Upload) -> tuple[str, bytes]:
    """Return the file's name and bytes; refuse users without the right to upload."""
    signed_in_for_all(ask, "documents")
    refuse_foreign(ask)
    if ask.who.role != _ROLE:
        with ask.reading() as conn:
            ask.noted(conn, 403)
        refuse(ask.who, (_ROLE,))
    if "file" not in form.files:
        raise ProblemError(422, "no file was chosen, or it is empty; choose the document's file")
    name, data = form.files["file"]
    if len(data) > files.MAX_BYTES:
        raise ProblemError(
            413, f"{name} is larger than {files.MAX_BYTES >> 20} MiB; upload a smaller file"
        )
    return name, data


def _page(
    ask: RequestContext,
    language: str,
    *,
    form: Upload | None = None,
    kept: dict[str, Any] | None = None,
    wrong: str | None = None,
    status: int = 200,
) -> Response:
    with ask.reading() as conn:
        listed = files.newest(conn, _LISTED)
        projects = sorted(load_projects(conn), key=lambda project: project.id)
    return render(
        ask, language, "documents.html", status, documents=listed, kept=kept, wrong=wrong,
        fields=dict(form.fields) if form else {}, projects=projects, may=ask.who.role == _ROLE,
    )  # fmt: skip


_MAX_PARTS, _MAX_NAME = 40, 200
_MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Upload:
    """Fields and chosen files of a form."""

    fields: Mapping[str, str]
    files: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)

    def field(self, name: str) -> str:
        """Return a field without surrounding blanks; empty if absent."""
        return self.fields.get(name, "").strip()


async def _upload(request: Request) -> Upload:
    head = Message()
    head["content-type"] = request.headers.get("content-type", "")
    body = await request.body()
    try:
        if head.get_content_type() == _MULTIPART:
            return _of_parts(body, str(head.get_param("boundary", "")))
        result = parse_qs(body.decode(), max_num_fields=_MAX_PARTS, keep_blank_values=True)
    except ValueError:
        raise ProblemError(422, "the form cannot be read; send its text in UTF-8") from None
    return Upload({name: values[0] for name, values in result.items()})


Form = Annotated[Upload, Depends(_upload)]


def _of_parts(body: bytes, boundary: str) -> Upload:
    """
    Return the parts between boundaries (RFC 7578).

    Raises ValueError if the body has another form.
    """
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not boundary or not parts or not parts.pop().startswith(b"--") or len(parts) > _MAX_PARTS:
        raise ValueError(boundary)
    fields: dict[str, str] = {}
    files: dict[str, tuple[str, bytes]] = {}
    for part in parts:
        head, _, data = part.partition(b"\r\n\r\n")
        headers = message_from_string(head.decode().lstrip())
        name, file = (
            headers.get_param(key, header="content-disposition") for key in ("name", "filename")
        )
        if file is None:
            fields[str(name)] = data.decode()
        elif data:  # a file input without a choice has neither name nor bytes
            files[str(name)] = (_plain(str(file)), data)
    return Upload(fields, files)


def _plain(name: str) -> str:
    """Return a file's name without folders and control characters."""
    bare = PurePath(name.replace("\\", "/")).name
    return "".join(c for c in bare if c.isprintable())[-_MAX_NAME:] or "file"


# file name of an entered text: YAML, or CSV for devices
_NAMES = {"yaml": "registry.yaml", "csv": "devices.csv"}
_MAX_LISTED, _MAX_VALUE = 500, 400
_MAX_BYTES = 4 << 20
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@router.get("/console/{language}/registry")
def import_page(ask: View, language: Language) -> Response:
    """Return the page with the form for a registry file."""
    signed_in_for_all(ask, "a registry file")
    return _import_page(ask, language)


@router.post("/console/{language}/registry")
def tried(ask: View, language: Language, form: Form) -> Response:
    """Return the page with the result of importing the file; nothing is stored."""
    signed_in_for_all(ask, "a registry file")
    refuse_foreign(ask)
    name, data = _given(form)
    if not data.strip():
        return _import_page(ask, language, form, empty=True)
    return _import_page(ask, language, form, _tried(ask, name, data))


@router.post("/console/{language}/registry/take")
def taken(ask: View, language: Language, form: Form) -> Response:
    """Import the file whose result was confirmed, as `tonne registry import` does."""
    signed_in_for_all(ask, "a registry file")
    refuse_foreign(ask)
    if ask.who.role != _ROLE:
        with ask.reading() as conn:
            ask.noted(conn, 403)
        refuse(ask.who, (_ROLE,))
    name, label, sha256 = (form.field(key) for key in ("name", "shown", "sha256"))
    try:
        data = b64decode(form.field("data"), validate=True)
    except (Base64Error, ValueError):
        data = b""
    if not data or hashlib.sha256(data).hexdigest() != sha256:
        raise ProblemError(422, "the file differs from the one that was checked; check it again")
    content = canonical.encode({"name": name, "file": b64encode(data).decode(), "shown": label})

    def check(conn: Connection) -> None:
        del conn  # all projects are in scope; the import compares the result again

    answer = ask.step("registry", sha256, content, check)
    done = None if answer.status_code == ACCEPTED else msgspec.json.decode(answer.body)
    return _import_page(ask, language, done={"sha256": sha256, "name": name, "result": done})


@router.get("/console/{language}/registry/template.xlsx")
def template(
    ask: View,
    language: Language,
    methodology: Annotated[str, Query(max_length=64)],
    country: Annotated[str, Query(min_length=2, max_length=2)],
) -> Response:
    """Return an example workbook for a methodology."""
    del language  # the workbook contains keys of the registry, which have no translations
    signed_in_for_all(ask, "a form of the registry")
    if country.upper() not in countries.known():
        raise ProblemError(
            422, f"{country!r} is not a country code of ISO 3166-1; enter one such as DE or GB"
        )
    try:
        data = forms.form(methodology, country.upper()).workbook()
    except RegistryError as error:
        raise ProblemError(422, str(error)) from None
    name = f"{methodology}-{country.upper()}.xlsx"
    return Response(
        data, media_type=_XLSX, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _import_page(
    ask: RequestContext,
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
        form=form.field("form") if form else "yaml", may=ask.who.role == _ROLE,
        methods=_methods(ask),
    )  # fmt: skip


def _methods(ask: RequestContext) -> list[tuple[str, str]]:
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
    elif (kind := form.field("form")) in _NAMES:
        # a browser ends lines with CR and LF
        name, data = _NAMES[kind], form.fields.get("text", "").replace("\r\n", "\n").encode()
    else:
        raise ProblemError(422, f"form = {kind!r}; it is one of {', '.join(_NAMES)}")
    if len(data) > _MAX_BYTES:
        raise ProblemError(
            413, f"{name} is larger than {_MAX_BYTES >> 20} MiB; split it, or use"
            " `tonne registry import`"
        )  # fmt: skip
    return name, data


def _tried(ask: RequestContext, name: str, data: bytes) -> dict[str, Any]:
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
    # errors first, then warnings, then changes
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
            for row in rows[:_MAX_LISTED]
        ],
        "more": max(0, len(rows) - _MAX_LISTED),
    }


def _changes(item: dict[str, Any] | None) -> list[tuple[str, str | None, str | None]]:
    """Return the changes to an existing entry: key, before, after."""
    if item is None or item["before"] is None:
        return []
    before, after = item["before"], item["after"]
    return [
        (key, *(None if value is None else str(value)[:_MAX_VALUE] for value in pair))
        for key in dict.fromkeys((*before, *after))
        if (pair := (before.get(key), after.get(key)))[0] != pair[1]
    ]
