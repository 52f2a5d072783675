"""
Accepted logs, and required witnesses (c2sp.org/tlog-policy).

A group has cosigned a checkpoint once K of its members have; a member is a witness or a group
defined above.  The log and its readers use one file: the log sends its requests to the URLs of the
witnesses, a reader counts their cosignatures.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from mrv.errors import LogError, SignatureError
from mrv.log import WITNESS_TYPES, Vkey

NONE = "none"
_LONGEST = 262_144
_MOST = 64
_BLANKS = re.compile(r"[ \t]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_COUNT = re.compile(r"[1-9][0-9]{0,3}")
_LEAST = {"log": 2, "witness": 3, "group": 4, "quorum": 2}
_LARGEST = {"log": 3, "witness": 4, "quorum": 2}


class Member(NamedTuple):
    """A log or a witness: its key and its URL; no URL for readers only."""

    key: Vkey
    url: str | None


class Group(NamedTuple):
    """A number of members, of a list, that must cosign."""

    needed: int
    members: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """
    A policy from its file.

    `logs`: accepted logs; empty: any log.
    `witnesses`: witnesses by their names in the file.
    `quorum`: name of a witness or a group, or `none`.
    `text`: the file.
    """

    logs: tuple[Member, ...]
    witnesses: Mapping[str, Member]
    groups: Mapping[str, Group]
    quorum: str
    text: str = field(repr=False)

    def reached(self, keys: Collection[Vkey]) -> bool:
        """Return whether cosignatures of these keys are sufficient."""
        return self.quorum == NONE or self._has(self.quorum, set(keys))

    def lacks(self, keys: Collection[Vkey]) -> str | None:
        """Return the missing cosignatures in words; None if those of these keys are sufficient."""
        have = set(keys)
        return None if self.reached(have) else self._missing(self.quorum, have)

    def _has(self, name: str, keys: set[Vkey]) -> bool:
        if name in self.witnesses:
            return self.witnesses[name].key in keys
        group = self.groups[name]
        return sum(self._has(member, keys) for member in group.members) >= group.needed

    def _missing(self, name: str, keys: set[Vkey]) -> str:
        if name in self.witnesses:
            return f"witness {name} ({self.witnesses[name].key.name})"
        group = self.groups[name]
        have = sum(self._has(member, keys) for member in group.members)
        remaining = [
            self._missing(member, keys) for member in group.members if not self._has(member, keys)
        ]
        return (
            f"{group.needed - have} more of {name}, which has {have} of the {group.needed} "
            f"required: {', '.join(remaining)}"
        )


def read_policy(data: bytes) -> Policy:
    """
    Return a policy from its file.

    Raises LogError that names the line, if the file has another form, a repeated name or key, or no
    quorum.
    """
    if len(data) > _LONGEST:
        raise LogError(
            f"the policy has {len(data)} bytes, and {_LONGEST} is the maximum; shorten it"
        )
    text = data.decode("utf-8", "surrogateescape")
    made = _Reading()
    for number, line in enumerate(text.split("\n"), 1):
        try:
            made.line(line)
        except (LogError, SignatureError) as error:
            raise LogError(f"line {number} of the policy: {error}") from error
    logs = {log.key.public for log in made.logs}
    for name, member in made.witnesses.items():
        if member.key.public in logs:
            raise LogError(
                f"witness {name} of the policy has the key of a log; a log cannot witness itself"
            )
    if made.quorum is None:
        raise LogError("the policy has no line `quorum`; write `quorum NAME` or `quorum none`")
    return Policy(tuple(made.logs), made.witnesses, made.groups, made.quorum, text)


class _Reading:
    """State of the policy parser."""

    def __init__(self) -> None:
        self.logs: list[Member] = []
        self.witnesses: dict[str, Member] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._grouped: set[str] = set()

    def line(self, line: str) -> None:
        if _CONTROL.search(line):
            raise LogError("it contains a control character; only tabs are allowed in a policy")
        words = [word for word in _BLANKS.split(line) if word]
        if not words or words[0].startswith("#"):
            return
        kind, rest = words[0], words[1:]
        if kind not in _LEAST:
            raise LogError(
                f"{kind[:40]!r} is not a line of a policy; begin each line with log, "
                "witness, group or quorum"
            )
        if not _LEAST[kind] <= len(words) <= _LARGEST.get(kind, _MOST + 3):
            raise LogError(
                f"{kind} has {len(rest)} values, which is not the format of this line; correct it"
            )
        getattr(self, f"_{kind}")(*rest)

    def _log(self, text: str, url: str | None = None) -> None:
        key = Vkey.parse(text)
        if any(log.key.public == key.public for log in self.logs):
            raise LogError(f"the key of log {key.name} appears twice; name it once")
        if len(self.logs) >= _MOST:
            raise LogError(f"the policy has more than {_MOST} logs; remove some")
        self.logs.append(Member(key, url))

    def _witness(self, name: str, text: str, url: str | None = None) -> None:
        key = Vkey.parse(text)
        if key.kind not in WITNESS_TYPES:
            raise LogError(
                f"the key of witness {name} is of type {key.kind:#04x}; witnesses cosign with"
                " 0x04 (Ed25519) or 0x06 (ML-DSA-44)"
            )
        if any(witness.key.public == key.public for witness in self.witnesses.values()):
            raise LogError(f"the key of witness {name} appears twice; name it once")
        self._new(name, len(self.witnesses))
        self.witnesses[name] = Member(key, url)

    def _group(self, name: str, count: str, *members: str) -> None:
        for member in members:
            if member not in self.witnesses and member not in self.groups:
                raise LogError(
                    f"group {name} names {member!r}, which no earlier line defines; define it above"
                )
            if member in self._grouped:
                raise LogError(
                    f"{member!r} is already a member of a group; name a witness in one group only"
                )
            self._grouped.add(member)
        self._new(name, len(self.groups))
        needed = {"all": len(members), "any": 1}.get(count)
        if needed is None:
            needed = int(count) if _COUNT.fullmatch(count) else 0
        if not 1 <= needed <= len(members):
            raise LogError(
                f"group {name} requires {count!r} of {len(members)}; write all, any "
                "or a number from 1 to that"
            )
        self.groups[name] = Group(needed, members)

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise LogError("the policy has a second line `quorum`; remove one of them")
        if name != NONE and name not in self.witnesses and name not in self.groups:
            raise LogError(f"quorum names {name!r}, which no earlier line defines; define it above")
        self.quorum = name

    def _new(self, name: str, so_far: int) -> None:
        if name == NONE or name in self.witnesses or name in self.groups:
            raise LogError(f"the name {name!r} is already used; choose another one")
        if so_far >= _MOST:
            raise LogError(f"the policy has more than {_MOST} lines of one kind; remove some")
