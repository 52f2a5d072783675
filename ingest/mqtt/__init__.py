"""
MQTT topics of tonne/v1 and of a fleet's own templates: principal and device of each message.

`tonne/v1/<principal>/telemetry` is for a device's own readings,
`tonne/v1/<principal>/<device>/telemetry` for those of a device behind a gateway.  The topics of
Sparkplug are mapped to these, and a fleet's own topics by the templates in the registry.  Other
topics are rejected with a reason.

`plants/{site}/inv/{device}/data` subscribes to `plants/+/inv/+/data`; the names in a topic are
compared with the registry.  `+` is a level with any content.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from ingest import sparkplug
from ingest.addresses import PREFIX, receipt_topic, status_topic
from ingest.errors import PayloadError, RegistryError
from ingest.model import Fleet

TELEMETRY_TOPICS = ("tonne/v1/+/telemetry", "tonne/v1/+/+/telemetry")
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
        """Return the topic filter that subscribes to the messages of this template."""
        return "/".join(ANY if _is_open(level) else level for level in self.levels)

    def match(self, topic: str) -> dict[str, str] | None:
        """Return the names in braces with their values in a topic; None for another topic."""
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


_OWN = tuple(Template(text, tuple(text.split("/"))) for text in TELEMETRY_TOPICS)


@cache
def parse(text: str) -> Template:
    """
    Return a template from its text.

    Raises RegistryError, naming the error and the correct form.
    """
    levels = tuple(text.split("/"))
    names = [level[1:-1] for level in levels if level[:1] == "{" and level[-1:] == "}"]
    if names.count("device") != 1:
        raise RegistryError(f"topic {text!r} must have {{device}} as a separate level")
    if len(set(names)) < len(names) or not set(names) <= set(NAMES):
        known = ", ".join(f"{{{name}}}" for name in NAMES)
        raise RegistryError(f"topic {text!r} may contain only {known}, each once")
    fixed = [level for level in levels if level != ANY and level[1:-1] not in names]
    if text.startswith(_FORBIDDEN) or len(text) > MAX_LENGTH:
        forbidden = ", ".join(_FORBIDDEN)
        raise RegistryError(
            f"topic {text!r:.80} must not begin with {forbidden}, and must have at most "
            f"{MAX_LENGTH} characters"
        )
    if not fixed or not all(_LEVEL.fullmatch(level) for level in fixed):
        raise RegistryError(
            f"topic {text!r} needs at least one fixed level; {{..}} and + must be "
            "whole levels, and # is not allowed"
        )
    template = Template(text, levels)
    if any(template.overlaps(own) for own in _OWN):
        raise RegistryError(
            f"topic {text!r} also matches tonne's own topics; begin it with a fixed level"
        )
    return template


__all__ = [
    "ELSEWHERE",
    "PREFIX",
    "STATUS",
    "SUBSCRIPTIONS",
    "Router",
    "device_of",
    "principal_of",
    "receipt_topic",
    "status_of",
    "subscriptions",
]

# births and wills state the current status and are not stored: QoS 0
STATUS = status_topic("+")
SUBSCRIPTIONS = (*TELEMETRY_TOPICS, STATUS, *sparkplug.SUBSCRIPTIONS)
ELSEWHERE = -1
_REMEMBERED = 200_000


def principal_of(topic: str) -> str:
    """Return the principal in a topic, or an empty string where there is none."""
    topic = sparkplug.own_topic(topic)
    parts = topic.split("/", 3)
    return parts[2] if topic.startswith(PREFIX) and len(parts) > 2 else ""  # noqa: PLR2004 (position in the topic)


def status_of(topic: str) -> str | None:
    """Return the name of the principal whose status a topic states; None for another topic."""
    if not topic.startswith(PREFIX) or not topic.endswith("/status"):
        return None
    principal = topic[len(PREFIX) : -len("/status")]
    return None if "/" in principal else principal


def subscriptions(fleet: Fleet) -> tuple[str, ...]:
    """Return the topic filters for a fleet's messages."""
    return (*SUBSCRIPTIONS, *sorted({parse(text).filter for text in fleet.topics}))


class Router:
    """Mapping of topics to fleet indices, cached for one registry version."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._templates = [parse(text) for text in fleet.topics]
        self._known: dict[str, int] = {}

    def route(self, topic: str) -> int:
        """
        Return the fleet index of the device of a topic; `ELSEWHERE` for a Sparkplug topic.

        Raises PayloadError: `unknown_topic`, `unknown_device` or `not_your_device`.
        """
        index = self._known.get(topic)
        if index is None:
            index = self._resolve(topic)
            if len(self._known) < _REMEMBERED:
                self._known[topic] = index
        return index

    def _resolve(self, topic: str) -> int:
        if topic.startswith(sparkplug.PREFIX):
            return ELSEWHERE
        if not topic.startswith(PREFIX):
            return self._resolve_named(_names(self._templates, topic))
        principal, device_id = _parts(topic)
        index = self._index(device_id)
        speaker = self.fleet.devices[index].gateway or device_id
        if speaker != principal:
            raise PayloadError(
                "not_your_device",
                f"{principal!r} publishes for {device_id!r}, whose principal is {speaker!r}; "
                "correct the topic, or the device's gateway in the registry",
            )
        return index

    def _resolve_named(self, names: dict[str, str]) -> int:
        """
        Return the fleet index of the device that a template's values name.

        Raises PayloadError if a value does not match the device's registry entry.
        """
        device_id = names["device"]
        index = self._index(device_id)
        device = self.fleet.devices[index]
        for name, registered in (("site", device.site), ("gateway", device.gateway)):
            level = names.get(name, registered)
            if level != registered:
                raise PayloadError(
                    "not_your_device",
                    f"the topic has {level!r} as {name} of {device_id!r}, the registry has "
                    f"{registered!r}; correct one of them",
                )
        return index

    def _index(self, device_id: str) -> int:
        index = self.fleet.by_id.get(device_id)
        if index is None:
            raise PayloadError(
                "unknown_device",
                f"device {device_id!r} is not in the registry; import it with `tonne registry "
                "import`",
            )
        return index


def _names(templates: Sequence[Template], topic: str) -> dict[str, str]:
    for template in templates:
        match = template.match(topic)
        if match is not None:
            return match
    raise PayloadError(
        "unknown_topic",
        f"topic {topic!r} is not a telemetry topic; publish on tonne/v1/<principal>/telemetry, "
        "or register a topic template",
    )


def _parts(topic: str) -> tuple[str, str]:
    words = topic.removeprefix(PREFIX).split("/")
    if topic.startswith(PREFIX) and words[-1] == "telemetry":
        if len(words) == 2:  # noqa: PLR2004 (principal, telemetry)
            return words[0], words[0]
        if len(words) == 3:  # noqa: PLR2004 (principal, device, telemetry)
            return words[0], words[1]
    raise PayloadError(
        "unknown_topic",
        f"topic {topic!r} is not a telemetry topic; publish on tonne/v1/<principal>/telemetry",
    )


def device_of(topic: str, fleet: Fleet) -> str | None:
    """Return the id of the device of a telemetry topic; None for another topic."""
    topic = sparkplug.own_topic(topic)
    try:
        if topic.startswith(PREFIX):
            return _parts(topic)[1]
        return _names([parse(text) for text in fleet.topics], topic)["device"]
    except PayloadError:
        return None
