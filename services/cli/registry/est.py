"""`tonne est` and `tonne registry enrol-token`: devices get certificates with their own keys."""

from __future__ import annotations

import getpass
import signal
import threading

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from structlog.typing import FilteringBoundLogger

from ingest.errors import TonneError
from services.cli.options.admin_tls import identity_folder
from services.cli.options.common import json_option
from services.cli.options.servers import database_url
from services.cli.output.documents import print_secret
from services.cli.output.text import time_text
from services.cli.pipeline.broker import carry_to_broker
from services.enrolment import self_enrolment
from services.environment import split_bind
from services.logs import get_logger
from services.settings import Settings
from services.store.postgres.pool import connect

BIND = "127.0.0.1:8444"
_NAME = "tonne registry"


@click.command("enrol-token")
@click.argument("devices", nargs=-1, required=True)
@click.option(
    "--hours",
    type=click.FloatRange(0.1, 8_784),
    default=self_enrolment.TOKEN_HOURS,
    help="Validity of the token.",
)
@click.option("--author", help="Name of the person acting; default: the system's user.")
@json_option
def enrol_token(
    devices: tuple[str, ...], *, hours: float, author: str | None, as_json: bool
) -> None:
    """
    Make a one-time token by which a device fetches its certificate (EST).

    The key is made on the device and stays there. The token is shown this once, alone on the
    output; several devices' tokens come in the order of their ids, a line each. The error
    stream has the digest of the authority's certificate, by which the device knows whom it
    speaks to before it trusts anybody.

    \b
    Example:
      tonne registry enrol-token gw-1
      tonne edge edge.yaml --enrol
    """
    settings = Settings()
    own = x509.load_pem_x509_certificate(identity_folder(settings).authority().certificate)
    digest = own.fingerprint(hashes.SHA256()).hex()
    with connect(database_url(), role="tonne_enrol", name=_NAME, autocommit=True) as conn:
        made = self_enrolment.make_tokens(conn, devices, hours, author or getpass.getuser())
    rows = [
        {"device": name, "token": token, "until": time_text(until), "ca_sha256": digest}
        for name, token, until in made
    ]
    tokens = "\n".join(str(row["token"]) for row in rows)
    whose = [f"{row['device']}: a token until {row['until']}" for row in rows]
    message = "\n".join((*whose, f"authority sha256 {digest}; tokens are not shown again"))
    print_secret(rows, tokens, message, as_json=as_json)


@click.command()
@click.option("--bind", default=BIND, metavar="HOST:PORT", help="Address to listen on.")
@click.option("--host", "hosts", multiple=True, default=("localhost",),
              help="Name or address under which devices reach it; repeatable.")  # fmt: skip
@click.option(
    "--days",
    type=click.IntRange(1, 825),
    default=self_enrolment.DAYS,
    help="Validity of the certificate.",
)
def est(bind: str, hosts: tuple[str, ...], days: int) -> None:
    """
    Issue certificates to devices that made their own key: EST (RFC 7030) over TLS.

    A device shows a one-time token (`tonne registry enrol-token`) the first time, and the
    certificate that it has from then on. The fleet's authority is in TONNE_HOME/identity,
    so this process serves nothing else, and runs where no web page is served. Its login
    needs tonne_enrol. Where tonne-admin's identity is at hand the broker is updated at once.

    \b
    Example:
      tonne est --bind 0.0.0.0:8444 --host mqtt.example.org
    """
    from services.enrolment.est import Desk, Server  # noqa: PLC0415 - only where it serves

    settings, log, url = Settings(), get_logger("est"), database_url()
    folder = identity_folder(settings)
    with connect(url, role="tonne_enrol", name="tonne est"):
        pass  # a database that is away or without schema is said at once
    telling = threading.Lock()

    def tell() -> None:
        with telling:
            _tell(settings, log)

    desk = Desk(url, folder, days, log, lambda: threading.Thread(target=tell).start())
    host, port = split_bind(bind)
    with Server((host, port), folder.ensure_server(list(hosts), "est"), desk) as server:
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(
                name, lambda *_: threading.Thread(target=server.shutdown, daemon=True).start()
            )
        log.info("serving", bind=bind, hosts=list(hosts), days=days)
        server.serve_forever()
    log.info("stopped")


def _tell(settings: Settings, log: FilteringBoundLogger) -> None:
    """Tell the broker who has access; a broker that is away learns of it with the next device."""
    try:
        done = carry_to_broker(settings)
    except TonneError as error:
        log.warning("broker not updated", reason=" ".join(str(error).split())[:300])
        return
    if done is None:
        log.warning("broker not updated", reason="this machine has no identity of tonne-admin")
    else:
        log.info("broker updated", let_in=done.admitted[:20])
