"""
The programme's progress as one document: two accounts beside each other, never added.

The city's is modelled; the projects' is measured.  What may be transferred
abroad is worked out from the second.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from psycopg import Connection

from ingest.errors import RegistryError
from mrv.registry.article6_transfer import rules, transferable
from mrv.texts import render, text
from services.store.registry import programme as stored
from services.store.registry.entries_from_rows import names as registered_names
from services.store.registry.programme import ActionYear, ProjectCredits

_ACCOUNTS = (
    "target and reported are the city's account, modelled; monitored and issued are the"
    " projects', measured. The two are never added, nor an action and its parts."
)


def progress_document(conn: Connection, year: int | None, language: str = "en") -> dict[str, Any]:
    """
    Return target and progress of each action in a year, and what may be transferred abroad.

    Parameters
    ----------
    year : int, optional
        The last one with figures where absent.

    Returns
    -------
    dict
        Tonnes as decimal text; None where nothing is known.

    Raises
    ------
    RegistryError
        If no programme is registered.
    """
    name = stored.name_of(conn)
    if name is None:
        raise RegistryError(
            "no programme is registered; import one with `tonne registry import`, under the"
            " key `programme`"
        )
    year = year or stored.last_year(conn)
    called = registered_names(conn)
    return {
        "programme": name,
        "year": year,
        "accounts": _ACCOUNTS,
        "actions": [
            _action(one, called.get(("action", one.action), {}).get(language, one.name))
            for one in stored.actions(conn, year)
        ],
        "transfer": _transfer(stored.credits_of(conn), language),
    }


def _transfer(every: Iterable[ProjectCredits], language: str) -> dict[str, Any] | None:
    """What may go abroad of projects in a country whose rules are known; None without any."""
    own = [(decree, one) for one in every if (decree := rules(one.country)) is not None]
    if not own:
        return None
    decrees = dict.fromkeys(decree.id for decree, _ in own)
    titles = (render(text(f"transfer.rules_{one.replace('-', '_')}"), language) for one in decrees)
    return {
        "rules": "; ".join(titles),
        "in_force": max(decree.in_force for decree, _ in own).isoformat(),
        "projects": [_credits(one, language) for _, one in own],
    }


def _action(one: ActionYear, name: str) -> dict[str, Any]:
    return {
        "action": one.action,
        "name": name,
        "part_of": one.part_of,
        "city_model": {
            "target_t_per_year": _decimal(one.target_t),
            "target_year": one.target_year,
            "reported_t": _decimal(one.city_reported_t),
            "reported_percent_of_target": _percent(one.city_reported_t, one.target_t),
        },
        "projects": {
            "count": one.projects,
            "expected_t_per_year": _decimal(one.expected_t),
            "monitored_t": _decimal(one.monitored_t),
            "monitored_percent_of_target": _percent(one.monitored_t, one.target_t),
            "issued_credits_t": None if one.issued_t is None else int(one.issued_t),
        },
    }


def _credits(one: ProjectCredits, language: str) -> dict[str, Any]:
    found = transferable(one.issued_t, one.transfer, one.country)
    return {
        "project": one.project,
        "action": one.action,
        "issued_credits_t": one.issued_t,
        "transferable_t": "not determined" if found.credit_t is None else found.credit_t,
        "basis": render(found.basis, language),
        "condition": found.condition,
    }


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _percent(part: Decimal | None, whole: Decimal | None) -> str | None:
    """Per cent with three decimals, as text."""
    return f"{part / whole * 100:.3f}" if part is not None and whole else None
