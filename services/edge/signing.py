"""
Signature of forwarded messages with the gateway's own key, created and kept on it.

A batch of one device's messages is signed with a sequence number and the time (COSE_Sign1). With
the public key anyone can verify what the gateway received, in which order, and whether a batch is
missing. It does not prove what the meter measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from ingest.errors import InputError
from services.edge.config import Signing
from services.edge.outbox import Outbox, Waiting
from services.identity import files

CONTENT_TYPE = 'application/cose; cose-type="cose-sign1"'
EDDSA, ES256 = "EdDSA", "ES256"
_HALF = 32
_VALUES, _OURS = b'"values"', "application/vnd.tonne."
# one message to the broker: what a receipt is lost with is sent again whole
_MOST, _MOST_BYTES = 50, 100_000


class Signed(NamedTuple):
    """Signed batch: its messages and its bytes."""

    messages: tuple[Waiting, ...]
    data: bytes


class Signer:
    """
    Signer with the gateway's own key; the key file is created if missing.

    Parameters
    ----------
    gateway : str
        Its id in the registry, where the public key is entered.

    Raises
    ------
    InputError
        If the file holds no key of the algorithm.
    """

    def __init__(self, gateway: str, signing: Signing) -> None:
        self._gateway, self._path = gateway, Path(signing.key)
        self._algorithm, self.gather_s = signing.algorithm, signing.gather_s
        if not self._path.exists():
            files.write(self._path, _pem(_new(self._algorithm)))
        self._key = self._loaded()

    def _loaded(self) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
        data = files.read(self._path, "signing key")
        try:
            load_pem_private_key = serialization.load_pem_private_key(data, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise InputError(
                f"{self._path} contains no private key in PEM: {error}; name the file of the key"
            ) from error
        if self._algorithm == EDDSA and isinstance(load_pem_private_key, Ed25519PrivateKey):
            return load_pem_private_key
        curve = (
            load_pem_private_key.curve
            if isinstance(load_pem_private_key, ec.EllipticCurvePrivateKey)
            else None
        )
        if self._algorithm == ES256 and isinstance(curve, ec.SECP256R1):
            return cast("ec.EllipticCurvePrivateKey", load_pem_private_key)
        raise InputError(
            f"{self._path} has no key of {self._algorithm}; set signing.algorithm "
            "to the algorithm of the key, or name a new file"
        )

    @property
    def public_key(self) -> str:
        """Return the public key in hex, as in `meter_keys` of the registry."""
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .hex()
        )

    def sign(self, number: int, at_ms: int, of: Waiting, messages: bytes) -> bytes:
        """Return the signed bytes of a device's messages; `of` is one of them."""
        # cbor2, which a gateway that does not sign has no use for
        from ingest.formats import cose_batch  # noqa: PLC0415

        batch = number, at_ms, of.device, of.content_type, messages
        algorithm = cose_batch.EDDSA if self._algorithm == EDDSA else cose_batch.ES256
        return cose_batch.write(batch, self._gateway, algorithm, self._sign)

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(_HALF, "big") + s.to_bytes(_HALF, "big")


class Batches:
    """
    Signed batches without a receipt; a batch that is sent again is unchanged.

    Parameters
    ----------
    outbox : Outbox
        Stores the number of the last batch of each device.
    """

    def __init__(self, signer: Signer, outbox: Outbox) -> None:
        self._signer, self._outbox = signer, outbox
        self._made: dict[tuple[str, str], Signed] = {}
        self._since: dict[str, float] = {}

    def gathers(self, waiting: Sequence[Waiting], now_s: float) -> bool:
        """
        Return whether a device's messages should wait for more before they are signed
        together.
        """
        if not waiting or (waiting[0].device, waiting[0].id) in self._made:
            return False
        device = waiting[0].device
        since = self._since.setdefault(device, now_s)
        if len(waiting) < _MOST and now_s - since < self._signer.gather_s:
            return True
        del self._since[device]
        return False

    def of(self, waiting: Sequence[tuple[Waiting, bytes]], at_ms: int) -> Iterator[Signed]:
        """
        Yield the signed batches of one device's messages; an existing batch is reused.

        Parameters
        ----------
        waiting : sequence of (Waiting, bytes)
            Messages in order, each with its payload.
        at_ms : int
            Best estimate of the current time. [ms UTC]
        """
        run: list[tuple[Waiting, bytes]] = []
        done: set[str] = set()
        for item, data in waiting:
            known = self._made.get((item.device, item.id))
            if run and (known or not _fits(run, item, data)):
                yield self._batch(run, at_ms)
                run = []
            if known is None:
                run.append((item, data))
            elif item.id not in done:
                done |= {message.id for message in known.messages}
                yield known
        if run:
            yield self._batch(run, at_ms)

    def _batch(self, run: Sequence[tuple[Waiting, bytes]], at_ms: int) -> Signed:
        first = run[0][0]
        bodies = [data for _, data in run]
        messages = bodies[0] if len(bodies) == 1 else b"[" + b",".join(bodies) + b"]"
        number = self._outbox.next_number(first.device)
        made = Signed(tuple(w for w, _ in run), self._signer.sign(number, at_ms, first, messages))
        self._made.update({(waiting.device, waiting.id): made for waiting, _ in run})
        return made

    def free(self, device: str, ids: Sequence[str]) -> None:
        """Delete batches with a receipt."""
        for value in ids:
            self._made.pop((device, value), None)


def _fits(run: Sequence[tuple[Waiting, bytes]], waiting: Waiting, data: bytes) -> bool:
    """Return whether a message can be added to a batch, which must be an array of readings."""
    ours = (waiting.content_type or "").startswith(_OURS)
    listed = ours or (_VALUES in data and _VALUES in run[-1][1])
    return (
        listed
        and len(run) < _MOST
        and run[0][0].content_type == waiting.content_type
        and sum(len(payload) for _, payload in run) + len(data) <= _MOST_BYTES
    )


def _new(algorithm: str) -> Ed25519PrivateKey | ec.EllipticCurvePrivateKey:
    return (
        Ed25519PrivateKey.generate()
        if algorithm == EDDSA
        else ec.generate_private_key(ec.SECP256R1())
    )


def _pem(key: Ed25519PrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
