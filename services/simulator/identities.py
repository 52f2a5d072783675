"""Credentials of simulated devices at an MQTT broker, and a paho client with fewer system calls."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from ingest.mqtt.tls import CA, CERTIFICATE, Tls
from services.identity.principals import PASSWORD
from services.simulator.model import SimulatorError

MOST = 500  # connections at once: each principal needs one of its own
_READ_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Identity:
    """Credentials of one connection: certificate, or user name and password."""

    tls: Tls
    username: str | None = None
    password: str | None = None


class Identities:
    """
    Credentials written by `tonne registry issue-credentials`.

    Parameters
    ----------
    folder : Path
        Folder with one folder per principal, or the identity folder that contains `devices`.
    """

    def __init__(self, folder: Path) -> None:
        inner = folder / "devices"
        self._folder = inner if inner.is_dir() else folder

    def of(self, principal: str) -> Identity:
        """
        Return the credentials of a principal.

        Raises
        ------
        SimulatorError
            When it has none.
        """
        own = self._folder / principal
        if (own / CERTIFICATE).exists():
            return Identity(Tls.of(own))
        if (own / PASSWORD).exists():
            word = (own / PASSWORD).read_text(encoding="utf-8").strip()
            return Identity(Tls(own / CA), principal, word)
        raise SimulatorError(
            f"{own}: {principal!r} has no credential: `tonne registry issue-credentials "
            f"{principal}`, or omit it with --without {principal}"
        )


class Client(mqtt.Client):
    """
    MQTT 5 client (paho) with large reads and writes of many packets.

    paho reads a PUBACK in three small pieces and sends each packet separately. Here one read fills
    a buffer for all of them, and packets published while corked are sent in one write.
    """

    _held = b""
    _corked = False

    def __init__(self, client_id: str) -> None:
        super().__init__(CallbackAPIVersion.VERSION2, client_id, protocol=mqtt.MQTTv5)
        self._unsent = bytearray()

    @property
    def wants_write(self) -> bool:
        """Return whether bytes wait to be written to the socket."""
        return bool(self._unsent) or self.want_write()

    def cork(self) -> None:
        """Collect packets until `uncork` instead of sending them."""
        self._corked = True

    def uncork(self) -> None:
        """Send the collected packets, as far as the socket accepts them."""
        self._corked = False
        with contextlib.suppress(OSError):  # a broken socket is found by the next read
            self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if self._unsent:
                del self._unsent[: super()._sock_send(self._unsent)]

    def _sock_send(self, buf: bytes | bytearray) -> int:
        self._unsent += buf
        if not self._corked:
            self._flush()
        return len(buf)

    @property
    def holds_input(self) -> bool:
        """Return whether the buffer has bytes of an incomplete packet."""
        return bool(self._held)

    def forget(self) -> None:
        """Discard data of an earlier connection."""
        self._held = b""
        self._unsent.clear()

    def _sock_recv(self, bufsize: int) -> bytes:
        if not self._held:
            self._held = super()._sock_recv(_READ_BYTES)
        taken, self._held = self._held[:bufsize], self._held[bufsize:]
        return taken
