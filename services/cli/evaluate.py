"""`tonne evaluate`: one methodology on given inputs, no database."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from mrv import factors, methodologies
from mrv.errors import MethodologyError
from mrv.inputs import ListSpec, read
from mrv.rounding import decimal_text, floor_credit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from fractions import Fraction

    from mrv.inputs import ParameterSpec, Spec
    from mrv.model import Methodology, Reductions

_PLACES = 6


@click.command()
@click.argument("methodology")
@click.argument("inputs", required=False, type=click.File("rb"))
@click.option("--describe", is_flag=True, help="Say what the methodology needs, and from where.")
@click.option("--json", "compact", is_flag=True, help="One line of JSON, for programs.")
def evaluate(methodology: str, inputs: Any, *, describe: bool, compact: bool) -> None:
    """
    Compute one methodology from INPUTS, a JSON file (- for standard input).

    Prints tonnes with six decimals and the whole tonnes to credit, rounded
    down. A negative reduction is shown as it is and credits 0.

    \b
    Example:
      tonne evaluate jcm-vn-am007 --describe
      echo '{"systems": [{"case": 1, "eg_mwh": 120}]}' | tonne evaluate jcm-vn-am007 -
    """
    method = methodologies.find(methodology)
    if describe:
        click.echo(json.dumps(_described(method)) if compact else "\n".join(_page(method)))
        return
    if inputs is None:
        raise click.UsageError(
            f"INPUTS is missing: give a JSON file with {', '.join(method.inputs)}, or --describe"
        )
    name = getattr(inputs, "name", "<stdin>")  # not every standard input has one
    given = read(method.inputs, _parsed(inputs.read(), name, method), name)
    method.plausible(given)
    click.echo(_printed(method.reductions(given, factors.load()), compact=compact))


def _parsed(content: bytes, name: str, method: Methodology) -> object:
    """JSON with exact numbers; a key that comes twice is refused."""
    try:
        document: object = json.loads(
            content.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=Decimal,
            object_pairs_hook=_once,
        )
    except MethodologyError as error:
        raise MethodologyError(f"{name}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise MethodologyError(f"{name}: not JSON in UTF-8: {error}") from None
    if isinstance(document, dict) and "inputs" in document and "inputs" not in method.inputs:
        raise MethodologyError(
            f"{name}: 'inputs' is no key of {method.id}; give the object that stands under"
            " 'inputs', without what is around it"
        )
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise MethodologyError(f"key {twice!r} comes twice; give it once")
    return result


def _printed(result: Reductions, *, compact: bool) -> str:
    """JSON whose numbers are written from exact fractions, not through binary floats."""
    numbers = {
        "baseline_t": _number(result.baseline_t),
        "project_t": _number(result.project_t),
        "leakage_t": _number(result.leakage_t),
        "reduction_t": _number(result.reduction_t),
        "credit_t": str(floor_credit(result.reduction_t)),
        **{key: _number(value) for key, value in result.extra.items()},
    }
    pairs = [f'"{key}": {text}' for key, text in numbers.items()]
    return "{" + ", ".join(pairs) + "}" if compact else "{\n  " + ",\n  ".join(pairs) + "\n}"


def _number(value: Fraction) -> str:
    whole, _, decimals = decimal_text(value, _PLACES, "half_even").partition(".")
    text = f"{whole}.{decimals.rstrip('0') or '0'}"
    return "0.0" if text == "-0.0" else text


def _described(method: Methodology) -> dict[str, Any]:
    return {
        "id": method.id,
        "versions": list(method.versions),
        "title": method.title,
        "reference": method.reference,
        "notes": method.notes,
        "additive": method.additive,
        "roles": {
            role: {
                "classes": list(needs.classes),
                "quantity": needs.quantity,
                "side": needs.side,
                "required": needs.required,
                "params": _fields(needs.params),
            }
            for role, needs in method.roles.items()
        },
        "parameters": _fields(method.parameters),
        "inputs": _fields(method.inputs),
        "applicability": [check.clause for check in method.applicability],
    }


def _fields(spec: Spec | Mapping[str, ParameterSpec]) -> dict[str, Any]:
    return {
        key: [_fields(one.fields)]
        if isinstance(one, ListSpec)
        else {
            "unit": one.unit,
            "meaning": one.meaning,
            "required": one.required,
            "default": one.default,
            "source": one.source,
            "certainty": one.certainty,
        }
        for key, one in spec.items()
    }


def _page(method: Methodology) -> Iterator[str]:
    yield f"{method.id} {method.version}: {method.title}"
    yield f"\n{method.notes}"
    yield "\nInputs"
    yield from _lines(method.inputs, "  ")
    yield "\nProject parameters"
    yield from _lines(method.parameters, "  ") if method.parameters else ["  none"]
    yield "\nDevice roles"
    for role, needs in method.roles.items():
        yield f"  {role}: {needs.quantity} of {' or '.join(needs.classes)}, {needs.side} side"
        yield from _lines(needs.params, "    ")
    yield "\nApplicability"
    for check in method.applicability:
        yield f"  {check.clause}"


def _lines(spec: Spec | Mapping[str, ParameterSpec], indent: str) -> Iterator[str]:
    for key, one in spec.items():
        if isinstance(one, ListSpec):
            yield f"{indent}{key}: list of {one.meaning}"
            yield from _lines(one.fields, indent + "  ")
        else:
            optional = "" if one.required else ", optional"
            yield f"{indent}{key} [{one.unit}]{optional}: {one.meaning} ({one.source})"
