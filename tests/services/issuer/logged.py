"""A plant with a sealed log and an issued statement, in a template that tests copy."""

from contextlib import contextmanager

import pytest

from mrv.documents.statement import claims_of
from mrv.packs.reader import read_pack
from mrv.report import submission as list_of_checks
from mrv.signatures import canonical
from mrv.statement.compose import compose, label_of
from mrv.statement.sampling import Size
from mrv.verify import verify
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.close import preview_period
from services.issuer.collect_evidence import recollect
from services.issuer.export_files import submission
from services.issuer.pack import export
from services.issuer.seal import seal
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from services.store.statements import statements
from tests import holders
from tests.findings import worded
from tests.opinions import concluded
from tests.services.issuer import plant, sealed
from tests.services.issuer.sealed import close_period

NOW = plant.us("2026-03-05T12:00:00+07:00")


def issuer(url):
    """Connect as the issuer does."""
    return connect(url, role="tonne_mrv", autocommit=True)


def held(home):
    """Return operator and verifier, whose keys are in a folder."""
    return {r: life.Signer(*keys.load(home, f"the-{r}")) for r in ("operator", "verifier")}


def signers(url, home):
    """Enrol an operator, a verifier, a witness and the log."""
    with issuer(url) as conn:
        for role in ("operator", "verifier", "witness"):
            enrolled.enroll(conn, holders.create(home, f"the-{role}", role))
        log = sealed.log_of(conn, home)
    return {**held(home), "log": log}


def quarter_hours(url, home):
    """Store three days of two inverters, a reading each 15-minute interval; return the signers."""
    plant.quarter_hours(url, home)
    return signers(url, home)


def with_buses(url, home):
    """Store the same, and three days of a bus and its charger; return the signers."""
    plant.quarter_hours(url, home)
    plant.fill_buses(url)
    return signers(url, home)


def edges(span):
    """Return the edges of a period of local days or of microseconds. [us UTC]"""
    return (plant.us(one) if isinstance(one, str) else one for one in span)


def closed(url, *span, project="pv"):
    """Close a period of local days or of microseconds; return its result and its document."""
    with issuer(url) as conn:
        return close_period(conn, project, *edges(span), "test")


def previewed(url, *span, project="pv"):
    """Return a period's result and document as a close has them, without a seal of its days."""
    with issuer(url) as conn:
        return preview_period(conn, project, *edges(span))


def subject(url, *span, project="pv"):
    """Return the content of a period's document."""
    return previewed(url, *span, project=project).document["credentialSubject"]


def closed_subject(url, *span):
    """Close a period; return the content of its stored document."""
    return closed(url, *span).document["credentialSubject"]


def unmet(said, *rules):
    """Return the texts of a document's conditions that are not met, of some rules or of all."""
    found = (a for a in said["applicability"] if not a["holds"])
    return "; ".join(worded(a) for a in found if not rules or a["rule"] in rules)


def checks(url, name):
    """
    Return a statement's report data, and its checks before submission by name.

    They have no pages, for which the whole report would be made each time.
    """
    with issuer(url) as conn, pytest.MonkeyPatch.context() as unpaged:
        unpaged.setattr(list_of_checks, "chapters", lambda *_: {})
        facts, lines = submission(conn, name, "en")
    return facts, {one.check: one for one in lines}


def composed_again(url, said):
    """Compose a stored statement again from its stored evidence."""
    with issuer(url) as conn:
        body = canonical.parse_object(statements.find(conn, said["statement"]).body)
        again = recollect(conn, body, statements.detail(conn, said["statement"]))
    return compose(again, label_of(claims_of(body)))["credentialSubject"]


def packed(url, name, folder):
    """Export the pack of a statement, and verify it; return it as read."""
    with issuer(url) as conn:
        pack = read_pack(export(conn, name, folder))
    report = verify(pack)
    assert report.consistent, report.failure
    return pack


def signed(conn, name, who, *opinion):
    """Submit and verify a draft; return its name."""
    life.submit(conn, name, who["operator"])
    said = concluded(*(opinion or ("unmodified",)), of=(conn, name))
    life.verify(conn, name, who["verifier"], said)
    return name


def submitted(url, who, begin="2026-03-02", end="2026-03-03", project="pv"):
    """Close and submit a day."""
    with issuer(url) as conn:
        name = close_period(conn, project, plant.us(begin), plant.us(end), "test").statement
        life.submit(conn, name, who["operator"])
    return name


def verified(url, who, *day, sample=False, **more):
    """Verify a submitted day; draw its sample if required."""
    name = submitted(url, who, *day, **more)
    with issuer(url) as conn:
        if sample:
            life.sample(conn, name, who["verifier"], Size())
        life.verify(conn, name, who["verifier"], concluded("unmodified", of=(conn, name)))
    return name


def issued(url, home, **more):
    """Seal three days of two inverters, and issue one; return the signers and its name."""
    who = quarter_hours(url, home)
    seal_now(url, who)
    return who, issue(url, who, **more)


def issue(url, who, *day, **more):
    """Issue a verified day."""
    name = verified(url, who, *day, **more)
    with issuer(url) as conn:
        life.issue(conn, name, who["log"], "test")
    return name


def seal_now(url, who, now=NOW, **more):
    """Seal the days that are due."""
    with issuer(url) as conn:
        return seal(conn, who["log"], now, **more)


@contextmanager
def undone(url):
    """Yield a connection whose changes are rolled back."""
    with issuer(url) as found, found.transaction(force_rollback=True):
        yield found
