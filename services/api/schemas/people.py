"""
Schemas of callers, keys, requests, webhooks and alarms, and common parts of all schemas:
identifiers, states, problems, pages.

Jobs are steps of a statement, and files, executed in the background.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
State = Literal[
    "draft", "submitted", "under_verification", "verified", "rejected", "issued", "superseded",
    "revoked",
]  # fmt: skip
# a line of text without control characters, which neither database nor page can show
Line = Annotated[str, Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]+$")]


class Shape(BaseModel):
    """Base of all schemas: unknown keys are rejected in requests."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str


def pages(item: type[Shape]) -> type[BaseModel]:
    """Return the schema of a page of items."""
    from pydantic import create_model  # noqa: PLC0415 - only at start

    return create_model(
        f"{item.__name__}Page",
        __base__=Shape,
        items=(list[item], ...),  # type: ignore[valid-type]
        next=(str | None, ...),
    )


class JobSteps(Shape):
    """Progress of a job: steps done, total (null if unknown), and current step."""

    done: int = Field(examples=[2])
    total: int | None = Field(examples=[4])
    step: str = Field(examples=["figures"])


class Job(Shape):
    """
    Requested step or file.

    `ahead` is the number of earlier jobs; `status` and `result` are the answer of the request, and
    `detail` the reason of a rejection. The result of a file has its `url`, size, and expiry.
    """

    job: UUID = Field(examples=["5f0c9c3e-6d0e-5a27-9d2c-0c7c2a4f9d11"])
    kind: str = Field(examples=["close"])
    subject: str = Field(examples=["roof-1"], description="Id of the project, or of the statement.")
    state: Literal["queued", "running", "done", "refused", "failed"] = Field(examples=["done"])
    ahead: int = Field(examples=[0])
    progress: JobSteps | None = Field(examples=[{"done": 4, "total": 4, "step": "draft"}])
    asked: datetime = Field(examples=["2026-02-05T03:00:00Z"])
    began: datetime | None = Field(examples=["2026-02-05T03:00:01Z"])
    ended: datetime | None = Field(examples=["2026-02-05T03:00:12Z"])
    status: int | None = Field(examples=[201])
    result: dict[str, Any] | None = Field(examples=[{"state": "draft", "credit_t": 10}])
    detail: str | None = Field(examples=[None])


class Accredited(Shape):
    """Scope of a verifier's accreditation: ids of methodologies, empty for all."""

    id: str = Field(examples=["ACC-017"])
    scope: list[str] = Field(examples=[["ams-i-d"]])
    valid_from: str | None = Field(
        default=None, alias="validFrom", examples=["2026-01-01T00:00:00Z"]
    )
    valid_until: str | None = Field(
        default=None, alias="validUntil", examples=["2029-01-01T00:00:00Z"]
    )


class Ended(Shape):
    """The log entry from which a key's signatures are not valid."""

    log: str = Field(examples=["tonne-log"])
    index: int


class PublicKey(Shape):
    """A public key, with its holder and its permissions."""

    name: str = Field(examples=["demo-operator"])
    role: Literal["operator", "verifier", "log", "witness", "programme", "third-party"]
    multikey: str = Field(
        alias="publicKeyMultibase", examples=["z6Mkon3Necd6NkkyfoGoHxid2znGc59LU3K7mubaRcFbLfLX"]
    )
    valid_from: str | None = Field(
        default=None, alias="validFrom", examples=["2026-01-01T00:00:00Z"]
    )
    valid_until: str | None = Field(
        default=None, alias="validUntil", examples=["2029-01-01T00:00:00Z"]
    )
    organisation: str | None = Field(default=None, examples=["Plant Ltd"])
    organisation_id: str | None = Field(
        default=None, alias="organisationId", examples=["0200123456"]
    )
    projects: list[str] | None = Field(default=None, examples=[["roof-1"]])
    accreditation: Accredited | None = Field(
        default=None, examples=[{"id": "ACC-017", "scope": ["ams-i-d"]}]
    )
    ends_at: Ended | None = Field(
        default=None, alias="endsAt", examples=[{"log": "tonne-log", "index": 41}]
    )
    final_head: str | None = Field(
        default=None, alias="finalHead", examples=["tonne-log\n86\nhash\n"]
    )


class Keyring(Shape):
    """The keys that are enrolled."""

    keys: list[PublicKey]


class Me(Shape):
    """The caller's identity and scope; `projects` is null if all projects are included."""

    id: str = Field(examples=["key:4m2k9x0qpz1c"])
    name: str = Field(examples=["Third-party entity"])
    role: Literal["public", "operator", "verifier", "auditor", "admin"]
    projects: list[str] | None


class NewKey(Shape):
    """An API key to be made; without `projects`: all of them."""

    name: Line = Field(max_length=200, examples=["Third-party entity"])
    role: Literal["operator", "verifier", "auditor", "admin"]
    projects: list[Id] | None = Field(default=None, max_length=1_000)
    expires: datetime | None = None


class Key(Shape):
    """An API key without its secret."""

    id: str
    name: str
    role: Literal["operator", "verifier", "auditor", "admin"]
    projects: list[str] | None
    created: datetime
    created_by: str
    expires: datetime | None
    revoked: datetime | None


class MadeKey(Key):
    """A new key; the token is shown only once."""

    token: str


class AuditRow(Shape):
    """A write or download; `request` is a digest of its query."""

    id: int
    at: datetime
    principal: str
    role: str
    method: str
    path: str
    status: int
    request: str


WebhookName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$", examples=["registry"])]
Topic = Literal["statement", "finding", "alarm"]


class NewWebhook(Shape):
    """A webhook to be registered; without `projects`: all of them."""

    id: WebhookName
    url: Annotated[
        str, Field(min_length=1, max_length=2000, examples=["https://registry.example/tonne"])
    ]
    topics: Annotated[list[Topic], Field(min_length=1, max_length=3, examples=[["statement"]])]
    projects: Annotated[list[Id], Field(min_length=1, max_length=1000)] | None = None


class Webhook(Shape):
    """A webhook; `waiting`, `dead`: number of deliveries; `delivered`: last successful one."""

    id: WebhookName
    url: str = Field(examples=["https://registry.example/tonne"])
    topics: list[Topic] = Field(examples=[["statement"]])
    projects: list[str] | None
    author: str = Field(examples=["the admin"])
    created: datetime
    ended: datetime | None = Field(examples=[None])
    reason: str | None = Field(examples=[None])
    waiting: int = Field(examples=[0])
    dead: int = Field(examples=[0])
    delivered: datetime | None = Field(examples=["2026-02-05T03:00:00Z"])


class MadeWebhook(Webhook):
    """A webhook with its secret, which is shown only once."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class NewSecret(Shape):
    """Time for which the previous secret also signs. [h]"""

    overlap_h: int = Field(default=24, ge=0, le=168, examples=[24])


class MadeSecret(Shape):
    """The new secret of a webhook, which is shown only once."""

    id: WebhookName
    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"])


class WebhookDelivery(Shape):
    """Delivery of an event to a webhook, and the result of the last attempt."""

    sequence: int = Field(examples=[17])
    event: UUID = Field(examples=["0b0e7a52-4f0c-4b4a-9a3e-3c1d7f0a2b11"])
    type: str = Field(examples=["tonne.statement.issued"])
    subject: str = Field(examples=["TN-roof-1-20260101-20260201-1"])
    at: datetime
    state: Literal["waiting", "delivered", "dead"] = Field(examples=["delivered"])
    attempts: int = Field(examples=[1])
    due: datetime = Field(examples=["2026-02-05T03:00:00Z"])
    tried: datetime | None = Field(examples=["2026-02-05T03:00:00Z"])
    status: int | None = Field(examples=[204])
    error: str | None = Field(examples=[None])


class Replay(Shape):
    """Events to resend: by id, all from a time on, or all undelivered."""

    events: list[UUID] = Field(default_factory=list, max_length=1000, examples=[[]])
    since: datetime | None = None
    dead: bool = Field(default=False, examples=[True])


class Replayed(Shape):
    """Number of events resent, and time of the oldest stored one."""

    events: int = Field(examples=[3])
    oldest_kept: datetime | None = Field(default=None, examples=["2026-02-05T03:00:30Z"])


class Ending(Shape):
    """Reason for the end of a webhook."""

    reason: Annotated[Line, Field(max_length=200)] = "removed"


# a text of several lines, without NUL, which a database cannot store
Remark = Annotated[str, Field(max_length=2_000, pattern=r"^[^\x00]*$")]


class Alarm(Shape):
    """
    Alarm of a device, a gateway or a project.

    `cost_t_per_day` is the project's reduction lost by missing data [t CO2e]; null if it is not
    known. Like the number of devices, it is also null if the caller does not see every project
    concerned.
    """

    id: int
    kind: str = Field(examples=["gateway_silent"])
    severity: Literal["critical", "major", "minor"]
    state: Literal["open", "acknowledged", "cleared"]
    subject_type: Literal["device", "gateway", "project"]
    subject: str = Field(examples=["gw-01"])
    part: str = Field(examples=[""], description="Channel or indicator, for a device with several.")
    class_: str | None = Field(alias="class", examples=["energy_meter"])
    site: str | None
    projects: list[str]
    since: datetime
    raised: datetime = Field(examples=["2026-02-05T03:00:30Z"])
    cause: str = Field(examples=["silence"])
    cause_now: Literal["refused", "credential"] | None = Field(
        examples=[None],
        description="Current cause of the outage, if it differs from the cause at the start: "
        "messages are rejected, or no valid credential. `what_to_do` refers "
        "to it.",
    )
    detail: dict[str, Any] = Field(examples=[{}])
    devices: int | None = Field(examples=[48])
    cost_t_per_day: str | None = Field(examples=["0.412"])
    cleared: datetime | None = Field(examples=[None])
    acknowledged: datetime | None = Field(examples=["2026-02-05T03:10:00Z"])
    acknowledged_by: str | None = Field(examples=["the operator"])
    timezone: str = Field(
        examples=["Europe/Berlin"], description="Only alarms of this site or project."
    )
    what_to_do: str = Field(examples=["Check the gateway: its power supply, its uplink."])
    runbook: str = Field(examples=["docs/runbook.md#gatewaydark"])


class AlarmEvent(Shape):
    """An event of an alarm; events are only added."""

    event: Literal["raised", "acknowledged", "commented", "cleared"]
    at: datetime
    actor: str = Field(examples=["the operator"])
    text: str = Field(examples=["a technician is on the way"])


class AlarmDetail(Alarm):
    """An alarm with its history."""

    history: list[AlarmEvent]


class AlarmRemark(Shape):
    """A comment with an acknowledgement; may be empty."""

    text: Remark = Field(default="", examples=["a technician is on the way"])
