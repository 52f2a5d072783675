"""Values of a baseline and their documents, from the registry file to the closed period."""

from services.store.postgres.pool import connect
from tests import registering
from tests.services.issuer import plant
from tests.services.issuer.sealed import close_period

RULE = "PAR-07"
PAPER = (
    "{document: survey 4/2025, by: Transport institute, issued: 2025-12-10, sha256: "
    + "e5" * 32
    + "}"
)
SURVEY = f"    documents: {{sfc_l_per_100km: {PAPER}, baseline_year: {PAPER}}}\n"


def closed(url):
    """Close two days of the buses; tonnes, and what does not hold of the clause."""
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        span = plant.us("2026-03-01"), plant.us("2026-03-03")
        found = close_period(conn, "bus", *span, "test").result
    return found.net, [f.detail for f in found.applicability if f.rule == RULE and not f.holds]


def test_the_survey_of_buses_is_asked_for_and_found(database_url, tmp_path):
    """A free text let ten litres more pass, and a survey that was named was not looked for."""
    bare = registering.told(database_url, tmp_path, plant.REGISTRY, "owner")
    said = "\n".join(m for r in bare.results for m in r.messages)
    assert not bare.refused
    assert "sfc_l_per_100km (carries 100 % of what vehicle counts)" in said
    assert "without a third party's document" in said
    plant.fill_buses(database_url)
    before, unmet = closed(database_url)
    assert "sfc_l_per_100km" in unmet[0]
    assert "no document is named" in unmet[0]
    assert "kwh_per_km" not in unmet[0]

    dated = registering.told(database_url, tmp_path, plant.REGISTRY + SURVEY, "owner")
    assert not dated.refused
    text = "\n".join(m for r in dated.results for m in r.messages)
    assert "sfc_l_per_100km has no document" not in text
    after, unmet = closed(database_url)
    assert unmet == []
    assert after == before
