"""The API tells the form of the documents that it gives."""

import jsonschema_rs

from mrv.documents.schemas import DOCUMENTS, schema


def test_schemas_are_given_to_everybody(served):
    """Who reads a public statement with tools of his own would have to ask for its form."""
    for name in DOCUMENTS:
        answer = served.ask(f"/v1/schemas/{name}", None)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/schema+json"
        assert answer.json() == schema(name)


def test_a_statement_is_of_the_schema_beside_it(served):
    """Document and schema of one server would contradict each other."""
    listed = served.ask("/v1/statements", "auditor").json()["items"]
    found = served.ask("/v1/schemas/statement", None).json()
    documents = [served.ask(f"/v1/statements/{one['statement']}.json", "auditor") for one in listed]
    assert documents
    for document in documents:
        jsonschema_rs.validate(found, document.json())


def test_an_unknown_schema_names_those_that_there_are(served):
    """A typing error would send the reader to the manual."""
    answer = served.ask("/v1/schemas/statements", None)
    assert answer.status_code == 404
    assert "statement, verification, finding" in answer.json()["detail"]
