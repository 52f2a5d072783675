"""Commands of `tonne`, run in the process of the test."""

from click.testing import CliRunner, Result

from services.cli.__main__ import main


def tonne(*words, code=None, **options) -> Result:
    """
    Run a command; return its exit code and its output.

    Parameters
    ----------
    words : of any type
        As the shell would give them.
    code : int, optional
        What it must end with.
    options
        `env`, `input` and what else click's runner takes.
    """
    told = CliRunner().invoke(main, list(map(str, words)), **options)
    assert code is None or told.exit_code == code, (told.output, told.exception)
    return told


def printed(*words, code=0, **options) -> str:
    """Run a command that must end with an exit code; return its output."""
    return tonne(*words, code=code, **options).output
