"""
TLS settings of a client's connection, and closing of a paho client's sockets.

paho wakes its loop by a pair of sockets that neither `disconnect` nor `loop_stop` closes, only
`Client.__del__`; with reference cycles the garbage collector may free the pair first, with a
ResourceWarning.  The method used is that of paho 2.1 to 2.2; pyproject limits the version.
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

    `ca` has the trusted authorities (None: the system's); `cert` and `key` are the own certificate,
    if any.  `server` names the settings in errors: MQTT or KAFKA.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server: str = "MQTT"

    @classmethod
    def of(cls, folder: Path) -> Tls:
        """Return the identity in a principal's folder: a certificate, or else a password."""
        if not (folder / CERTIFICATE).exists():
            return cls(folder / CA)
        return cls(folder / CA, folder / CERTIFICATE, folder / KEY)

    def context(self) -> ssl.SSLContext:
        """
        Return a client's TLS context (1.2 or newer) that verifies the server's name.

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
