"""
Limits of the quality tests: what is unusual for a channel, not what is impossible.

A class file gives them for its kind of device, a profile for its model.  Those
`of_rated` are shares of the device's rated power and are silent without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ingest.errors import ProfileError


@dataclass(frozen=True, slots=True)
class Limits:
    """Thresholds by test; None where the test says nothing about the channel."""

    bound: tuple[float, float] | None = None
    bound_of_rated: tuple[float, float] | None = None
    spike: float | None = None
    spike_of_rated: float | None = None
    rate_per_minute: float | None = None
    flat_s: float | None = None
    flat_floor_of_rated: float = 0.0
    night_of_rated: float | None = None

    def changed(self, spec: dict[str, Any], where: str) -> Limits:
        """
        Return these limits with those of a file in place of their own.

        Raises
        ------
        ProfileError
            Naming the place and what is wrong.
        """
        pairs = {k: tuple(v) for k, v in spec.items() if isinstance(v, list)}
        try:
            found = replace(self, **{**spec, **pairs})
        except TypeError as error:
            raise ProfileError(f"{where}, limits: {error}") from None
        for name in ("bound", "bound_of_rated"):
            pair = getattr(found, name)
            if pair is not None and not (len(pair) == 2 and pair[0] < pair[1]):  # noqa: PLR2004
                raise ProfileError(f"{where}, limits: {name} is [low, high], and low below high")
        return found
