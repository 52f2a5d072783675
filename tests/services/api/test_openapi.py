"""
The OpenAPI document agrees with every answer; it can be read as a page.

The API states the form of the documents that it returns.
"""

import os
import re
from collections import Counter

import jsonschema_rs
import pytest

from mrv.documents.verification import DOCUMENTS, schema
from services.api import connections
from services.api.console.render import load
from tests.services.api import plain
from tests.soak import often


def test_schemas_are_given_to_everybody(served):
    """Anyone who reads a public statement with tools of his own would have to ask for its form."""
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


# of every operation; the soak is the long run, more than 5,000 cases
CASES = int(os.environ.get("TONNE_API_CASES", often(1, 25)))
_A_CASE_S = 2


@pytest.mark.timeout(300 + _A_CASE_S * 40 * CASES)
def test_what_it_promises_is_kept_whatever_is_asked(served):
    """An unexpected request would end in an internal error, or in an undocumented answer."""
    from tests.services.api.any_request import ask_everything  # noqa: PLC0415 - loads for a second

    seen = ask_everything(served, CASES)
    assert sum(seen.values()) > 30 * CASES * 0.5
    assert seen[200] > 0.05 * sum(seen.values())
    assert not [status for status in seen if status >= 500]
    assert served.process.poll() is None
    print(sum(seen.values()), dict(seen))  # noqa: T201 - shown with -s, for the long run


def test_every_example_fits_its_place(served):
    """A client that was written by the examples would not work."""
    parts = served.ask("/v1/openapi.json").json()["components"]
    checked = 0
    for name, shape in parts["schemas"].items():
        for key, said in shape.get("properties", {}).items():
            if "examples" not in said:
                listed = said.get("type") == "array" and "$ref" in said["items"]
                told = {"enum", "const", "$ref"} & said.keys() or said.get("type") == "boolean"
                # a form that may be absent has the examples of its own fields
                told = told or any("$ref" in one for one in said.get("anyOf", ()))
                assert told or listed, (name, key)
            for example in said.get("examples", ()):
                jsonschema_rs.validate({**said, "components": parts}, example)
                checked += 1
    assert checked > 100


def test_every_parameter_is_described(served):
    """A caller would have to guess what a parameter means."""
    for path, ways in served.ask("/v1/openapi.json").json()["paths"].items():
        for way in ways.values():
            for one in way.get("parameters", ()):
                said = one.get("description") or one["schema"].get("description")
                assert said, (path, one["name"])


def test_the_reference_is_served_from_here_alone(served):
    """The reference would be empty where there is no internet, or load someone else's program."""
    page = served.ask("/v1/reference")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    for address in re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text):
        assert plain.get(served.url + address).status_code == 200, address
    for name in ("vendor/swagger-ui.css", "reference.mjs"):
        assert b"http" not in load()[name].plain.replace(b"http://www.w3.org/", b""), name
    assert "Apache License" in load()["vendor/swagger-ui.LICENSE.txt"].plain.decode()


def test_a_parameter_that_is_none_is_answered_by_those_that_are(served):
    """The error for a misspelt parameter would list other names than the reference, or none."""
    for path, ways in served.ask("/v1/openapi.json").json()["paths"].items():
        if "get" not in ways or path.startswith("/v1/openapi"):
            continue
        known = [p["name"] for p in ways["get"].get("parameters", ()) if p["in"] == "query"]
        said = f"parameters: {', '.join(known)}" if known else "it accepts none"
        asked = served.ask(re.sub(r"{\w+}", "1", path), "admin", params={"nosuch": "1"})
        if asked.status_code == 422:
            assert asked.json()["detail"].endswith(f"is not a parameter; {said}"), path
        else:
            assert (asked.status_code, path) == (200, path)


@pytest.mark.parametrize("path", ["/v1/reference", "/v1/openapi.json"])
def test_it_is_open_to_everybody(served, path):
    """Anyone who is to get a key would have to have one to read how."""
    assert served.ask(path).status_code == 200
    assert served.ask(path, "revoked").status_code == 200


def test_who_may_wait_for_the_signer_has_a_lane_apart(served):
    """A step that waits in the lane of all writes would keep a stolen key from being revoked."""
    seen = Counter()
    for path, ways in served.ask("/v1/openapi.json").json()["paths"].items():
        for method in ways.keys() & {"post", "put", "patch", "delete"}:
            scope = {"path": re.sub(r"{\w+}", "1", path), "method": method.upper(), "headers": ()}
            ours = connections.Lanes()
            lane = ours._steps if "202" in ways[method]["responses"] else ours._writes
            assert (lane, "") in ours.of(scope, {}), path
            seen[lane is ours._steps] += 1
    assert min(seen[True], seen[False]) > 5


def test_the_document_is_not_sent_again_to_whoever_has_it(served):
    """300 kB would be written and sent for each page of the reference that is opened."""
    first = served.ask("/v1/openapi.json")
    again = served.ask("/v1/openapi.json", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
