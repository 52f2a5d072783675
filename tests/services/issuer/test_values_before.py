"""A registry that is changed once the readings are known, by public ways."""

import json

import pytest
from click.testing import CliRunner

from mrv.accounting.late_values import CLAUSE
from mrv.calendar import utc_text
from mrv.packs.reader import read_pack
from mrv.registry.project import INVOICED
from mrv.statement.plan_reader import read_plan
from mrv.verify import verify
from services.cli.main import main
from services.issuer.collect_evidence import plan_of
from services.issuer.pack import export
from services.issuer.values_before import changed_late
from services.store.postgres.pool import connect
from tests import registering
from tests.planted import planted
from tests.services.issuer import logged, plant
from tests.services.issuer.sealed import close_period

SPAN = plant.us("2026-03-01"), plant.us("2026-03-03")
OLD = "sfc_l_per_100km: 34.0"
NEW = "sfc_l_per_100km: 44"
BUSES = plant.REGISTRY[: plant.REGISTRY.index("projects:")] + (
    "projects:\n" + plant.REGISTRY[plant.REGISTRY.index("  - id: bus\n") :]
)
PAPER = "{document: %s, by: Department of Transport, issued: %s, sha256: %s}"
DOCUMENT = "    documents: {sfc_l_per_100km: " + PAPER + "}\n"


def _buses(url, folder):
    plant.register(url, folder, BUSES)
    plant.fill_buses(url)


@pytest.fixture
def url(database_url, tmp_path):
    planted(_buses, database_url, tmp_path)
    return database_url


def closed(url):
    """Close two days; what they come to and what is said of late changes."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        found = close_period(conn, "bus", *SPAN, "test")
    said = [f.detail for f in found.result.applicability if f.clause == CLAUSE]
    return found.result.net, "".join(said)


def test_a_baseline_that_is_raised_after_the_period_began_earns_nothing(url, tmp_path):
    """The owner would import an honest file, see the readings, and then raise the baseline."""
    honest, said = closed(url)
    assert not said
    registering.told(url, tmp_path, BUSES.replace(OLD, NEW), author="owner")
    net, said = closed(url)
    assert net == honest
    assert "sfc_l_per_100km was 34 and is 44, changed on" in said
    assert "by owner; by the value of before there would be" in said
    assert "no document is named, so the value of before counts" in said

    words = ["period", "preview", "bus", "--from", "2026-03-01", "--to", "2026-03-03", "--json"]
    shown = CliRunner().invoke(main, words, env={"TONNE_DATABASE_URL": url})
    assert {one["clause"]: one["detail"] for one in json.loads(shown.output)["not_met"]}[
        CLAUSE
    ] == said

    who = logged.signers(url, tmp_path)
    name = logged.issue(url, who, "2026-03-01", "2026-03-03", "bus")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        export(conn, name, tmp_path / "pack")
    pack = read_pack(tmp_path / "pack")
    report = verify(pack)
    assert report.failure is None, report.failure
    plan = json.loads(pack.files["plan.json"])
    ((one,), again) = plan["changedLate"], read_plan(plan)
    assert (one["parameter"], one["before"], one["by"]) == ("sfc_l_per_100km", "34", "owner")
    assert again.to_json() == plan
    assert not again.by_rules(INVOICED - 1).besides().late


def test_an_honest_correction_counts(url, tmp_path):
    """A slip that cost, or one that earned, would stay for the whole period."""
    lower, raised = BUSES.replace(OLD, "sfc_l_per_100km: 30"), BUSES.replace(OLD, NEW)
    honest = float(closed(url)[0].baseline.t)
    registering.told(url, tmp_path, lower)
    net, said = closed(url)
    assert float(net.baseline.t) < honest
    assert "the new value counts, which leaves less" in said
    registering.told(url, tmp_path, raised + DOCUMENT % ("survey 7", "2025-03-01", "a1" * 32))
    net, said = closed(url)
    assert float(net.baseline.t) > honest
    assert "survey 7 of 2025-03-01 shows it, and the new value counts" in said
    # what is as it was needs no reason
    registering.told(url, tmp_path, BUSES)
    assert closed(url)[1] == ""


def test_only_what_is_changed_after_the_period_began_is_late(url, tmp_path):
    """Plans that change between two periods would be a condition of each of them."""
    registering.told(url, tmp_path, BUSES.replace(OLD, NEW), author="owner")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        project = plan_of(conn, "bus", *SPAN).project
        times = [
            us
            for (us,) in conn.execute(
                "SELECT (extract(epoch FROM imported) * 1000000)::bigint FROM registry_version"
                " ORDER BY version"
            )
        ]
        end = times[-1] + 86_400_000_000
        (one,) = changed_late(conn, project, (times[1], end))
        assert (one.before, utc_text(one.changed_us)) == ("34", utc_text(times[1]))
        assert changed_late(conn, project, (times[0], end)) == (one,)
        assert changed_late(conn, project, (times[1] + 1, end)) == ()


def test_left_out_and_given_again_is_a_change(url, tmp_path):
    """A value would be new once it was left out in between; one that was never there is new."""
    kwh = "{device: bus-1, role: vehicle%s}"
    text = BUSES.replace(kwh % "", kwh % ", kwh_per_km: %s")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:

        def late(text):
            assert not registering.told(url, tmp_path, text).refused
            return changed_late(conn, plan_of(conn, "bus", *SPAN).project, SPAN)

        assert late(text % 1) == ()
        (gone,) = late(BUSES)
        (other,) = late(text % "0.6")
        for one in (gone, other):
            assert (one.device, one.parameter, one.before) == ("bus-1", "kwh_per_km", "1")
        assert late(text % "1.0") == ()


def test_what_is_given_for_the_first_time_after_the_period_began_is_late(url, tmp_path):
    """A value would be left out until the readings are known."""
    text = BUSES.replace("role: vehicle}", "role: vehicle, kwh_per_km: 1.2}")
    registering.told(url, tmp_path, text, author="owner")
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        project = plan_of(conn, "bus", *SPAN).project
        (first, second) = (
            us
            for (us,) in conn.execute(
                "SELECT (extract(epoch FROM imported) * 1000000)::bigint FROM registry_version"
                " ORDER BY version"
            )
        )
        assert changed_late(conn, project, SPAN) == ()
        (one,) = changed_late(conn, project, (first + 1, second))
        assert (one.device, one.parameter, one.before) == ("bus-1", "kwh_per_km", None)
        assert not one.paper_only


def taken_over(day="2026-02-01"):
    """Return buses whose service ends on a day, and another project of them from then on."""
    ended = BUSES.replace("role: charging}", f"role: charging, to: {day}}}")
    ended = ended.replace("role: vehicle}", f"role: vehicle, to: {day}}}")
    again = BUSES[BUSES.index("  - id: bus\n") :].replace("id: bus\n", "id: again\n")
    return ended, again.replace("from: 2026-01-01", f"from: {day}").replace(OLD, NEW)


def test_a_new_name_of_the_project_hides_no_change(url, tmp_path):
    """The same buses would be registered again, as a project that never had another value."""
    honest, _ = closed(url)
    assert not registering.told(url, tmp_path, "".join(taken_over()), author="owner").refused
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        found = close_period(conn, "again", *SPAN, "test")
    (said,) = [f.detail for f in found.result.applicability if f.clause == CLAUSE]
    assert found.result.net == honest
    assert "sfc_l_per_100km was 34 and is 44" in said
    assert "by owner, before in bus;" in said


def test_a_project_that_takes_buses_over_has_its_own_values(database_url, tmp_path):
    """Whoever buys buses after another project of them would be held to its values."""
    ended, again = taken_over()
    plant.register(database_url, tmp_path, ended)
    assert not registering.told(database_url, tmp_path, ended + again).refused
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        assert plan_of(conn, "again", *SPAN).late == ()


def test_a_document_that_is_dated_anew_is_a_condition(url, tmp_path):
    """A paper of after the period would become one of before it without a trace."""
    assert not registering.told(
        url, tmp_path, BUSES + DOCUMENT % ("survey 7", "2026-05-01", "a1" * 32)
    ).refused
    net, said = closed(url)
    assert said == ""
    registering.told(url, tmp_path, BUSES + DOCUMENT % ("survey 7", "2025-03-01", "a1" * 32))
    again, said = closed(url)
    assert again == net
    assert "was survey 7 (Department of Transport, 2026-05-01, SHA-256 a1a1a1a1) and is" in said


def test_another_file_after_one_that_completed_a_document_is_a_condition(url, tmp_path):
    """First no hash, then one, then another: the second change left no trace."""
    first = BUSES + (DOCUMENT % ("survey 7", "2025-03-01", "")).replace(", sha256: }", "}")
    second, third = (BUSES + DOCUMENT % ("survey 7", "2025-03-01", x * 32) for x in ("b1", "c2"))
    registering.told(url, tmp_path, first)
    honest, said = closed(url)
    assert said == ""
    registering.told(url, tmp_path, second)
    assert closed(url) == (honest, "")
    registering.told(url, tmp_path, third)
    net, said = closed(url)
    assert net == honest
    assert "2025-03-01, SHA-256 b1b1b1b1) and is survey 7 (Department of Transport, 2025" in said
    assert "SHA-256 c2c2c2c2), changed on" in said
    # back to the one that completed it
    registering.told(url, tmp_path, second)
    assert closed(url) == (honest, "")
    # left out again
    registering.told(url, tmp_path, first)
    assert "SHA-256 b1b1b1b1) and is survey 7 (Department of Transport, 2025" in closed(url)[1]


def test_the_operator_s_own_paper_shows_no_new_value(url, tmp_path):
    """Whoever gains by a value would write the paper that shows it."""
    honest, _ = closed(url)
    logged.signers(url, tmp_path)
    text = BUSES.replace(OLD, NEW) + DOCUMENT % ("own note", "2025-03-01", "a1" * 32)
    registering.told(url, tmp_path, text.replace("Department of Transport", "the-operator"))
    net, said = closed(url)
    assert net == honest
    assert "no document is named" in said
