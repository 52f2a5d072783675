"""Checks that a project has all that its methodology requires."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ingest import classes, profiles
from ingest.errors import did_you_mean
from mrv.accounting.corroborated_energy import UNDECLARED, is_declared
from mrv.accounting.entered_values import KEY, accepted, parameters_of, row_of
from mrv.errors import FactorError, MethodologyError
from mrv.factors import FactorBook, load
from mrv.methodologies import (
    DIRECTION,
    abroad,
    find,
    implausible,
    low_reference,
    odd,
    unit_reductions,
)
from mrv.model import (
    GAINING,
    LINE_DIAGRAM,
    METER_KEYS,
    PERIOD,
    TECHNOLOGY,
    Activity,
    Candidate,
    CandidateDevice,
    Check,
    Methodology,
    RoleNeeds,
)
from mrv.parameters import USUAL, Inputs, ParameterSpec, of_parameter, read, region_of
from mrv.rounding import decimal_text, exact_text
from mrv.texts import Text
from services.registry.declared import document_of
from services.registry.entries import DOCUMENT, Device, Project, ProjectDevice
from services.registry.located import Finding
from services.registry.used_factors import unverified

_NUMBERS = (int, Decimal, Fraction)
ZERO = Fraction(0)
_UNCORROBORATED = (
    f"Where more than {USUAL.above_percent} % of the reduction depends on such a value (or the"
    " share in the programme's trust root), the conservative end of its published range is"
    " applied; if none is published, the reduction that depends on it is not credited."
)


def check(
    project: Project, devices: Mapping[str, Device], whole: FactorBook, grid: str | None
) -> Iterator[Finding]:
    """Yield errors and warnings of a project by its methodology; its devices are registered."""
    book = whole.within(grid)
    country = book.country
    try:
        methodology = find(project.methodology, project.version)
    except MethodologyError as error:
        yield _finding(project, f"methodology: {error}")
        return
    elsewhere = abroad(methodology.countries, country)
    if elsewhere is not None:
        text = f"methodology: {methodology.id} is of {methodology.programme}: {elsewhere}"
        yield Finding(project.kind, project.id, text, warning=True)
    errors = [*_roles(project, methodology, devices)]
    try:
        parameters = parameters_of(methodology, project.parameters, "parameters")
        names = accepted(project.parameters, "parameters")
    except MethodologyError as error:
        errors.append(str(error))
    errors += () if errors else _unknown(names, book)
    if errors:
        yield from (_finding(project, text) for text in errors)
        return
    yield from unverified(project, methodology, parameters, names, book)
    yield from _contradictory(project, methodology, parameters, book)
    yield from _not_designed(project, methodology, parameters)
    yield from _stated(project, methodology, parameters)
    yield from _uncorroborated(project, methodology, parameters, book, country)
    yield from _not_entered(project, methodology, parameters, book)
    yield from _undeclared(project, methodology, devices)
    candidate = _candidate(project, methodology, parameters, devices, country)
    for condition in methodology.applicability:
        broken = condition.test(candidate)
        if broken is not None:
            yield _outside(project, condition, broken)


def unknown_documents(project: Project) -> Iterator[str]:
    """Yield parameters in a project's `documents` that its methodology does not have."""
    try:
        methodology = find(project.methodology, project.version)
    except MethodologyError:
        return
    roles = methodology.roles.values()
    known = {*methodology.parameters, KEY, LINE_DIAGRAM, METER_KEYS}
    known = known.union(*(needs.params for needs in roles))
    for name in sorted((project.documents or {}).keys() - known):
        near = did_you_mean(name, known) or f"known: {', '.join(sorted(known))}"
        yield (
            f"documents: {name!r} is not a parameter of {methodology.id}; {near}; name the "
            "parameter whose value the document states"
        )


def _outside(project: Project, condition: Check, broken: Text) -> Finding:
    if condition.refuses:
        return _finding(project, f"{condition.clause}: {broken}")
    text = f"{condition.clause}: {broken}; until it is met, each statement reports it"
    return Finding(project.kind, project.id, text, warning=True)


def _unknown(names: frozenset[str], book: FactorBook) -> Iterator[str]:
    known = {factor.id for factor in book}
    for name in sorted(names - known):
        yield f"parameters.{KEY}: {name!r} is not a factor; `tonne evaluate --describe` lists ids"


def _contradictory(
    project: Project, methodology: Methodology, parameters: Inputs, book: FactorBook
) -> Iterator[Finding]:
    """Yield errors of parameters that contradict each other."""
    year = project.crediting_from.year
    begin = [Activity(PERIOD, {GAINING: Fraction(1)}, Fraction(1))] if methodology.timed else []
    try:
        inputs = methodology.inputs_of(begin, parameters, book, year)
    except FactorError:
        return  # already reported
    for clause, message in (
        ("plausibility", implausible(methodology, inputs)),
        (DIRECTION, low_reference(methodology, inputs, book)),
    ):
        if message is not None:
            yield _finding(project, f"{methodology.id}, {clause}: {message}")
    if (message := odd(methodology, inputs)) is not None:
        text = f"{methodology.id}, plausibility: {message}; it is applied as given"
        yield Finding(project.kind, project.id, text, warning=True)


def _not_designed(
    project: Project, methodology: Methodology, parameters: Inputs
) -> Iterator[Finding]:
    """Yield warnings on design and baseline values that are not applied without a document."""
    values = project.documents or {}
    lacking: dict[bool, list[str]] = {False: [], True: []}
    known = {*parameters}.union(*(bound.params for bound in project.devices))
    for name in methodology.designed_of(bound.role for bound in project.devices):
        document_, subset = values.get(name), lacking[name in methodology.baseline_documents]
        if name not in known:
            subset.append(f"{name} ({methodology.spec_of(name).meaning}) is not entered")
        elif not _whole(document_):
            subset.append(f"{name} has no document with {', '.join(DOCUMENT)}")
    invoices = _invoices(project, methodology)
    if lacking[True]:
        yield _until(
            project,
            lacking[True],
            "no reduction is credited until these values are in `parameters`, and their evidence"
            " in `documents`, such as the report of the regression or of the measurement (dated"
            f" before the period, with its issuer and the SHA-256 of its file){invoices}",
        )
    if lacking[False]:
        yield _until(
            project,
            lacking[False],
            "until `parameters` has the design capacity, and `documents` the licence or design"
            " report that states it (dated before the period, with its issuer and the SHA-256 of"
            " its file), a quantity that only the plant's own meters report is zero, unless"
            f" invoices with their files support it{invoices}",
        )


def _uncorroborated(
    project: Project,
    methodology: Methodology,
    parameters: Inputs,
    book: FactorBook,
    country: str | None,
) -> Iterator[Finding]:
    """
    Yield warnings on values without a third party's document, with the share of the reduction that
    depends on each.
    """
    given = project.documents or {}
    sampled = {sample.parameter for sample in project.laboratory or ()}
    typed = {n: v for n, v in project.parameters.items() if n in methodology.parameters}
    rows: dict[str, str] = {}
    for device, values in ((None, typed), *((b, b.params) for b in project.devices)):
        for name, value in values.items():
            spec = methodology.spec_of(name)
            dated = name in methodology.documented and not _is_cautious(
                methodology, name, parameters
            )
            graded = (
                "document" in of_parameter(name).by
                and spec.unit != "year"
                and name not in sampled
                and not _is_its_own(spec, name, value, country)
                and not _is_default_or_lower(project, methodology, parameters, name, book)
                and not (device is not None and spec.choices
                         and _is_lowest(project, methodology, parameters, device, name, book))
            )  # fmt: skip
            if _whole(given.get(name)) or name in methodology.designed or not (dated or graded):
                continue
            rows[name] = str(row_of(name, Fraction(value)))
    if rows:
        shares = (_share_text(project, methodology, parameters, name, book) for name in rows)
        lines = [
            f"{n}{f' ({share})' if share else ''}" for n, share in zip(rows, shares, strict=True)
        ]
        yield _until(
            project,
            [f"{', '.join(lines)} without a third party's document"],
            "until `documents` names one dated before the period, the statement has a finding."
            f" {_UNCORROBORATED} Enter in `documents`: {'; '.join(rows.values())}",
        )


def _share_text(
    project: Project, methodology: Methodology, parameters: Inputs, name: str, book: FactorBook
) -> str:
    """
    Return the largest share of a role's reduction that depends on a value, as text.
    The share is 100 times the relative effect of a change by 1 %.
    """
    year, maximum, role = project.crediting_from.year, ZERO, ""

    def less(values: Inputs) -> Inputs:
        number = type(values.get(name)) in _NUMBERS and methodology.spec_of(name).unit != "year"
        return {**values, name: values[name] * Fraction(99, 100)} if number else values

    for bound in {d.role: d for d in project.devices}.values():
        params = read(methodology.roles[bound.role].params, bound.params, bound.device)
        try:
            whole, rest = (
                unit_reductions(methodology, bound.role, item, every, book, year).reduction_t
                for item, every in ((params, parameters), (less(params), less(parameters)))
            )
        except (FactorError, MethodologyError):
            continue
        if whole and (share := min(Fraction(1), abs((whole - rest) / whole) * 100)) > maximum:
            maximum, role = share, bound.role
    percent = decimal_text(maximum * 100, 0, "half_even")
    return f"{percent} % of the reduction of role {role} depends on it" if maximum else ""


def _is_its_own(spec: ParameterSpec, name: str, value: Any, country: str | None) -> bool:
    """Return whether a value is a published default, or needs no document by its `spec`."""
    if spec.undocumented is not None:
        return bool(Fraction(value) == Fraction(spec.undocumented))
    region = region_of(country) if "region" in of_parameter(name).by else None
    kinds = spec.published if spec.factor is None else spec.factor[0]
    factors = [f for f in load() if kinds and f.kind.startswith(kinds)]
    if spec.factor is None:
        factors = [f for f in factors if region is not None and f.kind.endswith(f".{region}")]
    return Fraction(value) in {factor.value for factor in factors}


def _with_default(methodology: Methodology) -> list[str]:
    """Return the parameters with a default, which need not be entered."""
    return [name for name in methodology.parameters if "default" in of_parameter(name).by]


def _units(
    project: Project, methodology: Methodology, parameters: Inputs, book: FactorBook
) -> Fraction | None:
    """Return the total reduction for one unit of each role; None if another check fails."""
    result, year = ZERO, project.crediting_from.year
    for bound in {d.role: d for d in project.devices}.values():
        params = read(methodology.roles[bound.role].params, bound.params, bound.device)
        try:
            reductions = unit_reductions(methodology, bound.role, params, parameters, book, year)
        except (FactorError, MethodologyError):
            return None
        result += reductions.reduction_t
    return result


def _is_default_or_lower(
    project: Project, methodology: Methodology, parameters: Inputs, name: str, book: FactorBook
) -> bool:
    """Return whether a value with a default gives no more reduction than the default."""
    if name not in _with_default(methodology):
        return False
    rest = {k: v for k, v in parameters.items() if k != name}
    typed, default_t = (_units(project, methodology, values, book) for values in (parameters, rest))
    return typed is None or default_t is None or typed <= default_t


def _not_entered(
    project: Project, methodology: Methodology, parameters: Inputs, book: FactorBook
) -> Iterator[Finding]:
    """
    Yield a warning on a default that applies, if another choice would give a higher
    reduction.
    """
    for name in _with_default(methodology):
        spec = methodology.parameters[name]
        default_t = None if name in parameters else _units(project, methodology, parameters, book)
        if default_t is None:
            continue
        each = (_units(project, methodology, {**parameters, name: n}, book) for n in spec.choices)
        if any(amount is not None and amount > default_t for amount in each):
            text = (
                f"parameters: {name} is not entered, and the project's country has no value of its"
                f" own: the most conservative value applies; enter {name} ({spec.meaning}) and, in"
                f" `documents`, a third party's document that states it"
            )
            yield Finding(project.kind, project.id, text, warning=True)


def _is_lowest(
    project: Project,
    methodology: Methodology,
    parameters: Inputs,
    bound: ProjectDevice,
    name: str,
    book: FactorBook,
) -> bool:
    """Return whether a device's choice gives the lowest reduction; True if none is known."""
    year = project.crediting_from.year
    params = read(methodology.roles[bound.role].params, bound.params, bound.device)

    def reduced(case: int) -> Fraction:
        subset = {**params, name: case}
        return unit_reductions(methodology, bound.role, subset, parameters, book, year).reduction_t

    try:
        return reduced(params[name]) <= min(map(reduced, methodology.spec_of(name).choices))
    except (FactorError, MethodologyError):
        return True  # already reported


def _undeclared(
    project: Project, methodology: Methodology, devices: Mapping[str, Device]
) -> Iterator[Finding]:
    """Yield warnings on generation meters without an energy source."""
    for bound in project.devices:
        needs, class_id = methodology.roles[bound.role], devices[bound.device].class_id
        if is_declared(needs, class_id) and TECHNOLOGY not in bound.params:
            text = f"devices[{bound.device}]: {UNDECLARED}; until then it is treated as solar"
            yield Finding(project.kind, project.id, text, warning=True)


def _stated(project: Project, methodology: Methodology, parameters: Inputs) -> Iterator[Finding]:
    """Yield warnings on documents whose stated value is missing, or is not the entered one."""
    entered: defaultdict[str, dict[str | None, Fraction]] = defaultdict(dict)
    sampled = {sample.parameter for sample in project.laboratory or ()}
    for device, values in ((None, parameters), *((b.device, b.params) for b in project.devices)):
        for name, value in values.items():
            measured = name in sampled or methodology.spec_of(name).channels
            if type(value) in _NUMBERS and not measured:
                entered[name][device] = Fraction(value)
    without_value = []
    for name, given in sorted((project.documents or {}).items()):
        if name not in entered or not _whole(given):
            continue
        document, unit = document_of(name, given), methodology.spec_of(name).unit
        for device, value in entered[name].items():
            stated = document.stated(device)
            if stated is None:
                without_value.append(name)
            elif stated != value:
                text = (
                    f"{name} = {exact_text(value)} {unit}, and its document {document.document!r}"
                    f" states {exact_text(stated)}: the more conservative one is applied; correct"
                    " the value that is wrong"
                )
                at = "" if device is None else f"{device}: "
                yield Finding(project.kind, project.id, at + text, warning=True)
    if without_value:
        lacking = sorted(set(without_value))
        yield _until(
            project,
            lacking,
            "until `value` in `documents` has the value that each document states, its grade is D."
            f" {_UNCORROBORATED}",
        )


def _is_cautious(methodology: Methodology, name: str, parameters: Inputs) -> bool:
    """Return whether a parameter has the conservative value that needs no document."""
    spec, value = methodology.spec_of(name), parameters.get(name)
    if spec.by_publication:
        kinds = spec.published if spec.factor is None else spec.factor[0]
        return value in {factor.value for factor in load() if factor.kind.startswith(kinds)}
    return spec.undocumented is not None and value == Fraction(spec.undocumented)


def _whole(document_: object) -> bool:
    """Return whether a document has all keys of `DOCUMENT`."""
    return isinstance(document_, Mapping) and set(DOCUMENT) <= document_.keys()


def _until(project: Project, lacking: list[str], text: str) -> Finding:
    return Finding(
        project.kind, project.id, f"parameters: {'; '.join(lacking)}; {text}", warning=True
    )


def _invoices(project: Project, methodology: Methodology) -> str:
    """Return which invoices a period requires, as text; empty if none."""
    alone = [device.device for device in project.devices if device.role in methodology.invoiced]
    power = [device.device for device in project.devices if device.role in methodology.powering]
    either = f", or of the electricity that {', '.join(power)} measures," if power else ""
    if not alone:
        return ""
    return (
        f"; without a valid certificate, the quantity of {', '.join(alone)} is credited only if"
        f" invoices of it{either} with the SHA-256 of their files cover 95 % of its time (`tonne"
        " invoice import`; for weather, figures of the meteorological office)"
    )


def _finding(project: Project, text: str) -> Finding:
    return Finding(project.kind, project.id, text)


def _roles(
    project: Project, methodology: Methodology, devices: Mapping[str, Device]
) -> Iterator[str]:
    if not methodology.roles:
        yield (
            f"methodology: no device class measures the quantities that {methodology.id}"
            " monitors; remove the project, and use `tonne evaluate` with figures from documents"
        )
        return
    assigned = {d.role for d in project.devices}
    for role, need in methodology.roles.items():
        if need.required and role not in assigned:
            kinds = " or ".join(need.classes)
            yield f"devices: no device has the role {role!r}; assign it to a {kinds}"
    for bound in project.devices:
        role_need = methodology.roles.get(bound.role)
        where = f"devices[{bound.device}]"
        if role_need is None:
            known = ", ".join(methodology.roles)
            yield f"{where}.role: {methodology.id} has no role {bound.role!r}; known: {known}"
        else:
            yield from _device(where, bound, role_need, devices[bound.device])


def _device(where: str, bound: ProjectDevice, need: RoleNeeds, device: Device) -> Iterator[str]:
    if device.class_id not in need.classes:
        kinds = " or ".join(need.classes)
        yield f"{where}: role {bound.role!r} requires a {kinds}, but it is a {device.class_id}"
    elif need.quantity not in _metered(device):
        yield (
            f"{where}: role {bound.role!r} needs a register of {need.quantity}, which profile "
            f"{device.profile!r} of {device.class_id} lacks; use a profile that reads it"
        )
    try:
        read(need.params, bound.params, where)
    except MethodologyError as error:
        yield str(error)


def _metered(device: Device) -> set[str]:
    """Return the quantities of the registers that a device's profile reads."""
    device_class = classes.load().get(device.class_id)
    profile = profiles.load().get((device.class_id, device.profile))
    if device_class is None or profile is None:
        return set()
    reads = {s.channel for s in profile.channels.values()}
    return {c.quantity for c in device_class.registers if c.name in reads and c.quantity}


def _candidate(
    project: Project,
    methodology: Methodology,
    parameters: Mapping[str, Any],
    devices: Mapping[str, Device],
    country: str | None,
) -> Candidate:
    expected = project.expected.get("reduction_t_per_year")
    return Candidate(
        parameters=parameters,
        devices=tuple(
            CandidateDevice(
                d.device,
                d.role,
                devices[d.device].class_id,
                len(devices[d.device].calibrations or ()),
                {methodology.roles[d.role].less} <= {"", *_metered(devices[d.device])},
                d.params.get(TECHNOLOGY),
            )
            for d in project.devices
        ),
        first_year=project.crediting_from.year,
        reduction_t_per_year=None if expected is None else Fraction(Decimal(expected)),
        country=country,
    )
