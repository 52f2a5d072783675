"""Units in the database: a property over random events, and the rules by name."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import InputError
from services.cli.output import Exit
from services.store.postgres.pool import connect
from services.store.statements.units import UnitEvent, balances, events
from services.store.statements.units import enter_event as enter
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.services.issuer import logged
from tests.soak import often

CREDITED, VINTAGE = 12, 2026
STATES = ("issued", "first transferred", "transferred", "cancelled", "retired")
DAY = date(2026, 6, 1)


@pytest.fixture(scope="module")
def issued(timescale, migrated_template, tmp_path_factory):
    """Return a database and an issued statement in it, of some whole tonnes."""
    for url in _fresh(timescale, migrated_template):
        _, name = logged.issued(url, tmp_path_factory.mktemp("units"))
        with connect(url, autocommit=True) as conn, conn.transaction():
            # a day of the plant credits no whole tonne
            conn.execute("SET LOCAL session_replication_role = replica")
            conn.execute(
                "UPDATE statement SET document = jsonb_set(document,"
                " '{credentialSubject,credited,vintages}', %s::jsonb)",
                [f'[{{"year": {VINTAGE}, "credited_t": "{CREDITED}"}}]'],
            )
        yield url, name


def _one(name, event, first=1, last=CREDITED, day=DAY, vintage=VINTAGE):
    return UnitEvent(name, vintage, first, last, event, day, "letter", None)


@settings(max_examples=often(20, 40), deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(STATES), st.integers(1, 15), st.integers(1, 15)), max_size=12
    )
)
def test_units_never_exceed_what_was_issued(issued, steps):
    """Units never exceed the issued tonnes."""
    url, name = issued
    with logged.undone(url) as conn:
        _walk(conn, name, steps)


def _walk(conn, name, steps):
    state = {}  # what this test, and no code of the store, holds of each unit
    for event, a, b in steps:
        first, last = min(a, b), max(a, b)
        numbers = range(first, last + 1)
        was = [state.get(n, ()) for n in numbers]
        ended = any({"cancelled", "retired"} & set(s) for s in was)
        may = {
            "issued": last <= CREDITED and not any(was),
            "first transferred": all(was)
            and not ended
            and not any("first transferred" in s for s in was),
            "transferred": all("first transferred" in s for s in was) and not ended,
            "cancelled": all(was) and not ended,
            "retired": all(was) and not ended,
        }[event]
        if not may:
            with pytest.raises(InputError):
                enter(conn, _one(name, event, first, last), "test")
            continue
        enter(conn, _one(name, event, first, last), "test")
        state |= {n: (*s, event) for n, s in zip(numbers, was, strict=True)}
    for one in balances(conn, DAY):
        for column, event in zip(
            one[2:], ("issued", "first transferred", "cancelled", "retired"), strict=True
        ):
            assert column == sum(event in s for s in state.values()), event
        assert 0 <= one.held <= one.issued <= CREDITED
    assert sum(o.last - o.first + 1 for o in events(conn, name) if o.event == "issued") == len(
        state
    )


def test_a_rule_is_named(issued):
    """Anyone who enters a letter wrongly would search for the reason in a database."""
    url, name = issued
    with logged.undone(url) as conn:
        with pytest.raises(InputError, match=f"credits {CREDITED} t"):
            enter(conn, _one(name, "issued", 1, CREDITED + 1), "test")
        with pytest.raises(InputError, match="credits 0 t"):
            enter(conn, _one(name, "issued", vintage=2025), "test")
        enter(conn, _one(name, "issued"), "test")
        with pytest.raises(InputError, match="3 to 3 of vintage 2026 are issued already"):
            enter(conn, _one(name, "issued", 3, 3), "test")
        with pytest.raises(InputError, match="not all of them are first transferred"):
            enter(conn, _one(name, "transferred"), "test")
        with pytest.raises(InputError, match="later event"):
            enter(conn, _one(name, "retired", day=date(2026, 5, 1)), "test")
        assert balances(conn, date(2026, 5, 31)) == []


def test_the_command_refuses_with_the_rule_and_writes_nothing(issued):
    """A letter that is entered wrongly would appear in the registry for good."""
    url, name = issued
    env = {"TONNE_DATABASE_URL": url}
    more = ["--vintage", "2026", "--first", "1", "--last", str(CREDITED + 1), "--day", "2026-06-01",
            "--document", "letter"]  # fmt: skip
    done = tonne("units", "enter", name, "issued", *more, env=env, code=Exit.INPUT)
    assert f"credits {CREDITED} t" in done.stderr
    for words in (["list", "--statement", name], ["balance", "--year", "2026"]):
        done = tonne("units", *words, "--json", env=env)
        assert (done.exit_code, done.stdout) == (Exit.DONE, "[]\n"), done.output
