"""All commands of `tonne`, found by walking its groups."""

from collections.abc import Iterator

import click

from services.cli.__main__ import main


def commands() -> dict[str, click.Command]:
    """Return each command by its words."""
    return dict(_below(main, ()))


def groups() -> dict[str, click.Group]:
    """Return each group by its words; the first is `tonne` itself."""
    return {" ".join(words): group for words, group in _groups(main, ())}


def _below(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from _below(found, (*words, name))
        elif found is not None:
            yield " ".join((*words, name)), found


def _groups(
    group: click.Group, words: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Group]]:
    yield words, group
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        if isinstance(found, click.Group):
            yield from _groups(found, (*words, name))
