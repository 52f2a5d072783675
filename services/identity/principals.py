"""
Permissions of each principal at a broker: topics below its own name only.

A device or gateway publishes its telemetry, status and registered own topics, and subscribes to its
receipts.  Services have reserved names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ingest.errors import InputError
from ingest.mqtt.names import PREFIX, receipt_topic
from ingest.mqtt.topics import STATUS, parse
from ingest.sparkplug import SUBSCRIPTIONS as SPARKPLUG
from services.identity.authority import Hashed
from services.registry.fields import ID

if TYPE_CHECKING:
    from services.registry.entries import Device


# names of ours, which no device may have: its certificate would be ours
PIPELINE, ADMIN, WATCH = "tonne", "tonne-admin", "tonne-watch"
# what mosquitto tells of all that waits in it
QUEUE_TOPICS = ("$SYS/broker/store/messages/count", "$SYS/broker/store/messages/bytes")


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Broker client with its topic filters for publishing and subscribing.

    `password` is None for one with a certificate; `controls` permits changing others' permissions.
    """

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    password: Hashed | None = None
    controls: bool = False


def checked(name: str) -> str:
    """
    Return a name that both brokers can distinguish from every other.

    Raises
    ------
    InputError
        For other characters: RabbitMQ treats "." and "/" as equal.
    """
    if not ID.match(name):
        raise InputError(
            f"{name!r} cannot be a principal: letters, digits, _ and - only, at most 64; "
            "give the device another id"
        )
    return name


def is_ours(name: str) -> bool:
    """Return whether a name is reserved for services: `tonne`, and all that begin with `tonne-`."""
    return name == PIPELINE or name.startswith(f"{PIPELINE}-")


def speaker(device: Device) -> str:
    """Return the principal that publishes for a device."""
    return device.gateway or device.id


def service(name: str, topics: Sequence[str] = (), *, sparkplug: bool = False) -> Principal:
    """
    Return a principal of tonne itself: it reads all telemetry and writes receipts.

    `tonne-admin` changes permissions and resends dead letters; `tonne-watch` only reads the
    broker's statistics.
    """
    if name == WATCH:
        return Principal(name, (), QUEUE_TOPICS)
    if checked(name) == ADMIN:
        written = (f"{PREFIX}+/telemetry", f"{PREFIX}+/+/telemetry", *topics)
        return Principal(name, written, (), controls=True)
    own_topics = [receipt_topic("+")]
    heard = [f"{PREFIX}+/telemetry", f"{PREFIX}+/+/telemetry", STATUS, *topics]
    if sparkplug:
        heard += SPARKPLUG
        own_topics += ["spBv1.0/+/NCMD/+", "spBv1.0/STATE/+"]
    shared = [f"$share/+/{topic}" for topic in heard]
    return Principal(name, tuple(own_topics), (*heard, *shared))


def field(
    devices: Iterable[Device],
    templates: Sequence[str],
    passwords: Mapping[str, Hashed],
    enrolled: Iterable[str],
    *,
    sparkplug: bool = False,
) -> list[Principal]:
    """
    Return the devices and gateways with a credential, with their devices.

    Parameters
    ----------
    devices : iterable of Device
        Devices of the registry, including those behind gateways.
    templates : sequence of str
        The fleet's own topics.
    passwords : mapping of str to Hashed
        Hashes of the principals with a password.
    enrolled : iterable of str
        Principals with a valid credential.
    """
    own: dict[str, list[str]] = {}
    for device in devices:
        topics = own.setdefault(speaker(device), [])
        topics += (_filled(text, device) for text in templates)
    return [
        Principal(
            name,
            (*_telemetry(name, sparkplug=sparkplug), *dict.fromkeys(own.get(name, ()))),
            (receipt_topic(name), *(_commands(name) if sparkplug else ())),
            passwords.get(name),
        )
        for name in sorted(map(checked, enrolled))
    ]


def _telemetry(name: str, *, sparkplug: bool) -> list[str]:
    result = [f"{PREFIX}{name}/{what}" for what in ("telemetry", "+/telemetry", "status")]
    if sparkplug:
        result += (f"spBv1.0/+/{kind}/{name}" for kind in ("NBIRTH", "NDATA", "NDEATH"))
        result += (f"spBv1.0/+/{kind}/{name}/+" for kind in ("DBIRTH", "DDATA", "DDEATH"))
    return result


def _commands(name: str) -> tuple[str, ...]:
    return (f"spBv1.0/+/NCMD/{name}", f"spBv1.0/+/DCMD/{name}/+", "spBv1.0/STATE/+")


def _filled(text: str, device: Device) -> str:
    """Return a template's topic filter for one device; other names match any level."""
    names = {"device": device.id, "site": device.site, "gateway": device.gateway or "+"}
    return "/".join(
        names.get(level.strip("{}"), level) if level.startswith("{") else level
        for level in parse(text).levels
    )
