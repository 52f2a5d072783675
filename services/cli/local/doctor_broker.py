"""What `tonne doctor` finds at the MQTT broker: does it answer us, and for how long."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cryptography import x509

from ingest.errors import InputError
from ingest.mqtt.tls import Tls
from services.cli.local.broker_ping import greet_broker
from services.cli.local.doctor_finding import Finding

_BROKER, _IDENTITY = "MQTT broker", "MQTT identity"
_ENDING = timedelta(days=30)
_FIX = "check TONNE_MQTT_URL, or run `tonne local up`"
_SECURE_FIX = (
    "check TONNE_MQTT_URL, and TONNE_MQTT_CA_FILE, TONNE_MQTT_CERT_FILE and TONNE_MQTT_KEY_FILE"
    " against docs/security.md; the broker's log says whom it turned away"
)


def broker(url: str | None, tls: Tls) -> Iterator[Finding]:
    """
    Look at the broker, by the identity that we would show it.

    Nothing is taken over: we give no client id, which a secured broker then refuses.
    """
    if url is None:
        fix = "set TONNE_MQTT_URL, or run `tonne local up`"
        yield Finding(_BROKER, "wrong", "no URL is known", fix)
        return
    secure = url.startswith("mqtts://")
    try:
        trouble = greet_broker(url, tls)
    except InputError as error:
        trouble = str(error)
    if trouble is None:
        yield Finding(_BROKER, "ok", "answers by TLS" if secure else "answers")
    else:
        yield Finding(_BROKER, "wrong", trouble, _SECURE_FIX if secure else _FIX)
    if secure and tls.cert is not None and tls.cert.is_file():
        yield _identity(tls.cert.read_bytes())


def _identity(certificate: bytes) -> Finding:
    try:
        own = x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        fix = "set TONNE_MQTT_CERT_FILE to the client.crt that was handed out"
        return Finding(_IDENTITY, "wrong", f"is no certificate: {error}", fix)
    left = own.not_valid_after_utc - datetime.now(UTC)
    names = own.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    name = names[0].value if names else "nobody"
    found = f"{name!s}, until {own.not_valid_after_utc:%Y-%m-%d}"
    if left > _ENDING:
        return Finding(_IDENTITY, "ok", found)
    fix = "a new one: `tonne registry issue-credentials ID --renew`; a service's in services/"
    return Finding(_IDENTITY, "wrong", found, fix)
