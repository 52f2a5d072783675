"""
Topics of tonne/v1: the publishing principal and the device of each message.

`tonne/v1/<principal>/telemetry` is for a device's own readings;
`tonne/v1/<principal>/<device>/telemetry` for a gateway's device according to the registry.
Sparkplug's topics are mapped to these; a fleet's own topics are mapped by the registry's templates.
Others are refused with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingest import sparkplug
from ingest.errors import PayloadError
from ingest.model import Fleet
from ingest.mqtt.names import PREFIX, receipt_topic, status_topic
from ingest.mqtt.templates import SUBSCRIPTIONS as OWN
from ingest.mqtt.templates import Template, parse

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

# births and wills, which say of now and are not kept: at most once
STATUS = status_topic("+")
SUBSCRIPTIONS = (*OWN, STATUS, *sparkplug.SUBSCRIPTIONS)
ELSEWHERE = -1
_REMEMBERED = 200_000


def principal_of(topic: str) -> str:
    """Return the principal in a topic, or an empty string where there is none."""
    topic = sparkplug.own_topic(topic)
    parts = topic.split("/", 3)
    return parts[2] if topic.startswith(PREFIX) and len(parts) > 2 else ""  # noqa: PLR2004 (position in the topic)


def status_of(topic: str) -> str | None:
    """Return the principal whose status a topic states; None for another topic."""
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

        Raises
        ------
        PayloadError
            `unknown_topic`, `unknown_device` or `not_your_device`.
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
        """Return the device by the place-holders of a template, compared with its row."""
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
    """Return the device of a telemetry topic; None for another topic."""
    topic = sparkplug.own_topic(topic)
    try:
        if topic.startswith(PREFIX):
            return _parts(topic)[1]
        return _names([parse(text) for text in fleet.topics], topic)["device"]
    except PayloadError:
        return None
