"""
Time stamps of the log's heads and of issued statements by independent authorities (RFC 3161).

A head is stamped as the text that the log signs, a statement as the bytes of `statement.json`.
Each token is verified before it is stored; missing ones are requested again with each sealing
round, and by `tonne timestamp request`.

The HTTP protocol is RFC 3161, section 3.4. An evidence pack has the tokens, the stamped heads, and
the proofs below them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.client import HTTPException, HTTPMessage
from itertools import chain
from typing import IO, Final, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from psycopg import Connection

from ingest.errors import ServerError
from mrv import timestamps as tokens
from mrv.errors import EnrolmentError, LogError, TimestampError
from mrv.log import signature_lines
from mrv.log.entries import parse_receipt
from mrv.packs.pack import SEALS
from mrv.signatures import canonical
from mrv.signatures.authorities import StampRule, read_authorities
from mrv.signatures.data_integrity import time_of
from mrv.signatures.merkle_tree import inclusion_proof
from mrv.stored_tokens import Head, Place, StoredTokens, TokenSummary, summaries, write
from services.clock import now_us
from services.issuer import trust
from services.issuer.documents import documents
from services.settings import Settings, SettingsError
from services.store.statements import evidence
from services.store.statements import sealed_days as stored
from services.store.statements import transparency_log as log
from services.store.statements.sealed_days import Token

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def timestamps_file(
    conn: Connection, statement: str, seals: bytes | None, receipt: str | None
) -> bytes | None:
    """
    Return `timestamps.json` of a statement; None without time stamps.

    `seals`: content of the pack's `seals.json`.  `receipt`: log index of the statement's issue.
    """
    over, heads, chosen = _used(conn, statement, seals, receipt)
    used = [*over, *chain.from_iterable(heads.values())]
    if not used:
        return None
    sizes = list(heads)
    leaves = log.leaves(conn) if sizes else []
    number = {size: n for n, size in enumerate(sizes)}
    return write(
        StoredTokens(
            _chains(used),
            tuple(token.token for token in over),
            tuple(_head(conn, size, heads[size]) for size in sizes),
            {
                index: tuple(
                    Place(number[size], tuple(inclusion_proof(index, leaves[:size])))
                    for size in result
                )
                for index, result in chosen.items()
                if result
            },
        )
    )


def stamps_of(conn: Connection, statement: str, receipt: str | None) -> tuple[TokenSummary, ...]:
    """Return the time stamps of a statement, or of the log with its issue, as in its pack."""
    index = None if receipt is None else parse_receipt(receipt).index
    return summaries(timestamps_file(conn, statement, None, receipt), index)


def edition(conn: Connection, statement: str, receipt: str | None) -> str:
    """
    Return an identifier of a statement's `timestamps.json`, which changes if a token is
    added.
    """
    if receipt is None:
        return ""
    seals = evidence.kept(conn, statement, (SEALS,)).get(SEALS)
    over, heads, _ = _used(conn, statement, seals, receipt)
    used = chain(over, *heads.values())
    return ",".join(f"{token.digest.hex()} {token.authority}" for token in used)


def _used(
    conn: Connection, statement: str, seals: bytes | None, receipt: str | None
) -> tuple[list[Token], dict[int, list[Token]], dict[int, list[int]]]:
    """Return the statement's tokens, heads' tokens by size, and the heads that cover each entry."""
    heads = stored.of_heads(conn)
    indices = [] if seals is None else [d["index"] for d in canonical.parse_object(seals)["days"]]
    if receipt is not None:
        indices.append(parse_receipt(receipt).index)
    chosen = {index: _heads_over(index, heads) for index in indices}
    sizes = sorted({size for result in chosen.values() for size in result})
    return stored.of_statement(conn, statement), {size: heads[size] for size in sizes}, chosen


def _heads_over(index: int, heads: Mapping[int, list[Token]]) -> list[int]:
    """
    Return the sizes of heads after an entry: the first with one authority's token, the first with
    two authorities' tokens, and so on.
    """
    result: list[int] = []
    maximum = 0
    for size in sorted(size for size in heads if size > index):
        count = len({token.authority for token in heads[size]})
        if count > maximum:
            result.append(size)
            maximum = count
    return result


def _head(conn: Connection, size: int, tokens: list[Token]) -> Head:
    note = log.signed(conn, size)
    if note is None:
        raise LogError(f"the head of {size} entries is missing; restore the table log_checkpoint")
    return Head(note, tuple(token.token for token in tokens))


def _chains(tokens: Iterable[Token]) -> tuple[str, ...]:
    every = (pem for token in tokens for pem in _PEM.findall(token.chain))
    return tuple(sorted({pem.rstrip("\n") + "\n" for pem in every}))


TIMEOUT_S: Final = 10.0
_MAX_BYTES = 100_000
_GOOD = (200, 201)
_TYPE = "application/timestamp-reply"


class _NoRedirects(HTTPRedirectHandler):
    """Rejects HTTP redirects: requests are sent only to the configured authority."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        """Reject a redirect: the request fails."""


def ask(url: str, request: bytes, timeout_s: float = TIMEOUT_S) -> bytes:
    """
    Send a request; return the bytes of the answer.

    `url`: URL of the authority, http or https.  `timeout_s`: timeout of each network operation. [s]
    Raises ServerError if it cannot be reached, refuses, or answers with something else.
    """
    post = Request(  # noqa: S310 - settings take http and https alone
        url,
        data=request,
        headers={"Content-Type": "application/timestamp-query", "Accept": _TYPE},
        method="POST",
    )
    try:
        with build_opener(_NoRedirects).open(post, timeout=timeout_s) as answer:
            status, kind = answer.status, answer.headers.get_content_type()
            content: bytes = answer.read(_MAX_BYTES + 1)
    except HTTPError as error:
        raise _unavailable(url, f"it answers {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise _unavailable(
            url, str(getattr(error, "reason", error)) or type(error).__name__
        ) from error
    if status not in _GOOD or kind != _TYPE or len(content) > _MAX_BYTES:
        raise _unavailable(
            url, f"it answers {status} with {kind} of {len(content)} bytes and no token"
        )
    return content


def without_login(url: str) -> str:
    """Return a URL without user and password."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _unavailable(url: str, why: str) -> ServerError:
    return ServerError(f"time-stamp authority {without_login(url)} is not available: {why}")


# tolerance between this machine's clock and an authority's
_MAX_CLOCK_DIFFERENCE = timedelta(minutes=5)
_AT_ONCE = 100


def no_authority() -> None:
    """Return None, the policy if no time-stamp authority is configured."""


class Policy(NamedTuple):
    """
    Time-stamp authorities, accepted tokens, and whether an issue waits for them.

    `source`: origin of the policy, as text.
    """

    urls: tuple[str, ...]
    rule: StampRule
    required: bool
    source: str

    @property
    def accepted_authorities(self) -> str:
        """Return the accepted authorities: number and names."""
        names = ", ".join(authority.name for authority in self.rule.authorities)
        return f"{len(self.rule.authorities)} authorities ({names})"


@dataclass
class Stamped:
    """
    Result of requesting time stamps.

    `got`: new time stamps: subject, authority, time.  `owed`: authorities without a valid answer.
    """

    got: list[str] = field(default_factory=list)
    owed: list[str] = field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """Return new and missing time stamps as sentences."""
        return [*self.got, *self.owed]


class Subject(NamedTuple):
    """Subject of a time stamp: a head by its size, or a statement by its id."""

    message: bytes
    size: int | None
    statement: str | None

    def __str__(self) -> str:
        return self.statement or f"head of {self.size} entries"

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the subject's bytes."""
        return hashlib.sha256(self.message).digest()


def policy_of(settings: Settings) -> Policy | None:
    """
    Return the time-stamp policy of this installation; None without one.

    If the pinned trust root names authorities, only their tokens are accepted, and an issue waits
    for them; TONNE_TIMESTAMP_URLS names the servers to ask.  An invalid or expired trust root
    counts as none if that setting is empty.

    Raises SettingsError if accepted authorities are defined nowhere, or twice.  Raises
    EnrolmentError if the file or the trust root is invalid.
    """
    urls = tuple(filter(None, (settings.timestamp_urls or "").split(",")))
    file = settings.timestamp_authorities
    try:
        data = trust.kept_trust_root(settings.home)
        root = None if data is None else trust.checked(data)
    except EnrolmentError:
        if urls:
            raise
        return None
    rule = None if root is None else root.timestamps
    if rule is not None and root is not None:
        if file is not None:
            raise SettingsError(
                f"TONNE_TIMESTAMP_AUTHORITIES is {file}, and the trust root of {root.programme} "
                "also names authorities: remove the setting"
            )
        source = f"version {root.version} of the trust root of {root.programme}"
        return Policy(urls, rule, True, source)
    if not urls:
        return None
    if file is None:
        raise SettingsError(
            "TONNE_TIMESTAMP_URLS names authorities, but no authority is trusted: set "
            "TONNE_TIMESTAMP_AUTHORITIES to a file of their certificates"
        )
    try:
        rule = read_authorities(file.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"TONNE_TIMESTAMP_AUTHORITIES {file} cannot be read: {error.strerror}; name a readable "
            "file"
        ) from error
    return Policy(urls, rule, settings.timestamp_required, str(file))


def stamp(
    conn: Connection, subject: Subject, policy: Policy, asking: Callable[[str, bytes], bytes] = ask
) -> Stamped:
    """Request missing time stamps of a subject, store the answers, and return the result."""
    report = Stamped()
    had = {token.url for token in stored.of_digest(conn, subject.digest)}
    for url in policy.urls:
        if without_login(url) in had:
            continue
        try:
            token = _token(subject, url, policy, asking)
        except (ServerError, TimestampError) as error:
            report.owed.append(f"{subject} is not stamped: {error}")
            continue
        if stored.add_token(conn, token):
            report.got.append(
                f"{subject} was stamped by {token.authority} at {_moment(token.time)}"
            )
    return report


def _token(
    subject: Subject, url: str, policy: Policy, asking: Callable[[str, bytes], bytes]
) -> stored.Token:
    request = tokens.request(subject.message)
    before = datetime.fromtimestamp(now_us() / 1e6, UTC)
    answer = asking(url, request.content)
    after = datetime.fromtimestamp(now_us() / 1e6, UTC)
    rule = policy.rule
    try:
        token = tokens.verify(answer, subject.message, rule.authorities, nonce=request.nonce)
    except TimestampError as error:
        raise TimestampError(f"{without_login(url)}: {error}") from error
    if not before - _MAX_CLOCK_DIFFERENCE <= token.time <= after + _MAX_CLOCK_DIFFERENCE:
        raise TimestampError(
            f"{without_login(url)}: the token is of {_moment(token.time)}, but it was requested "
            f"at {_moment(before)} by this machine's clock: one of them is wrong; set this "
            "machine's clock, or remove that authority"
        )
    name = str(token.authority)
    chain = next(
        "".join(authority.certificates) for authority in rule.authorities if authority.name == name
    )
    return stored.Token(
        subject.digest, subject.size, subject.statement, name, token.signer,
        without_login(url), token.time,
        answer, chain, after,
    )  # fmt: skip


def of_statement(conn: Connection, statement: str) -> Subject:
    """Return a statement as a subject of time stamps: the bytes of its file in the pack."""
    return Subject(canonical.encode(documents(conn, statement).statement), None, statement)


def of_head(head: stored.HeadToStamp) -> Subject:
    """Return a head as a subject of time stamps: the text that the log signed."""
    return Subject(signature_lines(head.note)[0].encode(), head.size, None)


def before_issue(conn: Connection, statement: str, policy: Policy) -> Stamped:
    """
    Request time stamps of a statement before it is issued, and return the result.

    Raises ServerError if the issue must wait: fewer authorities stamped it than required.
    """
    report = stamp(conn, of_statement(conn, statement), policy)
    have = {token.authority for token in stored.of_statement(conn, statement)}
    known = {authority.name for authority in policy.rule.authorities}
    count, wanted = len(have & known), policy.rule.threshold
    claims = documents(conn, statement).claims
    bound = time_of(claims.monitoring_period.to, "end of the period") > time_of(
        policy.rule.since, "since"
    )
    if policy.required and bound and count < wanted:
        raise ServerError(
            f"{statement} is not issued yet because time stamps are missing: {count} of "
            f"{policy.accepted_authorities} have stamped it, {wanted} must, by {policy.source}; "
            f"{'; '.join(report.owed) or 'no other authority is in TONNE_TIMESTAMP_URLS'}; issue "
            "it again later"
        )
    return report


def request_missing(conn: Connection, policy: Policy) -> Stamped:
    """
    Request missing time stamps of the newest head that covers a seal, and of issued statements.

    Return the new time stamps, and the authorities that gave no valid answer.
    """
    report = Stamped()
    head = stored.head_to_stamp(conn, policy.rule.threshold)
    waiting = [] if head is None else [of_head(head)]
    names = stored.statements_to_stamp(conn, policy.rule.threshold)[:_AT_ONCE]
    for subject in (*waiting, *(of_statement(conn, name) for name in names)):
        done = stamp(conn, subject, policy)
        report.got += done.got
        report.owed += done.owed
        if done.owed and not done.got:
            break  # the authority does not answer, and further requests would time out as well
    return report


def waiting_s(conn: Connection, enough: int) -> float:
    """Return how long the oldest seal or issue has waited for its time stamps. [s]"""
    head = stored.head_to_stamp(conn, enough)
    return 0.0 if head is None else max(0.0, now_us() / 1e6 - head.since.timestamp())


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
