"""Rows signed by their issuer: a third party's data that no one else can change."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt import api_jws

from ingest.model import INTERVAL_US
from mrv.accounting.evidenced_time import Corroboration, name_of
from mrv.accounting.period_result import INVOICE
from mrv.documents.plan import RowSigner
from mrv.errors import EnrolmentError, SignatureError
from mrv.registry import Sample
from mrv.registry.project import Document, Invoice, SupportingData
from mrv.signatures.key_bounds import KeyBounds
from mrv.signatures.keys import EnrolledKey, SigningKey, decode_multikey
from mrv.statement.plan_reader import _document_in
from mrv.statement.plan_writer import (
    document_out,
    invoice_named,
    invoice_of,
    registered,
    sample_out,
)
from mrv.statement.signed_rows import check, check_kept, counted, message_of, sign, signed_row
from tests.mrv.test_asked_grades import SURVEY, closed
from tests.mrv.test_grades import check_of, monitored

KEY = SigningKey(bytes(range(32)))
OWNER = EnrolledKey(
    "op", "operator", SigningKey(b"o" * 32).public_multikey, bounds=KeyBounds("The Operator")
)
BILL = Invoice(
    "i-1", "EVN Hai Phong", "2026/3", date(2026, 4, 5), ("inv-1",), "energy_export", 0,
    96 * INTERVAL_US, 3_660_000, Decimal(2), "a1" * 32,
)  # fmt: skip
SAMPLE = Sample(
    "cod_in_mg_l", "S-7", date(2026, 3, 4), Decimal("812.50"), "ISO 6060", "Quatest 1", "b2" * 32
)


def third(name, key=KEY, **more):
    return EnrolledKey(name, "third-party", key.public_multikey, bounds=KeyBounds(name, **more))


def under(row, key=KEY, *, cose=False):
    return replace(row, signed=sign(message_of("pv", row), key, cose=cose))


def test_the_signed_bytes_are_the_documented_ones():
    """A supplier whose own software signs would sign other bytes than are checked."""
    assert message_of("pv", SAMPLE) == (
        b'{"laboratory":"Quatest 1","method":"ISO 6060","parameter":"cod_in_mg_l","project":"pv",'
        b'"row":"laboratory","sample":"S-7","sha256":"' + b"b2" * 32 + b'","taken":"2026-03-04",'
        b'"type":"tonne-row","value":"812.5"}'
    )
    assert message_of("pv", SAMPLE) == message_of("pv", under(SAMPLE))
    assert b'"tolerancePercent":"2"' in message_of("pv", BILL)


@pytest.mark.parametrize("cose", [False, True])
@pytest.mark.parametrize(
    ("row", "out", "read"),
    [(BILL, invoice_named, invoice_of), (SAMPLE, sample_out, partial(registered, Sample)),
     (SURVEY, document_out, _document_in)],
)  # fmt: skip
def test_a_signature_holds_for_its_row_alone(row, out, read, cose):
    """An operator could move a supplier's signature to a row that says more."""
    row = under(row, cose=cose)
    keys = [OWNER, third(row.issuer if isinstance(row, Invoice) else
                         row.laboratory if isinstance(row, Sample) else row.by)]  # fmt: skip
    again = read(out(row))
    assert again.signed == row.signed
    assert check(signed_row("pv", again), keys) == keys[1]
    forged = {Invoice: {"value": 9_000_000}, Sample: {"value": Decimal(900)},
              Document: {"value": Fraction(35)}}[type(row)]  # fmt: skip
    for other in (replace(row, **forged), replace(row, sha256="c3" * 32)):
        with pytest.raises(SignatureError, match="the row was changed, or"):
            check(signed_row("pv", other), keys)
    with pytest.raises(SignatureError, match="was changed"):
        check(signed_row("another", row), keys)


def test_other_software_signs_and_checks_the_same():
    """Suppliers without tonne could not sign."""
    secret = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    message = message_of("pv", BILL)
    jose = api_jws.PyJWS()
    header = {"kid": KEY.public_multikey, "typ": None}
    theirs = jose.encode(message, secret, algorithm="EdDSA", headers=header)
    head, _, signature = theirs.split(".")
    keys = [third("EVN Hai Phong")]
    assert check(signed_row("pv", replace(BILL, signed=f"{head}..{signature}")), keys)
    ours = under(BILL).signed
    found = jose.decode_complete(
        with_payload(ours, message), secret.public_key(), algorithms=["EdDSA"]
    )
    assert found["payload"] == message
    with pytest.raises(jwt.InvalidSignatureError):
        jose.decode_complete(
            with_payload(ours, message + b" "), secret.public_key(), algorithms=["EdDSA"]
        )


def with_payload(signed, message):
    """Put the payload back into a detached JWS."""
    body = urlsafe_b64encode(message).decode().rstrip("=")
    return signed.replace("..", f".{body}.")


def test_the_claimants_own_key_signs_nothing_of_grade_a():
    """An owner would give their own rows the best grade."""
    row = signed_row("pv", under(BILL))
    for keys, said in (
        ([OWNER], "not enrolled as third-party"),
        ([replace(OWNER, multikey=KEY.public_multikey)], "not enrolled as third-party"),
        ([third("EVN Hai Phong", projects=("bus",))], "signs for bus"),
        ([third("Someone Else")], "have its issuer sign it"),
        ([replace(third("EVN Hai Phong"), valid_until="2026-04-05T00:00:00Z")], "ended at"),
    ):
        with pytest.raises(EnrolmentError, match=said):
            check(row, keys)
    own = signed_row("pv", under(replace(BILL, issuer="Operator JSC")))
    operator = replace(OWNER, bounds=KeyBounds("Operator Ltd"))
    with pytest.raises(EnrolmentError, match="the operator's own statement"):
        check(own, [operator, third("Operator JSC")])
    # of another project's operator it is independent
    elsewhere = replace(operator, bounds=KeyBounds("Operator Ltd", projects=("bus",)))
    assert check(own, [elsewhere, third("Operator JSC")])


@pytest.mark.parametrize(
    "signed",
    ["", "..", "a..b", "e30..AAAA", "not base64", "0oRDoQEn", under(BILL).signed + "=",
     under(BILL).signed.replace("..", "."), "z" * 100_000],
)  # fmt: skip
def test_a_malformed_signature_is_named(signed):
    """A row pasted with half of its signature would end an import with a traceback."""
    with pytest.raises(SignatureError, match="tonne signed row"):
        check(signed_row("pv", replace(BILL, signed=signed)), [third("EVN Hai Phong")])


def test_another_algorithm_is_refused():
    """An attacker would choose an algorithm that anyone can sign with."""
    message = message_of("pv", BILL)
    none = api_jws.PyJWS().encode(
        message, None, algorithm="none", headers={"kid": KEY.public_multikey}
    )
    head = none.split(".")[0]
    assert b"none" in urlsafe_b64decode(head + "==")
    with pytest.raises(SignatureError):
        check(signed_row("pv", replace(BILL, signed=f"{head}..")), [third("EVN Hai Phong")])


def test_rows_whose_signature_does_not_count_keep_the_grade_of_a_document():
    """A copied signature would raise a second row to grade A."""
    signers = set()
    good = under(BILL)
    copied = replace(good, id="i-2", value=9_000_000)
    kept = counted("pv", [good, copied, BILL], [third("EVN Hai Phong"), OWNER], signers)
    assert [one.signed is not None for one in kept] == [True, False, False]
    assert [(s.organisation, s.key) for s in signers] == [("EVN Hai Phong", KEY.public_multikey)]
    assert decode_multikey(KEY.public_multikey) == KEY.public


def test_a_pack_with_a_changed_row_or_an_owners_signer_does_not_hold():
    """An owner could name a supplier in the pack, or change a bill after the supplier signed."""
    good = under(BILL)
    named = [RowSigner(name="evn", organisation="EVN Hai Phong", key=KEY.public_multikey)]
    assert check_kept("pv", [good, BILL], named, [OWNER]) == {KEY.public_multikey: 1}
    with pytest.raises(SignatureError, match="was changed"):
        check_kept("pv", [replace(good, value=9_000_000)], named, [OWNER])
    with pytest.raises(EnrolmentError, match="not enrolled"):
        check_kept("pv", [good], [], [OWNER])
    affiliate = replace(OWNER, bounds=KeyBounds("EVN Hai Phong Holding"))
    with pytest.raises(EnrolmentError, match="the operator's own statement"):
        check_kept("pv", [good], named, [affiliate])


# --- grades -------------------------------------------------------------------------------


def test_signed_invoices_show_a_meter_at_grade_a_only_where_they_cover_it():
    """One signed invoice of a day would raise a whole month to grade A."""
    one = monitored()
    whole = replace(BILL, from_us=one.span_us[0], to_us=one.span_us[1], issued=date(2030, 1, 1))
    for signed, grade in ((under(whole).signed, True), (None, False)):
        bill = replace(whole, signed=signed)
        result = replace(
            check_of(INVOICE, ours=100, theirs=100, holds=True), against=name_of(bill),
            from_us=bill.from_us, to_us=bill.to_us,
        )  # fmt: skip
        found = Corroboration(SupportingData(invoices=(bill,)), [result])
        assert found.invoiced(one)
        assert found.signed().invoiced(one) == grade


def test_a_signed_document_gives_its_value_grade_a():
    """A maker's signature would count no more than a scan of a letter."""
    for document, grade in ((SURVEY, "B"), (under(SURVEY), "A")):
        (found,) = [o for o in closed(document).evidence if o.name == SURVEY.parameter]
        assert (found.grade, found.shown_by) == (grade, ("survey 1",))
