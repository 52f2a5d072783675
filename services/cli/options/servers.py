"""
Shared parts of commands with servers: database URL, metrics address, Kafka topic, `--wait`,
TLS identity.
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
    """Return the folder of certificates and keys below TONNE_HOME."""
    return IdentityFolder(settings.home / "identity")


def operator_tls(settings: Settings) -> Tls | None:
    """
    Return the TLS identity of `tonne-admin`, or else the configured one.

    The pipeline's own identity may only write receipts.
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
    Return the database URL of the settings, or that of the local servers.

    Raises
    ------
    SettingsError
        When neither is set.
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
    Return the listening address for metrics.

    A configured address is used unchanged; the default one is replaced by a free port if it is in
    use.
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
