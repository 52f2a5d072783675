"""
Permissions of each principal at a broker, and the folder of a fleet's identities.

A principal has topics below its own name only.  A device or gateway publishes its telemetry, status
and registered own topics, and subscribes to its receipts.  Services have reserved names.

The folder:

    ca.crt ca.key ca.crl        the authority
    devices/<id>/               files for a device: ca.crt, client.crt, client.key,
                                or password
    services/<name>/            the same for tonne's services
    hashes/<id>.json            a password's hashes for brokers
    broker/                     files for the broker

Only its owner can read it.  Its secrets are not in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ingest.addresses import CA, CERTIFICATE, KEY, PREFIX, Tls, receipt_topic
from ingest.errors import InputError
from ingest.mqtt import STATUS, parse
from ingest.sparkplug import SUBSCRIPTIONS as SPARKPLUG
from services import identity as files
from services.identity import PUBLIC, Authority, Hashed, Issued, make_folder, write
from services.registry.fields import ID

if TYPE_CHECKING:
    from services.registry.entries import Device

# names reserved for tonne, as a device with such a name would have its rights
PIPELINE, ADMIN, WATCH = "tonne", "tonne-admin", "tonne-watch"
# numbers of all messages waiting in mosquitto
QUEUE_TOPICS = ("$SYS/broker/store/messages/count", "$SYS/broker/store/messages/bytes")


@dataclass(frozen=True, slots=True)
class Principal:
    """
    Broker client with its topic filters for publishing and subscribing.

    `password` is None for a principal with a certificate; `controls` permits changing others'
    permissions.
    """

    name: str
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    password: Hashed | None = None
    controls: bool = False


def checked(name: str) -> str:
    """
    Return a name that both brokers can distinguish from every other.

    Raises InputError for other characters: RabbitMQ treats "." and "/" as equal.
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


def publisher(device: Device) -> str:
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
    subscribed = [f"{PREFIX}+/telemetry", f"{PREFIX}+/+/telemetry", STATUS, *topics]
    if sparkplug:
        subscribed += SPARKPLUG
        own_topics += ["spBv1.0/+/NCMD/+", "spBv1.0/STATE/+"]
    shared = [f"$share/+/{topic}" for topic in subscribed]
    return Principal(name, tuple(own_topics), (*subscribed, *shared))


def field(
    devices: Iterable[Device],
    templates: Sequence[str],
    passwords: Mapping[str, Hashed],
    enrolled: Iterable[str],
    *,
    sparkplug: bool = False,
) -> list[Principal]:
    """
    Return the principals of all devices and gateways that have a credential.

    `devices`: devices of the registry, including those behind gateways.
    `templates`: the fleet's own topics.
    `passwords`: hashes of the principals with a password.
    `enrolled`: principals with a valid credential.
    """
    own: dict[str, list[str]] = {}
    for device in devices:
        topics = own.setdefault(publisher(device), [])
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
    """Return a template's topic filter for one device; `{gateway}` is `+` if it has none."""
    names = {"device": device.id, "site": device.site, "gateway": device.gateway or "+"}
    return "/".join(
        names.get(level.strip("{}"), level) if level.startswith("{") else level
        for level in parse(text).levels
    )


SERVICE_DAYS = 3_650
PASSWORD = "password"  # noqa: S105 - the name of a file
_decoder = msgspec.json.Decoder(Hashed)


class IdentityFolder:
    """Identities on disk. `path`: created if missing."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def authority(self) -> Authority:
        """Return the authority, created if missing."""
        make_folder(self.path)
        return Authority.open(self.path)

    def device(self, name: str) -> Path:
        """Return the folder of a device's credentials."""
        return self.path / "devices" / checked(name)

    def service(self, name: str) -> Path:
        """Return the folder of a tonne service."""
        return self.path / "services" / checked(name)

    def hand_out(self, folder: Path, authority: Authority, issued: Issued) -> None:
        """Write a certificate with its key and the trusted authority; remove an old password."""
        write(folder / KEY, issued.key)
        write(folder / CERTIFICATE, issued.certificate, PUBLIC)
        write(folder / CA, authority.certificate, PUBLIC)
        (folder / PASSWORD).unlink(missing_ok=True)
        self._hash(folder.name).unlink(missing_ok=True)

    def hand_out_password(self, name: str, authority: Authority) -> None:
        """Create a device's password; write it for the device, and its hash for the broker."""
        password = files.make()
        folder = self.device(name)
        write(folder / PASSWORD, password.encode())
        write(folder / CA, authority.certificate, PUBLIC)
        write(self._hash(name), msgspec.json.encode(asdict(files.hashed(password))))
        write(self._mark_not_carried(name), b"")
        for file in (CERTIFICATE, KEY):
            (folder / file).unlink(missing_ok=True)

    def forget(self, name: str) -> None:
        """Remove the files of a revoked principal."""
        for file in (CERTIFICATE, KEY, PASSWORD):
            (self.device(name) / file).unlink(missing_ok=True)
        self._hash(name).unlink(missing_ok=True)
        self.note_password(name)

    def ensure_service(self, name: str) -> Tls:
        """Return a service's identity, created if missing."""
        authority = self.authority()
        folder = self.service(name)
        if not (folder / KEY).exists() or not (folder / CERTIFICATE).exists():
            self.hand_out(folder, authority, authority.issue(name, SERVICE_DAYS))
        return Tls.of(folder)

    def services(self) -> list[str]:
        """Return the names of tonne's services with an identity."""
        return sorted(path.name for path in (self.path / "services").glob("*") if path.is_dir())

    def ensure_server(self, hosts: Sequence[str], where: str = "broker") -> Path:
        """Create a server certificate for these names (default: the broker); return its folder."""
        authority, folder = self.authority(), self.path / where
        names = folder / "names"
        wanted = "\n".join(hosts).encode()
        there = (folder / "server.key").exists() and names.exists()
        if not there or names.read_bytes() != wanted:
            issued = authority.issue_server(hosts, SERVICE_DAYS)
            write(folder / "server.key", issued.key)
            write(folder / "server.crt", issued.certificate, PUBLIC)
            write(names, wanted, PUBLIC)
        for name in ("ca.crt", "ca.crl"):
            write(folder / name, (self.path / name).read_bytes(), PUBLIC)
        return folder

    def passwords(self, names: Iterable[str]) -> dict[str, Hashed]:
        """
        Return the password hashes of principals, by name; principals without a password are
        omitted.

        Raises InputError when one is missing or damaged, as the broker would refuse the device.
        """
        hashed = {}
        for name in names:
            path = self._hash(name)
            try:
                hashed[name] = _decoder.decode(path.read_bytes())
            except (OSError, msgspec.MsgspecError) as error:
                raise InputError(
                    f"{path}: the password of {name!r} cannot be read: {error}; restore the "
                    f"folder, or `tonne registry issue-credentials {name} --password --renew`"
                ) from error
        return hashed

    def not_carried(self) -> list[str]:
        """Return principals whose new password has not been sent to a running broker."""
        return sorted(path.stem for path in (self.path / "hashes").glob("*.untold"))

    def note_password(self, name: str) -> None:
        """Record that the broker has a password."""
        self._mark_not_carried(name).unlink(missing_ok=True)

    def _mark_not_carried(self, name: str) -> Path:
        return self.path / "hashes" / f"{checked(name)}.untold"

    def _hash(self, name: str) -> Path:
        return self.path / "hashes" / f"{checked(name)}.json"
