"""
A forger's tools: packs that are signed consistently, by keys of every kind of trust.

Digests, signatures, proofs and receipts are made as tonne makes them. A forger lacks only a key
that the reader trusts, or a history of the log.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from mrv.signatures import canonical
from mrv.signatures.key_bounds import Accreditation, KeyBounds, LogPlace
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.statement.states import sign_list
from tests.mrv import packs
from tests.mrv.packs import Cast

SIGNED = datetime(2026, 2, 1, tzinfo=UTC)
VERIFIED = datetime(2026, 2, 3, tzinfo=UTC)
ASKED = datetime(2026, 2, 10, tzinfo=UTC)
ROLES = ("operator", "verifier", "log")
ORGANISATIONS = {"operator": "Plant Ltd.", "verifier": "Green Verify JSC", "log": "tonne"}


def bounds(role, **more):
    """Return the entries of a good keyring for a key."""
    body = Accreditation("VN-017", ("jcm-vn-am007",), "2025-01-01T00:00:00Z")
    said = {
        "organisation": ORGANISATIONS[role],
        "organisation_id": f"0{len(ORGANISATIONS[role])}-{role}",
        "projects": None if role == "log" else ("pv",),
        "accreditation": body if role == "verifier" else None,
    }
    return KeyBounds(**(said | more))


def enrolled(role, key, name=None, **more):
    """Enrol a key as a good programme does, with the given exceptions."""
    times = {k: more.pop(k) for k in ("valid_from", "valid_until") if k in more}
    name = name or f"the-{role}"
    return EnrolledKey(name, role, key.public_multikey, **times, bounds=bounds(role, **more))


KEYS = {role: SigningKey(bytes([40 + at]) * 32) for at, role in enumerate(ROLES)}
OTHERS = {role: SigningKey(bytes([80 + at]) * 32) for at, role in enumerate(ROLES)}
HOLDERS = {role: enrolled(role, KEYS[role]) for role in ROLES}
RIGHT = Cast(KEYS, HOLDERS, SIGNED, VERIFIED)
RING = tuple(HOLDERS.values())


@dataclass(frozen=True)
class Attempt:
    """A pack, and the keys and lists with which a reader verifies it."""

    pack: object
    ring: tuple | None = RING
    status: bytes | None = None
    at: datetime = ASKED
    accept: tuple = field(default=())


def status(*ended, cast=RIGHT, made=ASKED - timedelta(days=1), project="pv", role="operator"):
    """Sign the project's status list."""
    signer = cast.signers[role], cast.holders[role]
    return canonical.encode(sign_list(project, [NAME], ended, *signer, made))


MADE = packs.case()


def forged(cast=RIGHT, made=MADE, change=lambda body: body, edit=lambda files: files):
    """Return a pack in which everything is signed, hashed and logged by the given keys."""
    files = packs.documents(made, cast=cast, change=change)
    return packs.pack(edit(files), made)


def only(pack, *without):
    """Remove documents from a pack, and list the remaining ones in its manifest."""
    files = {name: data for name, data in pack.files.items() if name not in without}
    return resealed(pack, files)


def resealed(pack, files):
    """Return a pack with other documents and a manifest that lists them."""
    files = dict(files)
    files["manifest.json"] = packs.manifest_of(packs.hashes_of(files))
    return packs.with_files(pack, files)


def plays(role, key, holder):
    """Let another key sign in a role."""
    return replace(RIGHT, signers={**KEYS, role: key}, holders={**HOLDERS, role: holder})


def ring_with(role, holder):
    """Change the entry of a role in the reader's keyring."""
    return tuple(holder if key.role == role else key for key in RING)


def without(role):
    """Remove the keys of a role from the reader's keyring."""
    return tuple(key for key in RING if key.role != role)


PLACE = LogPlace("the-log", 1)
WHOLE = forged()
NAME = canonical.parse_object(WHOLE.files["statement.json"])["credentialSubject"]["statement"]
STATUS = status()
