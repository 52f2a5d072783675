"""One number everywhere: every panel in tonnes or energy against the account."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from services.processing import silence_rates
from services.store.postgres.pool import connect
from services.store.views.fleet_metrics import refresh_days
from tests.figures import surfaces
from tests.figures.account import read
from tests.figures.panels import NEARLY, PANELS, TYPED
from tests.fix_timescale import _fresh
from tests.grafana import city
from tests.grafana.fill import fill
from tests.grafana.fleet import Size, register
from tests.grafana.macros import boards, choices, expand, panels
from tests.soak import SOAK

SMALL = Size(days=12, inverters=4)
SPANS = 3


def _just_past_midnight() -> str:
    """Return a zone in which the day began within the hour."""
    hour = datetime.now(UTC).hour
    # its sign is the other way round: Etc/GMT+5 is five hours behind
    return f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"


def _filled(url, home):
    city.make(url, home, SMALL)


def _silent(url, home):
    fill(url, home, SMALL, silent=timedelta(days=45))


def _midnight(url, home):
    fill(url, home, SMALL, clock=_just_past_midnight())


def _never_heard(url, home):
    register(url, home, SMALL, datetime.now(UTC))
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        silence_rates.refresh(conn)
        refresh_days(conn)


def _empty(url, home):
    del url, home


@pytest.fixture(scope="module", params=[_filled, _silent, _midnight, _never_heard, _empty])
def reader(request, timescale, migrated_template, tmp_path_factory):
    """Return a connection as dashboards have it, to a city in one of its states."""
    for url in _fresh(timescale, migrated_template):
        request.param(url, tmp_path_factory.mktemp("city"))
        with connect(url, role="tonne_grafana", autocommit=True) as conn:
            yield conn


def test_every_panel_of_tonnes_or_energy_is_walked():
    """A new panel would show tonnes of its own making, held against nothing."""
    assert sorted({*PANELS, *TYPED}) == surfaces.of_panels()


def test_no_alert_has_tonnes_of_its_own():
    """An alert's figure would differ from the board that it leads to."""
    assert surfaces.of_alerts() == []


def test_panels_show_the_account(reader):
    """An operator would read another tonne on each board, and none of them the account's."""
    seed = secrets.randbits(32) if SOAK else 20
    chance = np.random.default_rng(seed)
    different = []
    with reader.transaction():
        account = read(reader)
        ends = [account.now - timedelta(days=chance.random() * 3) for _ in range(SPANS)]
        spans = [(end - timedelta(days=chance.random() * 30), end) for end in ends]
        # as a board opens, and the span of the silent city's data
        spans += [(account.now - timedelta(days=30), account.now)]
        spans += [(account.now - timedelta(days=60), account.now - timedelta(days=40))]
        # a query names whole seconds
        for since, until in ([t.replace(microsecond=0) for t in span] for span in spans):
            for where, shown in _shown(reader, since, until):
                column, key, meaning = PANELS[where]
                wanted = meaning(account, since, until)
                found = _figures(*shown, column, key)
                if not _alike(found, wanted):
                    different.append((where, str(since), str(until), _different(found, wanted)))
    assert not different, f"seed {seed}: {different}"


def _shown(conn, since, until):
    """Each surface with the names and rows of its query."""
    for board in boards():
        chosen = choices(conn, board)
        for panel in panels(board):
            where = f"{board['uid']}: {panel['title']}"
            names = [one for one in PANELS if one == where or one.startswith(where + ": ")]
            if names:
                query = expand(panel["targets"][0]["rawSql"], chosen, since, until)
                cursor = conn.execute(query)
                shown = [c.name for c in cursor.description], cursor.fetchall()
                yield from ((name, shown) for name in names)


def _figures(names, rows, column, key):
    """What a panel shows: one figure, figures by the row's name, or a list where rows have none."""
    if key == ():
        return sorted(row[names.index(column)] for row in rows)
    if key is None:
        return rows[-1][names.index(column)] if rows else None
    keys = (key,) if isinstance(key, str) else key
    at = [names.index(one) for one in keys]
    rest = [k for k in range(len(names)) if k not in at]
    return {
        _name(tuple(row[k] for k in at)): tuple(row[k] for k in rest)
        if column is None
        else row[names.index(column)]
        for row in rows
    }


def _name(parts):
    return parts[0] if len(parts) == 1 else parts


def _any(value):
    return any(v is not None for v in value) if isinstance(value, tuple) else value is not None


def _different(found, wanted):
    """Only what differs, for whoever reads the failure."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        keys = found.keys() | wanted.keys()
        return {k: (found.get(k), wanted.get(k)) for k in keys
                if not _alike({k: found.get(k)}, {k: wanted.get(k)})}  # fmt: skip
    return found, wanted


def _alike(found, wanted):
    """Whether figures are the same: sums to the last digit, shares of them nearly."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        # a row without a figure shows none
        found, wanted = ({k: v for k, v in of.items() if _any(v)} for of in (found, wanted))
        return found.keys() == wanted.keys() and all(_alike(found[k], wanted[k]) for k in wanted)
    if isinstance(wanted, (list, tuple)) and isinstance(found, (list, tuple)):
        return len(found) == len(wanted) and all(map(_alike, found, wanted))
    if found is None or wanted is None:
        return found is None and wanted is None
    if isinstance(wanted, float):
        return abs(float(found) - wanted) <= NEARLY * max(abs(wanted), 1e-6)
    return Decimal(found) == Decimal(wanted)
