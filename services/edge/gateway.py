"""`tonne edge`: sources that record, an uplink that forwards, a line of status a minute."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

from structlog.typing import FilteringBoundLogger

from ingest.errors import ServerError
from ingest.mqtt.tls import Tls
from services.edge import identity
from services.edge.config import Config, CsvFolder, LocalMqtt
from services.edge.corrected_clock import Clock
from services.edge.csv_folder import Folder
from services.edge.identity import Renewal
from services.edge.local_mqtt import Listener
from services.edge.metrics import GatewayMetrics, registry
from services.edge.outbox import Outbox
from services.edge.poller import pollers
from services.edge.recorder import Recorder
from services.edge.signing import Signer
from services.edge.uplink import Link
from services.pulse import Pulse
from services.scraping import serving

_STEP_S = 0.1
_WORD_S = 60.0
_JOIN_S = 10.0


class Gateway:
    """
    One running gateway.

    Parameters
    ----------
    config : Config
    adopt : bool
        Take over an outbox that another machine made.
    """

    def __init__(self, config: Config, log: FilteringBoundLogger, *, adopt: bool = False) -> None:
        self._log, self._stopping, self._pulse = log, threading.Event(), Pulse()
        self._outbox = Outbox(
            Path(config.outbox), config.limit_mb << 20, config.when_full, adopt=adopt
        )
        clock = Clock()
        self._recorder = Recorder(self._outbox, clock, log)
        if config.identity is not None:
            identity.settle(Path(config.identity))
        tls = Tls() if config.identity is None else Tls.of(Path(config.identity))
        firmware = f"tonne-edge {version('tonne')}"
        signer = None if config.signing is None else Signer(config.gateway, config.signing)
        if signer is not None:
            log.info("signing", key=signer.public_key)
        self._link = Link(
            config.gateway, config.broker, tls, self._outbox, clock, firmware, log, signer
        )
        self._threads: list[threading.Thread] = []
        if config.identity is not None and config.enrolment is not None:
            self._threads.append(
                Renewal(
                    Path(config.identity),
                    config.enrolment,
                    config.gateway,
                    self._link.renewed,
                    self._stopping,
                    log,
                )
            )
        polled = [s for s in config.sources if not isinstance(s, LocalMqtt | CsvFolder)]
        self._threads += pollers(polled, self._recorder, self._stopping)
        self._sources = len(config.sources)
        for source in config.sources:
            if isinstance(source, LocalMqtt):
                self._threads.append(
                    Listener(source, config.gateway, self._recorder, self._stopping)
                )
            elif isinstance(source, CsvFolder):
                self._threads.append(Folder(source, self._recorder, self._stopping))

    def scraped(self, bind: str, stack: ExitStack) -> None:
        """
        Answer scrapes at `bind` for as long as `stack` stands; empty answers none.

        Where the port is taken it goes on without: what is not recorded is gone.
        """
        metrics = GatewayMetrics(self._outbox, self._recorder, self._link)
        try:
            stack.enter_context(serving(registry(metrics), self._pulse, bind))
        except ServerError as error:
            self._log.error("no metrics", error=str(error))
        else:
            self._log.info("metrics", bind=bind or "off")

    def stop(self) -> None:
        """Ask to leave; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> None:
        """Record and forward until `stop` is set; what waits stays on disk."""
        if self._outbox.set_aside is not None:
            self._log.error(
                "the outbox was spoilt: what could be read goes on, the rest is set aside",
                rescued=self._outbox.count(),
                file=str(self._outbox.set_aside),
            )
        self._log.info("recording", sources=self._sources, waiting=self._outbox.count())
        for thread in self._threads:
            thread.start()
        word_s = time.monotonic() + _WORD_S
        try:
            while not self._stopping.is_set():
                self._pulse.beat("forwarding")
                self._step()
                if time.monotonic() > word_s:
                    word_s += _WORD_S
                    self._word()
        finally:
            self._stopping.set()
            self._link.close()
            for thread in self._threads:
                thread.join(_JOIN_S)
            self._word()
            self._outbox.close()

    def _step(self) -> None:
        try:
            self._link.step(_STEP_S)
        except sqlite3.Error as error:
            # a full disk: the sources go on as their policy says, and receipts come again
            self._recorder.fault("outbox", str(error))
            time.sleep(1.0)

    def _word(self) -> None:
        self._log.info(
            "outbox",
            waiting=self._outbox.count(),
            recorded=self._recorder.recorded,
            sent=self._link.sent,
            receipted=self._link.freed,
            lost=self._recorder.lost,
            tonne="answers" if self._link.up else "silent",
        )
