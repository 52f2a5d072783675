"""
Commands `tonne period` (close a monitoring period) and `tonne submission` (check a statement
before submission).
"""

from __future__ import annotations

import getpass
import json
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import date
from fractions import Fraction
from math import ceil
from typing import Any

import click
from psycopg import Connection

from ingest.heap import keep_freed
from mrv.calendar import instant_us, local_text
from mrv.documents import UNSET, words_of, write
from mrv.documents.statement import Claims, claims_of
from mrv.report.words import LANGUAGES, Words
from mrv.rounding import UG_PER_T, decimal_text
from mrv.statement.conditions import finding_json, findings, observations, unmet
from mrv.texts import render
from services.cli import Choice, Group, json_option
from services.cli.output import Exit, bar, print_json, steps
from services.cli.server_options import (
    begin_option,
    database_url,
    end_option,
    hint_of_last_day,
    span_us,
)
from services.issuer.close import STEPS, Closed, close_period, preview_period
from services.store.postgres.pool import connect
from services.store.registry.load import load_project
from services.store.timeseries import last_seen


@click.group(cls=Group)
def submission() -> None:
    """
    Check a statement before it is submitted to its programme.

    \b
    Example:
      tonne submission check TN-roof-1-20260101-20260201-1
    """


@submission.command()
@click.argument("statement")
@click.option(
    "--lang", "language", type=Choice(LANGUAGES), default="en", help="Language of the list."
)
@json_option
def check(statement: str, language: str, *, as_json: bool) -> None:
    """
    List the results of a completeness check and of an information and reporting check.

    One line per check, with what is missing and the page of the report. Exit status 4 if anything
    is missing.

    \b
    Example:
      tonne submission check TN-roof-1-20260101-20260201-1 --json
    """
    from services.issuer.export_files import line_json  # noqa: PLC0415 - loads the typesetter
    from services.issuer.export_files import submission as checked  # noqa: PLC0415

    words = Words(language)
    with connect(
        database_url(), role="tonne_mrv", name="tonne submission", autocommit=True
    ) as conn:
        facts, lines = checked(conn, statement, language)
    complete = all(line.holds for line in lines)
    if as_json:
        rows = [line_json(line, words) for line in lines]
        print_json(
            {"statement": statement, "state": facts.state, "complete": complete, "checks": rows}
        )
    else:
        for part in dict.fromkeys(line.part for line in lines):
            click.echo(words[f"submission.{part}"])
            for line in lines:
                if line.part == part:
                    page = "" if line.page is None else f", {words['page.page']} {line.page}"
                    mark = words["submission.ok" if line.holds else "submission.lacks"]
                    title = words[f"submission.{line.check}"]
                    click.echo(f"  {mark:8} {title} ({line.chapter}{page})")
                    for each in line.lacking:
                        click.echo(f"           {each}")
    if not complete:
        click.get_current_context().exit(Exit.NOT_ENOUGH)


_MAX_LISTED = 5
_YEAR_DAYS = 366


@click.group(cls=Group)
def period() -> None:
    """
    Close monitoring periods.

    \b
    Example:
      tonne period close roof-1 --from 2026-01-01 --to 2026-02-01
    """


@period.command()
@click.argument("project")
@begin_option
@end_option
@json_option
def close(project: str, begin: str, end: str, *, as_json: bool) -> None:
    """
    Close a monitoring period of PROJECT and create its draft statement.

    A day is a local day of the project, not of UTC; the day of --to is not included:
    January is --from 2026-01-01 --to 2026-02-01. Times must be multiples of 15 minutes. Stored
    intervals are compared with the raw readings first. If readings of the period still
    arrive, a warning says so.
    Closing the same period again over the same readings gives the same statement.

    \b
    Example:
      tonne period close roof-1 --from 2026-01-01 --to 2026-02-01
      tonne period close roof-1 --from 2026-01-01T00:00:00+01:00 --to 2026-01-02T00:00:00+01:00
    """
    keep_freed()
    with connect(database_url(), role="tonne_mrv", name="tonne period", autocommit=True) as conn:
        loaded = load_project(conn, project)
        span = span_us(begin, end, loaded.timezone)
        hint_of_last_day(begin, end)
        warn_of_arriving(conn, [d.device for d in loaded.devices], *span)
        with bar(f"closing {project}", len(STEPS)) as progress:
            closed = close_period(
                conn, project, *span, getpass.getuser(), begun=steps(progress, f"closing {project}")
            )
    show_closed(closed, as_json=as_json)


@period.command()
@click.argument("project")
@begin_option
@end_option
@json_option
def preview(project: str, begin: str, end: str, *, as_json: bool) -> None:
    """
    Preview a period of PROJECT: figures as if it were closed now, and requirements not met.

    Nothing is stored. The period may still be running. Lists deductions for insufficient evidence,
    and missing documents, invoices and readings, each with its tonnes.

    \b
    Example:
      tonne period preview roof-1 --from 2026-01-01 --to 2026-01-20
    """
    keep_freed()
    with connect(database_url(), role="tonne_mrv", name="tonne period", autocommit=True) as conn:
        timezone = load_project(conn, project).timezone
        hint_of_last_day(begin, end)
        preview = preview_period(conn, project, *span_us(begin, end, timezone))
    show_closed(preview, as_json=as_json)


def show_closed(closed: Closed, *, as_json: bool) -> None:
    """Print the figures of a closed period."""
    if as_json:
        click.echo(json.dumps(summary(closed), indent=2))
        return
    click.echo("\n".join(_lines(closed)))


def summary(closed: Closed) -> dict[str, Any]:
    """Return the figures of a closed period: tonnes as decimal text, credits as whole tonnes."""
    claims = claims_of(closed.document)
    plain = write(claims)
    return {
        "statement": closed.statement,
        "state": closed.state,
        "project": claims.project.id,
        "methodology": claims.methodology.id,
        "from": claims.monitoring_period.from_,
        "to": claims.monitoring_period.to,
        **{f"{side}_t": amount["t"] for side, amount in plain["emissions"].items()},
        "credit_t": int(claims.credited.t),
        "coverage": claims.coverage,
        "deductions": plain["deductions"],
        "gaps": plain["gaps"],
        "findings": [finding_json(finding) for finding in findings(claims)],
        "evidence": {} if claims.evidence is UNSET else dict(claims.evidence.shares),
        "worklist": [] if claims.evidence is UNSET else plain["evidence"]["items"],
        "not_met": [finding_json(condition) for condition in unmet(claims)],
        "devices": plain["monitoredParameters"],
        "digests": plain["digests"],
        "supersedes": plain["supersedes"],
    }


def _percent(share: str) -> str:
    return f"{float(share) * 100:.1f}"


def _rounded(claims: Claims) -> Iterator[str]:
    """Yield a line with the tonnes lost by rounding down, if above one percent of the reduction."""
    reduction = Fraction(claims.emissions.reduction.t)
    left = reduction + Fraction(int(claims.carried.in_ug), UG_PER_T) - int(claims.credited.t)
    if not 0 < left < reduction or left <= reduction / 100:
        return
    days = (date.fromisoformat(claims.monitoring_period.local_to[:10])
            - date.fromisoformat(claims.monitoring_period.local_from[:10])).days  # fmt: skip
    enough = ceil(100 * days / reduction)
    advice = (
        f"a period of {enough} days like these loses less than 1 % by rounding"
        if enough <= _YEAR_DAYS
        else "one period per calendar year loses less than one tonne by rounding"
    )
    yield f"  rounding    {decimal_text(left, 3, 'down')} t above the whole tonnes; {advice}"


def _lines(closed: Closed) -> list[str]:
    claims = claims_of(closed.document)
    span, emissions = claims.monitoring_period, claims.emissions
    lines = [
        f"{closed.statement}  {closed.state}{'' if closed.new else ', as before'}",
        f"  period      {span.local_from} to {span.local_to}",
        f"  baseline    {emissions.baseline.t:>16} t",
        f"  project     {emissions.project.t:>16} t",
        f"  leakage     {emissions.leakage.t:>16} t",
        f"  reduction   {emissions.reduction.t:>16} t",
        *(f"  limit       {render(limit)}" for limit in [emissions.limit()] if limit),
        f"  credited    {claims.credited.t:>9} whole t",
        *_rounded(claims),
        f"  coverage    {Words('en').percent(claims.coverage)}",
    ]
    lines += [
        f"  deduction   {d.device}: {words_of(d.reason)}, {d.percent} %, {d.cost_t} t"
        for d in claims.deductions
    ]
    gaps = claims.gaps

    def local(time: str) -> str:
        return local_text(instant_us(time, span.timezone), span.timezone)

    lines += [
        f"  gap         {g.device} {local(g.from_)} to {local(g.to)}, {g.kind}: {g.cost_t} t"
        + (f", forgone at most {g.forgone_at_most_t} t" if g.forgone_at_most_t else "")
        + (f"; {why}" if (why := g.why()) else "")
        for g in gaps[:_MAX_LISTED]
    ]
    if len(gaps) > _MAX_LISTED:
        lines.append(f"              and {len(gaps) - _MAX_LISTED} more; --json lists all")
    if claims.evidence is not UNSET:
        shares = (f"{grade} {_percent(share)} %" for grade, share in claims.evidence.shares.items())
        lines.append(f"  evidence    {', '.join(shares)} of the reduction by grade")
    lines += [f"  not met     {condition}" for condition in unmet(claims)]
    lines += [f"  observation {observation}" for observation in observations(claims)]
    return lines


# time in which a gateway sends, and the pipeline commits, several times [s]
_LOOK_S = 3.0
_MAX_DEVICES = 3


def warn_of_arriving(conn: Connection, ids: Sequence[str], from_us: int, to_us: int) -> None:
    """
    Warn of devices whose readings of a span still arrive; ask whether to continue at a terminal.

    Waits a few seconds where some arrived within the last hour.

    Raises click.Abort if the answer is no.
    """
    before = last_seen.arriving(conn, ids, from_us, to_us)
    if not before:
        return
    time.sleep(_LOOK_S)
    after = last_seen.arriving(conn, ids, from_us, to_us)
    growing = sorted(device for device, count in after.items() if count > before.get(device, 0))
    if not growing:
        return
    names = ", ".join(growing[:_MAX_DEVICES]) + (
        f" and {len(growing) - _MAX_DEVICES} more" if growing[_MAX_DEVICES:] else ""
    )
    click.echo(
        f"tonne: readings of this time still arrive, of {names}. What arrives later is missing"
        " from the statement and counts as late. Wait until the import has ended (`tonne edge"
        " CONFIG --status` shows 0 waiting), then repeat this command.",
        err=True,
    )
    if sys.stdin.isatty():
        click.confirm("Continue without them?", abort=True, err=True)
