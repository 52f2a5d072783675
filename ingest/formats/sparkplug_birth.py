"""What a Sparkplug birth declares: a metric's name, alias, datatype and unit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ingest.reading import Names

_SETS = 256


@dataclass(frozen=True, slots=True)
class Tag:
    """A declared metric."""

    name: str
    alias: int | None
    datatype: int
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Birth:
    """
    The metrics that one birth of an edge node or device declared.

    `born_ms` is the birth's own time; `certain_ms` the time up to which messages
    after it are known to be its own, None while it lasts; `asked` says that it
    answered a rebirth request.  `forms` are layouts of its messages seen so far.
    """

    born_ms: int
    tags: tuple[Tag, ...]
    asked: bool = False
    certain_ms: int | None = None
    by_alias: dict[int, Tag] = field(default_factory=dict, compare=False, repr=False)
    by_name: dict[str, Tag] = field(default_factory=dict, compare=False, repr=False)
    forms: dict[int, Any] = field(default_factory=dict, compare=False, repr=False)
    sets: dict[Any, Names] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if not self.by_name:
            self.by_name.update((tag.name, tag) for tag in self.tags)
            self.by_alias.update((tag.alias, tag) for tag in self.tags if tag.alias is not None)

    def called(self, names: tuple[str, ...], units: tuple[str | None, ...]) -> Names:
        """Return the names of a message's numbers: the same ones are one object."""
        found = self.sets.get((names, units))
        if found is None:
            found = Names("", names, units)
            if len(self.sets) < _SETS:
                self.sets[names, units] = found
        return found

    def agrees(self, other: Birth, used: Iterable[int | str]) -> bool:
        """Tell whether both births mean the same by these aliases and names."""
        return all(self._meaning(key) == other._meaning(key) for key in used)

    def _meaning(self, key: int | str) -> Tag | None:
        return self.by_alias.get(key) if isinstance(key, int) else self.by_name.get(key)
