"""`tonne deadletter replay`: a lot of refused messages once more, after the cause is mended."""

import getpass
import json
from contextlib import ExitStack
from functools import cached_property

import click

from ingest.errors import InputError
from services.cli.data.dead_letters_options import (
    NAME,
    begin_,
    device_,
    end_,
    json_,
    principal_,
    reason_,
    selected,
)
from services.cli.options.admin_tls import operator_tls
from services.cli.options.database_url import database_url
from services.cli.output.counts import counted
from services.cli.output.progress import bar
from services.cli.pipeline.redeliver import PREFIX, Redeliverer
from services.cli.pipeline.republish import Republisher
from services.settings import Settings, SettingsError
from services.store.messages.dead_letter_query import (
    DeadLetter,
    get_letter,
    list_letters,
    mark_replayed,
)
from services.store.postgres.pool import connect


@click.command()
@click.argument("letters", nargs=-1, type=int)
@reason_
@device_
@principal_
@begin_
@end_
@click.option("--again", is_flag=True, help="Also those that were sent again before.")
@json_
def replay(
    letters: tuple[int, ...],
    reason: str | None,
    device: str | None,
    principal: str | None,
    begin: str | None,
    end: str | None,
    *,
    again: bool,
    as_json: bool,
) -> None:
    """
    Send dead letters to the broker, or to Kafka, once more, oldest first.

    Name numbers, a reason, a device or a span of time.  They pass through the pipeline like any
    message; what is still refused becomes a new dead letter.  Records that workers
    could not read go back to the Kafka topic they came from.

    \b
    Example:
      tonne deadletter replay 17 18
      tonne deadletter replay --reason unknown_device --from 2026-01-01
    """
    if not (letters or reason or device or principal or begin or end):
        raise click.UsageError(
            "name dead letters: numbers, --reason, --device, --principal, --from or --to"
        )
    with connect(database_url(), name=NAME, autocommit=True) as conn:
        wanted = selected(
            conn, reason, device, begin, end, letters or None,
            waiting=not again, principal=principal,
        )  # fmt: skip
        found = list_letters(conn, wanted)[::-1]
        missing = set(letters) - {letter.id for letter in found}
        if missing:
            numbers = ", ".join(map(str, sorted(missing)))
            raise InputError(
                f"dead letters {numbers} are not known, or were sent again already (then --again)"
            )
        with _Senders() as senders, bar("dead letters", len(found)) as shown:
            for letter in found:
                _, payload = get_letter(conn, letter.id)
                senders.send(letter, payload)
                mark_replayed(conn, letter.id, getpass.getuser())
                shown.advance()
    if as_json:
        click.echo(json.dumps([letter.id for letter in found]))
    else:
        click.echo(f"{counted(len(found), 'dead letter')} sent again")


class _Senders(ExitStack):
    """Connections to the servers that letters came from, each made when it is needed."""

    @cached_property
    def _mqtt(self) -> Republisher:
        settings = Settings()
        broker = settings.mqtt_url
        if not broker:
            raise SettingsError("no broker is named; set TONNE_MQTT_URL, or run `tonne local up`")
        return self.enter_context(Republisher(broker, operator_tls(settings)))

    @cached_property
    def _kafka(self) -> Redeliverer:
        return self.enter_context(Redeliverer(Settings().require_kafka()))

    def send(self, letter: DeadLetter, payload: bytes) -> None:
        """Send a letter where it came from."""
        if letter.topic.startswith(PREFIX):
            self._kafka.send(letter.id, letter.topic, letter.detail, payload)
        else:
            self._mqtt.send(letter.id, letter.topic, payload, letter.content_type)
