"""A registry that is changed after the readings are known, by commands."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from mrv.calendar import utc_text
from mrv.documents import UNSET
from mrv.documents.statement import claims_of
from mrv.parameters import RequiredGrades
from mrv.statement.plan_reader import read_plan
from services.cli.__main__ import main
from services.issuer.close import preview_period
from services.issuer.collect_evidence import plan_of
from services.issuer.earlier_projects import changed_late
from services.store.postgres.pool import connect
from tests import registering
from tests.mrv.test_trust_root import OLD as OLD_KEYS
from tests.mrv.test_trust_root import root, signed
from tests.planted import planted
from tests.services.issuer import logged, plant

RULE = "PAR-02"
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
    """Preview two days; return their results and the texts on late changes."""
    found = logged.previewed(url, *SPAN, project="bus")
    said = [f.detail for f in found.result.applicability if f.rule == RULE]
    return found.result.net, "".join(said)


def test_a_baseline_that_is_raised_after_the_period_began_earns_nothing(url, tmp_path):
    """The owner would import an honest file, see the readings, and then raise the baseline."""
    honest, said = closed(url)
    assert not said
    registering.told(url, tmp_path, BUSES.replace(OLD, NEW), author="owner")
    net, said = closed(url)
    assert net == honest
    assert "sfc_l_per_100km was 34 and is 44, changed on" in said
    assert "by owner, after the period began: the earlier value is applied" in said
    assert "as no third party's document is entered" in said

    words = ["period", "preview", "bus", "--from", "2026-03-01", "--to", "2026-03-03", "--json"]
    shown = CliRunner().invoke(main, words, env={"TONNE_DATABASE_URL": url})
    assert {one["rule"]: one["text"] for one in json.loads(shown.output)["not_met"]}[RULE] == said

    who = logged.signers(url, tmp_path)
    name = logged.issue(url, who, "2026-03-01", "2026-03-03", "bus")
    pack = logged.packed(url, name, tmp_path / "pack")
    plan = json.loads(pack.files["plan.json"])
    ((one,), again) = plan["changedLate"], read_plan(plan)
    assert (one["parameter"], one["before"], one["by"]) == ("sfc_l_per_100km", "34", "owner")
    assert again.to_json() == plan
    assert not again.by_first_rules().supporting().late


def test_only_what_is_changed_after_the_period_began_is_late(url, tmp_path):
    """A plan changed between two periods would raise a finding in both."""
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
    """A value omitted in between would count as new; only one that was never entered is new."""
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
    """Return buses whose service ends on a day, and another project with them from then on."""
    ended = BUSES.replace("role: charging}", f"role: charging, to: {day}}}")
    ended = ended.replace("role: vehicle}", f"role: vehicle, to: {day}}}")
    again = BUSES[BUSES.index("  - id: bus\n") :].replace("id: bus\n", "id: again\n")
    return ended, again.replace("from: 2026-01-01", f"from: {day}").replace(OLD, NEW)


def test_a_new_name_of_the_project_hides_no_change(url, tmp_path):
    """The same buses would be registered again, as a project that never had another value."""
    honest, _ = closed(url)
    assert not registering.told(url, tmp_path, "".join(taken_over()), author="owner").refused
    found = logged.previewed(url, *SPAN, project="again")
    (said,) = [f.detail for f in found.result.applicability if f.rule == RULE]
    assert found.result.net == honest
    assert "sfc_l_per_100km was 34 and is 44" in said
    assert "by owner, before in bus, after the period began" in said


def test_a_project_that_takes_buses_over_has_its_own_values(database_url, tmp_path):
    """Anyone who buys buses after another project of them would be held to its values."""
    ended, again = taken_over()
    plant.register(database_url, tmp_path, ended)
    assert not registering.told(database_url, tmp_path, ended + again).refused
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        assert plan_of(conn, "again", *SPAN).late == ()


SERVED = "[{device: ch-1, role: charging}, {device: bus-1, role: vehicle%s}]"
AGAIN = SERVED.replace("}]", "}, {device: bus-2, role: vehicle, from: %s, kwh_per_km: %s}]")
SECOND = """  - {id: bus-2, site: hp, class: vehicle, profile: generic,
     installed: 2026-01-01T00:00:00+07:00}
projects:
"""


def with_second(end, begin, value, had=", kwh_per_km: 1.0"):
    """Return buses of which a second id replaces one that ends."""
    text = BUSES.replace(SERVED % "", AGAIN % (f"{had}{end}", begin, value))
    return text.replace("projects:\n", SECOND)


@pytest.mark.parametrize(
    ("end", "begin", "value", "before"),
    [
        ("2026-03-02", "2026-03-02", "0.6", ["1"]),
        ("2026-03-02", "2026-03-20", "0.6", ["1"]),
        ("2026-03-02", "2026-02-10", "0.6", ["1"]),
        ("2026-03-02", "2026-03-02", "1.0", []),
        # beside a meter that stays, or long after one that left, it is one more
        ("2030-01-01", "2026-03-02", "0.6", []),
        ("2026-03-02", "2026-05-02", "0.6", []),
    ],
)
def test_a_new_id_has_the_values_of_the_meter_that_it_replaces(
    url, tmp_path, end, begin, value, before
):
    """After a meter replacement, the issued value would apply to the old id only."""
    first = BUSES.replace(SERVED % "", SERVED % ", kwh_per_km: 1.0")
    assert not registering.told(url, tmp_path, first).refused
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        (from_us,) = conn.execute(
            "SELECT (extract(epoch FROM max(imported)) * 1000000)::bigint + 1 FROM registry_version"
        ).fetchone()
        said = registering.told(
            url, tmp_path, with_second(f", to: {end}", begin, value), author="owner"
        )
        assert not said.refused, [r.messages for r in said.results]
        span = SPAN[0], plant.us("2026-07-01")
        project = plan_of(conn, "bus", *span).project
        found = changed_late(conn, project, (from_us, from_us + 1))
        assert [one.before for one in found] == before
        assert {one.by for one in found} <= {"owner, before it bus-1"}


@pytest.mark.parametrize(("metres", "late"), [(100, 1), (20_000, 0)])
def test_what_counts_is_of_whom_the_project_s_kilometres_are(url, tmp_path, metres, late):
    """
    Vehicles that hardly drive hide no takeover; a fleet that bought two used vehicles is a new
    project.
    """
    ended, again = taken_over()
    registering.told(url, tmp_path, with_silent(ended + again, 7), author="owner")
    times = np.arange(plant.us("2026-03-01"), plant.us("2026-03-04"), 600_000_000)
    for n in range(7):
        plant.send(url, f"z-{n}", times, odometer_m=np.arange(len(times)) * metres)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        assert len(plan_of(conn, "again", *SPAN).late) == late


def with_silent(text, count):
    """Return projects of which the second has more vehicles."""
    names = [f"z-{n}" for n in range(count)]
    more = "".join(f", {{device: {z}, role: vehicle, from: 2026-02-01}}" for z in names)
    known = "".join(
        f"  - {{id: {z}, site: hp, class: vehicle, profile: generic,"
        " installed: 2026-01-01T00:00:00+07:00}\n"
        for z in names
    )
    text = text.replace("projects:\n", f"{known}projects:\n")
    return text.replace("role: vehicle}]", f"role: vehicle}}{more}]")


def test_another_file_after_one_that_completed_a_document_is_a_condition(url, tmp_path):
    """A document's hash that was added and then changed left no trace of the change."""
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
    assert f"SHA-256 {'b1' * 32}) and is survey 7 (issuer Department of Transport" in said
    assert f"SHA-256 {'c2' * 32}), changed on" in said
    # back to the one that completed it
    registering.told(url, tmp_path, second)
    assert closed(url) == (honest, "")
    # left out again
    registering.told(url, tmp_path, first)
    assert f"SHA-256 {'b1' * 32}) and is survey 7 (issuer Department" in closed(url)[1]


def test_the_operator_s_own_paper_shows_no_new_value(url, tmp_path):
    """An operator would write the document for a value that raises the reduction."""
    honest, _ = closed(url)
    logged.signers(url, tmp_path)
    text = BUSES.replace(OLD, NEW) + DOCUMENT % ("own note", "2025-03-01", "a1" * 32)
    registering.told(url, tmp_path, text.replace("Department of Transport", "the-operator"))
    net, said = closed(url)
    assert net == honest
    assert "no third party's document is entered" in said


PUBLISHED = (
    "    documents: {tdl: {document: annual report, by: Grid operator, issued: %s, sha256: %s,"
    " value: 0.0615}}\n"
)


def test_a_publication_of_the_losses_settles_its_finding_at_any_time(url, tmp_path):
    """Entering the requested document would raise another finding permanently."""
    bare = logged.previewed(url, *SPAN, project="bus").result
    (found,) = (one for one in bare.applicability if one.rule == "FAC-01")
    assert "Enter the publication of the grid operator or authority under `documents`" in str(
        found.detail
    )
    registering.told(url, tmp_path, BUSES + PUBLISHED % ("2026-09-30", "d1" * 32), author="owner")
    settled = logged.previewed(url, *SPAN, project="bus").result
    assert settled.net.project.ug < bare.net.project.ug
    assert not {"FAC-01", "PAR-01", RULE} & {one.rule for one in settled.applicability}


def test_a_period_closes_by_the_evidence_that_the_pinned_trust_root_asks_for(
    url, tmp_path, monkeypatch
):
    """Grades of evidence set by a programme would have no effect."""
    usual, asked = shown_asked(url)
    assert asked is UNSET
    (one,) = (o for o in usual.applicability if o.rule == "PAR-05")
    assert "sfc_l_per_100km = 34 L/100 km has evidence of grade D" in str(one.detail)
    file = tmp_path / "root.json"
    file.write_bytes(signed(replace(root(), evidence=RequiredGrades("C", "D", "5")), *OLD_KEYS[:2]))
    monkeypatch.setenv("TONNE_TRUST_ROOT", str(file))
    less, asked = shown_asked(url)
    assert (asked.quantities, asked.parameters, asked.above_percent) == ("C", "D", "5")
    assert not [o for o in less.applicability if o.rule == "PAR-05"]
    assert less.net.reduction.ug > usual.net.reduction.ug


def shown_asked(url):
    """Preview two days; return the result, and the required grades stated in the statement."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        found = preview_period(conn, "bus", *SPAN)
    return found.result, claims_of(found.document).evidence.asked
