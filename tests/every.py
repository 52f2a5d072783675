"""One test over many items, which names each that fails: `@every(items)` over its check."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

_LONGEST = 100
_PARAM = type(pytest.param())


def every(things: Iterable[Any]) -> Callable[[Callable[..., None]], None]:
    """
    Return a decorator that runs a check on each item immediately.

    Parameters
    ----------
    things : iterable
        What the check takes; a tuple or `pytest.param` gives it several arguments.

    Raises
    ------
    AssertionError
        Naming all things that failed, each with its reason; also where there is no thing at all.
    """

    def run(check: Callable[..., None]) -> None:
        count, failed = 0, []
        for thing in things:
            count += 1
            try:
                check(*_values(thing))
            except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - each is named
                failed.append((thing, error))
        assert count, "nothing to look at"
        if failed:
            reasons = "\n".join(f"{_name(thing)}: {error!r:.1000}" for thing, error in failed)
            raise AssertionError(f"{len(failed)} of {count} failed\n{reasons}") from failed[0][1]

    return run


def _values(thing: Any) -> tuple[Any, ...]:
    if isinstance(thing, _PARAM):
        return tuple(thing.values)
    return thing if isinstance(thing, tuple) and not hasattr(thing, "_fields") else (thing,)


def _name(thing: Any) -> str:
    if isinstance(thing, _PARAM) and thing.id:
        return str(thing.id)
    return " ".join(f"{part}"[:_LONGEST] for part in _values(thing))
