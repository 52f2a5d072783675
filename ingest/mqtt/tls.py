"""
TLS settings of an MQTT client's connection, and closing of the connection.

TLS settings of an MQTT client: certificate authority, client certificate, private key.

The end of a paho client: what it keeps open after its loop.

paho wakes its own loop by a pair of sockets, made by `loop` and `loop_start`.
Neither `disconnect` nor `loop_stop` closes the pair: `Client.__del__` does.  A
client that its callbacks lead back to is freed by the collector, which may free
the pair first: a ResourceWarning, and open files until then.  The method used is
paho's from 2.1 to 2.2; pyproject caps the version.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.errors import InputError

CA, CERTIFICATE, KEY = "ca.crt", "client.crt", "client.key"  # in what a principal is handed


@dataclass(frozen=True, slots=True)
class Tls:
    """
    Files of one side of a TLS connection; all PEM.

    `ca` is whom we trust, the system's authorities where it is None; `cert` and
    `key` are who we are; without them there is no client certificate.  `server` is whose
    settings an error names: MQTT or KAFKA.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server: str = "MQTT"

    @classmethod
    def of(cls, folder: Path) -> Tls:
        """Return the identity in a principal's folder; with a password if without certificate."""
        if not (folder / CERTIFICATE).exists():
            return cls(folder / CA)
        return cls(folder / CA, folder / CERTIFICATE, folder / KEY)

    def context(self) -> ssl.SSLContext:
        """
        Return a client's context, TLS 1.2 or newer, that checks the server's name.

        Raises
        ------
        InputError
            Naming the file that cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=None if self.ca is None else str(self.ca))
        except (OSError, ssl.SSLError) as error:
            raise InputError(
                f"{self.ca}: no certificate authority can be read from it: {error}; "
                f"set TONNE_{self.server}_CA_FILE to the broker's ca.crt"
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert is not None:
            try:
                context.load_cert_chain(self.cert, self.key)
            except (OSError, ssl.SSLError) as error:
                raise InputError(
                    f"{self.cert} with {self.key}: not a certificate with its key: {error}; "
                    f"set TONNE_{self.server}_CERT_FILE and TONNE_{self.server}_KEY_FILE "
                    "to a matching pair"
                ) from error
        return context


def close_sockets(client: Any) -> None:
    """
    Close every socket of a client whose loop has ended.

    Parameters
    ----------
    client : paho.mqtt.client.Client
        Disconnected, its thread stopped; it may connect again.
    """
    client._reset_sockets()  # noqa: SLF001
