"""Public keys enrolled here, with their roles."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter
from starlette.responses import Response

from services.api import schemas as shapes
from services.api.request_context import Ask
from services.store.registry import signing_keys as enrolled

router = APIRouter(tags=["log"])


@router.get("/keyring", response_model=shapes.Keyring)
def keyring(ask: Ask) -> Response:
    """
    List the enrolled public keys, as a keyring for `tonne verify --keys`.

    Compare them with those published by their holders, as a dishonest server could change this
    list.
    """
    with ask.reading() as conn:
        result = [enrolment.key.to_json() for enrolment in enrolled.load(conn)]
    return Response(
        msgspec.json.encode({"keys": result}),
        media_type="application/json",
        headers={"Cache-Control": "no-cache"},
    )
