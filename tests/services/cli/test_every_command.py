"""Requirements of every `tonne` command: an example, `--json`, one time format, similar names."""

import re

import click

from services.cli import COMMANDS, SECTIONS
from tests.every import every
from tests.invoked import tonne
from tests.services.cli.tree import commands, groups

ALL = commands()
# command, and why it has no --json
WITHOUT_JSON = {
    "demo": "runs other commands and shows what they print",
    "run": "a process: each line of its log is JSON",
    "bridge": "a process: each line of its log is JSON",
    "edge": "a process: each line of its log is JSON, and so are --check and --status",
    "est": "a process: each line of its log is JSON",
    "signer": "a process: each line of its log is JSON",
    "watch": "a process: each line of its log is JSON",
    "keys export": "prints a keyring, which is JSON",
    "keys public": "prints a keyring, which is JSON",
}


def _options(command: click.Command) -> set[str]:
    return {name for one in command.params for name in one.opts}


def test_it_prints_json() -> None:
    """A script that must read a table breaks with the next column."""

    @every(list(ALL))
    def _(words: str) -> None:
        assert ("--json" in _options(ALL[words])) != (words in WITHOUT_JSON)


def test_its_help_has_an_example_that_it_takes() -> None:
    """A person reads the example and nothing else, and types it."""

    @every(list(ALL))
    def _(words: str) -> None:
        command = ALL[words]
        assert "Example:" in (command.help or "")
        example = (command.help or "").split("Example:")[1]
        assert f"tonne {words.split(maxsplit=1)[0]}" in example
        known = _options(command) | {o for one in command.params for o in one.secondary_opts}
        for line in re.findall(rf"tonne {words}(?: (.*))?$", example.split("|")[0], re.MULTILINE):
            own = re.split(r" (?:&&|[>|;]) ?", line)[0]
            assert set(re.findall(r"(?<!\S)--[a-z][a-z-]*", own)) <= known, line


def test_times_are_asked_for_in_one_way() -> None:
    """`--from 2026-01-01` that means another instant in the next command moves a month's tonnes."""

    @every(list(ALL))
    def _(words: str) -> None:
        for one in ALL[words].params:
            if isinstance(one, click.Option) and {"--from", "--to"} & set(one.opts):
                if isinstance(one.type, click.Path):
                    continue  # a file that a document is taken from
                # a seal takes whole local days
                days = isinstance(one.type, click.DateTime)
                assert one.metavar == ("DAY" if days else "DAY|TIME")
                assert "UTC" not in (one.help or "")


def test_t_stands_for_nothing() -> None:
    """The placeholder T could be read as a time or as a tonne."""

    @every(list(ALL))
    def _(words: str) -> None:
        assert [one.opts for one in ALL[words].params if one.metavar == "T"] == []


def _choices() -> list[tuple[str, click.Option, str]]:
    return [
        (words, one, str(next(iter(one.type.choices))))
        for words, command in ALL.items()
        for one in command.params
        if isinstance(one, click.Option) and isinstance(one.type, click.Choice)
    ]


def test_a_word_that_is_nearly_right_is_asked_about() -> None:
    """A list of twenty words is no help to a user who mistyped the last letter."""

    @every(one for one in _choices() if len(one[2]) > 2)  # shorter words are not nearly right
    def _(words: str, option: click.Option, right: str) -> None:
        result = tonne(*words.split(), option.opts[0], f"{right}x", code=2)
        assert f"Did you mean {right!r}" in result.stderr


def test_a_command_that_is_nearly_right_is_asked_about() -> None:
    """A typing error must not send a technician to the manual."""

    @every(list(groups()))
    def _(words: str) -> None:
        group = groups()[words]
        right = max(group.list_commands(click.Context(group)), key=len)
        result = tonne(*words.split(), right[:-1] + "#", code=2)
        assert repr(right) in result.stderr.split("Did you mean")[1]


def test_help_shows_every_command_under_one_heading() -> None:
    """Thirty-five commands in one list are read by no one."""
    told = tonne("--help").stdout
    at = [told.index(f"\n{heading}:\n") for heading in SECTIONS]
    assert at == sorted(at)
    assert sum(len(section) for section in SECTIONS.values()) == len(COMMANDS)
    for code in range(5):
        assert re.search(rf"^ +{code}  \S", told, re.MULTILINE), code


def test_an_option_shows_its_default() -> None:
    """Anyone who leaves `--wait` out would learn how long it waits by waiting."""
    told = tonne("simulate", "--help").stdout
    assert "[default: 60s]" in told
    assert '[default: ""]' not in told
