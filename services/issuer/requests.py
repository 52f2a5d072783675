"""
Requests to the signing process, and their execution.

If the API's login has the accounting role, the API executes them itself.  Otherwise it queues them
in the database, and `tonne signer` executes them; the web process can then neither sign nor write
signed rows.

Slow kinds of requests have a queue and thread of their own, so that an issue does not wait for a
close.  A request during which the process ended five times is rejected.

An issue includes time stamps: of the statement before it, of the log's head after it.
"""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection

from ingest.errors import InputError, RegistryError, ServerError
from mrv.documents.statement import claims_of
from mrv.errors import EnrolmentError, StatementStateError, VerificationError
from mrv.signatures import canonical
from mrv.signatures.keys import EnrolledKey
from mrv.statement.states import check_step
from services.issuer import close, keys, timestamps
from services.issuer import documents as steps
from services.issuer import external_signatures as accept
from services.issuer import transitions as life
from services.issuer.close import Closed
from services.issuer.cosigning import require_enough
from services.issuer.documents import Signer
from services.issuer.keys import LOG_KEY
from services.issuer.timestamps import Policy
from services.metrics import Metrics
from services.processing.registry_import import import_registry
from services.registry.files import read_bytes
from services.scraping import Background, Pulse
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import queues, statements
from services.store.statements import queues as queue
from services.store.statements.queues import Answer, Progress, Request

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


class Issued(NamedTuple):
    """Index of an issue in the log, and notes on its present and missing time stamps."""

    entry: int
    notes: tuple[str, ...]


def issue(
    conn: Connection,
    statement: str,
    log_signer: Signer,
    by: EnrolledKey | str,
    policy: Policy | None,
) -> Issued:
    """
    Issue a verified statement, have it time-stamped, and return its index in the log.

    `policy`: time-stamp authorities; None for no time stamps.  Raises ServerError if the policy
    requires time stamps that are missing.  Raises StatementStateError if it is not verified, or
    another issued statement covers part of its period.
    """
    if policy is None:
        return Issued(life.issue(conn, statement, log_signer, by), ())
    first = stamped(conn, statement, policy)
    index = life.issue(conn, statement, log_signer, by)
    then = timestamps.request_missing(conn, policy)
    return Issued(index, tuple(dict.fromkeys((*first.sentences, *then.sentences))))


def stamped(conn: Connection, statement: str, policy: Policy) -> timestamps.Stamped:
    """
    Request time stamps of a statement that can be issued, and return the result.

    Raises ServerError as for `issue`.  Raises StatementStateError if it is not verified.
    """
    check_step(statement, statements.find(conn, statement).state, "issued")
    return timestamps.before_issue(conn, statement, policy)


DEFECT = "defect"
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.01, 0.25


class Desk(NamedTuple):
    """
    Settings for the execution of requests.

    `home`: folder with the log's key. `strict`: refuse statements that use an unverified factor not
    accepted by name. `log_key`: name of the log's key. `stamps`: returns the time-stamp policy of
    an issue; None for no time stamps. `waits`: reject an issue while too few witnesses have
    cosigned the log's last head. `begun`: called at the start of each step of a request: its id,
    the step's number from 1, the number of steps, the step's name.
    """

    home: Path
    strict: bool
    log_key: str = LOG_KEY
    stamps: Callable[[], timestamps.Policy | None] = timestamps.no_authority
    waits: bool = False
    begun: Callable[[UUID, int, int, str], None] = lambda *_: None


class Done(NamedTuple):
    """Result of a request, and whether it created something."""

    created: bool
    result: dict[str, Any]


@dataclass(frozen=True)
class _Task:
    """Request with the connection and the settings of its execution."""

    conn: Connection
    request: Request
    desk: Desk

    @property
    def subject(self) -> str:
        return self.request.subject

    @cached_property
    def arguments(self) -> dict[str, Any]:
        return canonical.parse_object(self.request.content)

    def begun(self, names: Sequence[str]) -> Callable[[int, str], None]:
        """Return the function that reports the steps of a long request."""
        return lambda number, name: self.desk.begun(self.request.id, number, len(names), name)

    def log_signer(self) -> Signer:
        return life.log_signer(self.conn, self.desk.home, self.desk.log_key)

    def done(self, state: str, **more: Any) -> dict[str, Any]:
        """Return the result of a request: the statement's state, and further values."""
        return {"statement": self.subject, "state": state, **more}


def _close(task: _Task) -> dict[str, Any]:
    span = int(task.arguments["from_us"]), int(task.arguments["to_us"])
    actor, begun = task.request.actor, task.begun(close.STEPS)
    return _closed(close.close_period(task.conn, task.subject, *span, actor, begun=begun))


def _supersede(task: _Task) -> dict[str, Any]:
    reason, begun = str(task.arguments["reason"]), task.begun(close.STEPS)
    actor = task.request.actor
    return _closed(close.supersede(task.conn, task.subject, actor, reason, begun=begun))


def _closed(closed: Closed) -> dict[str, Any]:
    return {
        "statement": closed.statement,
        "state": closed.state,
        "new": closed.new,
        "reduction_t": claims_of(closed.document).emissions.reduction.t,
        "credit_t": closed.result.credit_t,
    }


def _submit(task: _Task) -> dict[str, Any]:
    draft = canonical.parse_object(statements.find(task.conn, task.subject).body)
    unmet = accept.statement(
        task.conn, task.subject, {**draft, **task.arguments},
        strict=task.desk.strict, principal=task.request.principal,
    )  # fmt: skip
    return task.done("submitted", unmet=unmet)


def _sample(task: _Task) -> dict[str, Any]:
    begun, principal = task.begun(accept.SAMPLING), task.request.principal
    drawn = accept.sampling(task.conn, task.subject, task.arguments, principal, begun=begun)
    sizes = dict(zip(("random", "by_risk", "population"), drawn, strict=True))
    return task.done("under_verification", **sizes)


def _finding(task: _Task) -> dict[str, Any]:
    event = accept.finding(task.conn, task.subject, task.arguments, task.request.principal)
    records = steps.records(task.conn, steps.documents(task.conn, task.subject))
    now = next(record for record in records if record.name == event.finding)
    return task.done("under_verification", finding=now.to_json())


def _verify(task: _Task) -> dict[str, Any]:
    begun, principal = task.begun(accept.VERIFYING), task.request.principal
    return task.done(accept.verification(task.conn, task.subject, task.arguments, principal, begun))


def _approve(task: _Task) -> dict[str, Any]:
    count = accept.approval(task.conn, task.subject, task.arguments, task.request.principal)
    return task.done("verified", approvals=count)


def _issue(task: _Task) -> dict[str, Any]:
    if task.desk.waits:
        require_enough(task.conn)
    signer = task.log_signer()
    notes: list[str] = []
    policy = task.desk.stamps()
    if policy is not None:
        # the sealer, not this process, requests the head's time stamp, as the log may still be
        # locked here
        try:
            notes = stamped(task.conn, task.subject, policy).sentences
        except ServerError as error:
            raise StatementStateError(str(error)) from error
    index = life.issue(task.conn, task.subject, signer, task.request.actor)
    return task.done("issued", log_index=index, notes=notes)


def _revoke(task: _Task) -> dict[str, Any]:
    reason, actor = str(task.arguments["reason"]), task.request.actor
    index = life.revoke(task.conn, task.subject, task.log_signer(), actor, reason)
    return task.done("revoked", log_index=index)


def _registry(task: _Task) -> dict[str, Any]:
    data, confirmed = b64decode(str(task.arguments["file"])), str(task.arguments["shown"])
    try:
        incoming = read_bytes(str(task.arguments["name"]), data)
        planned = import_registry(
            task.conn, incoming, author=task.request.actor, confirmed=confirmed
        )
    except RegistryError as error:
        raise InputError(str(error)) from error
    if planned.refused:
        errors = [text for row in planned.results for text in row.messages if row.result == "error"]
        raise InputError(f"nothing was imported: {errors[0]}; {len(errors) - 1} more errors")
    return {"sha256": task.subject, "written": len(planned.changes)}


def _status_list(task: _Task) -> dict[str, Any]:
    accept.status_list(task.conn, task.subject, task.arguments, task.request.principal)
    return {"project": task.subject, "valid_from": task.arguments["validFrom"]}


_EXECUTORS: dict[str, Callable[[_Task], dict[str, Any]]] = {
    "close": _close,
    "supersede": _supersede,
    "submit": _submit,
    "sample": _sample,
    "finding": _finding,
    "verify": _verify,
    "approve": _approve,
    "issue": _issue,
    "revoke": _revoke,
    "status-list": _status_list,
    "registry": _registry,
}
KINDS = tuple(_EXECUTORS)
# kinds of requests that change the state of a statement and create no new object
CHANGING = ("issue", "revoke")
# kinds of requests that calculate from readings, which takes seconds to minutes
LONG = ("close", "supersede", "sample", "verify")
# kinds of requests that may be repeated, as closing a period again gives the same draft; they use
# transactions of their own
REPEATABLE = ("close", "supersede")
# kinds of requests that read one snapshot of the database
SNAPSHOT = ("sample", "verify")

_ERRORS: dict[str, type[Exception]] = {
    item.__name__: item
    for item in (StatementStateError, VerificationError, EnrolmentError, RegistryError,
                InputError, ServerError)
}  # fmt: skip


def do(conn: Connection, request: Request, desk: Desk) -> Done:
    """
    Execute a request and return its result.

    `conn`: as `tonne_mrv`; in autocommit, or in a snapshot's transaction for a kind of `SNAPSHOT`.
    Raises TonneError as the steps of a statement's life raise.
    """
    result = _EXECUTORS[request.kind](_Task(conn, request, desk))
    return Done(bool(result.get("new", request.kind not in CHANGING)), result)


def awaited(conn: Connection, id_: UUID, patience_s: float) -> Answer | None:
    """
    Return the answer of a request; None if there is none within `patience_s`.

    `conn` is in autocommit.
    """
    until_s, pause_s = time.monotonic() + patience_s, _FIRST_PAUSE_S
    while (answer := queue.answer_of(conn, id_)) is None and time.monotonic() < until_s:
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LAST_PAUSE_S)
    return answer


def elsewhere(conn: Connection, home: Path, name: str = LOG_KEY) -> bool:
    """Return whether the log's key is enrolled but not stored here: the signer's machine has it."""
    logs = [enrolment.key for enrolment in enrolled.load(conn) if enrolment.key.role == "log"]
    here = keys.names(home)
    return bool(logs) and logs[-1].name not in here and name not in here


def named(error: Exception) -> str:
    """
    Return the name of an error's class as in answers; `DEFECT` for a class without a
    name there.
    """
    return next((name for name, kind in _ERRORS.items() if isinstance(error, kind)), DEFECT)


def kind_of(answer: Answer) -> type[Exception]:
    """Return the class of the error in an answer; RuntimeError for a defect of tonne."""
    return _ERRORS.get(answer.error or "", RuntimeError)


# --- the queue ---------------------------------------------------------------------------

_READ_EVERY_S = 5.0
_MAX_ATTEMPTS = 5
_RETRIED_ERRORS = (
    ServerError,
    psycopg.OperationalError,
    psycopg.errors.UniqueViolation,  # another process took this step in the meantime
)
STEPS = "steps"
LANES = {STEPS: tuple(kind for kind in KINDS if kind not in LONG), "accounts": LONG}


class Runner(Background):
    """
    Executes requests in its own threads until it is stopped.

    `url`: database; the login must be granted `tonne_mrv`.  `pulse`: health signal of a process
    that does nothing else.
    """

    # no time limit, as an interrupted wait would leave the current request unanswered
    patience_s = None

    def __init__(
        self,
        url: str,
        desk: Desk,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        pulse: Pulse | None = None,
    ) -> None:
        self._url, self._metrics = url, metrics
        self._desk = desk._replace(begun=self._store_progress)
        self._log, self._pulse = log, pulse
        for kind in KINDS:
            for result in ("done", "refused", "failed", "again"):
                metrics.signer_requests.labels(kind, result)  # published from the start, with 0
        super().__init__({name: partial(self._serve, name, of) for name, of in LANES.items()})

    def _serve(self, name: str, of: Sequence[str]) -> None:
        while not self._stopping.is_set():
            try:
                with connect(
                    self._url, role="tonne_mrv", name="tonne signer", autocommit=True
                ) as conn:
                    conn.execute(f"LISTEN {queue.CHANNEL}".encode())
                    self._answer_all(conn, name, of)
            except (ServerError, psycopg.Error) as error:
                self._log.warning("queue not read", error=" ".join(str(error).split())[:300])
                self._rest(name, _READ_EVERY_S)

    def _answer_all(self, conn: Connection, name: str, of: Sequence[str]) -> None:
        while not self._stopping.is_set():
            self._beat(name)
            while not self._stopping.is_set() and self.once(conn, of):
                self._beat(name)
            # a notification ends the wait; the queue is also read without one
            for _ in conn.notifies(timeout=_READ_EVERY_S / 5, stop_after=1):
                pass

    def _store_progress(self, id_: UUID, number: int, of: int, step: str) -> None:
        """Store the progress of a request outside its transaction; failures are ignored."""
        try:
            with connect(self._url, role="tonne_mrv", name="tonne signer", autocommit=True) as conn:
                queues.store_progress(conn, id_, Progress(number - 1, of, step))
        except (ServerError, psycopg.Error) as error:
            self._log.warning("progress not stored", error=" ".join(str(error).split())[:300])

    def _beat(self, name: str) -> None:
        # only the thread of short requests gives the health signal, as a close may take minutes
        if self._pulse is not None and name == STEPS:
            self._pulse.beat(name)

    def _rest(self, name: str, pause_s: float) -> None:
        if self._pulse is not None and name == STEPS:
            self._pulse.pause(name, pause_s, self._stopping)
        else:
            self._stopping.wait(pause_s)

    def once(self, conn: Connection, of: Sequence[str] = KINDS) -> bool:
        """Execute the next request of given kinds; return whether there was one."""
        with queue.taken(conn, of) as request:
            if request is None:
                return False
            self._do(conn, request, queue.begin(conn, request.id))
            return True

    def _do(self, conn: Connection, request: Request, attempt: int) -> None:
        entry = self._log.bind(request=str(request.id), kind=request.kind, subject=request.subject)
        if attempt > _MAX_ATTEMPTS:
            entry.error("given up", attempts=attempt - 1)
            why = (
                f"the request was started {attempt - 1} times and did not end; see the signer's log"
            )
            self._refuse(conn, request, named(ServerError()), why)
            return
        try:
            self._done(conn, request)
        except _RETRIED_ERRORS as error:
            reason = " ".join(str(error).split())[:300]
            self._count(request, "again")
            entry.warning("to be done again", attempt=attempt, reason=reason)
        except InputError as error:
            entry.info("refused", reason=" ".join(str(error).split())[:300], actor=request.actor)
            self._refuse(conn, request, named(error), str(error))
        except Exception as error:  # noqa: BLE001 - one request must not end the signer
            number = uuid4().hex
            entry.error("defect", number=number, exc_info=error)
            self._refuse(conn, request, DEFECT, number)
        else:
            self._count(request, "done")
            entry.info("done", actor=request.actor)

    def _done(self, conn: Connection, request: Request) -> None:
        with nullcontext() if request.kind in REPEATABLE else conn.transaction():
            if request.kind in SNAPSHOT:
                conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            done = do(conn, request, self._desk)
            queue.answer(conn, request.id, done.result, created=done.created)

    def _refuse(self, conn: Connection, request: Request, error: str, detail: str) -> None:
        self._count(request, "refused" if error != DEFECT else "failed")
        queue.refuse(conn, request.id, error, detail)

    def _count(self, request: Request, result: str) -> None:
        self._metrics.signer_requests.labels(request.kind, result).inc()
