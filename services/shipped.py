"""
Files included in tonne: catalog, recordings, dashboards, rules, lock file.

In a checkout they are those of deploy/; an installed wheel has a copy.
"""

from pathlib import Path

_CHECKOUT = Path(__file__).parents[1] / "deploy"
_WHEEL = Path(__file__).parent / "shipped_files"


def shipped(name: str = "") -> Path:
    """
    Return the path of an included file or folder.

    Parameters
    ----------
    name : str
        As in deploy/, such as `catalog/haiphong`; empty for the whole folder.

    Raises
    ------
    FileNotFoundError
        If this installation does not have it.
    """
    for root in (_WHEEL, _CHECKOUT):
        if (root / name).exists():
            # short where it can be: commands are shown to people
            here, path = Path.cwd(), root / name
            return path.relative_to(here) if path.is_relative_to(here) else path
    raise FileNotFoundError(f"{name} is not in {_CHECKOUT} nor in {_WHEEL}: install tonne again")
