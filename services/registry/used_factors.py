"""Emission factors that a project uses, and warnings on those that a verifier would question."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction

from mrv.accounting.entered_values import KEY, unaccepted
from mrv.countries import grids
from mrv.errors import FactorError
from mrv.factors import GRID, FactorBook, is_of_banks, kinds_in, row_to_write
from mrv.factors.ledger import Ledger
from mrv.methodologies import official_grid, unit_reductions
from mrv.model import Factor, Methodology
from mrv.parameters import Inputs, read
from services.registry.entries import Project
from services.registry.located import Finding


def factors_used(
    project: Project, methodology: Methodology, parameters: Inputs, book: FactorBook
) -> list[Factor]:
    """
    Return the factors that a project's account uses in its first year, by id.

    Raises FactorError if a required factor is missing.
    """
    ledger, year = Ledger(book), project.crediting_from.year
    alike = {(d.role, tuple(sorted(d.params.items()))): d for d in project.devices}
    for bound in alike.values():
        params = read(methodology.roles[bound.role].params, bound.params, bound.device)
        unit_reductions(methodology, bound.role, params, parameters, ledger, year)
    return ledger.used()


def unverified(
    project: Project,
    methodology: Methodology,
    parameters: Inputs,
    names: frozenset[str],
    book: FactorBook,
) -> Iterator[Finding]:
    """
    Yield warnings on factors not accepted by the project, provisional ones, and those of
    another grid.
    """
    try:
        official = official_grid(methodology, parameters, book, project.crediting_from.year)
        used = factors_used(project, methodology, parameters, book)
    except FactorError as error:
        yield Finding(project.kind, project.id, str(error))
        return
    yield from _another_grid(project, [*used, *([] if official is None else [official])], book)
    yield from _unlike_official(project, methodology, official)
    at = date(project.crediting_from.year, 1, 1)
    for factor in {f.id: f for f in (*used, *filter(None, [official])) if is_of_banks(f)}.values():
        if factor.id not in names:
            text = (
                f"{factor.id} = {factor.text} {factor.unit} is a default of development banks, not"
                " a factor of the country's authority: each statement has an observation (FAC-02);"
                f" enter the authority's factor in `factors`: {row_to_write(factor.kind, at)}; or,"
                f" if the programme accepts the default, name it in parameters.{KEY}"
            )
            yield Finding(project.kind, project.id, text, warning=True)
    missing = [f"{f.id} = {f.text} {f.unit}" for f in unaccepted(used, names)]
    if missing:
        single = len(missing) == 1
        message = (
            "factor {} is unverified and was" if single else "factors {} are unverified and were"
        )
        it = "it" if single else "them"
        yield Finding(
            project.kind,
            project.id,
            f"{message.format(', '.join(missing))} not compared with the text of the source; each"
            f" statement reports that the project does not accept {it}, unless parameters.{KEY}"
            f" names {it}",
            warning=True,
        )


def _unlike_official(
    project: Project, methodology: Methodology, official: Factor | None
) -> Iterator[Finding]:
    """Yield a warning if a grid factor differs from the officially published one."""
    for name, value in project.parameters.items():
        spec = methodology.parameters.get(name)
        if official is None or spec is None or spec.published != GRID:
            continue
        if Fraction(value) != official.value:
            text = (
                f"parameters: {name} = {value}, and {official.id} = {official.text} {official.unit}"
                " is published: the more conservative value applies; enter the published value,"
                " or the authority's value for this grid under `factors`, with its document"
            )
            yield Finding(project.kind, project.id, text, warning=True)


def _another_grid(project: Project, used: Sequence[Factor], book: FactorBook) -> Iterator[Finding]:
    """Yield warnings on national factors of a project in a country with several grids."""
    country, subset = book.country, grids(book.country)
    if country is None or (book.grid == country and not subset):
        return
    own, *_ = kinds_in(GRID, book.grid)
    names = ", ".join(f"{name} ({grid.name})" for name, grid in subset.items())
    row = row_to_write(own, date(project.crediting_from.year, 1, 1))
    remedy = (
        f"enter `grid` of the site: {names}, or a name of your own with its factor"
        if book.grid == country
        else f"enter in `factors` the factor that the authority publishes for {book.grid}: {row}"
    )
    *_, whole = kinds_in(GRID, country)
    for factor in {f.id: f for f in used if f.kind == whole and not f.brought}.values():
        text = (
            f"{factor.id} = {factor.text} {factor.unit} is the factor of the whole country"
            f" {country}, which has several grids; it is applied in place of the factor of the"
            f" project's grid; {remedy}"
        )
        yield Finding(project.kind, project.id, text, warning=True)
