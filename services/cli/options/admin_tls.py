"""TLS identity of an administrator at a broker: `tonne-admin`, if this machine has it."""

from __future__ import annotations

from ingest.mqtt.tls import Tls
from services.identity.folder import IdentityFolder
from services.identity.principals import ADMIN
from services.settings import Settings


def identity_folder(settings: Settings) -> IdentityFolder:
    """Return the folder of identities below TONNE_HOME."""
    return IdentityFolder(settings.home / "identity")


def operator_tls(settings: Settings) -> Tls | None:
    """
    Return the identity of `tonne-admin`, else the configured one.

    The pipeline's own may write receipts and nothing else.
    """
    folder = identity_folder(settings).service(ADMIN)
    return Tls.of(folder) if (folder / "client.key").exists() else settings.mqtt_tls
