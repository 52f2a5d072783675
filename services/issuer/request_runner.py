"""
Execution of the signer's queued requests, one after another in each lane's thread.

Slow kinds of requests have their own lane, so that an issue does not wait for a close. A request
that ends the process three times, or waits a minute for an unreachable server, gets that answer and
is not tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import psycopg
from psycopg import Connection

from ingest.errors import InputError, ServerError
from services.background import Background
from services.issuer import requests as kinds
from services.issuer.requests import Desk
from services.metrics import Metrics
from services.scraping import Pulse
from services.store.postgres.pool import connect
from services.store.statements import file_jobs
from services.store.statements import signer_requests as queue
from services.store.statements.file_jobs import Progress
from services.store.statements.signer_requests import Request

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


_LOOK_S = 5.0
_MOST_ATTEMPTS = 5
_AGAIN = (
    ServerError,
    psycopg.OperationalError,
    psycopg.errors.UniqueViolation,  # somebody did another step between
)
STEPS = "steps"
LANES = {
    STEPS: tuple(kind for kind in kinds.KINDS if kind not in kinds.LONG),
    "accounts": kinds.LONG,
}


class Runner(Background):
    """
    Executes requests in its own threads until it is stopped.

    Parameters
    ----------
    url : str
        Database; the login must be granted `tonne_mrv`.
    pulse : Pulse, optional
        Health signal of a process that does nothing else.
    """

    patience_s = None  # the current request is answered

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
        self._desk = desk._replace(begun=self._tell)
        self._log, self._pulse = log, pulse
        for kind in kinds.KINDS:
            for result in ("done", "refused", "failed", "again"):
                metrics.signer_requests.labels(kind, result)  # told of from the start, as 0
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
                self._rest(name, _LOOK_S)

    def _answer_all(self, conn: Connection, name: str, of: Sequence[str]) -> None:
        while not self._stopping.is_set():
            self._beat(name)
            while not self._stopping.is_set() and self.once(conn, of):
                self._beat(name)
            # told of at once; looked for all the same
            for _ in conn.notifies(timeout=_LOOK_S / 5, stop_after=1):
                pass

    def _tell(self, id_: UUID, number: int, of: int, step: str) -> None:
        """Store the progress of a request outside its transaction; failures are ignored."""
        try:
            with connect(self._url, role="tonne_mrv", name="tonne signer", autocommit=True) as conn:
                file_jobs.tell(conn, id_, Progress(number - 1, of, step))
        except (ServerError, psycopg.Error) as error:
            self._log.warning("progress not stored", error=" ".join(str(error).split())[:300])

    def _beat(self, name: str) -> None:
        # a close may take minutes: that is not standstill
        if self._pulse is not None and name == STEPS:
            self._pulse.beat(name)

    def _rest(self, name: str, pause_s: float) -> None:
        if self._pulse is not None and name == STEPS:
            self._pulse.pause(name, pause_s, self._stopping)
        else:
            self._stopping.wait(pause_s)

    def once(self, conn: Connection, of: Sequence[str] = kinds.KINDS) -> bool:
        """Execute the next request of given kinds; return whether there was one."""
        with queue.taken(conn, of) as request:
            if request is None:
                return False
            self._do(conn, request, queue.begin(conn, request.id))
            return True

    def _do(self, conn: Connection, request: Request, attempt: int) -> None:
        entry = self._log.bind(request=str(request.id), kind=request.kind, subject=request.subject)
        if attempt > _MOST_ATTEMPTS:
            entry.error("given up", attempts=attempt - 1)
            why = f"it was started {attempt - 1} times and did not end; see the log of the signer"
            self._refuse(conn, request, kinds.named(ServerError()), why)
            return
        try:
            self._done(conn, request)
        except _AGAIN as error:
            reason = " ".join(str(error).split())[:300]
            self._count(request, "again")
            entry.warning("to be done again", attempt=attempt, reason=reason)
        except InputError as error:
            entry.info("refused", reason=" ".join(str(error).split())[:300], actor=request.actor)
            self._refuse(conn, request, kinds.named(error), str(error))
        except Exception as error:  # noqa: BLE001 - one request must not end the signer
            number = uuid4().hex
            entry.error("defect", number=number, exc_info=error)
            self._refuse(conn, request, kinds.DEFECT, number)
        else:
            self._count(request, "done")
            entry.info("done", actor=request.actor)

    def _done(self, conn: Connection, request: Request) -> None:
        if request.kind in kinds.REPEATABLE:
            done = kinds.do(conn, request, self._desk)
            queue.answer(conn, request.id, done.result, created=done.created)
            return
        with conn.transaction():
            if request.kind in kinds.SNAPSHOT:
                conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            done = kinds.do(conn, request, self._desk)
            queue.answer(conn, request.id, done.result, created=done.created)

    def _refuse(self, conn: Connection, request: Request, error: str, detail: str) -> None:
        self._count(request, "refused" if error != kinds.DEFECT else "failed")
        queue.refuse(conn, request.id, error, detail)

    def _count(self, request: Request, result: str) -> None:
        self._metrics.signer_requests.labels(request.kind, result).inc()
