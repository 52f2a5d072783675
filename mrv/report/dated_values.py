"""
Inputs of a statement with a date: ratings, samples, design, factors.

The same rows are used in the PDF, the workbook and the console.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv.calendar import instant_us, local_date
from mrv.documents.period_account import Gap
from mrv.documents.statement import Claims
from mrv.quantity_text import plain_text
from mrv.registry.declared import SMALL, Declared, Design, Event, Stratum, Survey, of_survey
from mrv.report.blocks import Block, chapter, note, table
from mrv.report.translations import DASH, found_words
from mrv.report.words import Words

# of the columns: whose it is, what, from, value, unit, source
HEADS = ("device", "parameter", "from", "value", "unit", "source")
_SHARES = (("l", 1.2), ("l", 1.6), ("l", 1.2), ("r", 0), ("l", 0), ("l", 1.8))


def dated(subject: Claims, words: Words) -> Iterator[Block]:
    """Return the dated values as a table with heading; empty without any."""
    rows = list(dated_rows(subject, words))
    if rows:
        yield chapter(words["dated"])
        yield note(words["dated_note"])
        heads = [
            (words[name], align, share) for name, (align, share) in zip(HEADS, _SHARES, strict=True)
        ]
        listed = [[*row[:2], _day(row[2], words), words.number(row[3]), *row[4:]] for row in rows]
        yield table(words, heads, listed)


Row = tuple[str, str, str, str, str, str]


def _day(text: str, words: Words) -> str:
    return text if text == DASH else words.day(text)


def _declared(subject: Claims, words: Words) -> Iterator[Row]:
    """Yield surveys with their precision, events with the gaps in their time, and the design."""
    declared = subject.declared or Declared()
    units = {fixed.parameter: fixed.unit for fixed in subject.fixed_parameters or ()}
    for survey in declared.surveys:
        precision = of_survey(survey, SMALL)
        percent = (
            DASH if precision.percent is None else words.number(plain_text(precision.percent, 2))
        )
        strata = (
            f"{s.name} {s.n}/{s.population}: {s.mean}, {_of_stratum(survey, s, words)} %"
            for s in survey.strata
        )
        how = (words[f"survey.{survey.method}"],) if survey.method else ()
        more = (
            words.filled(f"dated.{name}", count)
            for name in ("participants", "clusters", "replaced")
            if (count := getattr(survey, name)) is not None
        )
        drawn = "; ".join((survey.drawn, *how, *more, *strata))
        yield (
            words["whole_project"],
            words.filled("dated.survey", survey.parameter, survey.n, survey.population),
            survey.taken.isoformat(), str(survey.mean), units.get(survey.parameter, DASH),
            words.filled("dated.survey_by", drawn, precision.confidence, percent),
        )  # fmt: skip
    for event in declared.events:
        until = DASH if event.ends is None else words.day(event.ends.isoformat())
        gaps = sum(_meets(event, gap, subject) for gap in subject.gaps)
        yield (
            ", ".join(event.devices) or words["whole_project"],
            words.filled("dated.event", words[f"event.{event.what}"], until),
            event.begins.isoformat(), str(gaps + _unusual(event, subject)), words["dated.gaps"],
            found_words(event, words),
        )  # fmt: skip
    for shared in declared.shared_meters:
        for read in shared.readings:
            until = words.day((read.ends - timedelta(days=1)).isoformat())
            yield (
                shared.main, words.filled("dated.joint", until), read.begins.isoformat(),
                str(read.value), QUANTITIES[QUANTITY_INDEX[read.quantity]].unit,
                f"{read.document}, {read.by}",
            )  # fmt: skip
    for default in declared.defaults:
        yield (
            words["whole_project"], words.filled("dated.default", default.factor), DASH, DASH, DASH,
            f"{default.reason} ({default.document})" if default.document else default.reason,
        )  # fmt: skip
    if declared.design is not None:
        yield from _of_design(declared.design, words)


def _of_stratum(survey: Survey, part: Stratum, words: Words) -> str:
    """Return the precision of one stratum alone. [%]"""
    alone = replace(
        survey, strata=(), clusters=None, population=part.population, n=part.n, mean=part.mean,
        sd=part.sd,
    )  # fmt: skip
    percent = of_survey(alone, SMALL).percent
    return DASH if percent is None else words.number(plain_text(percent, 2))


def _of_design(design: Design, words: Words) -> Iterator[Row]:
    """Yield equipment, sources and phases of the registered design."""
    message = f"{design.document}, {design.version}"
    for made in design.devices:
        yield (
            made.place or words["whole_project"],
            words.filled("dated.designed", made.make, made.model),
            design.issued.isoformat(), str(made.number), "1", message,
        )  # fmt: skip
    for own in design.sources:
        by = own.counted_by or f"{own.reason} ({own.document or DASH})"
        yield (
            words["whole_project"], words.filled("dated.source", own.name, own.gas),
            design.issued.isoformat(), DASH, words[f"side.{own.side}"], by,
        )  # fmt: skip
    if design.replaced_until is not None:
        yield (
            words["whole_project"], words["dated.replaced_until"],
            design.replaced_until.isoformat(), DASH, DASH, message,
        )  # fmt: skip
    for phase in design.phases:
        began = DASH if phase.commissioned is None else words.day(phase.commissioned.isoformat())
        why = [text for text in (phase.document, phase.reason) if text]
        yield (
            words["whole_project"],
            words.filled("dated.phase", phase.name, began),
            phase.planned.isoformat(), DASH, DASH, "; ".join(why) or message,
        )  # fmt: skip


def _unusual(event: Event, subject: Claims) -> int:
    """Return the number of runs of unusual readings that an event touches."""
    runs = (run for test in subject.unusual_readings or () for run in test.days or ())
    return sum(
        event.covers(
            run.device,
            date.fromisoformat(run.from_),
            date.fromisoformat(run.to) - timedelta(days=1),
        )
        for run in runs
    )


def _meets(event: Event, gap: Gap, subject: Claims) -> bool:
    """Return whether a gap is of an event's devices and days."""
    zone = subject.monitoring_period.timezone
    first, last = (local_date(instant_us(us, "UTC"), zone) for us in (gap.from_, gap.to))
    return event.covers(gap.device, first, last)


def _designed(subject: Claims, words: Words) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield the values of documents by parameter; a dash for what the registry does not state."""
    for paper in subject.design_documents or ():
        for fixed in subject.fixed_parameters or ():
            if fixed.parameter == paper.parameter:
                yield (
                    fixed.device or words["whole_project"],
                    words.filled("dated.design", paper.parameter, paper.by or DASH),
                    paper.issued or DASH,
                    (paper.by_device or {}).get(fixed.device or "", paper.value or DASH),
                    fixed.unit,
                    paper.document,
                )


def dated_rows(subject: Claims, words: Words) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield the dated values in order of meters, parameters and factors."""
    listed, zone = set(), subject.monitoring_period.timezone
    for parameter in subject.monitored_parameters:
        if parameter.device in listed:
            continue
        listed.add(parameter.device)
        for rated in parameter.meter.ratings or ():
            yield (
                parameter.device,
                words["dated.rating"],
                local_date(instant_us(rated.from_, "UTC"), zone).isoformat(),
                rated.rated_power_w,
                "W",
                words["dated.registry"],
            )
    units = {fixed.parameter: fixed.unit for fixed in subject.fixed_parameters or ()}
    for sample in subject.laboratory or ():
        yield (
            words["whole_project"],
            words.filled("dated.sample", sample.parameter, sample.sample),
            sample.taken,
            sample.value,
            units.get(sample.parameter, DASH),
            f"{sample.laboratory}, {sample.method}",
        )
    yield from _designed(subject, words)
    yield from _declared(subject, words)
    for accepted in subject.accepted_factors or ():
        yield (
            words["whole_project"],
            words.filled("dated.accepted", accepted.factor, accepted.by),
            accepted.date,
            accepted.value,
            accepted.unit,
            accepted.document,
        )
    for factor in subject.factors:
        if factor.valid_from is not None:
            yield (
                words["whole_project"],
                words.filled("dated.factor", factor.id),
                factor.valid_from,
                factor.value,
                factor.unit,
                factor.source,
            )
