"""
Number of statement reads per second that the API answers, with the
database on the same machine.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx
import numpy as np

from tests.ports import free_port
from tests.running import Pipeline
from tests.services.issuer import logged, plant

CALLERS = 16
SECONDS = 10.0


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return requests per second of one API process, and the 99th percentile of their time. [ms]"""
    pipeline.tonne("migrate")
    url = pipeline.urls.database_url
    plant.register(url, pipeline.home)
    plant.fill_pv(url)
    statement = logged.issue(url, logged.signers(url, pipeline.home))
    with serving(pipeline.environment) as (bind, _):
        request = f"GET /v1/statements/{statement} HTTP/1.1\r\nHost: {bind}\r\n\r\n".encode()
        took = asyncio.run(_load(bind, request))
    figures = {
        "api_statement_reads_per_s": len(took) / SECONDS,
        "api_statement_read_p99_ms": float(np.percentile(took, 99)) * 1_000,
    }
    for name, value in figures.items():
        print(f"{name} {value:,.1f}")
    return figures


@contextmanager
def serving(environment: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """Yield host, port and process id of a running `tonne api`."""
    bind = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "api"],
        env={**os.environ, **environment, "TONNE_API_BIND": bind, "TONNE_API_RATE_PER_S": "100000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _await(f"http://{bind}/readyz")
        yield bind, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _await(url: str) -> None:
    for _ in range(1_200):
        try:
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise TimeoutError(url)


async def _load(bind: str, request: bytes) -> list[float]:
    """Send requests over several connections; return the seconds that each took."""
    took: list[float] = []
    end_s = time.perf_counter() + SECONDS
    await asyncio.gather(*(_caller(bind, request, end_s, took) for _ in range(CALLERS)))
    return took


async def _caller(bind: str, request: bytes, end_s: float, took: list[float]) -> None:
    host, port = bind.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    while (began_s := time.perf_counter()) < end_s:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(head.decode())
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        took.append(time.perf_counter() - began_s)
    writer.close()
    await writer.wait_closed()
