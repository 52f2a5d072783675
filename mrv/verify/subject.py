"""Data common to the steps of a verification: inputs of the reader, and documents read so far."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from ingest.errors import InputError
from ingest.model import Fleet
from mrv.calendar import instant_us
from mrv.documents import read
from mrv.documents.statement import Claims, claims_of
from mrv.documents.verification import Conclusion, Verification
from mrv.errors import CanonicalError, MrvError
from mrv.factors.ledger import book_of
from mrv.log.entries import Checkpoint
from mrv.log.witness import Cosignature, Policy, read_policy
from mrv.packs import MAX_YEARS, too_much
from mrv.packs.pack import (
    APPROVALS,
    DIGESTS,
    FACTORS,
    MANIFEST,
    PLAN,
    RECEIPT,
    STATEMENT,
    VERIFICATION,
    Pack,
    PackReadings,
    issued_at,
    rows_of,
)
from mrv.packs.reader import is_part_of, read_file
from mrv.parameters import USUAL, RequiredGrades
from mrv.signatures import canonical
from mrv.signatures.authorities import StampRule, read_authorities
from mrv.signatures.data_integrity import time_of
from mrv.signatures.day_digests import DayLeaf, differences
from mrv.signatures.keys import EnrolledKey, Role
from mrv.signatures.trust_root import IssueRule, Trust, read_trusted
from mrv.signed_values.meter_keys import OwnKeys, read_own_keys
from mrv.statement.evidence import of_claims
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.plan_reader import read_plan
from mrv.statement.states import lasts, list_id
from mrv.verify.report import Missing, SealedArrival, StampedDay, StampedStatement

_MAX_NAMED = 3


class NotApplicableError(Exception):
    """A step needs a document that this statement does not have yet."""


class NotCheckedError(Exception):
    """A step needs an input that the reader did not supply."""


@dataclass
class Subject:
    """
    A pack under verification.

    Inputs:
    `trusted`: the reader's keys, None if not given; `source`: their origin.
    `at`: time of verification.
    `status`, `status_lists`: status lists, given and stored with the keys.
    `required_grades`, `issue_rule`: the programme's grades of evidence and number of approvals.
    `authorities`: trusted time-stamp authorities.
    `policies`: required witnesses.
    `meter_keys`: the reader's keys of meters and gateways.
    `roots`: the programme's own keys.

    Results of steps:
    `ring`: verified keys.
    `arrived`: arrival of readings by the seals.
    `lacking`: missing evidence.
    `stamped`, `stamped_days`: time stamps.
    """

    pack: Pack
    trusted: tuple[EnrolledKey, ...] | None = None
    ring: tuple[EnrolledKey, ...] = field(default=())
    status: bytes | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    source: str = ""
    status_lists: tuple[bytes, ...] = ()
    lacking: list[Missing] = field(default_factory=list)
    issue_rule: IssueRule | None = None
    required_grades: RequiredGrades = USUAL
    arrived: list[SealedArrival] = field(default_factory=list)
    head: Checkpoint | None = None
    witnesses: tuple[Cosignature, ...] = ()
    policies: tuple[Policy, ...] = ()
    authorities: StampRule | None = None
    stamped: StampedStatement | None = None
    stamped_days: list[StampedDay] = field(default_factory=list)
    meter_keys: OwnKeys | None = None
    roots: tuple[str, ...] = ()

    @cached_property
    def statement(self) -> dict[str, Any]:
        """Return the JSON object of `statement.json`."""
        if STATEMENT not in self.pack.files:
            raise CanonicalError(f"the pack has no {STATEMENT}; get the pack again")
        return canonical.parse_object(self.pack.files[STATEMENT])

    @cached_property
    def verification(self) -> dict[str, Any] | None:
        """Return the verifier's credential; None before the verification."""
        data = self.pack.files.get(VERIFICATION)
        return None if data is None else canonical.parse_object(data)

    @cached_property
    def receipt(self) -> str | None:
        """Return the text of the log's receipt; None before the issue."""
        data = self.pack.files.get(RECEIPT)
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise CanonicalError("receipt.txt is not UTF-8; get the pack again") from error

    @cached_property
    def issued(self) -> datetime | None:
        """Return the time of issue by the clock of the log; None before it, and without a pack."""
        text = None if self.receipt is None else issued_at(self.pack.files.get(MANIFEST))
        return None if text is None else time_of(text, f"issued of {MANIFEST}").astimezone(UTC)

    @cached_property
    def approvals(self) -> list[dict[str, Any]]:
        """Return the signed approvals of the issue."""
        data = self.pack.files.get(APPROVALS)
        if data is None:
            return []
        result = canonical.parse(data)
        if (
            not isinstance(result, list)
            or not result
            or not all(isinstance(x, dict) for x in result)
        ):
            raise CanonicalError(f"{APPROVALS} is not a list of approvals; get the pack again")
        return result

    @cached_property
    def lists(self) -> tuple[dict[str, Any], ...]:
        """Return the status list given, and those of this project in the trusted keys."""
        return tuple(document for _, document in self.named_lists)

    @cached_property
    def named_lists(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Return status lists, each with its source."""
        entered = () if self.status is None else (("given", canonical.parse_object(self.status)),)
        own = list_id(self.claims.project.id)
        kept = enumerate(map(canonical.parse_object, self.status_lists))
        mine = ((f"statusLists[{n}] of your keys", document) for n, document in kept)
        return (*entered, *(entry for entry in mine if entry[1].get("id") == own))

    @property
    def stated(self) -> Mapping[str, Any]:
        """Return the statement's `credentialSubject` as in its file, of any form."""
        result = self.statement.get("credentialSubject")
        if not isinstance(result, dict):
            raise CanonicalError("statement.json has no credentialSubject; get the pack again")
        return result

    @cached_property
    def claims(self) -> Claims:
        """
        Return the claims of the statement.

        Raises CanonicalError with the path of an invalid field.
        """
        return claims_of(self.statement, STATEMENT)

    @cached_property
    def conclusion(self) -> Conclusion | None:
        """
        Return the conclusions of the verifier; None without a verification.

        Raises CanonicalError as for `claims`.
        """
        if self.verification is None:
            return None
        return read(Verification, self.verification, VERIFICATION).credential_subject

    @property
    def state(self) -> str:
        """Return the state of the statement according to the documents present."""
        if "proof" not in self.statement:
            return "draft"
        if self.verification is None:
            return "submitted"
        return "verified" if self.receipt is None else "issued"

    @cached_property
    def plan(self) -> MonitoringPlan:
        """Return the registry extract of `plan.json`."""
        plan, budget = read_plan(canonical.parse_object(self.pack.files[PLAN])), self.pack.budget
        if len(plan.devices) > budget.devices:
            raise too_much("devices of plan.json", len(plan.devices), budget.devices)
        return plan

    @cached_property
    def period_us(self) -> tuple[int, int]:
        """Return the period, half-open. [us UTC] Raises CanonicalError if it is too long."""
        period = self.claims.monitoring_period
        begin, end = instant_us(period.from_, "UTC"), instant_us(period.to, "UTC")
        if end - begin > MAX_YEARS * 366 * 86_400_000_000:
            raise CanonicalError(
                f"the period {period.from_} to {period.to} is longer than {MAX_YEARS} years; have "
                "the operator close shorter periods"
            )
        return begin, end

    @cached_property
    def fleet(self) -> Fleet:
        """Return the devices of the plan."""
        return self.plan.fleet()

    @cached_property
    def leaves(self) -> dict[str, list[DayLeaf]]:
        """Return the leaves of `digests.json` by table: `readings` and `intervals`."""
        record = canonical.parse_object(self.pack.files[DIGESTS])
        if record.keys() != {"readings", "intervals"} or not all(
            isinstance(listed, list) for listed in record.values()
        ):
            raise CanonicalError(
                "digests.json must list readings and intervals, without other keys; get the "
                "pack again"
            )
        return {name: [DayLeaf.from_json(x) for x in listed] for name, listed in record.items()}

    @cached_property
    def factor_records(self) -> list[dict[str, Any]]:
        """Return the JSON objects of `factors.json`."""
        result = canonical.parse(self.pack.files[FACTORS])
        if not isinstance(result, list) or not all(
            isinstance(document, dict) for document in result
        ):
            raise CanonicalError("factors.json is not a list of factors; get the pack again")
        return result

    @cached_property
    def case(self) -> Case:
        """Return all evidence, in the form of the operator's close."""
        begin, end = self.period_us
        return Case(
            plan=self.plan,
            frames=PackReadings(self.pack, self.fleet, (begin, end)),
            rows=rows_of(self.pack, self.fleet),
            check_leaves=self._check_leaves,
            from_us=begin,
            to_us=end,
            factors=book_of(self.factor_records),
            recheck=True,
            metering=of_claims(self.claims),
        )

    @cached_property
    def _signed_leaves(self) -> dict[str, list[DayLeaf]]:
        signed_leaves: dict[str, list[DayLeaf]] = {}
        for leaf in self.leaves["readings"]:
            signed_leaves.setdefault(leaf.device, []).append(leaf)
        return signed_leaves

    def _check_leaves(self, leaves: Sequence[DayLeaf]) -> None:
        """
        Check readings against digests.json, device by device.

        Raises CanonicalError if they differ.
        """
        devices = dict.fromkeys(leaf.device for leaf in leaves)
        signed = [leaf for device in devices for leaf in self._signed_leaves.get(device, ())]
        tables = {leaf.table for leaf in leaves}
        signed = [leaf for leaf in signed if leaf.table in tables]
        if signed != leaves:
            refuse_differences(signed, leaves)

    def needs_evidence(self) -> None:
        """Raise NotApplicableError if the statement has no evidence."""
        if self.pack.bare:
            raise NotApplicableError("the file is a statement without its evidence pack")

    def needs_keys(self, *roles: Role) -> None:
        """Raise NotCheckedError if the reader trusts no key of a required role."""
        have = {key.role for key in self.ring}
        lacks = [role for role in roles if role not in have]
        if lacks:
            raise NotCheckedError(
                f"your trusted keys include no key of {' and '.join(map(a, lacks))}; add it to "
                "the file of --keys"
            )

    def lack(self, code: str, state: str, what: str, remedy: str, waiver: str = "") -> None:
        """Record missing evidence for a reader who requires that state or a later one."""
        self.lacking.append(Missing(code, state, what, remedy, waiver))


def refuse_differences(expected: Iterable[DayLeaf], actual: Iterable[DayLeaf]) -> None:
    """
    Check that evidence equals digests.json.

    Raises CanonicalError with the device-days that differ.
    """
    refuse(differences(expected, actual), "differs from digests.json")


def refuse(result: Sequence[object], what: str) -> None:
    """Raise CanonicalError that states the first of the differences, if there are any."""
    if result:
        named = "; ".join(str(item) for item in result[:_MAX_NAMED])
        more = f"; and {len(result) - _MAX_NAMED} more" if len(result) > _MAX_NAMED else ""
        raise CanonicalError(f"the evidence {what}: {named}{more}; get the pack again")


def a(role: str) -> str:
    """Return the name of a role with its indefinite article."""
    return f"an {role}" if role == "operator" else f"a {role}"


# maximum time by which another reader's clock may be ahead
_AHEAD = timedelta(minutes=5)


def time_of_check(text: str | None) -> datetime:
    """
    Return the time of `--at`, in UTC; the current time if absent.

    Raises InputError if it is not a time with an offset, is outside the range of UTC, or is in the
    future.
    """
    now = datetime.now(UTC)
    if text is None:
        return now
    try:
        at = time_of(text, "--at").astimezone(UTC)
    except OverflowError as error:
        raise InputError(
            f"--at is {text!r}, which is not between the years 1 and 9999 in UTC; pass another time"
        ) from error
    if at > now + _AHEAD:
        raise InputError(
            f"--at is {text}, but now it is {now:%Y-%m-%dT%H:%M:%SZ}: the time is "
            "in the future; omit --at for the present, or pass a past time"
        )
    return at


def own_keys(file: str, pack: str, at: datetime) -> Trust:
    """
    Return the keys that a reader trusts; keys inside the pack are rejected.

    Raises InputError if the file is in the pack under verification, cannot be read, is neither a
    trust root nor a keyring, or contains an invalid status list.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--keys {file} is part of the pack, so its creator chose the keys; pass "
            "keys that you obtained from operator, verifier and log, or omit --keys "
            "to check the pack alone"
        )
    trust = read_trusted(given(file, "--keys"), at)
    if trust.log_policy is not None:
        _policy(trust.log_policy.encode("utf-8", "surrogatepass"), f"--keys {file}, logPolicy")
    for place, kept in enumerate(trust.status_lists):
        try:
            lasts(canonical.parse_object(kept))
        except InputError as error:
            raise InputError(
                f"--keys {file}: statusLists[{place}] is not a status list: {error}; remove it, or "
                "replace it by the newest from the operator"
            ) from error
    return trust


def own_policy(file: str, pack: str) -> Policy:
    """
    Return the policy of `--policy`: witnesses whose cosignatures the reader requires.

    Raises InputError if the file is in the pack under verification, or is not a policy.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--policy {file} is part of the pack, so its creator chose the witnesses; pass your "
            "own policy"
        )
    return _policy(given(file, "--policy"), f"--policy {file}")


def _policy(data: bytes, where: str) -> Policy:
    try:
        return read_policy(data)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def own_authorities(file: str, pack: str) -> StampRule:
    """
    Return the time-stamp authorities that a reader trusts; those inside the pack are rejected.

    Raises InputError if the file is in the pack under verification, cannot be read, or contains no
    certificate.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--authorities {file} is part of the pack, so its creator chose the authorities; pass "
            "certificates that you obtained from the authorities"
        )
    try:
        return read_authorities(given(file, "--authorities"))
    except MrvError as error:
        raise InputError(f"--authorities {file}: {error}") from error


def own_meter_keys(file: str, pack: str) -> OwnKeys:
    """
    Return the keys of `--meter-keys`: public keys of meters and gateways.

    Raises InputError if the file is in the pack under verification, or a line is not a name with a
    key.
    """
    if is_part_of(file, pack):
        raise InputError(
            f"--meter-keys {file} is part of the pack, so its creator chose the keys; pass the "
            "keys on the meters' labels or in the manufacturers' lists"
        )
    try:
        return read_own_keys(given(file, "--meter-keys").decode("utf-8", "replace"))
    except MrvError as error:
        raise InputError(f"--meter-keys {file}: {error}") from error


def given(file: str, option: str) -> bytes:
    """Return the bytes of an option's file. Raises InputError if it cannot be read."""
    try:
        return read_file(file)
    except OSError as error:
        raise InputError(f"{option} {file}: {error.strerror}; pass a file to read") from error
