"""The draft of a monitoring plan, a file on disk until it is imported."""

import pytest
import yaml

from services.issuer.planning import draft_of
from services.registry.files import KEPT
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from tests import registering
from tests.services.issuer import plant


def test_an_old_draft_restores_no_document(database_url, tmp_path):
    """A document that was corrected after the draft would be back, as changed ex post."""
    plant.register(database_url, tmp_path, plant.documented())
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        stored = load_registry(conn).projects["pv"].documents
        text = draft_of(conn, "pv")
    assert stored
    (project,) = yaml.safe_load(text)["projects"]
    assert not {*KEPT} & {*project}
    text = text.replace("kind: ''", "kind: correction").replace(": ''", ": x")
    planned = registering.told(database_url, tmp_path, text)
    assert not planned.refused, [result.messages for result in planned.results]
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        project = load_registry(conn).projects["pv"]
    assert project.documents == stored
    assert len(project.monitoring) == 2


@pytest.mark.parametrize(
    ("stated", "drafted"),
    [
        ('accuracy_class: "0.5S"', "0.5S"),
        ("max_error_percent: 0.8", "0.8 %"),
        ('accuracy_class: "0.5S", max_error_percent: 0.8', "0.8 %"),
        ("valid_until: 2027-12-31", None),
    ],
)
def test_the_drafted_class_is_what_certificates_state(database_url, tmp_path, stated, drafted):
    """A draft from our own template, whose certificates state an error, was refused at import."""
    file = yaml.safe_load(plant.documented().replace('accuracy_class: "0.5S"', stated))
    del file["projects"][0]["monitoring"]
    plant.register(database_url, tmp_path, yaml.safe_dump(file))
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        text = draft_of(conn, "pv")
    (project,) = yaml.safe_load(text)["projects"]
    lines = {line["parameter"]: line for line in project["monitoring"][0]["lines"]}
    assert lines["generation"].get("accuracy_class") == drafted
    planned = registering.told(database_url, tmp_path, text.replace(": ''", ": x"))
    assert not planned.refused, [result.messages for result in planned.results]
