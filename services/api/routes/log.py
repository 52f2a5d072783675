"""The transparency log: its signed head, its entries, and publicly checkable proofs."""

from __future__ import annotations

import base64
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from mrv.log.merkle import consistency_proof, inclusion_proof
from mrv.signatures.merkle_tree import root_hash
from services.api import schemas as shapes
from services.api.problems import ProblemError
from services.api.request_context import Ask
from services.store.statements import transparency_log as log

router = APIRouter(prefix="/log", tags=["log"])
_LARGEST = 2**62
Size = Annotated[
    int | None, Query(ge=1, le=_LARGEST, description="Size of the log; default: the current size.")
]
Index = Annotated[int, Query(ge=0, le=_LARGEST, description="Index of the entry, from 0.")]


@router.get(
    "/checkpoint", responses={200: {"content": {"text/plain": {}}}}, response_class=Response
)
def checkpoint(ask: Ask) -> Response:
    """Return the last signed head, as a note (C2SP tlog-checkpoint), with its witnesses' lines."""
    with ask.reading() as conn:
        note = log.checkpoint(conn, cosigned=ask.api.waits)
    if note is None:
        if ask.api.waits:
            raise ProblemError(
                404,
                "the log has no head yet with cosignatures of enough witnesses; try again later",
            )
        raise ProblemError(404, "the log is empty; it begins with the first seal or statement")
    return Response(note.encode(), media_type="text/plain; charset=utf-8", headers=_FRESH)


@router.get("/entries/{index}", response_model=shapes.Entry)
def entry(ask: Ask, index: Annotated[int, Path(ge=0, le=_LARGEST)]) -> Response:
    """Return an entry of the log."""
    with ask.reading() as conn:
        result = log.entry(conn, index)
    if result is None:
        raise ProblemError(
            404, f"the log has no entry {index}; GET /v1/log/checkpoint states its size"
        )
    return _json(
        {
            "index": result.index,
            "kind": result.kind,
            "statement": result.statement,
            "appended": result.appended,
            "body": result.body.decode(),
            "leaf_hash": _text(result.leaf),
        }
    )


@router.get("/proof/inclusion", response_model=shapes.Inclusion)
def inclusion(ask: Ask, index: Index, size: Size = None) -> Response:
    """Return the proof that an entry is in the log of a size."""
    with ask.reading() as conn:
        leaves = _leaves(log.leaves(conn), size)
    if index >= len(leaves):
        raise ProblemError(
            404, f"entry {index} is not in a log of {len(leaves)} entries; request a smaller index"
        )
    return _json(
        {
            "index": index,
            "size": len(leaves),
            "leaf_hash": _text(leaves[index]),
            "root_hash": _text(root_hash(leaves)),
            "hashes": [_text(hash_) for hash_ in inclusion_proof(index, leaves)],
        }
    )


@router.get("/proof/consistency", response_model=shapes.Consistency)
def consistency(
    ask: Ask,
    first: Annotated[int, Query(ge=1, le=_LARGEST, description="The earlier size.")],
    second: Size = None,
) -> Response:
    """Return the consistency proof between two sizes of the log."""
    with ask.reading() as conn:
        leaves = _leaves(log.leaves(conn), second)
    if first > len(leaves):
        raise ProblemError(
            422,
            f"`first` is {first}, but the log had only {len(leaves)} entries then; send a "
            "smaller `first`",
        )
    return _json(
        {
            "first": first,
            "second": len(leaves),
            "first_root": _text(root_hash(leaves[:first])),
            "second_root": _text(root_hash(leaves)),
            "hashes": [_text(hash_) for hash_ in consistency_proof(first, leaves)],
        }
    )


_FRESH = {"Cache-Control": "no-cache"}


def _leaves(leaves: list[bytes], size: int | None) -> list[bytes]:
    if not leaves or (size or 0) > len(leaves):
        raise ProblemError(
            404, f"the log has {len(leaves)} entries; request a size from 1 to that number"
        )
    return leaves[:size]


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _json(body: object) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json", headers=_FRESH)
