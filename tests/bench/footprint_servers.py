"""Alertmanager and nginx as they are deployed, for the measurement of their memory."""

from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

from services.local.machine import ALERTMANAGER, LOOPBACK
from tests.bench.pss import Watch
from tests.ports import free_port
from tests.transparency import answers
from tests.waiting import until

_DEPLOY = Path(__file__).parents[2] / "deploy"
_IDLE, _HARMFUL, _ALERTS, _FILES = 2_000, 8, 200, 4_096
_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


def nginx() -> str | None:
    """Return nginx, by BENCH_NGINX or where packages put it."""
    return os.environ.get("BENCH_NGINX") or shutil.which("nginx", path=_PATH)


@contextmanager
def alertmanager(home: Path) -> Iterator[int]:
    """Run Alertmanager with our routes and many alerts; give its process."""
    port = free_port()
    with (home / "alertmanager.log").open("wb") as out:
        process = subprocess.Popen(
            [ALERTMANAGER, f"--config.file={_DEPLOY / 'alertmanager/alertmanager.yml'}",
             f"--storage.path={home / 'alertmanager'}", "--cluster.listen-address=",
             f"--web.listen-address={LOOPBACK}:{port}"],
            stdout=out, stderr=out,
        )  # fmt: skip
    try:
        until(lambda: answers(LOOPBACK, port))
        alerts = [
            {"labels": {"alertname": f"A{k}", "severity": ("page", "ticket")[k % 2],
                        "area": f"area{k % 5}", "project": f"p{k % 50}"},
             "annotations": {"summary": "x" * 200, "description": "y" * 400}}
            for k in range(_ALERTS)
        ]  # fmt: skip
        asked = urllib.request.Request(
            f"http://{LOOPBACK}:{port}/api/v2/alerts",
            json.dumps(alerts).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(asked, timeout=60) as page:  # noqa: S310 (http, above)
            assert page.status == 200
        yield process.pid
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def proxy(home: Path, api: str, watch: Watch) -> Iterator[Callable[[], str]]:
    """Run nginx before the API, with idle and harmful clients; give what tells of them."""
    program = nginx()
    if program is None:
        print("nginx is not installed: the proxy is not measured (BENCH_NGINX=/path/of/nginx)")
        yield lambda: "no proxy"
        return
    secure = free_port()
    folder = home / "proxy"
    folder.mkdir(mode=0o755)
    _write(folder, secure, api)
    words = [program, "-e", "error.log", "-p", folder, "-c", "nginx.conf", "-g", "daemon off;"]
    process = subprocess.Popen([str(word) for word in words], cwd=folder)
    with ExitStack() as stack:
        stack.callback(process.wait, 60)
        stack.callback(process.terminate)
        until(lambda: answers(LOOPBACK, secure))
        watch.look("proxy", process.pid)
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(limit[0], _FILES), limit[1]))
        open_ = [stack.enter_context(_tls(secure)) for _ in range(_IDLE)]
        ended, counts = threading.Event(), [0] * _HARMFUL
        harmful = [
            threading.Thread(target=_harm, args=(secure, ended, counts, k), daemon=True)
            for k in range(_HARMFUL)
        ]
        for one in harmful:
            one.start()

        def end() -> None:
            ended.set()
            for one in harmful:
                one.join(60)

        stack.callback(end)
        yield lambda: f"{len(open_)} idle TLS connections, {sum(counts)} harmful ones"


def _write(folder: Path, secure: int, api: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "tls.key",
         "-out", folder / "tls.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    text = (_DEPLOY / "proxy/nginx.conf").read_text()
    for there, here in {
        "/tmp/": f"{folder}/",  # noqa: S108 (where its own image may write)
        "/etc/nginx/tls": str(folder),
        "server api:8080": f"server {api}",
        "listen 8080": f"listen {LOOPBACK}:{free_port()}",
        "listen 8443": f"listen {LOOPBACK}:{secure}",
        "/dev/stdout": str(folder / "access.log"),
        "/dev/stderr": str(folder / "error.log"),
    }.items():
        assert there in text, there
        text = text.replace(there, here)
    (folder / "nginx.conf").write_text(text)


@cache
def _context() -> ssl.SSLContext:
    """Return one for all: each would have the system's authorities of its own."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _tls(port: int) -> ssl.SSLSocket:
    return _context().wrap_socket(socket.create_connection((LOOPBACK, port), 60))


def _harm(port: int, ended: threading.Event, counts: list[int], k: int) -> None:
    """Send heads without an end, bodies that are too long, and many requests, in turn."""
    heads = (
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 1_048_576,
        b"POST /v1/keys HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"b" * 900_000,
        b"GET /console/en/ HTTP/1.1\r\nHost: x\r\n\r\n" * 50,
    )
    while not ended.is_set():
        with suppress(OSError), _tls(port) as one:
            one.settimeout(5)
            one.sendall(heads[counts[k] % len(heads)])
            time.sleep(0.05)
            one.recv(65_536)
        counts[k] += 1
