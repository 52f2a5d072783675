"""A methodology has a life in a programme: asked at registration, close and issue."""

from datetime import date

import pytest
import yaml

from mrv import method_lives
from mrv.errors import MethodologyError, StatementStateError
from mrv.method_lives import broken, find_life, lives, registration_refused
from mrv.methodologies import find
from mrv.statement.sampling import Size
from services.cli.output import Exit
from services.issuer import transitions as life
from services.issuer.registry_rules import LIFE
from services.store.postgres.pool import connect
from services.store.registry.write import write_lives
from tests.invoked import tonne
from tests.opinions import concluded
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period


def test_days_refuse_and_unknown_days_do_not():
    """A project would register by a method that its programme no longer takes."""
    ended = find_life("ams-i-d", "18.0", ["verified carbon standard (vcs)"])
    assert registration_refused(ended, date(2026, 12, 31)) is None
    text = registration_refused(ended, date(2027, 1, 1))
    assert "its successor is VMR0017" in str(text)
    assert find_life("ams-i-d", "18.0", ["Joint Crediting Mechanism", None]) is None
    assert find_life("ams-i-d", "18.0", []) is None
    # registered in time: it goes on; nobody said when: it cannot be told
    assert list(broken(ended, date(2026, 5, 1), date(2030, 1, 1))) == []
    assert "not entered" in str(next(broken(ended, None, date(2027, 2, 1))))
    assert list(broken(ended, None, date(2027, 1, 1))) == []
    unknown = find_life("ams-iii-c", "16.0", ["VCS"])
    assert registration_refused(unknown, date(2030, 1, 1)) is None
    new = find_life("vmr0017", "1.0", ["VCS"])
    assert "valid in Verra VCS from 2026-04-23" in str(registration_refused(new, date(2026, 4, 22)))
    assert all(one.source and one.certainty in "RrMTB" for one in lives())


def test_a_successor_is_named_and_not_computed():
    """Tonnes by equations that no one read would be tonnes of nothing."""
    for name, before in (("vmr0017", "AMS-I.D and ACM0002"), ("vmr0014", "AMS-III.C")):
        with pytest.raises(MethodologyError, match=f"follows {before}"):
            find(name)
        done = tonne("evaluate", name, "--describe", code=Exit.INPUT)
        assert "not calculated" in done.output


PROGRAMME = "Joint Crediting Mechanism"


@pytest.fixture
def ending(monkeypatch):
    """Let the plant's methodology end in its programme before its period."""

    def end(**days):
        found = [one for one in lives() if one.id != "jcm-vn-am007"]
        of = next(one for one in lives() if one.id == "jcm-vn-am007")
        own = method_lives.Life(
            programme=of.programme, programmes=of.programmes, id=of.id, name=of.name,
            version="1.0", source="a decision", certainty="R", **days,
        )  # fmt: skip
        monkeypatch.setattr(method_lives, "lives", lambda: (*found, own))

    return end


def _bring(url, folder, registered):
    file = folder / "registration.yaml"
    record = {"project": "pv", "programme": PROGRAMME, "registered": registered}
    file.write_text(yaml.safe_dump({"registrations": [record]}), encoding="utf-8")
    env = {"TONNE_DATABASE_URL": url}
    return tonne("registry", "import", file, env=env)


def test_registration_close_and_issue_ask_the_ledger(database_url, tmp_path, ending):
    """A statement would be issued by a method that its programme ended."""
    who = planted(logged.quarter_hours, database_url, tmp_path)
    logged.seal_now(database_url, who)
    ending(register_until=date(2025, 12, 1))
    late = _bring(database_url, tmp_path, "2025-12-15")
    assert late.exit_code == Exit.INPUT, late.output
    assert "takes no new project" in late.output
    assert _bring(database_url, tmp_path, "2025-11-15").exit_code == Exit.DONE

    def closed():
        with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
            begin, end = plant.us("2026-03-02"), plant.us("2026-03-03")
            name = close_period(conn, "pv", begin, end, "test").statement
            life.submit(conn, name, who["operator"])
            life.sample(conn, name, who["verifier"], Size())
            life.verify(conn, name, who["verifier"], concluded("unmodified", of=(conn, name)))
            conditions = life.documents(conn, name).claims.applicability
        return name, [one.words() for one in conditions if one.rule == LIFE and not one.holds]

    name, unmet = closed()
    assert unmet == []
    ending(credits_until=date(2026, 3, 1))
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        with pytest.raises(StatementStateError, match="does not state this"):
            life.issue(conn, name, who["log"], "test")
        begin, end = plant.us("2026-03-03"), plant.us("2026-03-04")
        after = close_period(conn, "pv", begin, end, "test").statement
        conditions = life.documents(conn, after).claims.applicability
    told = [one.words() for one in conditions if one.rule == LIFE and not one.holds]
    assert ["issues no credits" in one for one in told] == [True]


def test_the_board_knows_which_projects_run_out(database_url, tmp_path):
    """Anyone who plans a project would learn of the end from the registry's refusal."""
    planted(logged.quarter_hours, database_url, tmp_path)
    with connect(database_url) as conn:
        write_lives(conn)
        rows = conn.execute(
            "SELECT project_id, methodology, successor, runs_out FROM v_methodology_end"
        ).fetchall()
    assert rows == [("bus", "AMS-III.C", "VMR0014", None)]
