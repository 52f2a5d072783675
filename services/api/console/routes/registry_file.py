"""A registry file tried out: what an import would change, refuse and warn of."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ingest.errors import RegistryError
from services.api.console.render import Language, render
from services.api.console.session import View, refuse_foreign, signed_in_for_all
from services.api.problems import ProblemError
from services.processing.registry_import import try_out
from services.registry.files import read_files
from services.registry.plan import Plan, Result

router = APIRouter(include_in_schema=False)
_FIELDS = 3
# a file is YAML, or CSV for devices
_NAMES = {"yaml": "registry.yaml", "csv": "devices.csv"}
_SHOWN = 500


async def _form(request: Request) -> dict[str, str]:
    """Return the fields of the form."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS)
    except ValueError:
        raise ProblemError(422, "the form cannot be read; it holds a text in UTF-8") from None
    return {name: values[0] for name, values in fields.items()}


Form = Annotated[dict[str, str], Depends(_form)]


@router.get("/console/{language}/registry")
def page(ask: View, language: Language) -> Response:
    """Ask for a registry file."""
    signed_in_for_all(ask, "a registry file")
    return render(ask, language, "registry_file.html", text="", form="yaml", tried=None)


@router.post("/console/{language}/registry")
def tried(ask: View, language: Language, fields: Form) -> Response:
    """Show what an import of the file would come to; nothing is kept."""
    signed_in_for_all(ask, "a registry file")
    refuse_foreign(ask)
    text, form = fields.get("text", ""), fields.get("form", "yaml")
    if form not in _NAMES:
        raise ProblemError(422, f"form = {form!r}; it is one of {', '.join(_NAMES)}")
    return render(
        ask, language, "registry_file.html", text=text, form=form, tried=_outcome(ask, text, form)
    )


def _outcome(ask: View, text: str, form: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _NAMES[form]
        file.write_text(text, encoding="utf-8")
        try:
            incoming = read_files([file])
            with ask.reading() as conn:
                planned = try_out(conn, incoming)
        except RegistryError as error:
            return {"error": str(error).replace(f"{folder}/", ""), "rows": [], "counts": {}}
        return _shown(planned, f"{folder}/")


def _shown(planned: Plan, folder: str) -> dict[str, Any]:
    counts: dict[str, int] = {}
    for one in planned.results:
        counts[one.result] = counts.get(one.result, 0) + 1
    # what stands in the way first, then what is warned of, then what changes
    order = ("error", "warned", "updated", "created", "unchanged")

    def place(result: Result) -> int:
        return order.index(
            "warned" if result.messages and result.result != "error" else result.result
        )

    rows = sorted(planned.results, key=place)
    return {
        "error": None,
        "refused": planned.refused,
        "counts": counts,
        "rows": [
            {
                "result": row.result,
                "kind": row.kind,
                "id": row.id,
                "messages": [text.replace(folder, "") for text in row.messages],
            }
            for row in rows[:_SHOWN]
        ],
    }
