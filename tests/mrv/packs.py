"""A signed and logged statement in memory, with all its evidence, for tests to change."""

import json
from base64 import b64encode
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO

import numpy as np

from ingest import classes
from ingest.model import INTERVAL_US, NULL, Frame
from mrv import factors
from mrv.calendar import days, utc_text
from mrv.documents.statement import claims_of
from mrv.log.entries import (
    Checkpoint,
    Day,
    arrival_part,
    data_entry,
    evidence_entry,
    make_receipt,
    sign_checkpoint,
)
from mrv.packs.pack import manifest_of
from mrv.packs.tables import write_intervals, write_letters, write_readings
from mrv.signatures import canonical
from mrv.signatures.day_digests import digest_leaves
from mrv.signatures.key_bounds import NO_BOUNDS
from mrv.signatures.keys import EnrolledKey, SigningKey, write_keyring
from mrv.signatures.merkle_tree import inclusion_proof, leaf_hash, root_hash
from mrv.statement.compose import Label, compose
from mrv.statement.credentials import Finding, issued_entry, sign_statement, sign_verification
from mrv.statement.device_days import FIELDS, rows_of
from mrv.statement.diagram import diagram
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.statement.plan_extract import MonitoringPlan
from mrv.statement.sampling import Size, sign_sampling
from mrv.statement.states import sign_approval, valid_from
from mrv.verify import Pack, Table
from mrv.verify.time_step import guide
from tests.holders import BOUNDS
from tests.mrv.plant import CERTIFICATES, FLEET, FROM, PV
from tests.opinions import worded

NOW = datetime(2026, 2, 1, tzinfo=UTC)
SIGNERS = {
    role: SigningKey(bytes([seed]) * 32)
    for seed, role in enumerate(("operator", "verifier", "log"), start=1)
}
HOLDERS = {
    role: EnrolledKey(f"the-{role}", role, key.public_multikey, bounds=BOUNDS.get(role, NO_BOUNDS))
    for role, key in SIGNERS.items()
}
# Why the verifier concludes over the conditions of this plant, which has no monitoring plan.
BECAUSE = "the plan of 2025 was seen on paper, and the factor was compared with its text"


@dataclass(frozen=True)
class Cast:
    """Signers of a pack, their times, and the preceding log: the choices of a forger."""

    signers: dict = field(default_factory=lambda: SIGNERS)
    holders: dict = field(default_factory=lambda: HOLDERS)
    signed: datetime = NOW
    verified: datetime = NOW
    because: str | None = BECAUSE
    opinion: str = "unmodified"
    before: tuple = (b"before",)
    seals_before: tuple | None = None  # another history than the receipt's
    sealed: bool = True
    approvers: tuple = ()  # keys with their holders, and when each approved
    logged_approvals: tuple | None = None  # others than those in the pack
    issued: datetime | None = None  # what the log says; None: after the last signature
    arrival: dict | None = None  # what the seal says of it, beside or in place of what is so


HONEST = Cast()
DAY_US = 96 * INTERVAL_US
BEGIN, END = FROM + DAY_US, FROM + 2 * DAY_US


def frame(device=0, begin=BEGIN - INTERVAL_US, end=END + INTERVAL_US, step=INTERVAL_US):
    """Return readings of an inverter whose register rises with each."""
    times = np.arange(begin, end, step, dtype=np.int64) + 1
    columns = {}
    for channel in classes.load()["pv_inverter"].channels.values():
        empty = NULL if channel.kind == "register" else np.nan
        columns[channel.name] = np.full(len(times), empty)
        if channel.kind == "register":
            columns[channel.name] = np.full(len(times), NULL, dtype=np.int64)
    columns["energy_export_wh"] = 1_000_000 + 12_345 * np.arange(len(times), dtype=np.int64)
    columns["active_power_w"] = np.full(len(times), 49_380.5)
    device = np.full(len(times), device, dtype=np.int32)
    return Frame("pv_inverter", device, times, np.zeros(len(times), dtype=np.int32), columns)


def plan():
    """Return one inverter in one project."""
    project = replace(PV, devices=PV.devices[:1])
    device = FLEET.devices[0]
    return MonitoringPlan(
        project, (device,), {device.id: "S-1"}, {device.id: CERTIFICATES[device.id]}, -7, "TN-x"
    )


def case(readings=None):
    """Collect the evidence of a day."""
    frames = [frame()] if readings is None else readings
    one = plan()
    fleet = one.fleet()
    rows = remeter(fleet, frames, monitored(one.project, fleet), BEGIN, END)
    return Case(one, frames, rows, BEGIN, END, factors.load())


LABEL = Label(1, "tonne 0")


def documents(made=None, tables=None, cast=HONEST, change=lambda body: body):
    """Sign, verify and log the statement of a case; return the documents of its pack."""
    made = case() if made is None else made
    keys, holders = cast.signers, cast.holders
    body = change(compose(made, LABEL))
    signed = sign_statement(body, keys["operator"], holders["operator"], cast.signed)
    said = claims_of(signed)
    words = worded(said, cast.because or "")
    finding = Finding(cast.opinion, "reasonable", "5", ("none",), words)
    verifier = keys["verifier"], holders["verifier"]
    opinion = sign_verification(signed, finding, *verifier, cast.verified)
    files = {
        "statement.json": canonical.encode(signed),
        "verification.json": canonical.encode(opinion),
        "plan.json": canonical.legible(made.plan.to_json()),
        "factors.json": canonical.legible(made.factor_records),
        "diagram.svg": diagram(made.plan).encode(),
        "digests.json": canonical.legible(made.leaves()),
        "keys.json": write_keyring(holders.values()),
        "sampling.json": canonical.encode(
            sign_sampling(signed, made, Size(), *verifier, cast.verified)
        ),
        "VERIFY.md": guide(claims_of(signed)),
    }
    approved = [sign_approval(signed, opinion, *one) for one in cast.approvers]
    if approved:
        files["approvals.json"] = canonical.legible(approved)
    return logged(made, files, signed, opinion, tables, cast)


def logged(made, files, signed, opinion, tables=None, cast=HONEST):
    """Seal the day, then enter statement and manifest in the log."""
    zone = made.plan.project.timezone
    ((day, begin, end),) = days(BEGIN, END, zone)
    of = [leaf for leaf in made.readings.leaves if leaf.day == day.isoformat()]
    parts = {
        "readings": digest_leaves(of),
        "intervals": made.intervals,
        "emissions": digest_leaves(()),
    }
    which = Day(made.plan.project.id, day.isoformat(), zone, utc_text(begin), utc_text(end))
    entry = data_entry(which, 1, 1, parts, None, _arrival(made, day, cast))
    first = [*map(leaf_hash, cast.before), leaf_hash(entry)]
    shown = (
        first
        if cast.seals_before is None
        else [*map(leaf_hash, cast.seals_before), leaf_hash(entry)]
    )
    at = len(shown) - 1
    files["seals.json"] = canonical.legible({
        "head": head(shown, cast),
        "days": [{"index": at, "entry": canonical.parse(entry),
                  "proof": [b64encode(h).decode() for h in inclusion_proof(at, shown)]}],
    } if cast.sealed else {"days": [], "head": None})  # fmt: skip
    issued = cast.issued or max([cast.verified, *(at for _, _, at in cast.approvers)])
    files["manifest.json"] = manifest_of(hashes_of(files, tables), valid_from(issued))
    name = signed["credentialSubject"]["statement"]
    approved = canonical.parse(files["approvals.json"]) if "approvals.json" in files else ()
    if cast.logged_approvals is not None:
        approved = cast.logged_approvals
    entries = (
        issued_entry(signed, opinion, approved),
        evidence_entry(name, files["manifest.json"]),
    )
    leaves = first + [leaf_hash(e) for e in entries]
    for place, file in ((len(first), "receipt.txt"), (len(first) + 1, "manifest.txt")):
        receipt = make_receipt(place, inclusion_proof(place, leaves), head(leaves, cast))
        files[file] = receipt.encode()
    return files


def _arrival(made, day, cast):
    """Return the arrivals in the day's seal: those of the plan, if it has any."""
    if made.plan.arrivals is None:
        return cast.arrival
    found = {d: of[day.isoformat()] for d, of in made.plan.arrivals.items()}
    count = sum(one.readings for one in found.values())
    late = sum(one.late for one in found.values())
    hours = {"2026-01-03T00:00:00Z": count} if count else {}
    part = arrival_part(rows_of(found), (count, late), hours, "2026-01-03T20:00:00Z")
    return part | (cast.arrival or {})


def head(leaves, cast=HONEST):
    """Sign the head over some leaves."""
    made = Checkpoint(cast.holders["log"].name, len(leaves), root_hash(leaves))
    return sign_checkpoint(made, cast.signers["log"])


def hashes_of(files, tables=None):
    """Return the hashes of a pack's files; for tables in memory, those of their names."""
    of = tables or {name: name.encode() for name in TABLES}
    hashed = {name: canonical.sha256_hex(data) for name, data in of.items()}
    return hashed | {name: canonical.sha256_hex(data) for name, data in files.items()}


TABLES = ("readings/pv_inverter.parquet", "intervals.parquet", "dead_letters.parquet")


def pack(files=None, made=None):
    """Return the pack, with other documents if given."""
    made = case() if made is None else made
    ids = tuple(d.id for d in made.fleet.devices)
    readings = {
        f.class_id: [
            Table(ids, f.device, f.time_us.copy(), {n: v.copy() for n, v in f.columns.items()})
        ]
        for f in made.frames
    }
    names = tuple(q.name for q in classes.QUANTITIES)
    columns = {name: getattr(made.rows, name).copy() for name in FIELDS}
    columns["quantity"] = made.rows.quantity
    intervals = Table(ids, made.rows.device, made.rows.start_us.copy(), columns, names)
    files = documents(made) if files is None else files
    return Pack(files, readings, intervals, {}, hashes_of(files))


def with_files(whole, files):
    """Return the pack with other documents; the files on disk are hashed."""
    return replace(whole, files=files, hashes=hashes_of(files))


def spoiled(data):
    """Yield (where, bytes) for each single field of a JSON document changed or removed."""
    whole = json.loads(data)
    for path in list(_paths(whole)):
        for kind in ("changed", "missing"):
            copy = json.loads(data)
            holder = copy
            for key in path[:-1]:
                holder = holder[key]
            if kind == "missing":
                del holder[path[-1]]
            else:
                holder[path[-1]] = _other(holder[path[-1]])
            yield f"{'.'.join(map(str, path))} {kind}", json.dumps(copy).encode()


def _paths(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        if isinstance(inner, dict | list) and inner:
            yield from _paths(inner, (*path, key))
        else:
            yield (*path, key)


def _other(value):
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if value[-1:].isdigit():
            return value[:-1] + str((int(value[-1]) + 1) % 10)
        case str():
            return value + "x"
        case None:
            return "x"
    return ["x"]


def folder(path):
    """Write a complete pack into a new folder, its tables as Parquet; return the folder."""
    made = case()
    written = {
        "readings/pv_inverter.parquet": (write_readings, made.fleet, next(iter(made.frames))),
        "intervals.parquet": (write_intervals, made.fleet, made.rows),
        "dead_letters.parquet": (write_letters, ()),
    }
    tables = {}
    for name, (write, *what) in written.items():
        out = BytesIO()
        write(out, *what)
        tables[name] = out.getvalue()
    for name, data in (documents(made, tables) | tables).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path
