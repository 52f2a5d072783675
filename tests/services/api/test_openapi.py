"""The OpenAPI document: what it promises is kept, whatever is asked; it can be read as a page."""

import os
import re
from collections import Counter

import httpx
import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.api.console.assets import load

# of every operation; `TONNE_API_CASES=150` is the long run, more than 5,000 cases
CASES = int(os.environ.get("TONNE_API_CASES", "8"))
_A_CASE_S = 2
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
ADMIN = ("/v1/keys", "/v1/audit")
WRITES = (
    "/periods",
    "/issue",
    "/supersede",
    "/invoices",
    "/submission",
    "/acknowledge",
    "/comment",
)
VERIFIES = ("/sampling", "/findings", "/verification")


@pytest.mark.timeout(300 + _A_CASE_S * 40 * CASES)
def test_what_it_promises_is_kept_whatever_is_asked(served):
    """A request that nobody thought of would break the API, or get what no client can read."""
    schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json")
    seen = Counter()
    for found in schema.get_all_operations():
        _ask(served, found.ok(), seen)
    assert sum(seen.values()) > 30 * CASES * 0.5
    assert seen[200] > 0.05 * sum(seen.values())
    assert not [status for status in seen if status >= 500]
    assert served.process.poll() is None
    print(sum(seen.values()), dict(seen))  # noqa: T201 - shown with -s, for the long run


def _ask(served, operation, seen):
    whose = _whose(operation.path)
    headers = {} if whose is None else {"Authorization": f"Bearer {served.tokens[whose]}"}

    @settings(
        max_examples=CASES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation))
    def cases(case):
        _sometimes_real(case, served, sum(seen.values()))
        answer = case.call(headers=headers, timeout=30)
        seen[answer.status_code] += 1
        # a head that is too large is refused before anybody looks what is in it, and the
        # check of refusals does not know these two
        known = answer.status_code not in {414, 431}
        case.validate_response(answer, checks=CHECKS if known else CHECKS[:-1])

    cases()


def _cases(operation):
    """Return requests by the document, and ones against it where it says what is wrong."""
    fitting = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    if not (operation.path_parameters or operation.query or operation.body):
        return fitting
    return st.one_of(fitting, operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))


def _whose(path):
    if path.startswith(ADMIN):
        return "admin"
    if path.endswith(WRITES):
        return "operator"
    if path.endswith(VERIFIES):
        return "verifier"
    return None if path.startswith("/v1/log") else "auditor"


def _sometimes_real(case, served, number):
    """Put ids that are there into every second case: random ones end at the first look."""
    if number % 2 or not case.path_parameters or case.meta.generation.mode.is_negative:
        return
    real = {"statement": served.issued, "project": "pv", "device": "inv-1", "index": 0}
    for name in set(real) & set(case.path_parameters):
        case.path_parameters[name] = real[name]


def test_every_example_fits_its_place(served):
    """A client that was written by the examples would not work."""
    parts = served.ask("/v1/openapi.json").json()["components"]
    checked = 0
    for name, schema in parts["schemas"].items():
        for key, said in schema.get("properties", {}).items():
            if "examples" not in said:
                listed = said.get("type") == "array" and "$ref" in said["items"]
                told = {"enum", "const", "$ref"} & said.keys() or said.get("type") == "boolean"
                assert told or listed, (name, key)
            for example in said.get("examples", ()):
                jsonschema.validate(example, {**said, "components": parts})
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
    """The reference would be empty where there is no internet, or load somebody else's program."""
    page = served.ask("/v1/reference")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(src|href)=\"(https?:)?//", page.text)
    for address in re.findall(r'(?:src|href)="(/console/[^"]+)"', page.text):
        assert httpx.get(served.url + address).status_code == 200, address
    for name in ("vendor/swagger-ui.css", "reference.mjs"):
        assert b"http" not in load()[name].plain.replace(b"http://www.w3.org/", b""), name
    assert "Apache License" in load()["vendor/swagger-ui.LICENSE.txt"].plain.decode()


@pytest.mark.parametrize("path", ["/v1/reference", "/v1/openapi.json"])
def test_it_is_open_to_everybody(served, path):
    """Whoever is to get a key would have to have one to read how."""
    assert served.ask(path).status_code == 200
    assert served.ask(path, "revoked").status_code == 200
