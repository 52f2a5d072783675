"""REG-02: certificates of calibration, their meters, dates, intervals and laboratories."""

from __future__ import annotations

from collections.abc import Iterator

from mrv.calendar import local_date, utc_text
from mrv.registry import Calibration
from mrv.registry.monitoring_plan import PERMANENT
from mrv.signatures.organisations import stem
from mrv.texts import Text, Value, text
from services.issuer.registry_facts import Judged, RegistryFacts, listed
from services.registry.entries import CALIBRATION_EVERY, Device, calibration_every


def certificates(facts: RegistryFacts) -> Iterator[Judged]:
    """REG-02: yield certificates without serial number or with another one, and changed dates."""
    texts = [*_changed_dates(facts)]
    for device in facts.devices:
        for calibration in device.calibrations or ():
            of = {"device": device.id, "certificate": calibration.certificate}
            if calibration.serial is None:
                texts.append(text("REG-02.no_serial", **of))
            elif device.serial not in (None, calibration.serial) and not any(
                swap.at.date() > calibration.performed for swap in device.replacements or ()
            ):
                other = {"named": calibration.serial, "serial": device.serial or ""}
                texts.append(text("REG-02.other_serial", **of, **other))
            texts += _dependent(facts, device, calibration)
    yield from listed([*texts, *_longer_intervals(facts), *_longer_than_issued(facts)])


def _changed_dates(facts: RegistryFacts) -> Iterator[Text]:
    """Yield certificates with other dates than in issued statements."""
    now: dict[tuple[str, str], list[Calibration]] = {}
    for device in facts.devices:
        for calibration in device.calibrations or ():
            now.setdefault((device.id, calibration.certificate), []).append(calibration)
    for was in facts.issued:
        current = now.get((was.device, was.certificate), ())
        dates = [(str(c.performed), str(c.valid_until)) for c in current]
        if dates and (was.performed, was.valid_until) not in dates:
            yield text(
                "REG-02.other_dates", device=was.device, certificate=was.certificate,
                performed=dates[0][0], until=dates[0][1], statement=was.statement,
                was_performed=was.performed, was_until=was.valid_until,
            )  # fmt: skip


def _longer_intervals(facts: RegistryFacts) -> Iterator[Text]:
    """Yield calibration intervals that were lengthened after the period began."""
    for name, lengthened in sorted(facts.lengthened.items()):
        of: dict[str, Value] = {
            "device": name, "before": lengthened.before, "changed": utc_text(lengthened.changed_us),
        }  # fmt: skip
        if lengthened.now is None:
            yield text("REG-02.no_interval", **of)
        else:
            yield text("REG-02.longer_interval", **of, now=lengthened.now)


def _longer_than_issued(facts: RegistryFacts) -> Iterator[Text]:
    """Yield calibration intervals above the issued ones without an approved change of plan."""
    first = local_date(facts.period_us[0], facts.project.timezone)
    changes = [
        version.begins
        for version in facts.entry.monitoring or ()
        if version.kind == PERMANENT and version.approval is not None and version.begins <= first
    ]
    for device in facts.devices:
        was = facts.intervals.get(device.id)
        now = calibration_every(device.attributes.get(CALIBRATION_EVERY))
        if was is None or (now and now <= was.months):
            continue
        if not any(begins > was.since for begins in changes):
            of: dict[str, Value] = {"before": was.months, "statement": was.statement}
            months = text("REG-02.none") if now is None else str(now)
            yield text("REG-02.longer_than_issued", device=device.id, now=months, **of)


def by_operator(facts: RegistryFacts, calibration: Calibration) -> bool:
    """Return whether a certificate is the operator's own, of no accredited laboratory."""
    laboratory = calibration.laboratory
    return laboratory is not None and not calibration.accreditation and facts.own(laboratory)


def _dependent(facts: RegistryFacts, device: Device, calibration: Calibration) -> Iterator[Text]:
    """Yield the finding of a certificate by the operator or the maker, without an accreditation."""
    laboratory = calibration.laboratory
    if laboratory is None or calibration.accreditation is not None:
        return
    of = {"device": device.id, "certificate": calibration.certificate, "laboratory": laboratory}
    if by_operator(facts, calibration):
        yield text("REG-02.by_operator", **of)
    elif device.maker is not None and stem(laboratory) == stem(device.maker):
        yield text("REG-02.by_maker", **of)
