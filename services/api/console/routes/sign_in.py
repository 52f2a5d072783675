"""Sign-in with an API key, and sign-out."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from services.api.console.render import Language, render
from services.api.console.session import (
    View,
    close_session,
    open_session,
    own,
    principal,
    refuse_foreign,
)
from services.api.request_context import Asked
from services.store import api_keys

router = APIRouter(include_in_schema=False)
_FIELDS = 4
_ELSEWHERE, _REFUSED = 303, 401


async def _form_key(request: Request) -> str:
    """Return the key in a form; empty without one."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=_FIELDS)
    except ValueError:
        return ""
    return fields.get("key", [""])[0].strip()


@router.get("/console/{language}/sign-in")
def form(ask: View, language: Language) -> Response:
    """Return the sign-in page."""
    return _form(ask, language)


def _form(ask: Asked, language: str, status: int = 200, *, wrong: bool = False) -> Response:
    page = (own(ask.request.query_params.get("next", "")) or "").split("?")[0]
    return render(
        ask, language, "sign_in.html", status, wrong=wrong, wanted="/".join(page.split("/")[3:])
    )


@router.post("/console/{language}/sign-in")
def sign_in(ask: View, language: Language, key: Annotated[str, Depends(_form_key)]) -> Response:
    """Open a session for the holder of a key, and redirect to the requested page."""
    refuse_foreign(ask)
    with ask.reading() as conn:
        api_key = api_keys.find(conn, key)
        if api_key is None:
            api_keys.count_refusal(conn, "POST", ask.request.url.path, _REFUSED)
            return _form(ask, language, _REFUSED, wrong=True)
        Asked(ask.request, principal(api_key)).noted(conn, _ELSEWHERE)
        wanted = own(ask.request.query_params.get("next", ""))
        answer = RedirectResponse(wanted or f"/console/{language}/", _ELSEWHERE)
        # behind a proxy that is trusted the scheme is what it says, else that of the connection
        open_session(conn, api_key, answer, secure=ask.request.url.scheme == "https")
    return answer


@router.post("/console/{language}/sign-out")
def sign_out(ask: View, language: Language) -> Response:
    """Close the session."""
    refuse_foreign(ask)
    answer = RedirectResponse(f"/console/{language}/", _ELSEWHERE)
    with ask.reading() as conn:
        close_session(conn, ask.request, answer)
    return answer
