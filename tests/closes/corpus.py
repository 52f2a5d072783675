"""
Golden closes: the inputs of each, and the result by its rules.

`facts.json.xz` has the inputs and changes only when closes are added.  `outcomes.jsonl` has the
expected results, one line per close, so that a change of the rules appears as changed lines.
"""

import hashlib
import json
import lzma
from collections import defaultdict
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from msgspec import structs

from mrv.factors import FactorBook
from mrv.registry.project import SupportingData
from mrv.rules.closing import close
from tests.closes.plain import fact, plain

HERE = Path(__file__).parent
FACTS, OUTCOMES, RELEASED = HERE / "facts.json.xz", HERE / "outcomes.jsonl", HERE / "released.json"
# of each close, the digest of all lines of its result
LINES = HERE / "lines.json"


class Close(NamedTuple):
    """Arguments of a close."""

    project: object
    fleet: object
    calibrations: object
    rows: object
    from_us: int
    to_us: int
    factors: object
    carried_ug: int = 0
    supporting: object = None


def stored(asked, books):
    """
    Return the arguments of a close as JSON; factor books are added to
    `books` by their digest.
    """
    book = plain(tuple(asked.factors))
    books[digest(book)] = book
    supporting = plain(asked.supporting or SupportingData())
    rules = supporting.pop("accounting", SupportingData().accounting)
    others = plain({**asked._asdict(), "factors": digest(book), "supporting": None})
    del others["supporting"]
    return {"rules": rules, **others, "besides": supporting}


def read():
    """Return the stored inputs of all closes by name, and their factor books."""
    found = json.loads(lzma.decompress(FACTS.read_bytes()))
    return found["closes"], found["books"]


def write(closes, books):
    """Write inputs, and the factor books that they name."""
    used = {one["factors"] for one in closes.values()}
    kept = {"books": {k: books[k] for k in sorted(used)}, "closes": dict(sorted(closes.items()))}
    FACTS.write_bytes(lzma.compress(text_of(kept).encode(), preset=9 | lzma.PRESET_EXTREME))


def name_of(facts):
    """Return the name of a close: rule set, methodology, and digest of its inputs."""
    return (
        f"{facts['rules']}/{facts['project']['methodology']}/{digest({**facts, 'rules': 0})[:12]}"
    )


def asked_of(facts, books):
    """Return the arguments of a close from JSON; `books` are the factor books."""
    found = fact(facts)
    supporting = replace(found.pop("besides"), accounting=found.pop("rules"))
    if isinstance(supporting.gauged, frozenset):  # in older facts
        supporting = replace(supporting, gauged=dict.fromkeys(supporting.gauged, Fraction(1)))
    return Close(**{**found, "factors": books[facts["factors"]], "supporting": supporting})


def books_of(found):
    """Return factor books from JSON."""
    return {name: FactorBook(fact(book)) for name, book in found.items()}


def outcome(result):
    """Return the result of a close: micrograms, grams by year, base units, conditions."""
    held = defaultdict(list)
    for one in result.applicability:
        held["holds" if one.holds else "does not hold"].append(one.rule)
    net = result.net
    return {
        "ug": {n: getattr(net, n).ug for n in ("baseline", "project", "leakage", "reduction")},
        "gross_ug": result.gross.reduction.ug,
        "carry_ug": result.carry_ug,
        "years_t": {str(one.year): one.reduction_t for one in result.vintages},
        "credited_t": result.credit_t,
        "counted": [[m.device, m.role, m.quantity, m.counted] for m in result.devices],
        **{name: sorted(clauses) for name, clauses in held.items()},
        "checks": [[c.kind, c.against, c.holds] for c in result.cross_checks],
    }


def closed(name, closes, books):
    """Close again; return the result in the form of a line of `OUTCOMES`."""
    result = close(*asked_of(closes[name], books))
    said = {"close": name, **outcome(result)}
    # a statement of a released rule set is computed again byte for byte
    if rules_of(name) in released():
        return said | {"result": digest(_whole(result))}
    return said | {"lines": digest(_lines(result))[:16]}


def _lines(result):
    """Return all contents of a result; fields that were added later and are unset are omitted."""
    whole = asdict(result)
    for name in ("rules", "evidence"):
        whole[name] = tuple(structs.asdict(row) for row in whole[name])
    whole["factors"] = tuple(
        {
            key.removesuffix("_by_project"): value
            for key, value in structs.asdict(row).items()
            if key != "calculation"  # as the factor's row, whose digest is here
        }
        for row in whole["factors"]
    )
    del whole["before_evidence_ug"]  # boards show it, and no statement
    del whole["claimed_t"]  # the evidence is graded by it
    for row in whole["cross_checks"]:
        if not row["outside"]:
            del row["outside"]
    for row, one in zip(whole["gaps"], result.gaps, strict=True):
        if not row["parameters"]:  # of no analyser
            del row["parameters"]
            row["rule"] = one.signed_by_0_1_0
    return whole


def _whole(result):
    """
    Return the contents of a result in a statement of 0.1.0, whose
    findings had texts and no rule.
    """
    whole = _lines(result)
    held = [[one.holds, one.signed_by_0_1_0] for one in result.applicability]
    whole["deductions"] = [
        {**row, "reason": str(one.reason)}
        for row, one in zip(whole["deductions"], result.deductions, strict=True)
    ]
    del whole["rules"], whole["evidence"]
    return {**whole, "applicability": held}


def rules_of(name):
    """Return the rule set of a close."""
    return name.split("/", 1)[0]


def released():
    """Return the digest of all results of each released rule set."""
    return json.loads(RELEASED.read_text("utf-8"))


def expected():
    """Return the lines of `OUTCOMES` by close, each with its digest of `LINES`."""
    found = map(json.loads, OUTCOMES.read_text("utf-8").splitlines())
    lines = json.loads(LINES.read_text("utf-8")) if LINES.exists() else {}
    return {
        one["close"]: one | ({"lines": lines[one["close"]]} if one["close"] in lines else {})
        for one in found
    }


def keep(outcomes):
    """Store the results of closes."""
    lines = {name: one.pop("lines") for name, one in outcomes.items() if "lines" in one}
    OUTCOMES.write_text("".join(f"{text_of(one)}\n" for one in outcomes.values()), "utf-8")
    LINES.write_text(f"{json.dumps(lines, indent=0)}\n", "utf-8")


def text_of(value):
    """Return a value as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def digest(value):
    """Return the hash of a value's JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def set_digest(rules, outcomes):
    """Return the hash of all results of one rule set."""
    return digest([one for name, one in sorted(outcomes.items()) if rules_of(name) == rules])
