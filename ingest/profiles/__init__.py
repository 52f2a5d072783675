"""
Profiles: how one device model names and scales what its class calls canonical.

One TOML file a model, no code.  `path` is the name of the value in the
payload, `unit` its unit on the wire; for a register, `modulus` is the value at
which this model wraps to zero, or `moduli` are candidates where the file is
for a family of models with different numbers of digits.  Both in wire units.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ingest.errors import ProfileError


@dataclass(frozen=True, slots=True)
class Source:
    """Where a canonical channel stands in this model's payload."""

    channel: str
    path: str
    unit: str
    moduli: tuple[int, ...] = ()
    exact_modulus: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """A device model: its class, its source and its channels by wire name."""

    id: str
    class_id: str
    title: str
    source: str
    channels: dict[str, Source]


def parse(document: dict[str, Any]) -> Profile:
    """
    Build a profile from its parsed TOML.

    Raises
    ------
    ProfileError
        If the source is missing, a key is unknown or two channels share a path.
    """
    name = document.get("id", "?")
    for key in ("id", "class", "title", "source"):
        if not document.get(key):
            raise ProfileError(
                f"profile {name}: {key!r} is required; say it at the top of the file"
            )
    channels: dict[str, Source] = {}
    for channel, spec in document.get("channel", {}).items():
        source = _source(name, channel, dict(spec))
        if source.path in channels:
            raise ProfileError(f"profile {name}: two channels read path {source.path!r}")
        channels[source.path] = source
    return Profile(name, document["class"], document["title"], document["source"], channels)


def _source(profile: str, channel: str, spec: dict[str, Any]) -> Source:
    modulus = spec.pop("modulus", None)
    moduli = tuple(spec.pop("moduli", ())) if modulus is None else (modulus,)
    try:
        return Source(channel, moduli=moduli, exact_modulus=modulus is not None, **spec)
    except TypeError as error:
        raise ProfileError(f"profile {profile}, channel {channel}: {error}") from None


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
