"""Invoices over the API: stored once, all or none, by permitted users."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from services.api import schemas as shapes
from services.api.client import Client, RefusedError

MARCH = {
    "id": "EVN-1", "issuer": "EVN", "number": "0012345", "issued": "2026-03-09",
    "devices": ["inv-1", "inv-2"], "from": "2026-03-02", "to": "2026-03-03", "amount": "9000.5",
}  # fmt: skip


def deliver(served, *invoices, who="operator", project="pv", **headers):
    return served.ask(
        f"/v1/projects/{project}/invoices",
        who,
        "POST",
        json={"invoices": list(invoices)},
        headers=headers,
    )


def test_an_invoice_is_kept_and_read_back(served):
    """What was billed would have to be typed in on the server's own machine."""
    first = deliver(served, {**MARCH, "id": "A-1"})
    assert (first.status_code, first.json()) == (
        201,
        {"results": [{"id": "A-1", "result": "created"}]},
    )
    again = deliver(served, {**MARCH, "id": "A-1"})
    assert (again.status_code, again.json()["results"][0]["result"]) == (200, "unchanged")
    corrected = {**MARCH, "id": "A-2", "amount": "9001", "corrects": "A-1", "reason": "misread"}
    assert deliver(served, corrected).status_code == 201
    with Client(served.url, served.tokens["auditor"]) as client:
        kept = {one.id: one for one in client.invoices("pv")}
        assert client.invoice("A-1") == kept["A-1"]
    assert kept["A-1"].corrected_by == "A-2"
    assert (kept["A-1"].value, kept["A-1"].unit, kept["A-1"].quantity) == (
        "9000500",
        "Wh",
        "energy_export",
    )
    assert kept["A-2"].reason == "misread"
    assert kept["A-2"].author == "the operator"


def test_the_client_delivers(served):
    """A program would have to write the request by hand."""
    said = shapes.NewInvoice.model_validate({**MARCH, "id": "B-1"})
    with Client(served.url, served.tokens["operator"]) as client:
        assert client.deliver_invoices("pv", [said]).results[0].result == "created"
        with pytest.raises(RefusedError, match="is stored with other contents"):
            client.deliver_invoices("pv", [said.model_copy(update={"amount": "1"})])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"devices": ["bus-1"]}, "device bus-1 does not serve project pv"),
        ({"devices": ["inv-1", "inv-1"]}, "each once"),
        ({"to": "2026-03-02"}, "is not after"),
        ({"from": "2020-01-01", "to": "2020-02-01"}, "outside of the crediting period"),
        ({"from": "0001-01-01"}, "within the years 1990 to 2200"),
        ({"to": "9999-12-31"}, "within the years"),
        ({"quantity": "fame"}, "not a metered quantity"),
        ({"amount": "0.0001", "unit": "kWh"}, "finer than one Wh"),
        ({"unit": "kg"}, "unit"),
        ({"corrects": "nothing", "reason": "x"}, "not an invoice of pv"),
        ({"corrects": "nothing"}, "enter both"),
        ({"amount": "-1"}, "amount"),
        (
            {"quantity": "mass", "unit": "kg"},
            "quantity: C-2 is for mass, but jcm-vn-am007 uses energy_export of inv-1; enter the",
        ),
        ({"amount": 1.5}, "amount"),
        ({"amount": "1e9"}, "amount"),
        ({"id": "a b"}, "id"),
        ({"issuer": "a\u0000b"}, "issuer"),
        ({"nonsense": 1}, "nonsense"),
        ({"tolerance_percent": "100.5"}, "tolerance_percent"),
        ({"sha256": "x"}, "sha256"),
    ],
)
def test_one_that_is_wrong_keeps_all_out(served, change, said):
    """Half a delivery would be kept, and no one would know which half."""
    good = {**MARCH, "id": "C-1"}
    answer = deliver(served, good, {**MARCH, "id": "C-2", **change})
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["detail"]
    assert served.ask("/v1/invoices/C-1", "auditor").status_code == 404


def test_invoices_keep_to_the_scope(served):
    """A neighbour would read what another plant sells, or put a bill beside its meters."""
    assert deliver(served, {**MARCH, "id": "D-1"}).status_code == 201
    assert served.ask("/v1/invoices/D-1", "scoped").status_code == 200
    assert served.ask("/v1/invoices/D-1", "stranger").status_code == 404
    assert served.ask("/v1/invoices", "stranger").json()["items"] == []
    assert deliver(served, {**MARCH, "id": "D-2"}, who="rival").status_code == 404
    # beside a meter that serves somebody else's project
    assert deliver(served, {**MARCH, "id": "D-3"}, who="rival", project="bus").status_code == 422
    assert deliver(served, {**MARCH, "id": "D-2"}, who="auditor").status_code == 403


def test_a_delivery_that_comes_many_times_is_kept_once(served):
    """A client without an answer would store an invoice twice."""
    with ThreadPoolExecutor(6) as pool:
        answers = list(
            pool.map(
                lambda _: deliver(served, {**MARCH, "id": "F-1"}, **{"Idempotency-Key": "f-1"}),
                range(6),
            )
        )
        named = list(pool.map(lambda _: deliver(served, {**MARCH, "id": "F-2"}), range(6)))
    assert {one.status_code for one in answers} == {201}
    assert sorted(one.status_code for one in named) == [200] * 5 + [201]
    rows = served.ask("/v1/audit", "admin", params={"limit": 1000}).json()["items"]
    done = [r for r in rows if r["path"] == "/v1/projects/pv/invoices" and r["status"] == 201]
    assert len(done) >= 2
