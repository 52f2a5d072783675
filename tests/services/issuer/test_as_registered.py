"""
Versions, place and days as registered by a programme, and as verified.

Findings of the UNFCCC secretariat that these tests answer, below cdm.unfccc.int:

| finding | test |
|---|---|
| /IRCheck/iss_forms/F3V4L2R8YD6MGPJ/viewPublic: revised from no registered one | versions |
| /IRCheck/iss_forms/APB089Q6NIU4RML/viewPublic: other coordinates than in the design | elsewhere |
| /IRCheck/iss_forms/CFXAJGKND4MBQ9I/viewPublic: other day than the record | commissioned |
| /IRCheck/poaiss_forms/SCTWOH6LPG3MNK2/viewPublic: inspected before it was there | visit |
| /IRCheck/poaiss_forms/1238GA9BJXYNOPQ/viewPublic: drawn otherwise than planned | sampling |
"""

from dataclasses import replace

import pytest
from msgspec.structs import replace as changed

from mrv.documents.verification import PersonNamed, SiteVisit
from mrv.errors import StatementStateError
from mrv.exports.registration import Registration, Validation
from mrv.program import program
from services.issuer import transitions as life
from services.issuer.report import registered
from tests import registering
from tests.opinions import concluded
from tests.services.issuer import logged, plant

SPAN = plant.us("2026-03-02"), plant.us("2026-03-03")
SHA = "ab" * 32
DESIGN = f"""\
    design:
      document: Project design document
      version: "1.1"
      date: 2025-10-01
      sha256: {SHA}
      latitude: 20.9
      longitude: 106.6
      phases: [{{name: roof, planned: 2026-01-20, commissioned: 2026-01-20}}]
"""
REGISTERED = """
registrations:
  - project: pv
    programme: JCM
    registered: 2025-12-01
    methodologies: [{name: jcm-vn-am007, version: "1.0", since: 2025-12-01}]
    designs:
      - {name: PDD, version: "1.0", since: 2025-12-01, until: 2026-03-01}
      - {name: PDD, version: "1.1", since: 2026-03-02}
"""
TEAM = (PersonNamed(name="Tran Thi Mai", function="lead verifier"),)


def _with(design):
    return plant.REGISTRY.replace("    monitoring:\n", f"{design}    monitoring:\n", 1)


def _told(url, folder, text):
    registering.register(url, folder, text)
    said = logged.subject(url, *SPAN)
    assert said["codeVersion"] == program()
    return logged.unmet(said, "PLN-01")


def _checks(url, name):
    return {check: one.lacking for check, one in logged.checks(url, name)[1].items()}


def test_versions_are_those_that_were_registered(database_url, who, tmp_path):
    """A methodology version that was not registered is reported."""
    registering.register(database_url, tmp_path, plant.REGISTRY)
    name = logged.submitted(database_url, who)
    assert len(_checks(database_url, name)["registered"]) == 2
    registering.register(database_url, tmp_path, REGISTERED)
    assert _checks(database_url, name)["registered"] == ("projects[pv].design",)
    registering.register(database_url, tmp_path, _with(DESIGN))
    name = logged.submitted(database_url, who)
    assert _checks(database_url, name)["registered"] == ()
    other = REGISTERED.replace("until: 2026-03-01", "until: 2026-03-02").replace(
        "since: 2026-03-02", "since: 2026-03-03"
    )
    other = other.replace('"1.0", since: 2025-12-01}]', '"0.9", since: 2025-12-01}]')
    registering.register(database_url, tmp_path, other)
    assert (
        _checks(database_url, name)["registered"]
        == (
            "registrations[pv].methodologies: jcm-vn-am007 1.0 on 2026-03-02; registered: 0.9",
            "registrations[pv].methodologies: jcm-vn-am007 1.0 on 2026-03-02; registered: 0.9",
            "registrations[pv].designs: design 1.1 on 2026-03-02; registered: 1.0",
        )[1:]
    )


def test_a_plant_elsewhere_than_designed_is_a_finding(database_url, who, tmp_path):
    """A plant at another location than designed is reported."""
    assert "km from the place" not in _told(database_url, tmp_path, _with(DESIGN))
    near = DESIGN.replace("latitude: 20.9", "latitude: 20.905")
    assert "km from the place" not in _told(database_url, tmp_path, _with(near))
    said = _told(
        database_url, tmp_path, _with(DESIGN.replace("longitude: 106.6", "longitude: 106.7"))
    )
    assert "inv-1, is 10.4 km from the place of the registered design (1.1)" in said
    half = registering.told(
        database_url, tmp_path, _with(DESIGN.replace("      longitude: 106.6\n", "")), "owner"
    )
    assert "design.latitude: and longitude belong together" in str(half.results)


def test_energy_before_a_plant_is_commissioned_is_a_finding(database_url, who, tmp_path):
    """Energy before the commissioning date is reported."""
    late = DESIGN.replace("commissioned: 2026-01-20", "commissioned: 2026-10-06")
    late = late.replace("planned: 2026-01-20", "planned: 2026-10-06")
    said = _told(database_url, tmp_path, _with(late))
    assert "inv-1 is counted from 2026-03-02 on, but the first phase of the design was comm" in said
    reason = late.replace("2026-10-06}", "2026-10-06, reason: trial operation counted}")
    assert "first phase" not in _told(database_url, tmp_path, _with(reason))
    assert "first phase" not in _told(database_url, tmp_path, _with(DESIGN))


def test_a_visit_is_of_a_plant_that_is_there(database_url, who):
    """A site visit before commissioning is reported."""
    name = logged.submitted(database_url, who)
    visit = SiteVisit(day="2025-09-26", place="Hai Phong", text="the meters were seen")
    with logged.issuer(database_url) as conn:
        whole = replace(concluded("unqualified", of=(conn, name)), team=TEAM)
        later = replace(whole, site_visits=(SiteVisit(day="2999-01-01", place="-", text="-"),))
        with pytest.raises(StatementStateError, match="2999-01-01, after the signature"):
            life.verify(conn, name, who["verifier"], later)
        life.verify(conn, name, who["verifier"], replace(whole, site_visits=(visit,)))
    assert _checks(database_url, name)["visited"] == (
        "Hai Phong: visited on 26 September 2025, before the first meter was installed",
    )


def test_who_verified_does_not_review(database_url, who):
    """A member of the verification team cannot be the reviewer."""
    name = logged.submitted(database_url, who)
    own = PersonNamed(name="tran thi mai", function="reviewer")
    other = PersonNamed(name="Le Van Minh", function="technical reviewer")
    with logged.issuer(database_url) as conn:
        whole = replace(concluded("unqualified", of=(conn, name)), team=TEAM)
        with pytest.raises(StatementStateError, match="is a member of the verification team"):
            life.verify(conn, name, who["verifier"], replace(whole, reviewer=own))
        life.verify(conn, name, who["verifier"], replace(whole, reviewer=other))
    assert _checks(database_url, name)["reviewed"] == ()


def test_who_validated_does_not_verify(database_url, who):
    """A large project of the CDM would come back, since one entity did both."""
    name = logged.verified(database_url, who)
    facts, _ = logged.checks(database_url, name)
    assert facts.opinion
    body = facts.organisation(facts.opinion.issuer)
    other = Registration(project="pv", programme="CDM", validation=Validation(body="Another"))
    assert not any("validated" in str(one) for one in registered(facts, other))
    same = changed(other, validation=Validation(body=f"{body} Ltd."))
    said = f"{body} Ltd. validated the project and verified the statement"
    assert any(said in str(one) for one in registered(facts, same))
    japanese = changed(same, programme="JCM")
    assert not any("validated" in str(one) for one in registered(facts, japanese))


def test_a_plan_describes_how_its_samples_are_drawn(database_url, who, tmp_path):
    """A monitoring plan describes the sampling method."""
    registering.register(database_url, tmp_path, plant.REGISTRY)
    survey = (
        "    surveys:\n      - {parameter: sfc_l_per_100km, population: 90, n: 40, mean: 34, sd: 2,"
        " drawn: by district, taken: 2026-01-02}\n"
    )
    of_bus = plant.PLAN.replace("parameter: generation, channel: energy_export_kwh",
                                "parameter: charging, channel: energy_import_kwh")  # fmt: skip
    text = f"{plant.REGISTRY}{survey}{of_bus}"
    _, said = registering.said(database_url, tmp_path, text)
    assert "procedures has no 'sampling'; describe it" in said
    drawn = text.replace(of_bus, of_bus.replace(
        "          retention:", "          sampling: simple random, 90/10\n          retention:"
    ))  # fmt: skip
    _, said = registering.said(database_url, tmp_path, drawn)
    assert "'sampling'" not in said
