"""
Profiles: how one device model names and scales what its class calls canonical.

One TOML file a model, no code.  `path` is the name of the value in the
payload, `unit` its unit on the wire; for a register, `modulus` is the value at
which this model wraps to zero, or `moduli` are candidates where the file is
for a family of models with different numbers of digits.  Both in wire units.
`also` lists other names that the same value goes by; `register` says where it
stands in the device's Modbus map, for gateways that send registers unread;
`limits` are those of the quality tests where the model's differ from its class's.
`certainty` and `checked` say how sure a model's names and numbers are and what
they were held against.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from ingest.errors import ProfileError
from ingest.limits import Limits
from ingest.profiles import register_map

OWN = "generic"
# the maker's own document was read; others' working code agrees; nothing was at hand
CERTAINTIES = ("document", "code", "recalled")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a canonical channel stands in this model's payload."""

    channel: str
    path: str
    unit: str
    moduli: tuple[int, ...] = ()
    exact_modulus: bool = False
    also: tuple[str, ...] = ()
    register: register_map.Register | None = None
    limits: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Profile:
    """A device model: its class, source and channels by wire name; `limits` are of its times."""

    id: str
    class_id: str
    title: str
    source: str
    channels: dict[str, Source]
    certainty: str = ""
    checked: str = ""
    limits: dict[str, Any] = field(default_factory=dict)


def parse(document: dict[str, Any]) -> Profile:
    """
    Build a profile from its parsed TOML.

    Raises
    ------
    ProfileError
        If the source is missing, a key is unknown, two channels share a path, or
        nobody says how sure the model's numbers are.
    """
    name = document.get("id", "?")
    for key in ("id", "class", "title", "source"):
        if not document.get(key):
            raise ProfileError(
                f"profile {name}: {key!r} is required; say it at the top of the file"
            )
    channels: dict[str, Source] = {}
    taken: set[str] = set()
    for channel, spec in document.get("channel", {}).items():
        source = _source(name, channel, dict(spec))
        for path in (source.path, *source.also):
            if path in taken:
                raise ProfileError(f"profile {name}: two channels read path {path!r}")
            taken.add(path)
        channels[source.path] = source
    limits = document.get("limits", {})
    Limits().changed(limits, f"profile {name}")
    return Profile(name, document["class"], document["title"], document["source"], channels, limits)


def _source(profile: str, channel: str, spec: dict[str, Any]) -> Source:
    modulus = spec.pop("modulus", None)
    moduli = tuple(spec.pop("moduli", ())) if modulus is None else (modulus,)
    where = f"profile {profile}, channel {channel}"
    also = tuple(spec.pop("also", ()))
    register = spec.pop("register", None)
    found = None if register is None else register_map.parse(register, where)
    Limits().changed(spec.get("limits", {}), where)
    try:
        return Source(
            channel, moduli=moduli, exact_modulus=modulus is not None, also=also, register=found,
            **spec,
        )  # fmt: skip
    except TypeError as error:
        raise ProfileError(f"{where}: {error}") from None


@cache
def load() -> dict[tuple[str, str], Profile]:
    """Read all profiles that ship with tonne, by (class, profile id)."""
    found: dict[tuple[str, str], Profile] = {}
    for entry in sorted(resources.files(__name__).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".toml"):
            profile = parse(tomllib.loads(entry.read_text(encoding="utf-8")))
            key = (profile.class_id, profile.id)
            if key in found:
                raise ProfileError(
                    f"profile {key} stands in two files; keep {entry.name} or the other"
                )
            found[key] = profile
    return found
