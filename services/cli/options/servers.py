"""
Common parts of commands with servers: database, metrics address, topic, waiting time.

Which database a command works on.

Where a process answers Prometheus: as set, else the usual port or one beside it.

`--wait`: how long a start waits for its servers.

What the commands for Kafka share: the topic option, and a word where the extra is missing.

TLS identity of an administrator at a broker: `tonne-admin`, if this machine has it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ingest.errors import InputError
from ingest.mqtt.tls import Tls
from services.identity.folder import IdentityFolder
from services.identity.principals import ADMIN
from services.local.machine import LOOPBACK, choose
from services.settings import Settings, SettingsError, split_bind


def identity_folder(settings: Settings) -> IdentityFolder:
    """Return the folder of identities below TONNE_HOME."""
    return IdentityFolder(settings.home / "identity")


def operator_tls(settings: Settings) -> Tls | None:
    """
    Return the identity of `tonne-admin`, else the configured one.

    The pipeline's own may write receipts and nothing else.
    """
    folder = identity_folder(settings).service(ADMIN)
    return Tls.of(folder) if (folder / "client.key").exists() else settings.mqtt_tls


WAIT_S = 60.0

wait_option = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 86_400),
    default=WAIT_S,
    metavar="SECONDS",
    help="Maximum waiting time for servers that are starting; then exit code 3.",
)
topic_option = click.option(
    "--topic", default="tonne-parcels", help="Kafka topic for the readings."
)


def database_url() -> str:
    """
    Return the database of the settings, or of the local servers.

    Raises
    ------
    SettingsError
        When neither names one.
    """
    url = Settings().database_url
    if not url:
        raise SettingsError(
            "no database is set; set TONNE_DATABASE_URL=postgresql://user@host:5432/tonne, "
            "or start a local one with `tonne local up`"
        )
    return url


def metrics_bind(settings: Settings) -> str:
    """
    Return the address of the metrics.

    An address that was set is taken as it is, and refused later if it is busy;
    the default gives way to another process on the same machine.
    """
    if "metrics_bind" in settings.model_fields_set:
        return settings.metrics_bind
    return f"{LOOPBACK}:{choose(split_bind(settings.metrics_bind)[1])}"


def load_kafka(module: str, name: str) -> Any:
    """
    Return an attribute of a module that needs the `kafka` extra.

    Raises
    ------
    InputError
        When the extra is not installed.
    """
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in {"aiokafka", "faust", "mode"}:
            raise
        raise InputError(f"{error.name} is not installed: install tonne's extra `kafka`") from error
