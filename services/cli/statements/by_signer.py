"""Steps that need the log's key, where `tonne signer` holds it: asked for, and waited for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from psycopg import Connection

from ingest.errors import ServerError
from mrv.errors import MrvError
from mrv.signatures import canonical
from services.cli.output.progress import bar
from services.issuer import requests
from services.store.statements import signer_requests as queue

_PATIENCE_S = 60.0


def ask(
    conn: Connection, kind: str, subject: str, said: Mapping[str, Any], actor: str
) -> dict[str, Any]:
    """
    Ask the signer for a step, and return what came of it.

    Raises
    ------
    TonneError
        As the step raises; ServerError where no signer answers within a minute.
    """
    wanted = queue.Request(
        uuid4(), kind, subject, canonical.encode(said), actor, None, datetime.now(UTC)
    )
    queue.ask(conn, wanted)
    with bar("waiting for tonne signer"):
        found = requests.awaited(conn, wanted.id, _PATIENCE_S)
    if found is None:
        raise ServerError(
            f"no signer answered request {wanted.id} within {_PATIENCE_S:.0f} s; it stays"
            " in the queue and is done when `tonne signer` runs: see `tonne doctor`"
        )
    if found.result is not None:
        return found.result
    if found.error == requests.DEFECT:
        raise ServerError(f"a defect of ours, number {found.detail}; the signer's log tells of it")
    raise (ServerError if requests.kind_of(found) is ServerError else MrvError)(found.detail)
