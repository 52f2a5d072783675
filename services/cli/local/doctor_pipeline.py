"""What `tonne doctor` hears from the pipeline of this machine: topics that its broker refuses."""

from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException

from services.cli.local.doctor_finding import Finding
from services.intake.refused_topics import REFUSES, REMEDY
from services.local.ports import LOOPBACK
from services.settings import split_bind

_PATIENCE_S = 5.0
_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104 (where a process listens that we ask)


def pipeline(bind: str) -> Iterator[Finding]:
    """
    Ask the process at `TONNE_METRICS_BIND`, if one is there, what its broker refuses.

    No other process can tell: a client that subscribes in its name would end its session.
    """
    if not bind:
        return
    host, port = split_bind(bind)
    host = LOOPBACK if host in _ANYWHERE else host
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    # past any proxy, which could not reach it; one that stands still answers 503, and tells too
    asked = HTTPConnection(host, port, timeout=_PATIENCE_S)
    try:
        asked.request("GET", "/healthz")
        told = asked.getresponse().read(10_000).decode("utf-8", "replace").strip()
    except (OSError, HTTPException):  # no process, or one that does not move: not ours to tell
        return
    finally:
        asked.close()
    if REFUSES in told:
        yield Finding("MQTT topics", "wrong", f"the process at {place}: {told}", REMEDY)
