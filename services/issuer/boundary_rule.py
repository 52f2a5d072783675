"""Rule of the boundary: which meters of the site are left out, and what they measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from ingest.model import HOUR_US
from mrv.accounting.entered_values import parameters_of
from mrv.calendar import local_date, utc_text
from mrv.methodologies import unit_reductions
from mrv.quantity_text import amount_text
from mrv.rounding import decimal_text
from mrv.texts import Text, Value, text
from services.issuer.left_out_meters import LeftOut, Unserved, roles_of
from services.issuer.registry_facts import Judged, RegistryFacts, listed


def boundary(facts: RegistryFacts) -> Iterator[Judged]:
    """BND-01: meters of the site that are left out, what they measured, and what it would cost."""
    found = (_left_out(one, facts) for one in facts.left_out)
    yield from listed(one for one in found if one is not None)
    yield from listed(
        text("BND-01.unbound", device=one.id, kind=one.class_id, site=one.site)
        for one in facts.unbound
    )
    if not facts.unbound:
        reasons = sorted(facts.reasons.items())
        yield from listed(
            (text("BND-01.outside", device=name, reason=why) for name, why in reasons),
            holds=True,
            most=None,
        )


def _left_out(one: LeftOut, facts: RegistryFacts) -> Text | None:
    """Say what a meter that is left out measured; None where it measured nothing."""
    texts, of = list[Text](), one.of
    for given in _priced(of.class_id, one.measured, facts):
        texts.append(text("BND-01.measured", **given))
    if texts and of.ended:
        texts.append(text("BND-01.until", time=utc_text(one.last_us)))
    if one.unknown_us >= HOUR_US:
        texts.append(text("BND-01.unknown", hours=one.unknown_us // HOUR_US))
    for given in _priced(of.class_id, one.rise, facts):
        texts.append(text("BND-01.risen", readings=one.readings, **given))
    if one.refused.messages:
        since = utc_text(facts.period_us[0])
        texts.append(text("BND-01.refused", messages=one.refused.messages, since=since))
        for given in _priced(of.class_id, one.refused.rise, facts):
            texts.append(text("BND-01.refused_rise", **given))
    if not texts:
        return None
    return text("BND-01.left_out", device=of.device, why=tuple(_why(of)), measured=tuple(texts))


def _why(one: Unserved) -> list[Text]:
    """Say why a meter is left out."""
    if one.project is not None:
        return [text("BND-01.unclosed", project=one.project)]
    found = []
    if one.reason is not None:
        found.append(text("BND-01.reason", reason=one.reason))
    if one.installed_us is not None:
        found.append(text("BND-01.installed", time=utc_text(one.installed_us)))
    if one.removed_us is not None:
        found.append(text("BND-01.removed", time=utc_text(one.removed_us)))
    for begin, end in one.served:
        found.append(text("BND-01.served", begin=utc_text(begin), end=utc_text(end)))
    if one.moved_to is not None:
        found.append(text("BND-01.moved", site=one.moved_to))
    if one.checks is not None:
        found.append(text("BND-01.checks", meter=one.checks))
    return found or [text("BND-01.no_project")]


def _priced(
    class_id: str, measured: Mapping[str, int], facts: RegistryFacts
) -> list[dict[str, Value]]:
    """Return by quantity what the role of the project that emits most would emit. [t CO2e]"""
    project = facts.project
    year = local_date(facts.period_us[0], project.timezone).year
    parameters = parameters_of(facts.methodology, project.parameters, f"project {project.id}")
    params = {bound.role: bound.params for bound in project.devices}
    most: dict[str, tuple[Fraction, str, str]] = {}
    for role, needs in roles_of(project, class_id, left_out=True):
        if measured.get(needs.quantity, 0) <= 0 or (needs.params and role not in params):
            continue
        unit = unit_reductions(
            facts.methodology, role, params.get(role, {}), parameters, facts.factors, year
        ).project_t
        found = unit, role, needs.unit
        most[needs.quantity] = max(most.get(needs.quantity, found), found)
    return [
        {
            "amount": amount_text(measured[quantity], unit),
            "role": role,
            "emission": decimal_text(rate * measured[quantity], 3, "up"),
        }
        for quantity, (rate, role, unit) in most.items()
    ]
