"""
Local servers for one machine: PostgreSQL, mosquitto, Kafka, Prometheus, Grafana.

Debian packages, ports and detached processes for these servers.  A process is identified by its id,
start time and the machine's boot id, since ids are reused; signals are sent only if all are equal.
"""

import json
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from ingest.errors import InputError, ServerError

# The shell starts the server in the background, prints its id and exits, so that the server is no
# child of the command.  It may open as many files as permitted: a broker needs one per device.  The
# output is emptied first, so that lines of the last start are not taken for new ones.
_DETACH = 'ulimit -Sn "$(ulimit -Hn)"; true >"$0"; "$@" >>"$0" 2>&1 </dev/null & echo $!'
_GONE = frozenset("ZX")  # zombie, dead


@dataclass(frozen=True)
class Account:
    """Unix account to run a server as."""

    name: str
    uid: int
    gid: int


def service_account(name: str) -> Account | None:
    """
    Return the account that a package created for its server; None if this process is not root.

    Raises InputError as root, when the account does not exist.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError as error:
        raise InputError(
            f"user {name!r} does not exist, although its package creates it; reinstall the "
            f"package, or `adduser --system --group {name}`"
        ) from error
    return Account(name, entry.pw_uid, entry.pw_gid)


def own_folder(folder: Path, account: Account | None) -> None:
    """
    Give `folder` and its contents to `account`, closed to others.

    Raises InputError if the file system does not support changes of ownership.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        folder.chmod(0o700)
        if account is not None:
            for path in (folder, *folder.rglob("*")):
                # processes that the killed server started may still remove files
                with suppress(FileNotFoundError):
                    os.chown(path, account.uid, account.gid, follow_symlinks=False)
    except PermissionError as error:
        raise InputError(
            f"{folder} cannot be assigned to {account.name if account else 'this account'}:"
            f" {error.strerror}; set TONNE_HOME to a folder on a local disk"
        ) from error


@dataclass(frozen=True)
class Process:
    """Process identified so that a later one with the same id is not mistaken for it."""

    pid: int
    started: str
    boot: str

    def alive(self) -> bool:
        """Return whether this process still runs."""
        stat = _stat(self.pid)
        return stat is not None and stat[1] == self.started and _boot() == self.boot

    def send(self, number: signal.Signals) -> None:
        """Send the process a signal; no effect if the process has ended."""
        if self.alive():
            os.kill(self.pid, number)

    def save(self, path: Path) -> None:
        """Store the process's identity in a file."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


def load(path: Path) -> Process | None:
    """Return the process stored in a file; None if missing or damaged."""
    try:
        return Process(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def spawn(argv: Sequence[str], folder: Path, output: str, account: Account | None) -> Process:
    """
    Start a server in its own session.

    `argv`: program and arguments.
    `folder`: its working directory, entered before the account is changed, so that the account
    needs no access to its parents.
    `output`: file in `folder` for its output.
    `account`: account to run as.
    """
    started = subprocess.run(  # noqa: S603 - a server's own command line, no shell text in it
        ["/bin/sh", "-c", _DETACH, output, *argv],
        cwd=folder,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        stdout=subprocess.PIPE,
        check=True,
        start_new_session=True,
        text=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    pid = int(started.stdout)
    stat = _stat(pid)
    return Process(pid, stat[1] if stat else "", _boot())


def run(
    argv: Sequence[str], folder: Path, account: Account | None, *, files: Sequence[int] = ()
) -> subprocess.CompletedProcess[str]:
    """
    Run a program to its end, and return its result.

    `argv`: program and arguments. `folder`: its working directory, entered before the account is
    changed, so that the account needs no access to its parents. `account`: account to run as.
    `files`: open file descriptors that the program inherits.
    """
    return subprocess.run(  # noqa: S603 - as above
        argv,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"},
        pass_fds=files,
        capture_output=True,
        check=False,
        text=True,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )


def _stat(pid: int) -> tuple[str, str] | None:
    """Return state and start time of a process; None if it does not exist."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # a program's name may contain spaces
    state, started = fields[0], fields[19]
    return None if state in _GONE else (state, started)


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()


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
# broker for tests, which `tonne local up` does not start; installed only on request
RABBITMQ = {"rabbitmq-server": Path("/usr/lib/rabbitmq/bin/rabbitmq-server")}
# file with which Debian prevents packages from starting services, here a cluster and a broker of
# the system
_POLICY = Path("/usr/sbin/policy-rc.d")
LOOPBACK = "127.0.0.1"
_PORTS_TRIED = 50


def missing(wanted: Mapping[str, Path] | None = None) -> list[str]:
    """Return packages whose servers are not installed."""
    wanted = PACKAGES if wanted is None else wanted
    return [name for name, proof in wanted.items() if not proof.exists()]


def require(wanted: Mapping[str, Path] | None = None) -> None:
    """
    Check that all servers are installed; install them if permitted.

    `wanted`: packages, each with a file that it contains; by default those of the local servers.
    Raises InputError when they are missing and cannot be installed from here.
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
        # an image without package lists needs them first; a failure shows in the next step
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
    """Return whether a server could listen on `port` of the loopback address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # as servers set it: a port whose last connections are still closing counts as free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose(usual: int) -> int:
    """
    Return `usual` if it is free, else a random free port of the next thousand.

    These are below the range of client ports; random, so that parallel starts seldom collide.

    Raises ServerError when no free port is found.
    """
    if is_free(usual):
        return usual
    for port in random.sample(range(usual + 1, usual + 1_000), _PORTS_TRIED):
        if is_free(port):
            return port
    raise ServerError(
        f"no port near {usual} on {LOOPBACK} is free; stop the program that listens there"
    )
