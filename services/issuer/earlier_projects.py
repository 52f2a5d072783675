"""
Earlier registrations of a project's devices: by other projects, and in earlier imports.

The registry prevents that a device is in two projects at one time. An issued statement remains
valid after the registry has changed, so each close and issue checks the issued statements.  Ex-ante
values that another project issued for the same devices apply to this project too.

An ex-ante parameter is compared with its value at the start of the period, or with its first value
if the project was registered later.  A project that takes over another's devices
keeps the other's values, as does a device that replaces one that is no longer assigned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import Connection

from mrv.accounting.coverage import role_needs
from mrv.calendar import instant_us, local_date, utc_text
from mrv.documents.statement import Claims
from mrv.errors import MethodologyError
from mrv.methodologies import find
from mrv.parameters import ParameterSpec, exact
from mrv.registry.project import ChangedLate, Document, Project
from mrv.rounding import exact_text
from mrv.rules.issued import filled_in
from mrv.signatures.organisations import stem
from mrv.statement.earlier_statements import may_be_fixed
from services.issuer.trust import operators
from services.registry.declared import document_of
from services.store.registry.load import ProjectVersion, load_others, load_versions
from services.store.statements import statements
from services.store.statements.account_spans import same_meter_ids
from services.store.statements.statements import Stored
from services.store.timeseries.measured_energy import year_sums

# device and quantity; begin and end [us UTC]
_Counted = tuple[str, str]
_Span = tuple[int, int]
# device (None for the whole project) and parameter
_Key = tuple[str | None, str]
_MAX_LISTED = 5
# maximum time between the end of a device's assignment and the start of its successor's
_MAX_DISTANCE = timedelta(days=31)
# a project continues another one if it has at least 1/2 of its devices or measured quantity
_INVERSE_SHARE = 2


# --- claims -------------------------------------------------------------------------------


def counted_elsewhere(conn: Connection, claims: Claims) -> Iterator[str]:
    """Yield findings on devices that an issued statement of another project already counts."""
    mine = _counted(claims)
    devices = sorted({device for device, _ in mine})
    period = claims.monitoring_period
    edges = instant_us(period.from_, "UTC"), instant_us(period.to, "UTC")
    for other in statements.claimed_of_devices(conn, claims.project.id, devices, *edges):
        for key, (begin, end) in _counted(other.claims).items():
            if key not in mine:
                continue
            first, last = max(begin, mine[key][0]), min(end, mine[key][1])
            if first < last:
                yield (
                    f"{key[0]} is counted in {other.id} of project {other.project} from"
                    f" {utc_text(first)} to {utc_text(last)}, and its {key[1]} can be claimed only"
                    f" once: begin its assignment to {claims.project.id} at {utc_text(last)} or"
                    " later"
                )


def before_elsewhere(
    conn: Connection, project: Project, period_us: tuple[int, int]
) -> Stored | None:
    """
    Return the last issued statement of another project with this project's devices.

    Its ex-ante parameters remain binding.  None if too few devices are the same (`TakenOver`), or
    the methodology differs.
    """
    mine = {d.device for d in project.devices}
    meters = same_meter_ids(conn, mine)
    last = statements.last_of_devices(conn, project.id, meters, period_us[0])
    if last is None or last.claims.methodology.id != project.methodology:
        return None
    had = {p.device for p in last.claims.monitored_parameters} & {*meters}
    # this project's ids of the other project's meters
    here = mine & {*same_meter_ids(conn, had)}
    return last if here and TakenOver(conn, project, period_us).of(here) else None


def _counted(claims: Claims) -> dict[_Counted, _Span]:
    """Return (from, to) of each baseline meter in the account, by device and quantity. [us UTC]"""
    result: dict[_Counted, _Span] = {}
    for p in claims.monitored_parameters:
        if p.side == "baseline":
            begin, end = instant_us(p.from_, "UTC"), instant_us(p.to, "UTC")
            first, last = result.get((p.device, p.parameter), (begin, end))
            result[p.device, p.parameter] = min(begin, first), max(end, last)
    return result


class TakenOver:
    """
    Test of whether a project continues another one, by what its devices measured in a period.

    `project`: with the devices of the period.  `period_us`: end excluded. [us UTC]
    """

    def __init__(self, conn: Connection, project: Project, period_us: tuple[int, int]) -> None:
        self._devices = {bound.device for bound in project.devices}
        methodology = find(project.methodology, project.version)
        # measured amounts by device, for each side and quantity
        self._reported: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        roles = [
            (role_needs(methodology, bound, f"device {bound.device}"), bound.device)
            for bound in project.devices
        ]
        meters = dict.fromkeys((device, needs.quantity) for needs, device in roles)
        sums = year_sums(conn, meters, *period_us)
        for needs, device in roles:
            year_sum = sums.get((device, needs.quantity))
            if year_sum is not None and year_sum.value > 0:
                self._reported[needs.side, needs.quantity][device] = year_sum.value

    def of(self, had: Collection[str]) -> bool:
        """
        Return whether the project continues another one, which had the devices `had`.
        It does if they are at least half of its devices with data (of all devices if none has
        data), or measured at least half of a baseline quantity.
        """
        with_data = {
            device for by_device in self._reported.values() for device in by_device
        } or self._devices
        if with_data & {*had} and _INVERSE_SHARE * len(with_data & {*had}) >= len(with_data):
            return True
        return any(
            _INVERSE_SHARE * sum(n for device, n in by_device.items() if device in had)
            >= sum(by_device.values())
            for (side, _), by_device in self._reported.items()
            if side == "baseline"
        )


# --- earlier values -----------------------------------------------------------------------


class _Import(NamedTuple):
    """
    Parameter values of one import by device and parameter, and documents by parameter.

    `holders` are the devices of the project at that time, and None for the project itself.
    """

    version: ProjectVersion
    holders: Collection[str | None]
    values: dict[_Key, frozenset[str]]
    documents: dict[str, Document]


def changed_late(
    conn: Connection, project: Project, period_us: tuple[int, int]
) -> tuple[ChangedLate, ...]:
    """
    Return the ex-ante parameters that were changed after a period began.

    `project`: its current registration, with the devices of the period.
    """
    from_us = period_us[0]
    versions = load_versions(conn, project.id)
    if not versions or versions[-1].imported_us < from_us:
        return ()
    if versions[0].imported_us >= from_us:
        versions = [*_earlier_registrations(conn, project, versions[0], period_us), *versions]
    specs = may_be_fixed(project)
    own = operators(conn)
    return tuple(_changes([_imported(version, specs, own) for version in versions], specs, from_us))


def _earlier_registrations(
    conn: Connection, project: Project, first: ProjectVersion, period_us: tuple[int, int]
) -> list[ProjectVersion]:
    """
    Return the last earlier project that had this project's devices: all its registrations.
    Empty if it had too few of them (`TakenOver`), or another methodology.
    """
    mine = sorted({bound.device for bound in project.devices})
    days = [local_date(us, project.timezone) for us in (period_us[0], period_us[1] - 1)]
    others = [
        other for other in load_others(conn, project.id, mine)
        if other.imported_us <= first.imported_us
        and other.entry["methodology"] == project.methodology
    ]  # fmt: skip
    taken = TakenOver(conn, project, period_us) if others else None
    had = [o for o in others if taken is not None and taken.of(_assigned(o.entry, *days))]
    return [other for other in had if other.entry["id"] == had[-1].entry["id"]]


def _assigned(entry: Mapping[str, Any], first: date, last: date) -> set[str]:
    """Return the devices assigned in a registration during local days, both included."""
    whole = entry["crediting_period"]
    return {
        bound["device"]
        for bound in entry.get("devices", ())
        if bound.get("from", whole["from"]) <= last.isoformat()
        and first.isoformat() < bound.get("to", whole["to"])
    }


def _changes(
    every: Sequence[_Import], specs: Iterable[_Key], from_us: int
) -> Iterator[ChangedLate]:
    before = [record for record in every if record.version.imported_us < from_us]
    # the last version before the period, and all later ones
    since = every[max(0, len(before) - 1) :]
    now = since[-1]
    places = replaced(since[0].version.entry, now.version.entry, since[0].holders)
    changed = set[str]()
    for key in sorted(specs, key=lambda key: (key[0] or "", key[1])):
        device, name = key
        has = now.values.get(key, frozenset())
        olds = sorted(places.get(device or "", ()))
        # a device that replaces others is compared with the parameters of those
        keys: list[_Key] = [*((old, name) for old in olds)] or [key]
        first = since[0]
        # registered after the period began: compared with the first registered value
        if not before or not (olds or device in first.holders):
            first = next(
                (record for record in since if any(k in record.values for k in keys)), first
            )
        had = frozenset[str]().union(*(first.values.get(k, ()) for k in keys))
        if had == has or (olds and has and has <= had):
            continue
        when = _last(since, [record.values.get(key) for record in since])
        changed.add(name)
        was: list[str | None] = [*sorted(had - has or had)]
        for value in was or [None]:
            documents = first.documents.get(name), now.documents.get(name)
            yield ChangedLate(
                device, name, value, when.imported_us, _by(when, first, olds), *documents
            )
    for name in sorted({name for _, name in specs} - changed):
        versions = [record.documents[name] for record in since if name in record.documents]
        fixed, document = versions[0] if versions else None, now.documents.get(name)
        for item in versions:
            fixed = item if filled_in(fixed, item) else fixed
        if fixed is not None and fixed != document:
            when = _last(since, [record.documents.get(name) for record in since])
            documents = fixed, document
            yield ChangedLate(
                None, name, None, when.imported_us, when.author, *documents, paper_only=True
            )


def _by(when: ProjectVersion, first: _Import, olds: Sequence[str]) -> str:
    """
    Return the author of a changed value, and the project or device that had the earlier
    value.
    """
    before = first.version.entry["id"]
    where = [] if when.entry["id"] == before else [f"before in {before}"]
    if olds:
        more = f" and {len(olds) - _MAX_LISTED} more" if len(olds) > _MAX_LISTED else ""
        where.append(f"before it {', '.join(olds[:_MAX_LISTED])}{more}")
    return ", ".join([when.author, *where])


def _last(since: Sequence[_Import], contents: Sequence[Any]) -> ProjectVersion:
    """Return the import from which on the content equals the last one."""
    others = [i for i, text in enumerate(contents) if text != contents[-1]]
    return since[others[-1] + 1 if others else 0].version


def _imported(
    version: ProjectVersion, specs: Mapping[_Key, ParameterSpec], operators_: Collection[str]
) -> _Import:
    entry = version.entry
    parameters: dict[str | None, list[Mapping[str, Any]]] = {None: [entry.get("parameters", {})]}
    for bound in entry.get("devices", ()):
        parameters.setdefault(bound["device"], []).append(bound)
    values = {}
    for key, spec in specs.items():
        device, name = key
        result = frozenset(
            filter(None, (_text(spec, change, name) for change in parameters.get(device, ())))
        )
        if result:
            values[key] = result
    documents = {
        name: document_of(name, entered) for name, entered in entry.get("documents", {}).items()
    }
    # a document written by the operator is no evidence
    documents = {n: p for n, p in documents.items() if p.by is None or stem(p.by) not in operators_}
    return _Import(version, parameters.keys(), values, documents)


def _text(spec: ParameterSpec, parameters: Mapping[str, Any], name: str) -> str | None:
    """Return the value in a registration as text, or the default."""
    value = parameters.get(name)
    if value is None:
        value = None if spec.default is None else Decimal(spec.default)
    if value is None:
        return None
    try:
        return exact_text(exact(value, name))
    except MethodologyError:  # an older methodology may have had other parameters
        return None


# --- replaced devices -----------------------------------------------------------------------


def replaced(
    was: Mapping[str, Any], now: Mapping[str, Any], known: Collection[str | None]
) -> dict[str, frozenset[str]]:
    """
    Return, for each new device of a project, the earlier devices that it replaces.

    It replaces a device of the same role whose assignment ends within a month of its own start, or
    which is no longer assigned.  Replacements are followed through several devices.
    `was`, `now`: earlier and current registration of the project, with the keys of registry files.
    `known`: devices assigned before.
    """
    before: dict[str, set[str]] = {}
    for bound in now.get("devices", ()):
        if bound["device"] not in known:
            result = before.setdefault(bound["device"], set())
            result.update(_ending(bound, now))
            result.update(_unassigned(bound, was, now))
    return {
        device: frozenset(meter for meter in _all_replaced(device, before) if meter in known)
        for device in before
    }


def _unassigned(
    new: Mapping[str, Any], was: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[str]:
    """Yield devices of the same role that were assigned before and no longer are."""
    if was["id"] != now["id"]:  # devices of another project may still be assigned to that project
        return
    remaining = {bound["device"] for bound in now["devices"]}
    begin = _edges(new, now)[0]
    for device in was.get("devices", ()):
        first, end = _edges(device, was)
        serves = first - _MAX_DISTANCE <= begin <= end + _MAX_DISTANCE
        if serves and device["role"] == new["role"] and device["device"] not in remaining:
            yield device["device"]


def _ending(new: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield devices of the same role whose assignment ends within a month of a new one's start."""
    begin = _edges(new, entry)[0]
    for device in entry["devices"]:
        same = device["role"] == new["role"] and device["device"] != new["device"]
        if same and abs(_edges(device, entry)[1] - begin) <= _MAX_DISTANCE:
            yield device["device"]


def _edges(bound: Mapping[str, Any], entry: Mapping[str, Any]) -> tuple[date, date]:
    whole = entry["crediting_period"]
    first, last = (str(bound.get(edge, whole[edge])) for edge in ("from", "to"))
    return date.fromisoformat(first), date.fromisoformat(last)


def _all_replaced(device: str, before: Mapping[str, Collection[str]]) -> set[str]:
    """Return all devices that a device replaced, directly or through others."""
    result, remaining = set[str](), [device]
    while remaining:
        for value in before.get(remaining.pop(), ()):
            if value not in result:
                result.add(value)
                remaining.append(value)
    return result
