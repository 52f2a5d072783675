"""Who simulated devices are to a broker that asks: what each was handed, from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ingest.mqtt.tls import CA, CERTIFICATE, Tls
from services.identity.folder import PASSWORD
from services.simulator.model import SimulatorError

MOST = 500  # connections at once: each principal needs one of its own


@dataclass(frozen=True, slots=True)
class Identity:
    """How one connection shows who it is: certificate, or user name and password."""

    tls: Tls
    username: str | None = None
    password: str | None = None


class Identities:
    """
    The folders that `tonne registry issue-credentials` wrote.

    Parameters
    ----------
    folder : Path
        One folder a principal, or the folder of identities that holds `devices`.
    """

    def __init__(self, folder: Path) -> None:
        inner = folder / "devices"
        self._folder = inner if inner.is_dir() else folder

    def of(self, principal: str) -> Identity:
        """
        Return a principal's identity.

        Raises
        ------
        SimulatorError
            When it was handed none.
        """
        own = self._folder / principal
        if (own / CERTIFICATE).exists():
            return Identity(Tls.of(own))
        if (own / PASSWORD).exists():
            word = (own / PASSWORD).read_text(encoding="utf-8").strip()
            return Identity(Tls(own / CA), principal, word)
        raise SimulatorError(
            f"{own}: {principal!r} was handed no credential: `tonne registry issue-credentials "
            f"{principal}`, or leave it out by --without {principal}"
        )
