"""What `tonne doctor` says of the witnesses of the log: each is asked, nothing is kept."""

from __future__ import annotations

from psycopg import Connection

from ingest.errors import InputError
from services.cli.local.doctor_finding import Finding
from services.issuer.cosigning import Witnesses, look
from services.settings import Settings
from services.store.statements import witness_lines as stored

_WHAT = "witnesses"
_LATE_S = 900


def witnesses(conn: Connection, settings: Settings) -> Finding:
    """Whether enough witnesses cosign the log's heads."""
    try:
        whom = Witnesses.by(settings)
    except InputError as error:
        return Finding(_WHAT, "wrong", str(error), "correct the file that it names")
    if whom is None:
        return Finding(
            _WHAT, "ok", "none are asked: the log alone vouches for its heads (docs/witnesses.md)"
        )
    found = look(conn, whom)
    bad = [f"{name} {one.state}: {one.why}" for name, one in found.items() if one.why]
    if any(one.state == "contradicts" for one in found.values()):
        return Finding(
            _WHAT,
            "wrong",
            "; ".join(bad),
            "issue nothing; run `tonne log audit` with a head that the witness shows",
        )
    lacks = whom.policy.lacks(
        [whom.asked[n].key for n, one in found.items() if one.state == "cosigned"]
    )
    waiting_s = stored.waiting_s(conn)
    if found and lacks is not None:
        return Finding(
            _WHAT,
            "wrong",
            f"the last head lacks {lacks}; {'; '.join(bad)}",
            "ask the witness's operator; until then statements are issued"
            + (" not at all" if whom.waits else " without enough cosignatures"),
        )
    if waiting_s > _LATE_S:
        return Finding(
            _WHAT,
            "wrong",
            f"witnesses answer, and no process has asked them for {waiting_s / 60:.0f} minutes",
            "run `tonne run` or `tonne watch --seal` with TONNE_WITNESS_POLICY",
        )
    names = ", ".join(found) or "none yet, the log is empty"
    return Finding(_WHAT, "ok", f"cosigned by {names}" + (f"; {'; '.join(bad)}" if bad else ""))
