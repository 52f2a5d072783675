"""The programme report as pages: findings, progress, actions, projects, evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from mrv.report.blocks import Block, chapter, legible, note, paragraph, part, table
from mrv.report.page import typeset
from mrv.report.words import DASH, Words, percent_sign
from mrv.rounding import decimal_text

_NAME, _LONG, _ON_TRACK, _GRADES = 60, 120, 95, "ABCD"
_MOST_STATEMENTS, _MOST_SHORT = 8, 5
_ASIDE = re.compile("[,(:\N{FULLWIDTH LEFT PARENTHESIS}\N{FULLWIDTH COLON}]")
Project = Mapping[str, Any]


def page(document: Mapping[str, Any], words: Words) -> bytes:
    """
    Return a programme report as a PDF, byte-identical for the same data.

    `document`: as `tonne programme report --json` prints it.
    Raises ReportError, with the message of the typesetter, if typesetting fails.
    """
    name = f"{document['programme']}, {document['year']}"
    attached = {
        "name": "programme.json",
        "text": json.dumps(document, ensure_ascii=False, sort_keys=True),
        "mime": "application/json",
        "about": name,
    }
    head = {
        "title": name, "description": name, "id": legible(document["programme"], _NAME),
        "project": str(document["year"]), "state": "", "made": name,
    }  # fmt: skip
    when = datetime(document["year"], 1, 1, tzinfo=UTC)
    return typeset(head, list(_blocks(document, words)), [attached], when, words)


def _blocks(document: Mapping[str, Any], words: Words) -> Iterator[Block]:
    listed = [p for s in document["systems"] for p in s["projects"]] + document["without_system"]
    own = [project for project in listed if project["counted"]]
    yield from _result(document, own, words)
    yield from _actions(document["actions"], own, words)
    yield from _issued(document["statements"], own, words)
    yield from _held_back(document["alarms"], own, words)
    yield from _projects(own, words)
    yield from _evidence(own, words)
    yield from _table(document, listed, words)
    yield from _without_tonnes(document["systems"], words)


def _result(document: Mapping[str, Any], own: Sequence[Project], words: Words) -> Iterator[Block]:
    """Yield the result of the year in one sentence, and a progress bar."""
    avoided, expected, ahead = (
        _sum(own, of) for of in ("monitored_t", "expected_t_so_far", "expected_ahead_t")
    )
    issued = sum(project["issued_credits_t"] for project in own)
    yield {"kind": "p", "text": f"{document['programme']}, {document['year']}", "small": True,
           "leads": False}  # fmt: skip
    if avoided is None:
        yield {"kind": "finding", "text": words.filled("programme.none", document["year"]),
               "late": "", "verified": "", "cause": ""}  # fmt: skip
        yield from _target(document["actions"], Fraction(0), words)
        return
    share = None if not expected else int(avoided / expected * 100)
    yield {
        "kind": "finding",
        "text": words.filled(
            "programme.avoided", words.tonnes(_decimal(avoided)), document["year"]
        ),
        "late": "" if share is None else words.filled("programme.share", _percent(share, words)),
        "tone": "ink" if share is None or share >= _ON_TRACK else "late",
        "verified": words.filled("programme.verified", words.tonnes(issued)),
        "cause": _cause(own, words),
    }
    known = [amount for amount in (expected, ahead) if amount is not None]
    year = sum(known, Fraction(0)) if known else None
    forecast = None if ahead is None else avoided + ahead
    scale = max(
        avoided, *(amount or Fraction(0) for amount in (year, forecast, expected)), Fraction(1)
    )
    marks = [
        ("issued", "programme.issued", Fraction(issued)),
        ("avoided", "programme.measured", avoided),
        ("forecast", "programme.forecast", forecast), ("tick", "programme.to_date", expected),
        ("end", "programme.of_year", year),
    ]  # fmt: skip
    yield {
        "kind": "progress",
        "marks": [
            {
                "as": kind,
                "at": float(value / scale),
                "text": f"{words[key]}: {words.tonnes(_decimal(value))}",
            }
            for kind, key, value in marks
            if value is not None
        ],
    }
    yield from _target(document["actions"], avoided, words)


def _cause(own: Sequence[Project], words: Words) -> str:
    """Return the name of the project with the largest shortfall, and its own progress."""
    short = {project["project"]: max(_short(project), Fraction(0)) for project in own}
    whole = sum(short.values(), Fraction(0))
    if not whole:
        return ""
    worst = max(own, key=lambda project: (short[project["project"]], project["project"]))
    share = _percent(int(short[worst["project"]] / whole * 100), words)
    if worst["plan_error"]:
        return words.filled("programme.worst_plan", _short_name(worst["name"]), share)
    reached = _percent(_reached(worst), words)
    return words.filled("programme.worst", _short_name(worst["name"]), share, reached)


def _target(
    actions: Sequence[Mapping[str, Any]], avoided: Fraction, words: Words
) -> Iterator[Block]:
    """Yield the sum of the main actions' targets, unless one is missing, and the measured total."""
    lines = [a["city_model"]["target_t_per_year"] for a in actions if not a["part_of"]]
    if lines and None not in lines:
        target = sum(map(Decimal, lines), Decimal(0))
        measured = words.share(_decimal(avoided), target)
        yield paragraph(words.filled("programme.target", words.tonnes(target), measured))


def _issued(
    statements: Sequence[Mapping[str, Any]], own: Sequence[Project], words: Words
) -> Iterator[Block]:
    counted = {project["project"] for project in own}
    result = [statement for statement in statements if statement["project"] in counted]
    total = sum(statement["credited_t"] for statement in result)
    yield chapter(words.filled("programme.statements", words.tonnes(total)))
    if not result:
        yield paragraph(words["programme.no_statements"])
        return
    heads = [("programme.statement", "l", 3.0), ("programme.name", "l", 2.2),
             ("programme.period", "l", 2.0), ("programme.issued_t", "r", 0.8)]  # fmt: skip
    yield table(
        words,
        [(words[key], side, width) for key, side, width in heads],
        [
            [item["statement"], _short_name(item["name"]), words.period(item["from"], item["to"]),
             words.number(item["credited_t"])]
            for item in result[:_MOST_STATEMENTS]
        ],
    )  # fmt: skip
    more = len(result) - _MOST_STATEMENTS
    if more > 0:
        yield paragraph(words.filled("page.more_rows", more), small=True)


def _held_back(
    alarms: Sequence[Mapping[str, Any]], own: Sequence[Project], words: Words
) -> Iterator[Block]:
    """Yield the causes of missing tonnes: largest shortfalls, and current faults by cause."""
    short = sorted(
        (item for item in own if _short(item) > 0 and _reached(item) < _ON_TRACK), key=_short,
        reverse=True,
    )  # fmt: skip
    rows = [
        [words.tonnes(_decimal(_short(item))), _short_name(item["name"]),
         legible(item["plan_error"] or "", 2 * _LONG)
         or words.filled("programme.reaches", _percent(_reached(item), words))]
        for item in short[:_MOST_SHORT]
    ] + [
        [words["programme.no_price"] if alarm["cost_t_per_day"] is None
         else words.filled("programme.a_day", words.tonnes(alarm["cost_t_per_day"])),
         words.get(f"alarm.kind.{alarm['kind']}", alarm["kind"]),
         legible("; ".join([", ".join(alarm["subjects"][:3]), *alarm["places"][:1],
                            words.filled("programme.since", words.day(alarm["since"]))]), _LONG)]
        for alarm in alarms[:_MOST_SHORT]
    ]  # fmt: skip
    yield chapter(words["programme.held_back"])
    if not rows:
        yield paragraph(words["programme.nothing_broken"])
        return
    heads = [
        ("programme.loss", "r", 1.0),
        ("programme.what", "l", 2.4),
        ("programme.how", "l", 3.6),
    ]
    yield table(words, [(words[key], side, width) for key, side, width in heads], rows)


def _actions(
    actions: Sequence[Mapping[str, Any]], own: Sequence[Project], words: Words
) -> Iterator[Block]:
    """Yield the bars of emissions avoided by each action's projects. [t]"""
    names = {action["action"]: action["name"] for action in actions}
    stored: dict[str, list[Project]] = {}
    for item in own:
        stored.setdefault(item["action"] or "", []).append(item)
    result = [
        (names.get(key, key) or words["programme.no_action"], _sum(some, "monitored_t"),
         _sum(some, "expected_t_so_far"))
        for key, some in sorted(stored.items(), key=lambda pair: pair[0] or "~")
    ]  # fmt: skip
    scale = max((max(a or 0, e or 0) for _, a, e in result), default=0) or Fraction(1)
    yield chapter(words["programme.by_action"])
    yield paragraph(words["programme.by_action_note"], small=True)
    yield _bars([(name, a, e, scale) for name, a, e in result], words)


def _projects(own: Sequence[Project], words: Words) -> Iterator[Block]:
    """Yield the bars of each project against its expected value, the largest shortfall first."""
    ordered = sorted(own, key=lambda project: (-_short(project), project["project"]))
    rows = []
    for item in ordered:
        avoided, expected = (
            None if item[of] is None else Fraction(item[of])
            for of in ("monitored_t", "expected_t_so_far")
        )
        rows.append((item["name"], avoided, expected, max(avoided or 0, expected or 0)))
    yield {"kind": "page"}
    yield chapter(words["programme.by_project"])
    yield paragraph(words["programme.by_project_note"], small=True)
    yield _bars(rows, words)


def _bars(
    rows: Sequence[tuple[str, Fraction | None, Fraction | None, Fraction | int]], words: Words
) -> Block:
    """Return rows with a name, a bar of avoided emissions, and a mark of the expected value."""
    return {
        "kind": "compared",
        "rows": [
            {
                "name": _short_name(name),
                "wide": 0.0 if not scale else float((avoided or Fraction(0)) / scale),
                "tick": None if expected is None or not scale else float(expected / scale),
                "value": words["page.no_data"]
                if avoided is None
                else words.tonnes(_decimal(avoided)),
                "share": DASH
                if avoided is None or not expected
                else _percent(int(avoided / expected * 100), words),
            }
            for name, avoided, expected, scale in rows
        ],
    }


def _evidence(own: Sequence[Project], words: Words) -> Iterator[Block]:
    sums = {
        grade: sum((Fraction((row["issued_by_grade_t"] or {}).get(grade, "0")) for row in own),
                   Fraction(0))
        for grade in _GRADES
    }  # fmt: skip
    whole = sum(sums.values(), Fraction(0))
    issued = sum(project["issued_credits_t"] for project in own)
    yield chapter(words.filled("programme.issued_head", words.number(str(issued))))
    if not whole:
        yield paragraph(words["programme.no_grades"])
        return
    yield {
        "kind": "grades",
        "grades": [
            {
                "grade": grade,
                "share": float(value / whole),
                "name": words[f"evidence.{grade}"],
                "shown": words.percent(decimal_text(value / whole, 6, "down")),
            }
            for grade, value in sums.items()
        ],
    }


def _table(document: Mapping[str, Any], listed: Sequence[Project], words: Words) -> Iterator[Block]:
    """
    Yield the table of all projects.

    Deductions that a document would resolve are listed with their reasons in the workbook only.
    """
    moved = document["transfer"] is not None
    yield part(words["programme.figures"])
    yield note(words["programme.projects_note"] if moved else words["programme.systems_note"])
    yield table(
        words,
        [
            (words["programme.name"], "l", 3.4),
            (words["programme.expected_so_far"], "r", 1.2),
            (words["programme.measured_t"], "r", 1.2),
            (words["programme.issued_t"], "r", 0.9),
            *([(words["programme.transferable_t"], "r", 1.2)] if moved else []),
        ],
        [
            [
                legible(item["name"], _LONG),
                *(_three(item[of], words) for of in ("expected_t_so_far", "monitored_t")),
                words.number(str(item["issued_credits_t"])),
                *([_moved(item["transferable_t"], words)] if moved else []),
            ]
            for item in listed
        ],
    )
    yield paragraph(words["programme.never_added"], small=True)


def _moved(value: int | str, words: Words) -> str:
    known = isinstance(value, int)
    return words.number(str(value)) if known else words["programme.not_determined"]


def _without_tonnes(systems: Sequence[Mapping[str, Any]], words: Words) -> Iterator[Block]:
    rows = [
        [words.get(f"system.{system['system']}", system["title"]), str(system["devices_heard"]),
         words.get(f"no_tonnes.{system['system']}", system["reason"] or DASH)]
        for system in systems
        if system["kind"] != "carbon"
    ]  # fmt: skip
    if rows:
        heads = [("programme.system", "l", 2.0), ("programme.heard", "r", 0.8),
                 ("programme.why_none", "l", 3.0)]  # fmt: skip
        yield chapter(words["programme.without_tonnes"])
        yield table(words, [(words[key], side, width) for key, side, width in heads], rows)


def _short_name(name: str) -> str:
    """Return a name up to its first comma or bracket."""
    return legible(_ASIDE.split(name, maxsplit=1)[0].strip() or name, _NAME)


def _sum(own: Sequence[Project], of: str) -> Fraction | None:
    known = [Fraction(project[of]) for project in own if project[of] is not None]
    return sum(known, Fraction(0)) if known else None


def _short(project: Project) -> Fraction:
    return Fraction(project["expected_t_so_far"] or 0) - Fraction(project["monitored_t"] or 0)


def _reached(project: Project) -> int:
    """Return the avoided share of the amount expected to date, rounded down. [%]"""
    return int(Fraction(project["monitored_t"] or 0) / Fraction(project["expected_t_so_far"]) * 100)


def _decimal(value: Fraction) -> Decimal:
    return Decimal(decimal_text(value, 12, "down"))


def _percent(share: int, words: Words) -> str:
    return f"{words.number(str(share))}{percent_sign(words.language)}"


def _three(value: str | None, words: Words) -> str | None:
    return None if value is None else words.number(decimal_text(Fraction(value), 3, "down"))
