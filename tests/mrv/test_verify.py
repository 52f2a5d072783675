"""An evidence pack is verified offline: a complete one passes, a changed one does not."""

from dataclasses import replace

import numpy as np
import pytest

from mrv.documents.statement import claims_of
from mrv.packs.pack import manifest_of
from mrv.signatures import canonical
from mrv.signatures.keyfile import write_keyring
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.statement.credentials import sign_statement
from mrv.statement.states import sign_list
from mrv.verify import STEPS, Pack, verify
from mrv.verify.time_step import guide
from tests.mrv import packs
from tests.soak import SOAK

WHOLE = packs.pack()
JSON = (
    "statement.json",
    "verification.json",
    "plan.json",
    "factors.json",
    "digests.json",
    "keys.json",
    "seals.json",
    "manifest.json",
)


def _failure(pack, trusted=None):
    report = verify(pack, trusted)
    assert report.failure is not None, report.to_json()
    return report.failure


def test_a_whole_pack_passes_every_step():
    """An honest statement would be rejected."""
    report = verify(WHOLE, packs.HOLDERS.values(), _status())
    assert [s.name for s in report.steps if s.outcome != "ok"] == [
        "time stamps",
        "witnesses",
        "signed values",
    ]
    assert [s.number for s in report.steps] == list(range(1, len(STEPS) + 1))
    assert report.state == "issued"


NAME = canonical.parse_object(WHOLE.files["statement.json"])["credentialSubject"]["statement"]


def _status(ended=(), role="operator", project="pv"):
    """Sign a status list."""
    signer = packs.SIGNERS[role], packs.HOLDERS[role]
    return canonical.encode(sign_list(project, [NAME, "TN-2"], ended, *signer, packs.NOW))


def test_a_statement_that_counts_no_more_is_named():
    """A superseded statement would be sold after it was replaced."""
    ring = list(packs.HOLDERS.values())
    report = verify(WHOLE, ring, _status([NAME]))
    assert (report.failure.number, report.failure.name) == (6, "status")
    assert "is no longer valid" in report.failure.detail
    assert verify(WHOLE, ring, _status(["TN-2"])).consistent
    for other in (_status([NAME], role="verifier"), _status(project="x"), b"{}", b""):
        assert verify(WHOLE, ring, other).failure.name == "status"
    without = next(s for s in verify(WHOLE, ring).steps if s.name == "status")
    assert without.outcome == "not applicable"
    assert "no status list is given" in without.detail


@pytest.mark.parametrize("field", ["proof", "credentialSubject", "id", "type", "validFrom"])
def test_a_spoiled_status_list_is_refused(field):
    """A revoked statement could be made to count again."""
    for where, data in packs.spoiled(_status([NAME])):
        if where.startswith(field):
            assert not verify(WHOLE, packs.HOLDERS.values(), data).consistent, where


@pytest.mark.parametrize("name", JSON)
def test_each_field_of_each_document_counts(name):
    """Someone could change one number, name or date and no one would see it."""
    for where, data in packs.spoiled(WHOLE.files[name]):
        report = verify(packs.with_files(WHOLE, {**WHOLE.files, name: data}))
        assert not report.consistent, where
        assert report.failure.name
        assert report.failure.remedy


def test_each_character_of_the_receipt_counts():
    """A statement could be shown as logged with a receipt of something else."""
    text = WHOLE.files["receipt.txt"]
    for at in range(0, len(text), 1 if SOAK else 7):
        other = text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]
        report = verify(packs.with_files(WHOLE, {**WHOLE.files, "receipt.txt": other}))
        outcomes = {step.name: step.outcome for step in report.steps}
        assert outcomes["log receipt"] in ("failed", "not checked", "not reached"), at
        # a log of another name is one that nobody here has a key of
        assert report.failure is None or report.failure.number in (1, 2, 5, 14), at
        assert report.exit_code in (1, 4)


@pytest.mark.parametrize("column", sorted(WHOLE.readings["pv_inverter"][0].columns))
def test_a_changed_reading_names_its_device_day(column):
    """An auditor would know that something is wrong, and not where to look."""
    (table,) = WHOLE.readings["pv_inverter"]
    values = table.columns[column].copy()
    at = np.flatnonzero(table.time_us > packs.BEGIN + packs.DAY_US // 2)[0]
    values[at] = 7 if values.dtype == np.int64 else 7.5
    other = replace(table, columns={**table.columns, column: values})
    failure = _failure(replace(WHOLE, readings={"pv_inverter": [other]}))
    assert (failure.number, failure.name) == (8, "readings")
    assert "reading_pv_inverter of inv-1 on 2026-01-0" in failure.detail


def test_a_reading_taken_out_or_put_in_names_its_device_day():
    """Readings could be dropped until the sum suits."""
    (table,) = WHOLE.readings["pv_inverter"]

    def rows(index):
        columns = {n: v[index] for n, v in table.columns.items()}
        return replace(WHOLE, readings={
            "pv_inverter": [replace(
                table, device=table.device[index], time_us=table.time_us[index], columns=columns
            )]
        })  # fmt: skip

    n = len(table.time_us)
    assert "rows became" in _failure(rows(np.delete(np.arange(n), 40))).detail
    for order in (np.append(np.arange(n), 40), np.random.default_rng(1).permutation(n)):
        assert "appears twice or out of order" in _failure(rows(order)).detail


@pytest.mark.parametrize("column", sorted(WHOLE.intervals.columns))
def test_a_changed_interval_names_its_device_day(column):
    """Intervals could be raised while the readings stay."""
    table = WHOLE.intervals
    values = table.columns[column].copy()
    values[50] = table.quantities.index("energy_import") if column == "quantity" else values[50] + 1
    other = replace(table, columns={**table.columns, column: values})
    failure = _failure(replace(WHOLE, intervals=other))
    assert (failure.number, failure.name) == (9, "intervals")
    assert "interval_quantity of inv-1 on 2026-01-02" in failure.detail


def test_intervals_that_do_not_follow_from_readings_fail_though_all_is_signed():
    """An operator could sign invented intervals beside true readings."""
    made = packs.case()
    rows = made.rows.take(np.arange(len(made.rows)))
    rows.value[50] += 1
    forged = replace(made, rows=rows)
    failure = _failure(packs.pack(made=forged))
    assert (failure.number, failure.name) == (11, "metering")
    assert "inv-1 on 2026-01-02" in failure.detail


def test_figures_that_do_not_follow_from_intervals_fail_though_all_is_signed():
    """An operator could sign a higher credit than the evidence gives."""
    files = dict(WHOLE.files)
    body = canonical.parse_object(files["statement.json"])
    del body["proof"], body["issuer"]
    body["credentialSubject"]["emissions"]["reduction"]["t"] = "9.999999"
    signed = sign_statement(body, packs.SIGNERS["operator"], packs.HOLDERS["operator"], packs.NOW)
    for name in ("verification.json", "receipt.txt", "manifest.txt"):
        del files[name]
    files["statement.json"] = canonical.encode(signed)
    files["VERIFY.md"] = guide(claims_of(signed))
    files["keys.json"] = write_keyring([packs.HOLDERS[r] for r in ("operator", "verifier")])
    files["manifest.json"] = manifest_of(packs.hashes_of(files))
    failure = _failure(packs.with_files(WHOLE, files))
    assert (failure.number, failure.name) == (12, "account")
    assert "credentialSubject.emissions.reduction.t" in failure.detail
    assert "9.999999" in failure.detail


def test_keys_that_the_reader_trusts_decide():
    """A pack could bring its own keys and vouch for itself."""
    stranger = EnrolledKey("the-operator", "operator", SigningKey.generate().public_multikey)
    ring = [stranger, packs.HOLDERS["verifier"], packs.HOLDERS["log"]]
    assert _failure(WHOLE, ring).name == "keys and roles"
    assert "keys taken from the pack itself" in verify(WHOLE).keys
    assert "3 trusted keys, from your own keyring" in verify(WHOLE, packs.HOLDERS.values()).keys


def test_documents_cannot_be_taken_out_from_below_others():
    """A statement could lose its verification, or its proof, and still look logged."""
    for name in ("verification.json", "plan.json", "factors.json", "digests.json", "keys.json"):
        files = {n: d for n, d in WHOLE.files.items() if n != name}
        assert _failure(packs.with_files(WHOLE, files)).name == "form"
    assert _failure(replace(WHOLE, intervals=None)).name == "form"
    assert _failure(replace(WHOLE, damaged={"intervals.parquet": "cut"})).name == "form"
    assert _failure(replace(WHOLE, readings={})).name == "readings"


def test_a_statement_alone_says_what_it_cannot_show():
    """A reader would take checked signatures for checked figures."""
    alone = Pack({"statement.json": WHOLE.files["statement.json"]})
    report = verify(alone)
    assert report.consistent
    assert [s.number for s in report.steps if s.outcome == "ok"] == [1, 2, 3, 13, 18]
    assert "keys taken from the statement itself" in report.keys
    for where, data in packs.spoiled(alone.files["statement.json"]):
        assert not verify(Pack({"statement.json": data})).consistent, where


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"id": 1}'])
def test_garbage_is_a_failed_step_and_no_traceback(data):
    """An auditor would see a traceback and not know whom to ask."""
    assert not verify(Pack({"statement.json": data})).consistent
    for name in WHOLE.files:
        report = verify(packs.with_files(WHOLE, {**WHOLE.files, name: data}))
        assert not report.consistent
