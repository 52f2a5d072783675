"""An edge node that sends what a test wants, by protobuf's own runtime."""

from dataclasses import dataclass, field

from ingest.formats import sparkplug_b_pb2 as pb

INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, UINT64 = range(1, 9)
FLOAT, DOUBLE, BOOLEAN, STRING = 9, 10, 11, 12
FIELDS = {
    FLOAT: "float_value",
    DOUBLE: "double_value",
    BOOLEAN: "boolean_value",
    STRING: "string_value",
    INT64: "long_value",
    UINT64: "long_value",
    UINT32: "long_value",
}
T0_MS = 1_767_225_600_000


@dataclass(frozen=True)
class Metric:
    """One metric; a value of None is null."""

    value: object = None
    name: str | None = None
    alias: int | None = None
    datatype: int | None = None
    ts: int | None = None
    historical: bool = False
    transient: bool = False
    unit: str | None = None
    quality: int | None = None
    field: str | None = None


def payload(metrics, ts=T0_MS, seq=0):
    """Return an encoded payload."""
    out = pb.Payload()
    if ts is not None:
        out.timestamp = ts
    for given in metrics:
        _add(out, given)
    if seq is not None:
        out.seq = seq
    return out.SerializeToString()


def _add(out, given):
    metric = out.metrics.add()
    for name, value in (
        ("name", given.name),
        ("alias", given.alias),
        ("datatype", given.datatype),
        ("timestamp", given.ts),
    ):
        if value is not None:
            setattr(metric, name, value)
    if given.historical:
        metric.is_historical = True
    if given.transient:
        metric.is_transient = True
    if given.value is None:
        metric.is_null = True
    else:
        setattr(metric, given.field or FIELDS.get(given.datatype, "double_value"), given.value)
    for key, value in (("engUnit", given.unit), ("Quality", given.quality)):
        if value is not None:
            metric.properties.keys.append(key)
            held = metric.properties.values.add()
            if isinstance(value, str):
                held.type, held.string_value = STRING, value
            else:
                held.type, held.int_value = INT32, value


@dataclass
class EdgeNode:
    """
    A node with its sequence number; each call returns (topic, payload).

    `names` are the quantities of its devices, all Double, with aliases in order from `base` on.
    """

    name: str = "n-1"
    group: str = "G"
    names: tuple[str, ...] = ("energy_export_kwh", "active_power_kw")
    base: int = 1
    seq: int = -1
    bd_seq: int = -1
    ts: int = T0_MS
    aliases: dict[str, int] = field(default_factory=dict)

    def topic(self, kind, device=None):
        """Return a topic of the node, or of a device behind it."""
        return f"spBv1.0/{self.group}/{kind}/{self.name}" + (f"/{device}" if device else "")

    def _next(self):
        self.seq = (self.seq + 1) % 256
        self.ts += 1000
        return self.seq

    def connect(self, seq=0):
        """Return NBIRTH of a new connection."""
        self.bd_seq = (self.bd_seq + 1) % 256
        return self.rebirth(seq)

    def rebirth(self, seq=None):
        """Return NBIRTH of the same connection."""
        self.seq = self.seq if seq is None else seq - 1
        n = self._next()
        metrics = [
            Metric(self.bd_seq, "bdSeq", datatype=INT64),
            Metric(False, "Node Control/Rebirth", datatype=BOOLEAN),
        ]
        return self.topic("NBIRTH"), payload(metrics, self.ts, n)

    def will(self):
        """Return NDEATH, as the broker keeps it for this connection."""
        metrics = [Metric(self.bd_seq, "bdSeq", datatype=INT64)]
        return self.topic("NDEATH"), payload(metrics, None, None)

    def birth(self, device, values=None):
        """Return DBIRTH."""
        n = self._next()
        self.aliases = {name: self.base + k for k, name in enumerate(self.names)}
        values = values or dict.fromkeys(self.names)
        metrics = [
            Metric(values.get(name), name, alias, DOUBLE) for name, alias in self.aliases.items()
        ]
        return self.topic("DBIRTH", device), payload(metrics, self.ts, n)

    def death(self, device):
        """Return DDEATH."""
        n = self._next()
        return self.topic("DDEATH", device), payload([], self.ts, n)

    def data(self, device, values, **more):
        """Return DDATA, with aliases only."""
        n = self._next()
        metrics = [
            Metric(value, alias=self.aliases[name], **more) for name, value in values.items()
        ]
        return self.topic("DDATA", device), payload(metrics, self.ts, n)
