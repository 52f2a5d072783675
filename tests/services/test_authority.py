"""Authorizations in the registry: from a letter to tables that are filed and never change."""

import csv
import json

import pytest
import yaml

from services.cli.output import Exit
from services.store.postgres.pool import connect
from tests.fix_timescale import _fresh
from tests.invoked import tonne
from tests.services.issuer import logged

CREDITED, VINTAGE = 3, 2026  # a day of the plant


@pytest.fixture(scope="module")
def issued(timescale, migrated_template, tmp_path_factory):
    """Return a database and an issued statement in it, of some whole tonnes."""
    for url in _fresh(timescale, migrated_template):
        yield url, logged.issued(url, tmp_path_factory.mktemp("authority"))[1]


def _letter(statement, **more):
    return {
        "id": "VN-1", "project": "pv", "approach": "CA0004", "date": "2026-03-10", "version": 1,
        "party": "VNM", "document": "letter 12/2026", "quantity": 5000,
        "gwp": "100-year values from 5th IPCC assessment", "activity_type": "Solar",
        "sector": "Energy industries (renewable-/ non renewable sources)", "purposes": "NDC",
        "first_transfer": "Authorization", "authorized_party": "JPN",
        "entities": [{"id": "E1", "name": "Plant", "country": "VNM", "date": "2026-03-10"}],
        "units": [{"statement": statement, "vintage": VINTAGE, "first": 1, "last": CREDITED,
                   "registry": "R1"}],
        "actions": [{"date": "2026-04-01", "type": "First Transfer", "subtype": "NDC", "first": 1,
                     "last": 1, "registry": "R1", "document": "letter 7", "from_party": "VNM",
                     "to_party": "JPN"}],
    } | more  # fmt: skip


YEAR = {"party": "VNM", "year": VINTAGE, "version": 1, "date": "2027-04-10", "ndc_from": 2021,
        "ndc_to": 2030}  # fmt: skip


@pytest.fixture
def run(issued, tmp_path):
    """Return a runner of commands, and one that imports sections."""
    url, _ = issued

    def command(*words):
        return tonne(*words, env={"TONNE_DATABASE_URL": url})

    def bring(**sections):
        file = tmp_path / "letters.yaml"
        file.write_text(yaml.safe_dump(sections), encoding="utf-8")
        return command("registry", "import", file, "--json")

    command.bring = bring
    return command


def _rows(url):
    with connect(url) as conn:
        return conn.execute("SELECT count(*) FROM authority_entry").fetchone()[0]


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"party": "XXX"}, "is not a Party"),
        ({"party": "USA"}, "is not a Party"),
        ({"approach": "4"}, "CA and four digits"),
        ({"document": None}, "the letter by which"),
        ({"project": "nobody"}, "is not registered"),
        ({"quantity": 2}, "2 t are authorized"),
        ({"version": 0}, "start at 1"),
        ({"purposes": "money"}, "is not one of"),
        ({"colour": "red"}, "unknown field"),
        ({"id": "VN-1\a"}, "control characters"),
        ({"document": "  "}, "is blank"),
        ({"id": "=cmd()"}, "formula"),
        ({"entities": [{"id": "", "name": "A", "country": "VNM", "date": "2026-03-10"}]}, "blank"),
        ({"date": "2026-04-02"}, "before the authorization"),
    ],
)
def test_what_contradicts_is_refused_and_nothing_is_written(issued, run, more, rule):
    """A Party would report a transfer that no letter carries."""
    url, statement = issued
    before = _rows(url)
    done = run.bring(authorizations=[_letter(statement) | more], submissions=[YEAR])
    assert done.exit_code == Exit.INPUT, done.output
    assert rule in done.output
    assert _rows(url) == before


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ({"date": "2026-12-31"}, "31 December, so the date must be later"),
        ({"ndc_from": 2030, "ndc_to": 2021}, "ends before it begins"),
        ({"year": 1800}, "begin with 2021"),
        ({"party": "EU"}, "is not a Party"),
    ],
)
def test_a_submission_that_cannot_be_is_refused(issued, run, more, rule):
    """Holdings of a 31 December that has not been would be frozen."""
    done = run.bring(submissions=[YEAR | {"version": 7} | more])
    assert done.exit_code == Exit.INPUT, done.output
    assert rule in done.output


def test_ranges_are_held_against_each_other_and_against_statements(issued, run):
    """The worst bug: a tonne with two serial numbers, or one that was never avoided."""
    url, statement = issued
    before = _rows(url)
    units = _letter(statement)["units"][0]
    for wrong, rule in (
        ([units, {**units, "first": 2}], "overlap"),
        ([{**units, "last": CREDITED + 1}], "correct the quantity"),
        ([{**units, "vintage": 2025}], "credits only 0 t"),
        ([{**units, "statement": "TN-none"}], "is not issued"),
    ):
        done = run.bring(authorizations=[_letter(statement, units=wrong, actions=[])])
        assert (done.exit_code, _rows(url)) == (Exit.INPUT, before), done.output
        assert rule in done.output


def test_a_year_is_filed_once_and_revised_by_a_new_version(issued, run, tmp_path):
    """A submitted year is changed only by a new version."""
    url, statement = issued
    assert run.bring(authorizations=[_letter(statement)], submissions=[YEAR]).exit_code == 0
    again = run.bring(authorizations=[_letter(statement)], submissions=[YEAR])
    assert {row["result"] for row in json.loads(again.stdout)} == {"unchanged"}
    # what an export of the registry says, an import reads back unchanged
    told = run("registry", "export")
    (tmp_path / "whole.yaml").write_text(told.stdout, encoding="utf-8")
    back = run("registry", "import", tmp_path / "whole.yaml", "--json")
    assert {row["result"] for row in json.loads(back.stdout)} == {"unchanged"}

    def held(version):
        out = tmp_path / f"v{version}"
        done = run(
            "export", "aef", "--party", "VNM", "--year", VINTAGE, "--version", version, "--out", out
        )
        assert done.exit_code == Exit.DONE, done.output
        with (out / "T4.csv").open(newline="") as file:
            ranges = [(int(r["itmoFirstId"]), int(r["itmoLastId"])) for r in csv.DictReader(file)]
        return ranges, (out / "filed.txt").read_text().strip(), (out / "T4.csv").read_bytes()

    ranges, number, whole = held(1)
    assert ranges == [(2, CREDITED)]  # one of three went to Japan
    assert run.bring(submissions=[YEAR | {"filed": "0" * 64}]).exit_code == Exit.INPUT
    assert run.bring(submissions=[YEAR | {"filed": number}]).exit_code == Exit.DONE

    more = _letter(statement)
    more["actions"].append(more["actions"][0] | {"first": 2, "last": 2, "date": "2026-05-01"})
    before = _rows(url)
    for sections in (
        {"authorizations": [more]},  # of the filed year, and not reported in a revision
        {"authorizations": [_letter(statement, actions=[])]},
        {"submissions": [YEAR]},
        {"submissions": [YEAR | {"date": "2027-04-11"}]},
    ):
        done = run.bring(**sections)
        assert (done.exit_code, _rows(url)) == (Exit.INPUT, before), done.output
        assert "does not change" in done.output
    more["actions"][1]["reported_in"] = 2
    second = YEAR | {"version": 2, "date": "2027-09-01"}
    assert run.bring(authorizations=[more], submissions=[second]).exit_code == Exit.DONE
    assert held(2)[0] == [(3, CREDITED)]
    (tmp_path / "v1").rename(tmp_path / "v1-then")
    assert held(1) == (ranges, number, whole)
    with connect(url) as conn, pytest.raises(Exception, match="does not change"):
        conn.execute(
            "INSERT INTO authority_entry (kind, id, record)"
            " SELECT kind, id, record FROM authority_entry WHERE id = 'VNM 2026 version 1'"
        )
    # a file beside the registry undoes nothing either
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"submissions": [YEAR]}), encoding="utf-8")
    done = run("export", "aef", statement, "--party", "VNM", "--year", VINTAGE, "--entered", own,
               "--out", tmp_path / "own")  # fmt: skip
    assert done.exit_code == Exit.INPUT, done.output
    assert "does not change" in done.output
