"""Requests by our own OpenAPI document and against it, of which no one thought: Schemathesis."""

from collections import Counter

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


def ask_everything(served, most):
    """Ask `most` cases of every operation, check each answer, and count answers by status."""
    schema = schemathesis.openapi.from_url(f"{served.url}/v1/openapi.json")
    seen = Counter()
    for found in schema.get_all_operations():
        _ask(served, found.ok(), seen, most)
    return seen


def _ask(served, operation, seen, most):
    whose = _whose(operation.path)
    headers = {} if whose is None else {"Authorization": f"Bearer {served.tokens[whose]}"}

    @settings(
        max_examples=most,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=_cases(operation))
    def cases(case):
        _sometimes_real(case, served, sum(seen.values()))
        answer = case.call(headers=headers, timeout=120)
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
