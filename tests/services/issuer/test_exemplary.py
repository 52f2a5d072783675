"""
A project of which nothing is missing, from the registry to the issue.

Whatever is asked for has to be there to be given: a line that no project can meet accuses all.
"""

from dataclasses import replace

from mrv.documents.verification import PersonNamed, SiteVisit
from mrv.packs.reader import read_pack
from mrv.statement.sampling import Size
from mrv.verify import verify
from services.issuer import transitions as life
from services.issuer.pack import export
from services.issuer.submission import submission
from tests import registering
from tests.opinions import concluded
from tests.services.issuer import logged, plant
from tests.services.issuer.test_as_registered import DESIGN, TEAM

FORMS = """
registrations:
  - project: pv
    programme: JCM
    project_id: VN900
    registered: 2025-12-01
    negative_impacts: none
    consultation: {date: 2025-09-30, document: minutes}
    methodologies: [{name: jcm-vn-am007, version: "1.0", since: 2025-12-01}]
    designs: [{name: PDD, version: "1.1", since: 2025-12-01}]
    forms: [{name: JCM_VN_F_MR, version: "02.0", since: 2023-01-01}]
    verifications: [{statement: TN-pv-20260302-20260303-1, id: V-1}]
    participants: [{name: A, side: JPN, share_percent: "100", account: J-1}]
"""
EVENTS = """\
    events:
      - {from: 2026-03-02, to: 2026-03-03, what: anomaly, devices: [inv-2], by: shift engineer,
         resolved: 2026-03-03, found: the data logger was started again, document: log 7}
"""
MADE = """\
    serial: {serial}
    maker: Maker
    model: M-1
    attributes: {{point: "{point}, 0.4 kV side", feeds: [grid]}}
"""


def _registry():
    """Return the plant with all that statement and checks ask for."""
    given = {
        "    serial: A1\n": MADE.format(serial="A1", point="M1"),
        "  - id: inv-2\n    site: hp\n": "  - id: inv-2\n    site: hp\n"
        + MADE.format(serial="A2", point="M2"),
        'C-1, accuracy_class: "0.5S"}': 'C-1, accuracy_class: "0.5S", serial: A1}',
        "C-2, max_error_percent: 0.5}": "C-2, max_error_percent: 0.5, serial: A2}",
        "    expected: {energy_kwh_per_year: 2400000, reduction_t_per_year: 799.2}": (
            "    parameters: {accept_factors: [jcm-vn-am007-case-1, jcm-vn-am007-case-3]}\n"
            "    expected: {energy_kwh_per_year: 5000000, reduction_t_per_year: 5000,"
            " by_month: [6, 7, 9, 9, 9, 9, 9, 9, 9, 9, 8, 7]}"
        ),
        "    monitoring:\n": DESIGN.replace(
            "      phases:", "      devices: [{make: Maker, model: M-1, number: 2}]\n      phases:"
        )
        + EVENTS
        + "    monitoring:\n",
    }
    text = plant.documented()
    for old, new in given.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def test_an_exemplary_project_lacks_nothing(database_url, tmp_path):
    """An operator who gives all that is asked for would be asked again, or accused."""
    plant.register(database_url, tmp_path, _registry())
    plant.fill_pv(database_url, minutes=15)
    who = logged.signers(database_url, tmp_path)
    logged.seal_now(database_url, who)
    name = logged.submitted(database_url, who)
    visit = SiteVisit(day="2026-03-04", place="Hai Phong", text="the meters were seen")
    with logged.issuer(database_url) as conn:
        life.sample(conn, name, who["verifier"], Size())
        said = replace(
            concluded("unqualified", of=(conn, name)),
            procedure="registers read on site",
            team=TEAM,
            signatory=PersonNamed(name="Pham Van Duc", function="director"),
            reviewer=PersonNamed(name="Le Van Minh", function="technical reviewer"),
            site_visits=(visit,),
            accreditation="VN-017",
        )
        life.verify(conn, name, who["verifier"], said)
        life.issue(conn, name, who["log"], "test")
    registering.register(database_url, tmp_path, FORMS)
    with logged.issuer(database_url) as conn:
        facts, lines = submission(conn, name, "en")
        report = verify(read_pack(export(conn, name, tmp_path / "pack")))
    assert [(one.check, one.lacking) for one in lines if not one.holds] == []
    assert report.consistent, report.failure
    assert [one for one in facts.subject.applicability if not one.holds] == []
