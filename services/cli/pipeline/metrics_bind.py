"""Where a process answers Prometheus: as set, else the usual port or one beside it."""

from __future__ import annotations

from services.local.ports import LOOPBACK, choose
from services.settings import Settings, split_bind


def metrics_bind(settings: Settings) -> str:
    """
    Return the address to serve metrics at.

    An address that was set is taken as it is, and refused later if it is busy;
    the default gives way to another process on the same machine.
    """
    if "metrics_bind" in settings.model_fields_set:
        return settings.metrics_bind
    return f"{LOOPBACK}:{choose(split_bind(settings.metrics_bind)[1])}"
