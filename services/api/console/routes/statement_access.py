"""Common parts of pages with a statement's readings: access, and days."""

from __future__ import annotations

from mrv.calendar import days, instant_us
from mrv.documents.statement import Claims
from services.api.problems import ProblemError
from services.api.request_context import Asked
from services.api.routes.statements import visible
from services.store.statements.statements import Stored


def own(ask: Asked, statement: str) -> tuple[Stored, Claims]:
    """Return a statement whose readings the caller may see, and its claims."""
    with ask.reading() as conn:
        stored = visible(conn, ask.who, statement)
    if not ask.who.sees(stored.project):
        raise ProblemError(403, "sign in to see the readings of this project")
    return stored, stored.claims


def days_of(claims: Claims) -> list[str]:
    """Return the local days of the period, in ISO 8601."""
    period = claims.monitoring_period
    begin, end = (instant_us(edge, "UTC") for edge in (period.from_, period.to))
    return [day.isoformat() for day, _, _ in days(begin, end, period.timezone)]
