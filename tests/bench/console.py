"""What the live view costs with 200 viewers, and how soon a page shows something."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from datetime import UTC, datetime

import httpx

from services.store.api import api_keys
from services.store.postgres.pool import connect
from tests.bench.api import serving
from tests.bench.pages import chromium
from tests.bench.spent import cpu_s
from tests.running import Pipeline
from tests.services.issuer import logged, plant

VIEWERS = 200
# the goal is for five minutes; a viewer's share does not change over time
SECONDS = float(os.environ.get("BENCH_LIVE_S", "60"))
EVERY_S = 2.0
DEVICES = 100


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Share of a core that 200 viewers cost, and first contentful paint of the overview. [ms]"""
    pipeline.tonne("migrate")
    url = pipeline.urls.database_url
    plant.register(url, pipeline.home, _registry())
    plant.fill_pv(url)
    statement = logged.issue(url, logged.signers(url, pipeline.home))
    with connect(url, role="tonne_api", autocommit=True) as conn:
        _, token = api_keys.create(conn, "viewer", "auditor", None, "bench")
    stop = threading.Event()
    speaking = threading.Thread(target=_speak, args=(url, stop))
    with serving(pipeline.environment) as (bind, pid):
        paint_ms = _first_paint(f"http://{bind}", statement)
        answer = httpx.post(f"http://{bind}/console/en/sign-in", data={"key": token})
        speaking.start()
        try:
            share, events = asyncio.run(_watched(bind, answer.cookies, pid))
        finally:
            stop.set()
            speaking.join()
    figures = {
        "live_200_viewers_core_share": share,
        "live_events_per_viewer_s": events,
        "console_first_content_ms": paint_ms,
    }
    for name, value in figures.items():
        print(f"{name} {value:,.3f}")
    return figures


def _registry() -> str:
    more = "".join(
        f"  - {{id: m-{i}, site: hp, class: energy_meter, profile: generic,"
        " installed: 2026-01-01T00:00:00+07:00}\n"
        for i in range(DEVICES)
    )
    return plant.REGISTRY.replace("projects:\n", f"{more}projects:\n")


def _speak(url: str, stop: threading.Event) -> None:
    """Let every tenth device say something new each time."""
    number = 0
    while not stop.wait(EVERY_S):
        now_us = int(datetime.now(UTC).timestamp()) * 1_000_000
        for i in range(number % 10, DEVICES, 10):
            plant.send(url, f"m-{i}", [now_us], active_power_w=[1_000.0 + number])
        number += 1


async def _watched(bind: str, cookies: httpx.Cookies, pid: int) -> tuple[float, float]:
    """Return the share of a core that the process took, and events a second and viewer."""
    seen = [0] * VIEWERS
    header = "; ".join(f"{name}={value}" for name, value in cookies.items())
    request = (
        f"GET /console/en/live/events HTTP/1.1\r\nHost: {bind}\r\nCookie: {header}\r\n\r\n"
    ).encode()
    viewers = [asyncio.create_task(_view(bind, request, seen, i)) for i in range(VIEWERS)]
    await asyncio.sleep(5)
    began_s, spent_s, before = time.monotonic(), cpu_s(pid), sum(seen)
    await asyncio.sleep(SECONDS)
    took_s = time.monotonic() - began_s
    share = (cpu_s(pid) - spent_s) / took_s
    events = (sum(seen) - before) / VIEWERS / took_s
    for one in viewers:
        one.cancel()
    await asyncio.gather(*viewers, return_exceptions=True)
    if not all(seen):
        raise RuntimeError("a viewer saw nothing")
    return share, events


async def _view(bind: str, request: bytes, seen: list[int], number: int) -> None:
    host, port = bind.split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**22)
    try:
        writer.write(request)
        while line := await reader.readline():
            seen[number] += line.startswith(b"data: ")
    finally:
        writer.close()


def _first_paint(url: str, statement: str) -> float:
    """Return the slowest first contentful paint of the main pages, nothing kept before. [ms]"""
    slowest = 0.0
    with chromium() as browser:
        for path in ("/", "/projects/pv?month=2026-03", f"/statements/{statement}"):
            context = browser.new_context()
            page = context.new_page()
            page.goto(f"{url}/console/en{path}", wait_until="load")
            page.wait_for_timeout(300)
            painted = page.evaluate(
                "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"
            )
            slowest = max(slowest, float(painted))
            context.close()
    return slowest
