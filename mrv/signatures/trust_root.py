"""
Trust root of a programme: a signed, versioned file with its verifiers, modelled on TUF.

    {"signed": {"type": "tonne-trust-root", "programme", "version", "expires",
                "root": {"threshold", "keys": [Multikey, ...]},
                "keys": [enrolled keys, with their bounds]},
     "signatures": [{"key": Multikey, "value": base58}, ...]}

The programme's root keys sign the canonical bytes of `signed`.  A reader obtains the first file
independently and keeps it; each next version is accepted only if a threshold of the old and of the
new root keys signed it.

python-tuf is not used: its snapshot, timestamp and targets roles are for repositories of many
files, and its signatures are over another canonical JSON with another form of key.  For a single
file, only the rules below are needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from mrv.errors import CanonicalError, EnrolmentError, SignatureError
from mrv.parameters import RequiredGrades, required_of
from mrv.signatures import canonical, ed25519
from mrv.signatures.authorities import StampRule
from mrv.signatures.data_integrity import time_of
from mrv.signatures.ed25519 import decode_base58, encode_base58
from mrv.signatures.keys import EnrolledKey, SigningKey, decode_multikey, keyring, read_own_keyring

TYPE = "tonne-trust-root"
_FIELDS = {"type", "programme", "version", "expires", "root", "keys"}
_MAY = {"evidence", "issue", "logPolicy", "timestamps"}


class IssueRule(NamedTuple):
    """Number of operators that must approve an issue, for periods after a time (RFC 3339)."""

    threshold: int
    since: str


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """
    Keys and rules of a programme.

    `version`: version from 1; each file replaces the previous one.
    `expires`: RFC 3339 in UTC: from then on a newer one is needed.
    `root_keys`: multikeys of the signers of the next version.
    `threshold`: number of them that must sign.
    `keys`: keys that the programme enrols, with their limits.
    `issue`: number of operators that must approve an issue; 1 if not stated.
    `timestamps`: accepted time-stamp authorities, and the required number of stamps.
    `log_policy`: witnesses that must have cosigned a head of the log: text of a policy
    (c2sp.org/tlog-policy).
    `evidence`: grades of evidence required by the programme; None for the default.
    """

    programme: str
    version: int
    expires: str
    root_keys: tuple[str, ...]
    threshold: int
    keys: tuple[EnrolledKey, ...]
    issue: IssueRule | None = None
    timestamps: StampRule | None = None
    log_policy: str | None = None
    evidence: RequiredGrades | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(set(self.root_keys)) == len(self.root_keys):
            raise EnrolmentError(
                f"a trust root with {len(self.root_keys)} root keys cannot have the "
                f"threshold {self.threshold}; name each key once, and require no more "
                "signers than keys"
            )
        if self.version < 1 or not self.programme.strip():
            raise EnrolmentError(
                f"a trust root needs a programme, and a version from 1 on, not {self.programme!r} "
                f"and {self.version}; enter both"
            )
        time_of(self.expires, "`expires` of the trust root")
        for multikey in self.root_keys:
            decode_multikey(multikey)
        keyring(self.keys)
        if self.issue is not None:
            time_of(self.issue.since, "`since` of `issue` in the trust root")
            if self.issue.threshold < 2:  # noqa: PLR2004 - one is what holds without it
                raise EnrolmentError(
                    f"the field `issue` of a trust root requires {self.issue.threshold} people; "
                    "enter at least 2, or omit the field"
                )

    def signed(self) -> dict[str, Any]:
        """Return the JSON object signed by the root keys."""
        return {
            "type": TYPE,
            "programme": self.programme,
            "version": self.version,
            "expires": self.expires,
            "root": {"threshold": self.threshold, "keys": list(self.root_keys)},
            "keys": [key.to_json() for key in self.keys],
            **({} if self.issue is None else {"issue": self.issue._asdict()}),
            **({} if self.timestamps is None else {"timestamps": self.timestamps.to_json()}),
            **({} if self.log_policy is None else {"logPolicy": self.log_policy}),
            **({} if self.evidence is None else {"evidence": self.evidence.to_json()}),
        }


class Trust(NamedTuple):
    """
    Keys that a reader trusts, and a short text on their source.

    `status_lists`: signed status lists stored with the keys; `issue`: number of approvals required
    by the programme; `timestamps`: accepted time-stamp authorities; `log_policy`: witnesses that
    must have cosigned the log's head; `roots`: the programme's own keys, empty for a plain keyring;
    `evidence`: required grades of evidence.
    """

    keys: tuple[EnrolledKey, ...]
    source: str
    status_lists: tuple[bytes, ...] = ()
    issue: IssueRule | None = None
    timestamps: StampRule | None = None
    log_policy: str | None = None
    roots: tuple[str, ...] = ()
    evidence: RequiredGrades | None = None


def write_root(root: TrustRoot, signatures: Iterable[tuple[str, bytes]] = ()) -> bytes:
    """Return the bytes of a trust root with its signatures so far, each with its Multikey."""
    signed = [{"key": key, "value": encode_base58(value)} for key, value in signatures]
    record = {"signed": root.signed(), "signatures": signed}
    return (json.dumps(record, indent=2, ensure_ascii=False) + "\n").encode()


def sign_root(data: bytes, key: SigningKey, before: bytes | None = None) -> bytes:
    """
    Return a trust root with a root key's signature added.

    `before`: the previous version: its root keys must sign too, even if the next version removes
    them.
    Raises EnrolmentError if neither file names that key.
    """
    root, signatures = _parse(data)
    old = () if before is None else _parse(before)[0].root_keys
    if key.public_multikey not in {*root.root_keys, *old}:
        raise EnrolmentError(
            f"{key.public_multikey} is not a root key of {root.programme}, version "
            f"{root.version}, nor of the version before it; name that version with "
            "--after FILE"
        )
    mine = key.public_multikey, key.sign(canonical.encode(root.signed()))
    others = [signature for signature in signatures if signature[0] != key.public_multikey]
    return write_root(root, [*others, mine])


def read_root(data: bytes, at: datetime) -> TrustRoot:
    """
    Return a trust root signed by its own root keys.

    `at`: time at which it must not have expired.
    Raises EnrolmentError if too few of them signed it, it has another form, or it has expired.
    """
    root = read_pinned(data)
    if at >= time_of(root.expires, "`expires` of the trust root"):
        raise EnrolmentError(
            f"version {root.version} of the trust root of {root.programme} expired "
            f"at {root.expires}; get the newest version, and store it with `tonne "
            "trust pin`"
        )
    return root


def read_pinned(data: bytes) -> TrustRoot:
    """
    Return a stored trust root, also if it has expired.

    Raises EnrolmentError as `read_root` in other cases.
    """
    root, signatures = _parse(data)
    _require(root, signatures, root)
    return root


def read_next(pinned: bytes, data: bytes, at: datetime) -> TrustRoot:
    """
    Return the version that follows a pinned one.

    Raises EnrolmentError if it is not the next version, or a threshold of the pinned root keys or
    of its own did not sign it.
    """
    old, _ = _parse(pinned)
    new, signatures = _parse(data)
    if (new.programme, new.version) != (old.programme, old.version + 1):
        raise EnrolmentError(
            f"version {new.version} of {new.programme!r} does not follow version {old.version} of "
            f"{old.programme!r}; take the versions one after another"
        )
    _require(new, signatures, old)
    return read_root(data, at)


def read_trusted(data: bytes, at: datetime) -> Trust:
    """
    Return the keys that a reader trusts: of a trust root, or of a plain keyring.

    Raises EnrolmentError if it is neither, or is not valid.
    """
    if "signed" not in canonical.parse_object(data):
        keys, lists, policy = read_own_keyring(data)
        return Trust(keys, "your own keyring", lists, log_policy=policy)
    root = read_root(data, at)
    source = f"version {root.version} of the trust root of {root.programme}"
    return Trust(
        root.keys, source, (), root.issue, root.timestamps, root.log_policy, root.root_keys,
        root.evidence,
    )  # fmt: skip


def _require(root: TrustRoot, signatures: list[tuple[str, bytes]], by: TrustRoot) -> None:
    message = canonical.encode(root.signed())
    good = {
        key
        for key, value in signatures
        if key in by.root_keys and ed25519.verifies(decode_multikey(key), value, message)
    }
    if len(good) < by.threshold:
        raise EnrolmentError(
            f"version {root.version} of the trust root of {root.programme} is signed by "
            f"{len(good)} of the root keys of version {by.version}, and {by.threshold} are "
            "required; have it signed by more holders of root keys"
        )


def _parse(data: bytes) -> tuple[TrustRoot, list[tuple[str, bytes]]]:
    record = canonical.parse_object(data)
    try:
        signed, listed = record["signed"], record["signatures"]
        fields = signed.keys()
        if record.keys() != {"signed", "signatures"} or not _FIELDS <= fields <= _FIELDS | _MAY:
            raise EnrolmentError(
                f"the trust root has the fields {', '.join(sorted(map(str, fields)))[:200]}, which "
                "do not match its schema; download the file again"
            )
        if signed["type"] != TYPE:
            raise EnrolmentError(
                f"a file of type {signed['type']!r} is not a trust root; name the "
                "programme's trust root"
            )
        root = TrustRoot(
            signed["programme"],
            _number(signed["version"]),
            signed["expires"],
            tuple(signed["root"]["keys"]),
            _number(signed["root"]["threshold"]),
            tuple(EnrolledKey.from_json(key) for key in signed["keys"]),
            _issue(signed["issue"]) if "issue" in signed else None,
            StampRule.from_json(signed["timestamps"]) if "timestamps" in signed else None,
            _text(signed["logPolicy"]) if "logPolicy" in signed else None,
            required_of(signed["evidence"]) if "evidence" in signed else None,
        )
        signatures = [(signature["key"], decode_base58(signature["value"])) for signature in listed]
    except (KeyError, TypeError, ValueError, AttributeError, CanonicalError) as error:
        raise EnrolmentError(
            f"a trust root does not match its schema: {error}; download it again"
        ) from error
    if root.signed() != signed:
        raise EnrolmentError("a trust root has unknown fields; download it again")
    return root, signatures


def _issue(record: dict[str, Any]) -> IssueRule:
    if record.keys() != {"threshold", "since"}:
        raise EnrolmentError(
            f"`issue` of the trust root is {record!r:.80}; it must have `threshold` and `since`: "
            "download it again"
        )
    return IssueRule(_number(record["threshold"]), record["since"])


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise EnrolmentError(
            "the field `logPolicy` of a trust root must be the text of a policy; download it again"
        )
    return value


def _number(value: object) -> int:
    if type(value) is not int:
        raise EnrolmentError(f"{value!r} in a trust root is not a whole number; download it again")
    return value


ACCEPTANCE_TYPE = "tonne-acceptance"


class Accepted(NamedTuple):
    """
    An accepted factor: by whom, when and by which document.

    `sha256`: hash of the document, None without one; `factor_sha256`: hash of the factor's fields.
    """

    factor: str
    factor_sha256: str
    by: str
    date: str
    document: str
    sha256: str | None

    def message(self) -> bytes:
        """Return the signed bytes: canonical JSON."""
        return canonical.encode({"type": ACCEPTANCE_TYPE, **self._asdict()})


def sign(accepted: Accepted, key: SigningKey) -> tuple[str, str]:
    """Return the key [Multikey] and its signature of an acceptance [base58]."""
    return key.public_multikey, encode_base58(key.sign(accepted.message()))


def check(accepted: Accepted, key: str, value: str) -> None:
    """
    Check that a key signed this acceptance; the holder of the key is not checked.

    Raises SignatureError that names the factor and the key.
    """
    try:
        good = ed25519.verifies(decode_multikey(key), decode_base58(value), accepted.message())
    except (CanonicalError, SignatureError):
        good = False
    if not good:
        raise SignatureError(
            f"the acceptance of {accepted.factor} by {accepted.by} differs from "
            f"the text that {key} signed, or the factor differs; have the programme "
            "sign it again with `tonne trust accept`"
        )
