"""
Workers that are killed, paused and restarted, and the time for which
their partitions stood still.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiokafka.errors import KafkaError

from tests import commands
from tests.integration.kafka_path import ends, wait_until
from tests.running import Pipeline

TOPIC, PARTITIONS, SESSION_S = "tonne-parcels", 4, 6
_PATIENCE_S = 180
PAUSE_S = 0.1  # each look asks the database, or reads every worker's log


class Workers:
    """A bridge and some workers over the pipeline's servers, each with its own log."""

    def __init__(self, pipeline: Pipeline, folder: Path, chance: random.Random) -> None:
        self.pipeline, self._folder, self._chance = pipeline, folder, chance
        self.kafka_url = pipeline.environment["TONNE_KAFKA_URL"]
        self._logs: dict[int, Path] = {}
        self.alive: list[subprocess.Popen[bytes]] = []
        self.recoveries_s: list[float] = []
        self.ended_by_themselves = 0

    def _start(self, *words: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{len(self._logs):03d}-{words[0]}.log"
        with log.open("wb") as out:
            process = commands.start(
                words,
                env=self.pipeline.environment | {"TONNE_METRICS_BIND": ""},
                stdout=out,
                stderr=out,
            )
        self._logs[process.pid] = log
        return process

    def log_of(self, process: subprocess.Popen[bytes]) -> str:
        """Return the output of one process so far."""
        return self._logs[process.pid].read_text()

    def logs(self) -> str:
        """Return the end of every log, and what the workers' sessions wait for."""
        sessions = self.pipeline.ask(
            "SELECT application_name, state, wait_event, now() - state_change, left(query, 60)"
            " FROM pg_stat_activity WHERE application_name LIKE 'tonne worker%'"
        )
        ends = (f"--- {f.name}\n{f.read_text()[-1_500:]}" for f in self._logs.values())
        return "\n".join([*ends, *map(str, sessions)])

    @contextmanager
    def running(self, count: int) -> Iterator[Workers]:
        """Context with a bridge and workers; at the end the last ones leave in order."""
        bridge = self._start("bridge", "--batch", "200")
        try:
            for _ in range(count):
                self.more()
            yield self
        finally:
            self._stop([*self.alive, bridge])

    def _stop(self, processes: list[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(120)

    def more(self) -> subprocess.Popen[bytes]:
        """Start one more worker."""
        # of its own, since the local broker's groups do not always take in new members once
        # all have left
        group = f"workers-{self._folder.name}"
        self.alive.append(self._start("worker", "--session", str(SESSION_S), "--group", group))
        return self.alive[-1]

    def sharing(self, least: int) -> bool:
        """Return whether a number of workers have partitions, by their last messages."""
        return sum(bool(self._has(process)) for process in self.alive) >= least

    def _has(self, process: subprocess.Popen[bytes]) -> dict[str, int]:
        told = [
            json.loads(line)
            for line in self.log_of(process).splitlines()
            if '"event": "partitions"' in line
        ]
        return told[-1]["offsets"] if told else {}

    def holder(self) -> subprocess.Popen[bytes]:
        """Return a worker that has partitions."""
        wait_until(lambda: self.sharing(1), _PATIENCE_S, self.logs, PAUSE_S)
        return self._chance.choice([p for p in self.alive if self._has(p)])

    def kill(self) -> None:
        """Kill a worker that has partitions, start another, and measure the recovery."""
        victim = self.holder()
        victim.kill()
        victim.wait()
        self.alive.remove(victim)
        self.more()
        self.recover()

    def pause(self, *, storing: bool) -> subprocess.Popen[bytes]:
        """Pause a worker that has partitions; if requested, within a transaction."""
        end = time.monotonic() + _PATIENCE_S
        while True:
            sleeper = self.holder()
            sleeper.send_signal(signal.SIGSTOP)
            if not storing or self._within_transaction():
                return sleeper
            sleeper.send_signal(signal.SIGCONT)
            if time.monotonic() > end:
                raise TimeoutError("no worker was caught while it stored")
            time.sleep(self._chance.uniform(0.01, 0.1))

    def _within_transaction(self) -> bool:
        """Return whether the database waits for a paused worker's transaction."""
        time.sleep(0.5)
        waiting = self.pipeline.ask(
            "SELECT FROM pg_stat_activity WHERE application_name = 'tonne worker'"
            " AND state IN ('idle in transaction', 'active') AND wait_event_type = 'Client'"
            " AND state_change < now() - interval '0.4 s'"
        )
        return bool(waiting)

    def recover(self) -> None:
        """Wait until everything now in Kafka is stored, and record the time that it took."""
        began, ended = time.monotonic(), self.ended()
        wait_until(lambda: self._past(ended), _PATIENCE_S, self.logs, PAUSE_S)
        self.recoveries_s.append(time.monotonic() - began)

    def _past(self, ended: dict[int, int]) -> bool:
        """Return whether every partition is stored up to given offsets."""
        self.restart_dead()
        query = 'SELECT partition, "offset" FROM stream_offset WHERE topic = %s'
        held = dict(self.pipeline.ask(query, [TOPIC]))
        return all(held.get(partition, 0) >= end for partition, end in ended.items())

    def restart_dead(self) -> None:
        """Restart processes that ended by themselves, as a supervisor does."""
        for process in [process for process in self.alive if process.poll() is not None]:
            assert process.returncode == 3, self.log_of(process)
            self.alive.remove(process)
            self.more()
            self.ended_by_themselves += 1

    def ended(self) -> dict[int, int]:
        """Return the ends of Kafka's partitions."""
        for _ in range(20):
            try:
                return ends(self.kafka_url, TOPIC, PARTITIONS)
            except KafkaError:  # a busy machine
                time.sleep(0.5)
        raise TimeoutError(self.logs())

    def told(self) -> str:
        """Return the recovery times as a line."""
        times = sorted(self.recoveries_s)
        return f"recovered in {times[len(times) // 2]:.1f} s (median), {times[-1]:.1f} s (longest)"
