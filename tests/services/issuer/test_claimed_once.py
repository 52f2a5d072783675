"""An amount of energy is claimed once, whatever the present registry states about the device."""

import pytest

from mrv.errors import PeriodError, StatementStateError
from services.issuer import transitions as life
from services.store.registry import signing_keys as enrolled
from services.store.statements import statements
from tests import holders
from tests.planted import planted
from tests.services.issuer import logged, plant, sealed
from tests.services.issuer.logged import issuer
from tests.services.issuer.sealed import close_period

DAY = ("2026-03-01", "2026-03-02")
NEXT = ("2026-03-02", "2026-03-03")
# the same buses under another name, from a time that the first project has claimed
HEAD, BUS = plant.REGISTRY.split("  - id: bus\n")
SERVED = "[{device: ch-1, role: charging}, {device: bus-1, role: vehicle}]"


def _moved(at, fuel="34.0"):
    """Return the registry after bus and charger moved to another project."""
    old = BUS.replace(
        SERVED,
        f"[{{device: ch-1, role: charging, to: {at}}}, {{device: bus-1, role: vehicle, to: {at}}}]",
    )
    new = BUS.replace(
        SERVED,
        f"[{{device: ch-1, role: charging, from: {at}}},"
        f" {{device: bus-1, role: vehicle, from: {at}}}]",
    )
    new = new.replace("34.0", fuel)
    return f"{HEAD}  - id: bus\n{old}  - id: other\n{new}"


def _verified(url, home):
    """Return a verified statement of the buses, not issued yet."""
    plant.register(url, home)
    plant.fill_buses(url)
    with issuer(url) as conn:
        for role in ("operator", "verifier"):
            enrolled.enroll(conn, holders.create(home, f"the-{role}", role))
        return _verify(conn, home, close_period(conn, "bus", *map(plant.us, DAY), "t").statement)


def _verify(conn, home, statement):
    return logged.signed(conn, statement, logged.held(home), "unmodified", "limited")


def _issue(conn, home, statement):
    life.issue(conn, statement, sealed.log_of(conn, home), "test")


@pytest.fixture
def verified(database_url, tmp_path):
    return planted(_verified, database_url, tmp_path)


def _register(url, folder, text):
    folder.mkdir()
    plant.register(url, folder, text)


def test_a_device_that_moved_is_not_closed_for_a_time_that_was_claimed(
    database_url, tmp_path, verified
):
    """A project of another name would be credited for a week that the first one sold."""
    with issuer(database_url) as conn:
        _issue(conn, tmp_path, verified)
        _register(database_url, tmp_path / "moved", _moved(DAY[0]))
        with pytest.raises(PeriodError, match=f"bus-1 is counted in {verified} of project bus"):
            close_period(conn, "other", *map(plant.us, DAY), "test")
        close_period(conn, "other", *map(plant.us, NEXT), "test")


def test_the_second_of_two_that_were_closed_before_either_was_issued_is_refused(
    database_url, tmp_path, verified
):
    """Two drafts of the same day would both be issued, one after the other."""
    with issuer(database_url) as conn:
        _register(database_url, tmp_path / "moved", _moved(DAY[0]))
        other = close_period(conn, "other", *map(plant.us, DAY), "test").statement
        _issue(conn, tmp_path, _verify(conn, tmp_path, other))
        with pytest.raises(StatementStateError, match=f"is counted in {other} of project other"):
            _issue(conn, tmp_path, verified)


def test_what_a_revoked_statement_claimed_is_asked_about(database_url, tmp_path, verified):
    """Units that a registry issued would be sold, and the same energy claimed by another name."""
    with issuer(database_url) as conn:
        _issue(conn, tmp_path, verified)
        life.revoke(
            conn,
            verified,
            sealed.log_of(conn, tmp_path),
            "test",
            "the meter of the charger was wrong",
        )
        _register(database_url, tmp_path / "moved", _moved(DAY[0]))
        days = (DAY, NEXT)
        first, second = (
            close_period(conn, "other", *map(plant.us, day), "test").statement for day in days
        )
        claims = [statements.find(conn, name).claims for name in (first, second)]
    (found,) = (c for c in claims[0].applicability if c.rule == "CLM-02")
    assert (found.holds, found.severity) == (False, "CL")
    assert f"Statement {verified} of bus claimed these meters" in found.words()
    assert "was revoked (the meter of the charger was wrong)" in found.words()
    assert not [c for c in claims[1].applicability if c.rule == "CLM-02"]
