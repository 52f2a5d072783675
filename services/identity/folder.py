"""
Folder of a fleet's identities.

    ca.crt ca.key ca.crl        the authority
    devices/<id>/               files for a device: ca.crt, client.crt, client.key,
                                or password
    services/<name>/            the same for tonne's services
    hashes/<id>.json            a password's hashes for brokers
    broker/                     files for the broker

Only its owner can read it.  Its secrets are not in the database.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import msgspec

from ingest.errors import InputError
from ingest.mqtt.tls import CA, CERTIFICATE, KEY, Tls
from services.identity import authority as files
from services.identity.authority import PUBLIC, Authority, Hashed, Issued, make_folder, write
from services.identity.principals import checked

SERVICE_DAYS = 3_650
PASSWORD = "password"  # noqa: S105 - the name of a file
_decoder = msgspec.json.Decoder(Hashed)


class IdentityFolder:
    """
    Identities on disk.

    Parameters
    ----------
    path : Path
        Created if missing.
    """

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
        """
        Create a password for a device, and write it for the device and its hash for the
        broker.
        """
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
        Return the hashes of principals with a password.

        Raises
        ------
        InputError
            When one is missing or damaged, as the broker would refuse the device.
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
        """Return principals whose new password no running broker has yet."""
        return sorted(path.stem for path in (self.path / "hashes").glob("*.untold"))

    def note_password(self, name: str) -> None:
        """Record that the broker has a password."""
        self._mark_not_carried(name).unlink(missing_ok=True)

    def _mark_not_carried(self, name: str) -> Path:
        return self.path / "hashes" / f"{checked(name)}.untold"

    def _hash(self, name: str) -> Path:
        return self.path / "hashes" / f"{checked(name)}.json"
