"""What the commands for Kafka share: the topic option, and a word where the extra is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from ingest.errors import InputError

topic_option = click.option("--topic", default="tonne-parcels", help="Kafka topic of the parcels.")


def load(module: str, name: str) -> Any:
    """
    Return something out of a module that needs the `kafka` extra.

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
        raise InputError(f"{error.name} is not installed: tonne's extra `kafka`") from error
