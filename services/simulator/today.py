"""
Devices that have been there all along: today until now at once, then as time goes.

A day's readings follow from its midnight, so a fleet that is started again on the
same day says the same again, and nothing of it is in conflict with what is stored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ingest import classes, profiles
from services.simulator.day import zone_ms
from services.simulator.model import MS_PER_DAY, Block, Device, SimulatorError, Source
from services.simulator.simulated import Simulated


def todays_sources(
    fleet: Sequence[Device], now_us: int, duration_us: int | None, seed: int
) -> tuple[list[Source], int]:
    """
    Sources from each device's last midnight until `duration_us` from now, or for ever.

    Returns
    -------
    sources : list of Source
    start_ms : int
        The earliest of the midnights. [ms since 1970 UTC]
    """
    now_ms = now_us // 1_000
    end_ms = None if duration_us is None else (now_us + duration_us) // 1_000
    starts = [_midnight_ms(device, now_ms) for device in fleet]
    sources: list[Source] = [
        Simulated(device, seed, start_ms, end_ms)
        for device, start_ms in zip(fleet, starts, strict=True)
    ]
    return sources, min(starts)


def _midnight_ms(device: Device, now_ms: int) -> int:
    zone = zone_ms(device.longitude)
    return (now_ms + zone) // MS_PER_DAY * MS_PER_DAY - zone


def gauges_only(sources: Sequence[Source]) -> list[Source]:
    """
    Sources whose registers are not read; none of devices that show registers alone.

    A register that comes back after months of silence stands for every quarter hour of
    them; a device that is only to be heard leaves it out.

    Raises
    ------
    SimulatorError
        When nobody is left.
    """
    kept: list[Source] = [_GaugesOnly(one) for one in sources if _shows_gauges(one.device)]
    if not kept:
        raise SimulatorError("--gauges-only leaves no device: these devices show registers alone")
    return kept


def _shows_gauges(device: Device) -> bool:
    channels = classes.load()[device.device_class].channels
    spoken = profiles.load()[device.device_class, device.profile].channels.values()
    return any(channels[source.channel].kind == "gauge" for source in spoken)


class _GaugesOnly:
    def __init__(self, source: Source) -> None:
        self._source = source

    @property
    def device(self) -> Device:
        """The device whose readings these are."""
        return self._source.device

    def blocks(self) -> Iterator[Block]:
        """Give the source's readings without registers."""
        for block in self._source.blocks():
            yield replace(block, registers={})
