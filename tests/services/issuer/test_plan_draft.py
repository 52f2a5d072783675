"""The draft of a monitoring plan, which lies on a disk until it is imported."""

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
    for key, value in (("kind", "correction"), ("accuracy_class", "0.5S")):
        text = text.replace(f"{key}: ''", f"{key}: {value}")
    text = text.replace(": ''", ": x")
    planned = registering.told(database_url, tmp_path, text)
    assert not planned.refused, [result.messages for result in planned.results]
    with connect(database_url, role="tonne_mrv", autocommit=True) as conn:
        project = load_registry(conn).projects["pv"]
    assert project.documents == stored
    assert len(project.monitoring) == 2
