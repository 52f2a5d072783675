"""Blocks and rows on the comparison of figures, and on dated values of a statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

from ingest.classes import QUANTITIES, QUANTITY_INDEX
from mrv.calendar import instant_us, local_date
from mrv.documents import UNSET
from mrv.documents.monitoring import CrossCheck, UnusualDays, UnusualReadings
from mrv.documents.period_account import Comparison, Gap, Misstatements
from mrv.documents.statement import Claims
from mrv.documents.verification import Conclusion
from mrv.methodologies import find
from mrv.registry import Declared, Design, Event, Stratum, Survey, of_survey, required
from mrv.report.blocks import Block, chapter, note, paragraph, table, together
from mrv.report.words import (
    DASH,
    SHOWN,
    Words,
    compared_quantity,
    described,
    found_words,
    holds,
    quality_test,
    witness,
)
from mrv.rounding import plain_text

# keys of the column headings
HEADS = ("device", "parameter", "from", "value", "unit", "source")
_SHARES = (("l", 1.2), ("l", 1.6), ("l", 1.2), ("r", 0), ("l", 0), ("l", 1.8))


def dated(subject: Claims, words: Words) -> Iterator[Block]:
    """Yield the dated values as a table with heading; nothing if there are none."""
    rows = list(dated_rows(subject, words))
    if rows:
        yield chapter(words["dated"])
        yield note(words["dated_note"])
        heads = [
            (words[name], align, share) for name, (align, share) in zip(HEADS, _SHARES, strict=True)
        ]
        listed = [
            [*row[:2], _day(row[2], words), words.value(row[3], row[4]), *row[4:]] for row in rows
        ]
        yield table(words, heads, together(listed))


Row = tuple[str, str, str, str, str, str]


def _day(text: str, words: Words) -> str:
    return text if text == DASH else words.day(text)


def _declared(subject: Claims, words: Words) -> Iterator[Row]:
    """Yield surveys with their precision, events with the gaps in their time, and the design."""
    declared = subject.declared or Declared()
    units = {fixed.parameter: fixed.unit for fixed in subject.fixed_parameters or ()}
    for survey in declared.surveys:
        precision = of_survey(survey, least_of(subject))
        percent = (
            DASH if precision.percent is None else words.number(plain_text(precision.percent, 2))
        )
        strata = (
            f"{s.name} {s.n}/{s.population}: {s.mean}, {_of_stratum(survey, s, subject, words)} %"
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
        users = words.filled("dated.common", ", ".join(shared.users))
        yield shared.main, users, DASH, str(shared.lost), "%", words["dated.common_lost"]
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


def least_of(subject: Claims) -> tuple[int, int]:
    """Return confidence and precision that the statement's methodology requires. [%]"""
    method = subject.methodology
    return required(method.id, find(method.id, method.version).programme)


def _of_stratum(survey: Survey, part: Stratum, subject: Claims, words: Words) -> str:
    """Return the text on the precision of one stratum. [%]"""
    alone = replace(
        survey, strata=(), clusters=None, population=part.population, n=part.n, mean=part.mean,
        sd=part.sd,
    )  # fmt: skip
    percent = of_survey(alone, least_of(subject)).percent
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
    """Return the number of runs of unusual readings that an event covers in part."""
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
    """Return whether a gap concerns an event's devices and days."""
    zone = subject.monitoring_period.timezone
    first, last = (local_date(instant_us(us, "UTC"), zone) for us in (gap.from_, gap.to))
    return event.covers(gap.device, first, last)


def _designed(subject: Claims, words: Words) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield the values of documents by parameter; a dash if the registry does not state one."""
    for paper in subject.design_documents or ():
        for fixed in subject.fixed_parameters or ():
            if fixed.parameter == paper.parameter:
                yield (
                    fixed.device or words["whole_project"],
                    words.filled(
                        "dated.design", _meaning(paper.parameter, subject, words), paper.by or DASH
                    ),
                    paper.issued or DASH,
                    (paper.by_device or {}).get(fixed.device or "", paper.value or DASH),
                    fixed.unit,
                    paper.document,
                )


def _meaning(parameter: str, subject: Claims, words: Words) -> str:
    return described(("parameter",), subject.methodology.id, parameter, words) or parameter


def dated_rows(subject: Claims, words: Words) -> Iterator[tuple[str, str, str, str, str, str]]:
    """Yield the dated values in order of meters, parameters and factors."""
    listed, zone = set(), subject.monitoring_period.timezone
    for parameter in subject.monitored_parameters:
        if parameter.device in listed:
            continue
        listed.add(parameter.device)
        for rated in parameter.meter.ratings or ():
            yield (
                parameter.device, words["dated.rating"],
                local_date(instant_us(rated.from_, "UTC"), zone).isoformat(), rated.rated_power_w,
                "W", words["dated.registry"],
            )  # fmt: skip
    units = {fixed.parameter: fixed.unit for fixed in subject.fixed_parameters or ()}
    for sample in subject.laboratory or ():
        yield (
            words["whole_project"],
            words.filled("dated.sample", _meaning(sample.parameter, subject, words), sample.sample),
            sample.taken, sample.value, units.get(sample.parameter, DASH),
            f"{sample.laboratory}, {sample.method}",
        )  # fmt: skip
    yield from _designed(subject, words)
    yield from _declared(subject, words)
    for accepted in subject.accepted_factors or ():
        yield (
            words["whole_project"], words.filled("dated.accepted", accepted.factor, accepted.by),
            accepted.date, accepted.value, accepted.unit, accepted.document,
        )  # fmt: skip
    for factor in subject.factors:
        if factor.valid_from is not None:
            yield (
                words["whole_project"], words.filled("dated.factor", factor.id), factor.valid_from,
                factor.value, factor.unit, factor.source,
            )  # fmt: skip


def designed(subject: Claims, words: Words) -> Iterator[Block]:
    """Yield the comparison of results with the project design, pro rata."""
    yield chapter(words["page.comparisons"])
    comparisons = subject.comparisons
    if not comparisons:
        yield paragraph(words["page.no_design"], small=True)
        return
    heads = [(words["page.what"], "l", 1.6), *_compared(words["page.expected"], words)]
    yield table(
        words, heads, [[compared_quantity(c, words), *_comparison(c, words)] for c in comparisons]
    )


def compared(subject: Claims, opinion: Conclusion | None, words: Words) -> Iterator[Block]:
    """
    Yield the comparison with other periods, the cross-checks, and materiality.

    Nothing is yielded for statements of versions without these comparisons.

    `subject`: claims of the statement.
    `opinion`: conclusion of the verification, if there is one.
    """
    if subject.cross_checks is not UNSET:
        yield chapter(words["page.other_periods"])
        yield from _periods(subject, words)
        yield chapter(words["checks"])
        yield from _cross_checks(subject, words)
        if subject.unusual_readings is not UNSET:
            yield chapter(words["unusual"])
            yield from _unusual_comparisons(subject, subject.unusual_readings, words)
        yield chapter(words["materiality.title"])
        yield from _materiality(subject, opinion, words)


def _periods(subject: Claims, words: Words) -> Iterator[Block]:
    comparisons = subject.other_periods or ()
    if not comparisons:
        yield paragraph(words["page.no_other_periods"], small=True)
        return
    heads = [(words["statement"], "l", 2.0), (words["page.what"], "l", 1.2),
             *_compared(words["page.pro_rata"], words)]  # fmt: skip
    yield table(
        words,
        heads,
        [[c.statement, compared_quantity(c, words), *_comparison(c, words)] for c in comparisons],
    )


def _compared(other: str, words: Words) -> list[tuple[str, str, float]]:
    return [(other, "r", 1.0), (words["page.actual"], "r", 1.0), (words["difference"], "r", 0.8)]


def _comparison(comparison: Comparison, words: Words) -> list[str | None]:
    amounts = map(words.number, (comparison.expected, comparison.actual))
    return [*amounts, _percent(comparison.difference_percent or None, words)]


def _cross_checks(subject: Claims, words: Words) -> Iterator[Block]:
    checks = subject.cross_checks or ()
    if not checks:
        yield paragraph(words["page.no_checks"], small=True)
        return
    yield note(words["checks_note"])
    heads = [
        (words["witness"], "l", 1.3), (words["device"], "l", 1.2), (words["compared"], "r", 0),
        (words["metered"], "r", 1.0), (words["witnessed"], "r", 1.0),
        (words["difference"], "r", 0.9), (words["tolerance"], "r", 0.9),
        (words["effect_t"], "r", 0.9), (words["page.holds"], "l", 1.4),
    ]  # fmt: skip
    yield table(words, heads, [_check(check, words) for check in checks])


def _check(check: CrossCheck, words: Words) -> list[str | None]:
    unit, size = SHOWN[check.unit]
    amounts = (words.plain(Fraction(n) / size, 6) for n in (check.metered, check.witnessed))
    return [
        f"{witness(check, words)} {check.against}", ", ".join(check.devices),
        words.percent(check.compared_share), *(f"{words.number(a)} {unit}" for a in amounts),
        _percent(check.difference_percent, words), _percent(check.tolerance_percent, words),
        words.number(check.effect_t), holds(check, words),
    ]  # fmt: skip


def _unusual_comparisons(
    subject: Claims, unusuals: Sequence[UnusualReadings], words: Words
) -> Iterator[Block]:
    """Yield the flags of each quality test, with the quantities of the flagged intervals."""
    if not unusuals:
        yield paragraph(words["page.no_unusual"], small=True)
        return
    yield note(words["unusual_note"])
    heads = [
        (words["unusual.test"], "l", 1.6), (words["unusual.readings"], "r", 0.8),
        (words["unusual.devices"], "r", 0.7), (words["unusual.quarter_hours"], "r", 0.8),
        (words["unusual.energy"], "r", 1.0), (words["unusual.emissions"], "r", 1.0),
    ]  # fmt: skip
    yield table(words, heads, [
        [
            quality_test(unusual.test, words), words.number(unusual.readings),
            words.number(unusual.devices),
            words.number(unusual.quarter_hours),
            words.number(words.plain(Fraction(unusual.energy_wh) / 10**6, 6)),
            words.number(unusual.emissions_t),
        ]
        for unusual in unusuals
    ])  # fmt: skip
    heads = [
        (words["device"], "l", 1.0), (words["unusual.test"], "l", 1.2), (words["day"], "l", 1.4),
        (words["unusual.quarter_hours"], "r", 0.8), (words["unusual.found"], "l", 2.4),
    ]  # fmt: skip
    events = (subject.declared or Declared()).events
    rows = [
        [
            run.device, quality_test(unusual.test, words), words.period(run.from_, run.to),
            words.number(run.quarter_hours), _explained(run, events, words),
        ]
        for unusual in unusuals
        for run in unusual.days or ()
    ]  # fmt: skip
    if rows:
        yield table(words, heads, rows)


def _explained(run: UnusualDays, events: Sequence[Event], words: Words) -> str:
    """Return the result of an event that covers a device and all of its flagged days."""
    first, last = date.fromisoformat(run.from_), date.fromisoformat(run.to) - timedelta(days=1)
    result = [
        found_words(event, words)
        for event in events
        if event.covers(run.device, first, first) and event.covers(run.device, last, last)
    ]
    return "; ".join(result) or words["unusual.open"]


def _materiality(subject: Claims, opinion: Conclusion | None, words: Words) -> Iterator[Block]:
    """Yield misstatements by checks and by the verifier's findings, and the threshold."""
    yield note(words["materiality.note"])
    heads = [
        (words["materiality.by"], "l", 1.6), (words["materiality.net"], "r", 1.0),
        (words["materiality.absolute"], "r", 1.0), (words["materiality.share"], "r", 1.0),
        (words["materiality"], "r", 1.0), (words["material"], "l", 0.7),
    ]  # fmt: skip
    rows = []
    if subject.materiality:
        rows.append(_misstated(words["materiality.checks"], subject.materiality, words))
    if opinion is not None and opinion.misstatements:
        rows.append(_misstated(words["materiality.findings"], opinion.misstatements, words))
    yield table(words, heads, rows)


def _misstated(by: str, misstatements: Misstatements, words: Words) -> list[str | None]:
    threshold = words.in_percent(words.plain(Fraction(misstatements.threshold_percent)))
    return [
        by, words.number(misstatements.net_misstatement_t),
        words.number(misstatements.absolute_misstatement_t),
        _percent(misstatements.absolute_share_percent, words), threshold,
        words["yes" if misstatements.material else "no"],
    ]  # fmt: skip


def _percent(text: str | None, words: Words) -> str:
    return DASH if text is None else words.in_percent(text)
