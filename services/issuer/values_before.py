"""
What a project fixed ex ante and changed after a period began, by the imports of the registry.

The value in force when the period began is the one to compare with, or the first one where
the project was registered later: data of the past may come with the first registration.
A value that is given for the first time changes none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from psycopg import Connection

from mrv.errors import MethodologyError
from mrv.parameters.inputs import exact
from mrv.parameters.specs import ParameterSpec
from mrv.registry.project import ChangedLate, Document, Project
from mrv.rounding import exact_text
from mrv.signatures.organisations import stem
from mrv.statement.fixed_parameters import may_be_fixed
from services.issuer.acceptances import operators
from services.registry.parameter_documents import document_of
from services.store.registry.project_versions import ProjectVersion, load_versions

# device, None of the whole project; parameter
_Key = tuple[str | None, str]


class _Said(NamedTuple):
    """Values of an import by key, each once where a device serves more than once; its papers."""

    version: ProjectVersion
    values: dict[_Key, frozenset[str]]
    papers: dict[str, Document]


def changed_late(conn: Connection, project: Project, from_us: int) -> tuple[ChangedLate, ...]:
    """
    Return what of a project was changed after a period began. [us UTC]

    Parameters
    ----------
    project : Project
        As the registry has it now, with the devices of the period.
    """
    specs = may_be_fixed(project)
    own = operators(conn)
    every = [_said(one, specs, own) for one in load_versions(conn, project.id)]
    if not every or every[-1].version.imported_us < from_us:
        return ()
    return tuple(_changes(every, specs, from_us))


def _changes(every: Sequence[_Said], specs: Iterable[_Key], from_us: int) -> Iterator[ChangedLate]:
    before = [one for one in every if one.version.imported_us < from_us]
    # the last one before the period, and those after it
    since = every[max(0, len(before) - 1) :]
    now = since[-1]
    changed = set()
    for key in sorted(specs, key=lambda key: (key[0] or "", key[1])):
        first = next((one for one in since if key in one.values), None)
        if first is None or first.values[key] == now.values.get(key, frozenset()):
            continue
        device, name = key
        when = _last(since, [one.values.get(key) for one in since])
        was = first.values[key] - now.values.get(key, frozenset()) or first.values[key]
        changed.add(name)
        for value in sorted(was):
            papers = first.papers.get(name), now.papers.get(name)
            yield ChangedLate(device, name, value, when.imported_us, when.author, *papers)
    for name in sorted({name for _, name in specs} - changed):
        held = next((one.papers[name] for one in since if name in one.papers), None)
        if held is not None and held != now.papers.get(name):
            when = _last(since, [one.papers.get(name) for one in since])
            papers = held, now.papers.get(name)
            yield ChangedLate(None, name, None, when.imported_us, when.author, *papers)


def _last(since: Sequence[_Said], told: Sequence[Any]) -> ProjectVersion:
    """Return the import that brought what the last one has."""
    others = [i for i, one in enumerate(told) if one != told[-1]]
    return since[others[-1] + 1 if others else 0].version


def _said(
    version: ProjectVersion, specs: Mapping[_Key, ParameterSpec], operators_: Collection[str]
) -> _Said:
    entry = version.entry
    given: dict[str | None, list[Mapping[str, Any]]] = {None: [entry.get("parameters", {})]}
    for bound in entry.get("devices", ()):
        given.setdefault(bound["device"], []).append(bound)
    values = {}
    for key, spec in specs.items():
        device, name = key
        found = frozenset(filter(None, (_text(spec, one, name) for one in given.get(device, ()))))
        if found:
            values[key] = found
    papers = {name: document_of(name, said) for name, said in entry.get("documents", {}).items()}
    # what its operator wrote shows nothing
    papers = {n: p for n, p in papers.items() if p.by is None or stem(p.by) not in operators_}
    return _Said(version, values, papers)


def _text(spec: ParameterSpec, given: Mapping[str, Any], name: str) -> str | None:
    """Return the value that counts by an entry, its default where it gives none."""
    value = given.get(name)
    if value is None:
        value = None if spec.default is None else Decimal(spec.default)
    if value is None:
        return None
    try:
        return exact_text(exact(value, name))
    except MethodologyError:  # an older methodology may have asked for something else
        return None
