"""The page that an evidence pack begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.issuer.life import Documents

_TEXT = """\
Evidence of statement {name}

Project      {project}
Methodology  {methodology}
Period       {begin} to {end} (half-open, {zone})
Reduction    {reduction} t CO2e
Credited     {credited} t, rounded down

How to check it, offline and without trusting whoever gave it to you:

    pip install tonne
    tonne verify THIS_FOLDER --keys KEYS_YOU_TRUST.json

Without --keys the keys in keys.json are used; then compare them with what the
operator, the verifier and the log have published themselves.

What is here
  statement.json      W3C verifiable credential, signed by the operator
                      (eddsa-jcs-2022); canonical JSON, so that its SHA-256 is
                      the digest that the verifier names
  verification.json   the verifier's credential about exactly that file
  receipt.txt         its place in the transparency log (c2sp.org/tlog-proof)
  plan.json           what the registry said: project, devices, certificates
  factors.json        all factors of the kinds that were used, with sources
  digests.json        a leaf for each device and UTC day, under the two Merkle
                      roots in the statement (RFC 6962)
  readings/           raw readings, registers in whole Wh, m or mL
  intervals.parquet   quantities on the 15-minute grid that follow from them
  keys.json           public keys of who signed

Files that a statement does not have yet are absent.  Readings reach a little
beyond the period: a register step that crosses an edge ends outside, and
metering starts where the register last rose before the period.
"""


def readme(have: Documents) -> str:
    """Write the page for a statement."""
    subject = have.statement["credentialSubject"]
    period, method = subject["monitoringPeriod"], subject["methodology"]
    return _TEXT.format(
        name=subject["statement"],
        project=f"{subject['project']['id']}, {subject['project']['name']}",
        methodology=f"{method['id']} {method['version']}, {method['title']}",
        begin=period["localFrom"],
        end=period["localTo"],
        zone=period["timezone"],
        reduction=subject["emissions"]["reduction"]["t"],
        credited=subject["credited"]["t"],
    )
