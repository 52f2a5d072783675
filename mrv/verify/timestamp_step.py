"""
Verification step on time stamps of authorities that the reader trusts.

A token proves that its bytes existed at its time: for a statement, that it was signed by then; for
a log head, that all entries under it were made by then, such as seals of days.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from mrv.errors import CanonicalError, LogError, SignatureError, TimestampError
from mrv.log import signature_lines
from mrv.log.entries import Checkpoint, parse_receipt, verify_checkpoint
from mrv.packs.pack import SEALS, TIMESTAMPS
from mrv.signatures import canonical
from mrv.signatures.authorities import StampRule
from mrv.signatures.data_integrity import proofs_of, time_of
from mrv.signatures.merkle_tree import leaf_hash, verify_inclusion
from mrv.statement.credentials import issued_entry
from mrv.stored_tokens import Place, StoredTokens, read
from mrv.timestamps import LibraryMissingError, Stamp, UnknownAuthorityError, verify
from mrv.verify.report import StampedDay, StampedStatement
from mrv.verify.signature_steps import AHEAD, log_key
from mrv.verify.subject import NotApplicableError, NotCheckedError, Subject

# a day is sealed within 36 hours of its end, and its seal is stamped in the same run
_DUE = timedelta(hours=36)
_OPTION = "--authorities FILE"


def timestamps(subject: Subject) -> str:
    """Check that authorities stamped statement and days' seals in time; return a summary."""
    if subject.state == "draft":
        raise NotApplicableError("the statement is a draft and not signed")
    data, rule = subject.pack.files.get(TIMESTAMPS), subject.authorities
    tokens = None if data is None else read(data)
    if rule is None:
        there = "no time stamps" if tokens is None else f"{tokens.tokens} time stamps"
        raise NotApplicableError(
            f"{there} in the pack, and no trusted authority is given; name authorities with "
            f"{_OPTION}"
        )
    if tokens is None or not tokens.tokens:
        _lack(subject, rule, 0)
        raise NotApplicableError("the pack contains no time stamps")
    try:
        return _checked(subject, tokens, rule)
    except LibraryMissingError as error:
        what = f"the check of {tokens.tokens} time stamps"
        subject.lack("timestamps", "submitted", what, str(error), "no-timestamps")
        raise NotCheckedError(str(error)) from error


def _checked(subject: Subject, stored_tokens: StoredTokens, rule: StampRule) -> str:
    strange: list[str] = []
    over = _Seen(subject, stored_tokens, rule, strange)
    mine = over.of(stored_tokens.statement, canonical.encode(subject.statement))
    for stamp in mine:
        _after_signing(subject, stamp)
    heads = {
        n: over.of(head.tokens, _text(head.checkpoint))
        for n, head in enumerate(stored_tokens.heads)
    }
    issued = _issue(subject, stored_tokens, heads)
    every = _by_authority([*mine, *issued])
    subject.stamped = StampedStatement(
        tuple(sorted((name, _moment(at.time)) for name, at in every.items())),
        _enough(issued, rule),
        tuple(
            sorted((name, _moment(at.ends)) for name, at in every.items() if at.ends < subject.at)
        ),
    )
    subject.stamped_days.extend(_days(subject, stored_tokens, heads, rule))
    if len(every) < rule.threshold:
        _lack(subject, rule, len(every))
    message = "; ".join(f"{name} at {_moment(stamp.time)}" for name, stamp in sorted(every.items()))
    return (message or "none by a trusted authority") + _tail(subject, strange)


class _Seen(NamedTuple):
    """Verifier of tokens by the reader's rule; tokens of unknown authorities are recorded."""

    subject: Subject
    stored: StoredTokens
    rule: StampRule
    strange: list[str]

    def of(self, tokens: Iterable[bytes], message: bytes) -> list[Stamp]:
        """Return valid tokens over a message, not later than the reader's time."""
        stamps = []
        for token in tokens:
            try:
                stamp = verify(token, message, self.rule.authorities, self.stored.chains)
            except UnknownAuthorityError as why:
                self.strange.append(str(why))
                continue
            if stamp.time - AHEAD <= self.subject.at:
                stamps.append(stamp)
        return stamps


def _after_signing(subject: Subject, stamp: Stamp) -> None:
    """Check that no time stamp of a statement is before its own time of signing."""
    signed = _created(subject.statement)
    end = time_of(subject.claims.monitoring_period.to, "end of the period")
    if stamp.latest + AHEAD < end:
        raise TimestampError(
            f"{stamp.authority} saw the statement at {_moment(stamp.time)}, before its period's end"
            f" {_moment(end)}; ask the operator to close the period again"
        )
    if stamp.latest + AHEAD < signed:
        raise TimestampError(
            f"{stamp.authority} saw the statement at {_moment(stamp.time)}, but its stated signing "
            f"time is {_moment(signed)}: the signer's clock was ahead, or the date is false; ask "
            "the operator to sign it again"
        )


def _issue(
    subject: Subject, stored_tokens: StoredTokens, heads: Mapping[int, list[Stamp]]
) -> list[Stamp]:
    """Return the time stamps of the first stamped head that contains the statement's entry."""
    if subject.receipt is None or subject.verification is None:
        return []
    index = parse_receipt(subject.receipt).index
    entry = issued_entry(subject.statement, subject.verification, subject.approvals)
    stamps = _over(subject, stored_tokens, heads, index, entry)
    verified = _created(subject.verification)
    for stamp in stamps:
        _after_signing(subject, stamp)
        if stamp.latest + AHEAD < verified:
            raise TimestampError(
                f"{stamp.authority} saw the log with the verification at {_moment(stamp.time)}, "
                f"but the verification states the signing time {_moment(verified)}; ask the "
                "verifier which time is right"
            )
        if subject.issued is not None and stamp.latest + AHEAD < subject.issued:
            raise TimestampError(
                f"{stamp.authority} saw the issue in the log at {_moment(stamp.time)}, but the log "
                f"states the time {_moment(subject.issued)}: the clock of the log was ahead; "
                "inform its operator"
            )
    return stamps


def _over(
    subject: Subject,
    stored_tokens: StoredTokens,
    heads: Mapping[int, list[Stamp]],
    index: int,
    entry: bytes,
) -> list[Stamp]:
    """Return the time stamps of the heads that contain an entry."""
    stamps: list[Stamp] = []
    for place in stored_tokens.entries.get(index, ()):
        try:
            _under(subject, stored_tokens, place, index, entry)
        except NotCheckedError:
            continue  # an entry of an earlier log, whose key the reader does not have
        stamps += heads[place.head]
    return stamps


def _days(
    subject: Subject, stored_tokens: StoredTokens, heads: Mapping[int, list[Stamp]], rule: StampRule
) -> list[StampedDay]:
    """Return for each sealed day the time by which enough authorities had stamped its seal."""
    data = subject.pack.files.get(SEALS)
    if data is None or subject.receipt is None:
        return []
    days = []
    for day in canonical.parse_object(data)["days"]:
        entry, index = day["entry"], day["index"]
        seen = _over(subject, stored_tokens, heads, index, canonical.encode(entry))
        days.append(_day(entry, _enough(seen, rule)))
    return days


def _day(entry: Mapping[str, Any], at: datetime | None) -> StampedDay:
    end = time_of(entry["to"], "end of the day").astimezone(UTC)
    came = entry.get("arrival") or {}
    sealed = came.get("sealed")
    sealed_at = None if sealed is None else time_of(sealed, "time of the seal").astimezone(UTC)
    if at is not None and sealed_at is not None and at + AHEAD < sealed_at:
        raise LogError(
            f"the seal of {entry['day']} states the time {_moment(sealed_at)}, but authorities saw"
            f" it at {_moment(at)}: the clock of the log was ahead; inform its operator"
        )
    if at is not None and at + AHEAD < end:
        raise LogError(
            f"authorities saw the seal of {entry['day']} at {_moment(at)}, before the day's end; "
            "ask the operator for the original seal"
        )
    return StampedDay(
        entry["day"],
        None if sealed_at is None else _moment(sealed_at),
        None if at is None else _moment(at),
        at is not None and at > end + _DUE,
    )


def _under(
    subject: Subject, stored_tokens: StoredTokens, place: Place, index: int, entry: bytes
) -> None:
    """Check that an entry is under a stamped head signed by the reader's log."""
    note = stored_tokens.heads[place.head].checkpoint
    subject.needs_keys("log")
    try:
        head = verify_checkpoint(note, log_key(subject.ring, note))
    except SignatureError as error:
        raise LogError(f"a head in {TIMESTAMPS} is not valid: {error}") from error
    try:
        verify_inclusion(index, head.size, leaf_hash(entry), place.proof, head.root)
    except LogError as error:
        raise LogError(
            f"{TIMESTAMPS} names a head of {head.size} entries, which does not contain entry "
            f"{index}: {error}"
        ) from error


def _text(checkpoint: str) -> bytes:
    """Return the stamped bytes of a head: its text without witness lines."""
    try:
        text, _ = signature_lines(checkpoint)
        Checkpoint.from_text(text)
    except (SignatureError, LogError) as error:
        raise CanonicalError(f"a head in {TIMESTAMPS} cannot be read: {error}") from error
    return text.encode()


def _by_authority(stamps: Iterable[Stamp]) -> dict[str, Stamp]:
    result: dict[str, Stamp] = {}
    for stamp in sorted(stamps, key=lambda x: x.latest):
        result.setdefault(str(stamp.authority), stamp)
    return result


def _enough(stamps: Iterable[Stamp], rule: StampRule) -> datetime | None:
    """Return the time by which enough authorities had stamped the bytes, UTC; None if too few."""
    seen = sorted(stamp.latest for stamp in _by_authority(stamps).values())
    return seen[rule.threshold - 1] if len(seen) >= rule.threshold else None


def _lack(subject: Subject, rule: StampRule, result: int) -> None:
    end = time_of(subject.claims.monitoring_period.to, "end of the period")
    if end <= time_of(rule.since, "since"):
        return
    names = ", ".join(authority.name for authority in rule.authorities)
    subject.lack(
        "timestamps",
        "issued",
        f"time stamps of the statement by {rule.threshold} of your trusted "
        f"authorities ({names}): {result} stamped it",
        "have the operator request them again (`tonne timestamp request`) and "
        "export the pack again, or accept this with --accept no-timestamps",
        "no-timestamps",
    )


def _tail(subject: Subject, strange: list[str]) -> str:
    days, text = subject.stamped_days, ""
    if days:
        seen = [day for day in days if day.stamped is not None]
        late = [stamped_day for stamped_day in seen if stamped_day.late]
        text += f"; {len(seen)} of {len(days)} sealed days were stamped"
        text += f", {len(late)} of them later than 36 h after the day" if late else ""
    return text + "".join(f"; {why}, not counted" for why in dict.fromkeys(strange))


def _created(document: Mapping[str, Any]) -> datetime:
    created = proofs_of(document)[0]["created"]
    return time_of(created, f"created of {document.get('id')}").astimezone(UTC)


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
