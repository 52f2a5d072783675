"""
Topic templates: positions of device names in the topics of a fleet with its own topics.

`plants/{site}/inv/{device}/data` subscribes to `plants/+/inv/+/data`; the values of names are
compared with the registry.  `+` is a level with any content.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from ingest.errors import RegistryError

SUBSCRIPTIONS = ("tonne/v1/+/telemetry", "tonne/v1/+/+/telemetry")
NAMES = ("device", "site", "gateway")
ANY = "+"
MAX_LENGTH = 500
_FORBIDDEN = ("tonne/", "spBv1.0/", "$", "/")
_LEVEL = re.compile(r"[^+#{}\x00-\x1f]*")


@dataclass(frozen=True, slots=True)
class Template:
    """Levels of a topic template; a level in braces is a name, `+` is any."""

    text: str
    levels: tuple[str, ...]

    @property
    def filter(self) -> str:
        """Return the subscription for its messages."""
        return "/".join(ANY if _is_open(level) else level for level in self.levels)

    def match(self, topic: str) -> dict[str, str] | None:
        """Return the names in a topic of this template; None for another topic."""
        words = topic.split("/")
        if len(words) != len(self.levels):
            return None
        result = {}
        for level, word in zip(self.levels, words, strict=True):
            if not _is_open(level):
                if level != word:
                    return None
            elif level != ANY:
                result[level[1:-1]] = word
        return result

    def overlaps(self, other: Template) -> bool:
        """Return whether one topic could match both templates."""
        return len(self.levels) == len(other.levels) and all(
            a == b or _is_open(a) or _is_open(b)
            for a, b in zip(self.levels, other.levels, strict=True)
        )


def _is_open(level: str) -> bool:
    return level == ANY or level[:1] == "{"


_OWN = tuple(Template(text, tuple(text.split("/"))) for text in SUBSCRIPTIONS)


@cache
def parse(text: str) -> Template:
    """
    Return a template from its text.

    Raises
    ------
    RegistryError
        Naming the error and the correct form.
    """
    levels = tuple(text.split("/"))
    names = [level[1:-1] for level in levels if level[:1] == "{" and level[-1:] == "}"]
    if names.count("device") != 1:
        raise RegistryError(f"{text!r} must have {{device}} as a separate level")
    if len(set(names)) < len(names) or not set(names) <= set(NAMES):
        known = ", ".join(f"{{{name}}}" for name in NAMES)
        raise RegistryError(f"{text!r} may contain only {known}, each once")
    fixed = [level for level in levels if level != ANY and level[1:-1] not in names]
    if text.startswith(_FORBIDDEN) or len(text) > MAX_LENGTH:
        forbidden = ", ".join(_FORBIDDEN)
        raise RegistryError(
            f"{text!r:.80} must not begin with {forbidden}, and must have at most "
            f"{MAX_LENGTH} characters"
        )
    if not fixed or not all(_LEVEL.fullmatch(level) for level in fixed):
        raise RegistryError(
            f"{text!r} needs at least one fixed level; {{..}} and + must be "
            "whole levels, and # is not allowed"
        )
    template = Template(text, levels)
    if any(template.overlaps(own) for own in _OWN):
        raise RegistryError(
            f"{text!r} also matches tonne's own topics; begin it with a fixed level"
        )
    return template
