"""
How long public reads take beside long work and beside attacks, each for some seconds.

    python -m tests.bench hostile                       # BENCH_SECONDS=20 for longer

One API process and its database on this machine; it signs itself, so that closing a period is
its own work, which is the worst case: in `deploy/` the signer does that.  A reader asks for
`/healthz` and an issued statement's status, one after the other, each over a connection of its
own, and in turn with them for those of a second process that nobody attacks.  28 days of two
inverters, a reading a minute.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing import get_context
from pathlib import Path

import httpx

from services.store.api import api_keys
from services.store.postgres.pool import connect
from tests.ports import free_port
from tests.running import Pipeline
from tests.services.api import hostile
from tests.services.api.conftest import start
from tests.services.api.hostile import Reader
from tests.services.issuer import logged, plant

SECONDS = float(os.environ.get("BENCH_SECONDS", "8"))
_BEGIN, _END, _DAYS = "2026-03-01", "2026-03-29", 28
_CLOSES = 14


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Milliseconds under which 99 % of the reads stayed, beside each kind of trouble."""
    pipeline.tonne("migrate")
    url = pipeline.urls.database_url
    plant.register(url, pipeline.home)
    plant.fill_pv(url, _BEGIN, _END, minutes=1)
    who = logged.signers(url, pipeline.home)
    logged.seal_now(url, who, plant.us("2026-03-31"))
    issued = logged.issue(url, who, _BEGIN, "2026-03-15")
    with connect(url, role="tonne_api", autocommit=True) as conn:
        tokens = {
            role: api_keys.create(conn, role, role, None, "bench")[1]
            for role in ("operator", "auditor", "admin")
        }
    with hostile.hanging_provider() as (keys, _), ExitStack() as stack:
        provider = {
            "TONNE_OIDC_ISSUER": "https://id.example.vn",
            "TONNE_OIDC_AUDIENCE": "tonne",
            "TONNE_OIDC_JWKS_URL": keys,
        }
        apis = []
        for name in ("api", "beside"):
            home, bind = pipeline.home / name, f"127.0.0.1:{free_port()}"
            shutil.copytree(pipeline.home / "keys", home / "keys")
            log = stack.enter_context((pipeline.home / f"{name}.log").open("wb"))
            process = start(url, home, bind, log, anew=True, **provider)
            stack.callback(process.wait, 60)
            stack.callback(process.send_signal, signal.SIGTERM)
            apis.append((f"http://{bind}", process.pid))
        (api, pid), (beside, _) = apis
        figures = _all(api, beside, issued, tokens, pipeline.home / "api")
        figures["api_peak_mib"] = _peak_mib(pid)
        return figures


def _peak_mib(pid: int) -> float:
    """Return the most memory that a process and its children held, each at its peak. [MiB]"""
    found = 0
    for one in (pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())):
        for line in Path(f"/proc/{one}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                found += int(line.split()[1])
                print(f"peak of process {one}: {int(line.split()[1]) / 1024:.0f} MiB")
    return found / 1024


def _all(  # noqa: C901 - a caller for each trouble, and each is a few lines
    api: str, beside: str, issued: str, tokens: dict, home
) -> dict[str, float]:
    pages = [[f"{one}/healthz", f"{one}/v1/statements/{issued}/status"] for one in (api, beside)]

    def ask(method, path, who=None, **more):
        headers = dict(more.pop("headers", {}))
        if who is not None:
            headers["Authorization"] = f"Bearer {tokens[who]}"
        with hostile.client() as one, suppress(httpx.HTTPError):
            return one.request(method, api + path, headers=headers, **more).status_code
        return 0

    def close(k):
        body = {"from": f"2026-03-{1 + k % 14:02d}", "to": f"2026-03-{15 + k % 14:02d}"}
        return ask("POST", "/v1/projects/pv/periods", "operator", json=body)

    def forget(folder):
        """Let each file be made anew."""
        for file in (home / folder).glob("TN-*"):
            file.unlink(missing_ok=True)

    def files(k):
        forget("reports")
        kind, lang = ("pdf", "xlsx")[k % 2], ("en", "vi", "ja")[k % 3]
        return ask("GET", f"/v1/statements/{issued}.{kind}?lang={lang}", "auditor")

    def packs(k):
        forget("evidence")
        later = {"Prefer": "respond-async"} if k % 2 else {}
        return ask("GET", f"/v1/statements/{issued}/evidence", "auditor", headers=later)

    def forged(_k):
        token = hostile.forged_token()
        return ask("GET", "/v1/statements", headers={"Authorization": f"Bearer {token}"})

    def write(k):
        return ask("POST", "/v1/keys", "admin", json={"name": f"n{k}", "role": "auditor"})

    def endless(_k):
        with suppress(OSError):
            hostile.endless_header(api, time.monotonic() + SECONDS)
        return 0

    troubles: list[tuple[str, int, Callable]] = [
        ("nothing", 0, lambda _k: 0),
        ("closes", _CLOSES, close),
        ("reports", 6, files),
        ("packs", 6, packs),
        ("endless_headers", 8, endless),
        ("forged_tokens", 20, forged),
        ("writes", 16, write),
    ]
    figures = {f"beside_{name}_p99_ms": _beside(pages, name, n, do) for name, n, do in troubles}
    opened = hostile.idle(api, 2_050)
    figures["beside_idle_sockets_p99_ms"] = _beside(pages, "idle sockets", 0, lambda _k: 0)
    for one in opened:
        one.close()
    return figures


def _beside(pages, name: str, at_once: int, do: Callable) -> float:
    """Read for some seconds while so many callers do it again and again; the 99 %. [ms]"""
    fork = get_context("fork")
    ended, told = fork.Event(), fork.SimpleQueue()
    # in a process of their own: in ours they would hold the reader up, and not the API
    callers = fork.Process(target=_call, args=(at_once, do, ended, told))
    callers.start()
    with Reader(*pages) as readers:
        time.sleep(SECONDS)
        ended.set()
        counts = told.get()
    callers.join()
    print(f"beside {name}: calls by status {counts}")
    (_, p99_s), _ = readers.told(f"beside {name}")
    print(f"  longest {max(readers.times_s):.3f} s", flush=True)
    return 1_000 * p99_s


def _call(at_once: int, do: Callable, ended, told) -> None:
    """Call in so many threads until told to end; tell how often each status came."""
    did: list[int] = []

    def again(place):
        k = place
        while not ended.is_set():
            did.append(do(k))
            k += at_once

    threads = [threading.Thread(target=again, args=(k,)) for k in range(at_once)]
    for one in threads:
        one.start()
    ended.wait()
    for one in threads:
        one.join(60)
    told.put(dict(Counter(did)))
