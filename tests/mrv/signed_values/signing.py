"""Values as a meter or gateway signs them, with keys made here."""

import json

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ingest.codecs import cose_sign1

METER = ec.derive_private_key(7, ec.SECP256R1())
OTHER = ec.derive_private_key(8, ec.SECP256R1())
GATEWAY = Ed25519PrivateKey.from_private_bytes(b"\7" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"\x08" * 32)


def public(secret):
    """Return a public key as registries contain it."""
    raw = secret.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return raw.hex()


def ocmf(time, kwh, page=1, serial="S-1", secret=METER, clock="S", obis="1-0:2.8.0", unit="kWh"):
    """Return one record with one reading; `time` like 2026-01-01T10:00:00."""
    reading = {"TM": f"{time},000+0000 {clock}", "RV": kwh, "RI": obis, "RU": unit, "ST": "G"}
    text = json.dumps({"FV": "1.0", "MS": serial, "PG": f"T{page}", "RD": [reading]})
    signature = secret.sign(text.encode(), ec.ECDSA(SHA256())).hex()
    return f'OCMF|{text}|{{"SA": "ECDSA-secp256r1-SHA256", "SD": "{signature}"}}'


def batch(
    messages, number=1, at_ms=1_767_225_600_000, signer="gw-1", device="inv-1", secret=GATEWAY
):
    """Return a batch of messages as bytes."""
    held = number, at_ms, device, None, json.dumps(messages).encode()
    if isinstance(secret, Ed25519PrivateKey):
        return cose_sign1.write(held, signer, cose_sign1.EDDSA, secret.sign)

    def sign(data):
        r, s = decode_dss_signature(secret.sign(data, ec.ECDSA(SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    return cose_sign1.write(held, signer, cose_sign1.ES256, sign)
