"""
Seal from time to time, beside a pipeline or alone.

It never disturbs what it runs beside: a database that is away, a missing key or
a change by hand is logged, and tried again with the next round.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psycopg
from structlog.typing import FilteringBoundLogger

from ingest.errors import InputError, ServerError
from services.clock import now_us
from services.issuer import timestamps
from services.issuer import transitions as life
from services.issuer.seal import seal
from services.metrics import Metrics
from services.scraping import Pulse
from services.store.postgres.pool import connect

EVERY_S = 3_600
# a pipeline that starts has better things to do first
FIRST_S = 600
PULSE = "sealing"


class Sealer:
    """
    Seals in a thread of its own until it is stopped.

    Parameters
    ----------
    url : str
        Database.
    home : Path
        Where the log's key is; it is made the first time.
    key : str
        Its name.
    every_s : float
        Pause between two rounds. [s]
    pulse : Pulse, optional
        Of a process that does nothing else: it moves as long as rounds end, well or not.
    stamps : callable
        Says after each round which authorities stamp the log's heads; None for none.
    first_s : float
        Pause before the first round. [s]
    """

    def __init__(
        self,
        url: str,
        home: Path,
        key: str,
        every_s: float,
        metrics: Metrics,
        log: FilteringBoundLogger,
        *,
        pulse: Pulse | None = None,
        stamps: Callable[[], timestamps.Policy | None] = timestamps.no_authority,
        first_s: float = FIRST_S,
    ) -> None:
        self._url, self._home, self._key, self._every_s = url, home, key, every_s
        self._metrics, self._log, self._pulse = metrics, log, pulse
        self._first_s, self._stamps = first_s, stamps
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._later, name="sealer", daemon=True)

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop; a round that is under way ends with its transaction."""
        self._stopping.set()
        self._thread.join(timeout=5)

    def _later(self) -> None:
        self._stopping.wait(self._first_s)
        self.run()

    def run(self) -> None:
        """Seal now, and then from time to time, until stopped."""
        while not self._stopping.is_set():
            self.once()
            if self._pulse is not None:
                self._pulse.pause(PULSE, self._every_s, self._stopping)
            else:
                self._stopping.wait(self._every_s)

    def once(self) -> None:
        """Seal what is due; what prevents it is logged and counted."""
        try:
            with connect(self._url, role="tonne_mrv", name="tonne sealer", autocommit=True) as conn:
                signer = life.log_signer(conn, self._home, self._key)
                report = seal(conn, signer, now_us())
        except (InputError, ServerError, psycopg.Error) as error:
            self._metrics.seal_failures.inc()
            self._log.warning("not sealed", reason=" ".join(str(error).split()))
            return
        self._metrics.sealed_days.inc(report.days + report.again)
        self._metrics.seal_refused.set(len(report.refused))
        self._metrics.seal_late.set(report.late_s)
        self._metrics.seal_time.set(now_us() / 1e6)
        self._stamp()
        for what in report.refused[:10]:
            self._log.error("changed by hand, not sealed", what=what)
        for what in report.late[:10]:
            self._log.warning("late, waits until that is settled", what=what)
        for what in report.corrections:
            self._log.warning("issued statement to be corrected", what=what)
        if report.days or report.again or report.entries:
            self._log.info("sealed", days=report.days, again=report.again, also=report.entries)

    def _stamp(self) -> None:
        """Ask for time stamps of new seals; the next round asks again who was away."""
        try:
            policy = self._stamps()
            if policy is None:
                return
            enough = policy.rule.threshold
            with connect(self._url, role="tonne_mrv", name="tonne stamps", autocommit=True) as conn:
                done = timestamps.request_missing(conn, policy)
                self._metrics.timestamp_waiting.set(timestamps.waiting_s(conn, enough))
        except (InputError, ServerError, psycopg.Error) as error:
            self._metrics.timestamp_failures.inc()
            self._log.warning("not stamped", reason=" ".join(str(error).split()))
            return
        self._metrics.timestamp_failures.inc(len(done.owed))
        for what in done.owed:
            self._log.warning("not stamped", reason=what)
        for what in done.got:
            self._log.info("stamped", what=what)
