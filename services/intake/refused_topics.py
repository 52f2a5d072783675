"""
Reporting of topics that the broker refuses to `tonne run` or `tonne bridge`.

A refused topic is logged as an error, shown in `/healthz` and in a gauge with an alert, until the
broker grants it. A process without any granted topic ends at its start.  If only Sparkplug's topics
are refused and this process is no Sparkplug host, the broker was configured without `--sparkplug`,
which is no error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ingest import sparkplug
from ingest.errors import ServerError
from services.metrics import Metrics

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger


REMEDY = (
    "give its principal these topics at the broker: `tonne broker config` writes all that it "
    "needs, and `tonne broker apply` sends them to a running mosquitto"
)
REFUSES = "the broker rejects "
_SERVER = "broker"


class RefusedTopics:
    """
    Reports topics that the broker refuses to a session.

    Parameters
    ----------
    client_id : str
        Client id of the session.
    share : str
        Prefix of filters of a shared subscription, or empty.
    is_host : bool
        Whether this process is a Sparkplug host, which needs Sparkplug's topics.
    """

    def __init__(
        self, client_id: str, share: str, metrics: Metrics, log: FilteringBoundLogger, *,
        is_host: bool,
    ) -> None:  # fmt: skip
        self._client_id, self._metrics, self._log = client_id, metrics, log
        self._optional = frozenset(
            () if is_host else (share + topic for topic in sparkplug.SUBSCRIPTIONS)
        )
        self._known: dict[str, str] = {}
        self._granted = False

    def look(self, topics: Sequence[str], refused: Mapping[str, str]) -> None:
        """
        Evaluate the broker's answers to all subscriptions.

        Parameters
        ----------
        topics : sequence of str
            Topic filters of the session.
        refused : mapping of str to str
            Refused ones, with the reason.

        Raises
        ------
        ServerError
            If it refused every one, and granted none since the start.
        """
        if not self._granted and topics and len(refused) == len(topics):
            raise ServerError(
                f"the broker rejects every topic of {self._client_id!r}: {_told(refused)}; {REMEDY}"
            )
        self._granted = True
        if refused == self._known:
            return
        needed = self._needed(refused)
        self._tell(needed, refused)
        self._known = dict(refused)
        self._metrics.topics_refused.set(len(needed))
        self._metrics.pulse.say(_SERVER, f"{REFUSES}{_told(needed)}" if needed else "")

    def _needed(self, refused: Mapping[str, str]) -> dict[str, str]:
        off = self._optional <= refused.keys()
        return {t: why for t, why in refused.items() if not (off and t in self._optional)}

    def _tell(self, needed: Mapping[str, str], refused: Mapping[str, str]) -> None:
        if granted := [topic for topic in self._known if topic not in refused]:
            self._log.info("topics granted", topics=granted)
        before = self._needed(self._known)
        if fresh := {topic: why for topic, why in needed.items() if topic not in before}:
            self._log.error(
                "topics rejected by the broker; messages published there are not stored",
                topics=fresh, client_id=self._client_id, remedy=REMEDY,
            )  # fmt: skip
        if len(needed) < len(refused) and not self._optional <= self._known.keys():
            self._log.info(
                "the broker admits no Sparkplug subscription here",
                remedy="none where no device speaks it; else `tonne broker config --sparkplug`",
            )


def _told(refused: Mapping[str, str]) -> str:
    return ", ".join(f"{topic} ({why})" for topic, why in refused.items())
