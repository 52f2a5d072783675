"""Whether a project is the one of before under another name: it has that one's devices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from psycopg import Connection

from mrv.accounting.device_bindings import role_needs
from mrv.methodologies import find
from mrv.registry.project import Project
from services.store.timeseries.year_sums import year_sums

# part of what a project measures that makes it the one that had the devices before
_HALF = 2


class TakenOver:
    """
    What the devices of a project measured in a period, read once.

    Parameters
    ----------
    project : Project
        With the devices of the period.
    period_us : tuple of int
        Half-open. [us UTC]
    """

    def __init__(self, conn: Connection, project: Project, period_us: tuple[int, int]) -> None:
        self._devices = {bound.device for bound in project.devices}
        methodology = find(project.methodology, project.version)
        # by side and quantity, by device
        self._told: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        roles = [
            (role_needs(methodology, bound, f"device {bound.device}"), bound.device)
            for bound in project.devices
        ]
        meters = dict.fromkeys((device, needs.quantity) for needs, device in roles)
        sums = year_sums(conn, meters, *period_us)
        for needs, device in roles:
            found = sums.get((device, needs.quantity))
            if found is not None and found.value > 0:
                self._told[needs.side, needs.quantity][device] = found.value

    def of(self, had: Collection[str]) -> bool:
        """
        Say whether the project is the one that had some devices.

        That is where half of its devices that measured something are of it, or half of a quantity
        of the baseline; a device that tells nothing says nothing about whose project it is.  Where
        none told anything all of them count.
        """
        telling = {device for told in self._told.values() for device in told} or self._devices
        if telling & {*had} and _HALF * len(telling & {*had}) >= len(telling):
            return True
        return any(
            _HALF * sum(n for device, n in told.items() if device in had) >= sum(told.values())
            for (side, _), told in self._told.items()
            if side == "baseline"
        )
