"""
What local servers find on a machine: Debian packages, and loopback ports.

The Debian packages that local servers come from.

Loopback ports: the usual one where it is free, else another.
"""

import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingest.errors import InputError, ServerError

POSTGRES_BIN = Path("/usr/lib/postgresql/17/bin")
TIMESCALEDB = Path("/usr/share/postgresql/17/extension/timescaledb.control")
MOSQUITTO = Path("/usr/sbin/mosquitto")
PROMETHEUS = Path("/usr/bin/prometheus")
ALERTMANAGER = Path("/usr/bin/prometheus-alertmanager")
PACKAGES = {
    "postgresql-17": POSTGRES_BIN / "postgres",
    "postgresql-17-timescaledb": TIMESCALEDB,
    "mosquitto": MOSQUITTO,
    "prometheus": PROMETHEUS,
    "prometheus-alertmanager": ALERTMANAGER,
}
# a broker that is tried against, not started by `tonne local up`: only on request
RABBITMQ = {"rabbitmq-server": Path("/usr/lib/rabbitmq/bin/rabbitmq-server")}
# Debian's way to say "start no service": packages bring a cluster and a broker of the
# system's own, which is not needed
_POLICY = Path("/usr/sbin/policy-rc.d")
LOOPBACK = "127.0.0.1"
_PORTS_TRIED = 50


def missing(wanted: Mapping[str, Path] | None = None) -> list[str]:
    """Packages whose servers are not on this machine."""
    wanted = PACKAGES if wanted is None else wanted
    return [name for name, proof in wanted.items() if not proof.exists()]


def require(wanted: Mapping[str, Path] | None = None) -> None:
    """
    Make sure that all servers are installed, installing them where we may.

    Parameters
    ----------
    wanted : mapping of str to Path, optional
        Packages, and a file that each brings; those of the local servers by default.

    Raises
    ------
    InputError
        When they are missing and cannot be installed from here.
    """
    names = missing(wanted)
    if not names:
        return
    command = f"apt-get install {' '.join(names)}"
    if os.geteuid() != 0:
        raise InputError(f"not installed: {', '.join(names)}; as root, run: {command}")
    print(f"installing system packages: {' '.join(names)}", file=sys.stderr)  # noqa: T201
    _install(names)
    if left := missing(wanted):
        raise InputError(
            f"could not be installed: {', '.join(left)}; run this to see why: apt-get install "
            f"{' '.join(left)} (Debian 13 has them; other systems need their own sources)"
        )


def _install(names: Sequence[str]) -> None:
    keep_quiet = not _POLICY.exists()
    if keep_quiet:
        _POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="utf-8")
        _POLICY.chmod(0o755)
    try:
        # an image without package lists needs them first; a failure shows in the second step
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", *names)
    finally:
        if keep_quiet:
            _POLICY.unlink(missing_ok=True)


def _apt(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        subprocess.run(  # noqa: S603 - names from the table above
            ["/usr/bin/apt-get", "-q", *arguments], env=environment, stdout=sys.stderr, check=False
        )
    except FileNotFoundError as error:
        raise InputError(
            f"apt-get is not available; install in another way: {', '.join(missing())}"
        ) from error


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers do: a port whose last connections are still closing counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(usual: int) -> int:
    """
    Return `usual` where it is free, else a free port of the next thousand.

    They lie below the range from which the system lends ports to clients.
    Picked at random, so that two starts at the same time seldom meet.

    Raises
    ------
    ServerError
        When no free port is found.
    """
    if is_free(usual):
        return usual
    for port in random.sample(range(usual + 1, usual + 1_000), _PORTS_TRIED):
        if is_free(port):
            return port
    raise ServerError(f"no free port near {usual} on {LOOPBACK}; stop what listens there")
