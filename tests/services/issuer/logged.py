"""A plant with a sealed log and an issued statement, in a template that tests copy."""

from contextlib import contextmanager

from mrv.statement.sampling import Size
from services.issuer import keys
from services.issuer import transitions as life
from services.issuer.seal import seal
from services.store.postgres.pool import connect
from services.store.registry import signing_keys as enrolled
from tests import holders
from tests.opinions import concluded
from tests.services.issuer import plant, sealed
from tests.services.issuer.sealed import close_period

NOW = plant.us("2026-03-05T12:00:00+07:00")


def issuer(url):
    """Connect as the issuer does."""
    return connect(url, role="tonne_mrv", autocommit=True)


def held(home):
    """Operator and verifier, whose keys are in a folder."""
    return {r: life.Signer(*keys.load(home, f"the-{r}")) for r in ("operator", "verifier")}


def signers(url, home):
    """Enrol an operator, a verifier, a witness and the log."""
    with issuer(url) as conn:
        for role in ("operator", "verifier", "witness"):
            enrolled.enroll(conn, holders.create(home, f"the-{role}", role))
        log = sealed.log_of(conn, home)
    return {**held(home), "log": log}


def quarter_hours(url, home):
    """Three days of two inverters, a reading each quarter hour; return the signers."""
    plant.quarter_hours(url, home)
    return signers(url, home)


def with_buses(url, home):
    """The same, and three days of a bus and its charger; return the signers."""
    plant.quarter_hours(url, home)
    plant.fill_buses(url)
    return signers(url, home)


def submitted(url, who, begin="2026-03-02", end="2026-03-03", project="pv"):
    """Close and submit a day."""
    with issuer(url) as conn:
        name = close_period(conn, project, plant.us(begin), plant.us(end), "test").statement
        life.submit(conn, name, who["operator"])
    return name


def verified(url, who, *day, sample=False, **more):
    """Verify a day that is submitted; draw its sample where that is asked for."""
    name = submitted(url, who, *day, **more)
    with issuer(url) as conn:
        if sample:
            life.sample(conn, name, who["verifier"], Size())
        life.verify(conn, name, who["verifier"], concluded("unmodified", of=(conn, name)))
    return name


def issued(url, home, **more):
    """Seal three days of two inverters, and issue one of them; return the signers and its name."""
    who = quarter_hours(url, home)
    seal_now(url, who)
    return who, issue(url, who, **more)


def issue(url, who, *day, **more):
    """Issue a day that is verified."""
    name = verified(url, who, *day, **more)
    with issuer(url) as conn:
        life.issue(conn, name, who["log"], "test")
    return name


def seal_now(url, who, now=NOW, **more):
    """Seal what is due."""
    with issuer(url) as conn:
        return seal(conn, who["log"], now, **more)


@contextmanager
def undone(url):
    """Yield a connection whose work is undone."""
    with issuer(url) as found, found.transaction(force_rollback=True):
        yield found
