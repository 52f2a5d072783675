"""Close a period as a running plant does: the sealer has sealed its days before."""

from services.issuer import close
from services.issuer import transitions as life
from services.issuer.seal import seal
from services.issuer.sealed_contents import SETTLE_US
from services.store.registry import signing_keys as enrolled
from tests import memory

_DAY_US = 86_400_000_000
# signers of logs by their public keys, as `logged.signers` and this module made them
LOGS = {}


def remember(signer):
    """Keep a log's signer, so that its days can be sealed where the test has no signer."""
    LOGS[signer.holder.multikey] = signer
    return signer


def log_of(conn, home=None):
    """Return the signer of a database's log; create one if there is none."""
    known = [one.key.multikey for one in enrolled.load(conn) if one.key.role == "log"]
    if known and known[0] in LOGS:
        return LOGS[known[0]]
    if home is None:
        home = memory.kept("tonne-log-")
    return remember(life.log_signer(conn, home, "tonne-log"))


def up_to(conn, to_us, home=None):
    """Seal the days that begin before a time."""
    return seal(conn, log_of(conn, home), to_us + _DAY_US + SETTLE_US - 1)


def close_period(conn, project, from_us, to_us, actor, *, home=None, **more):
    """Seal up to the period's end and close it."""
    up_to(conn, to_us, home)
    return close.close_period(conn, project, from_us, to_us, actor, **more)
