# ruff: noqa: INP001 - a script, run by `make pages`
"""
Write the documentation pages for catalog projects, conformity, known findings and limits of
methodologies.

The conformity map is made from `docs/conformity.toml`: requirement, implementation and tests. A
requirement without a test is listed as open.

The findings section lists why real requests for issuance were returned. Each is marked as prevented
or shown only if a test covers it. Tests are named in `docs/findings.tsv`, or refer to the finding's
address in their docstring, in a table of their file's docstring, or in a row of `RETURNED`.

Documentation of a methodology's limits on the delivered service, and of required evidence.
"""

from __future__ import annotations

import ast
import csv
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from mrv.methodologies import ams_iii_c, find
from mrv.model import Methodology
from mrv.parameters import ParameterSpec, of_parameter
from mrv.report.words import Words
from mrv.rounding import amount_text
from mrv.rules.metering import WEEKS
from mrv.service_bounds import Capacity, Consumption
from services.registry.entries import Project
from services.registry.files import read_files

FINDINGS, TESTS = Path("docs/findings.tsv"), Path("tests")
RETURNED = Path("services/issuer/returned.toml")
NEITHER = "neither"
# verdict in the table -> word on the page
_VERDICTS = {"prevented": "prevented", "shown": "reported", NEITHER: "not detected"}
_CERTAINTY = {
    "R": "original", "T": "transcription", "r": "secondary source", "M": "not compared",
}  # fmt: skip
# page of the threat model, whose links to tests are updated
THREATS = Path("docs/threat-model.md")
_TEST_LINK = re.compile(r"\[[^\]]*\]\(\.\./(tests/[\w/]+\.py)(#\w+)?\)")
_ADDRESS = re.compile(r"(?:cdm\.unfccc\.int)?(/(?:IRCheck|CCheck|Projects|reviews)/[^\s|,;)]+)")


def findings_section(text: str, tests: Path = TESTS) -> str:
    """Return the section on findings from real reviews, each with its tests in a folder."""
    return "\n".join(_finding_lines(resolved(text, tests))) + "\n"


def resolved(text: str, tests: Path) -> list[dict[str, Any]]:
    """Return the findings, each with its tests and verdict (prevented, shown or open)."""
    rows: list[dict[str, Any]] = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    named: dict[str, list[str]] = {}
    for file in sorted(tests.rglob("test_*.py")):
        name = f"{tests.name}/{file.relative_to(tests)}"
        source = file.read_text("utf-8")
        for address, test in _addressed(source, name) if _ADDRESS.search(source) else ():
            named.setdefault(address, []).append(test)
    tried = _tried(tests)
    for row in rows:
        row["tests"] = [f"{tests.name}/{test}" for test in (row["tests"] or "").split()]
    taken = {(_key(row["address"]), test) for row in rows for test in row["tests"]}
    for row in rows:
        key = _key(row["address"])
        # a test of the fault itself is listed in place of a test of the mechanism
        row["tests"] = tried.get((key, row["issue"])) or row["tests"]
        if not row["tests"]:
            names = dict.fromkeys(named.get(key, ()))
            row["tests"] = [test for test in names if (key, test) not in taken]
        row["now"] = row["now"] if row["tests"] else NEITHER
    return rows


def _tried(tests: Path) -> dict[tuple[str, str], list[str]]:
    """Return the test rows that cover a finding, by the finding's address and subject."""
    if not (tests / RETURNED).is_file():
        return {}
    file = f"{tests.name}/{RETURNED.with_name('test_returned.py')}"
    test = f"{file}::test_it_is_seen_before_it_is_sent"
    rows = tomllib.loads((tests / RETURNED).read_text("utf-8"))["row"]
    return {
        (_key(row["address"]), row["issue"]): [f"{test}[{row['issue']}]"]
        for row in rows
        if "address" in row
    }


def _key(address: str) -> str:
    """Return a normalised key of a finding's address, equal for all spellings."""
    path = address.removeprefix("cdm.unfccc.int").partition("?")[0]
    return path.rstrip(".:").removesuffix("/viewPublic")


def _addressed(source: str, file: str) -> Iterator[tuple[str, str]]:
    """Yield each finding address in a test file's docstrings, with the test's name."""
    tree = ast.parse(source)
    tests = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name.startswith("test_")]
    for test in tests:
        for address in _ADDRESS.findall(ast.get_docstring(test) or ""):
            yield _key(address), f"{file}::{test.name}"
    for line in (ast.get_docstring(tree) or "").splitlines():
        word = line.rstrip(" |").rpartition("|")[2].strip() if line.startswith("|") else ""
        for address in _ADDRESS.findall(line):
            for test in tests:
                if word in ("", *test.name.split("_")):
                    yield _key(address), f"{file}::{test.name}"


def link_to(test: str) -> str:
    """
    Return a Markdown link to a test, `file::function`.

    Its text is the first line of the docstring of the test, or of its file; for
    `file::function[issue]` it is the outcome of that row.
    """
    of, _, issue = test.removesuffix("]").partition("[")
    file, _, name = of.partition("::")
    described = _outcomes(Path(file))[issue] if issue else _descriptions(Path(file))[name]
    return f"[{described}](../{file}{f'#{name}' if name else ''})"


@cache
def _descriptions(file: Path) -> dict[str, str]:
    """Return the first line of the docstring of each function of a file, and of the file itself."""
    tree = ast.parse(file.read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    lines = {node.name: ast.get_docstring(node) or node.name for node in functions}
    lines[""] = ast.get_docstring(tree) or file.name
    return {name: text.splitlines()[0] for name, text in lines.items()}


@cache
def _outcomes(file: Path) -> dict[str, str]:
    """Return the outcome of each row of `RETURNED` in a test's module, by its issue."""
    rows = tomllib.loads(file.with_name(RETURNED.name).read_text("utf-8"))["row"]
    return {
        row["issue"]: _outcome(row["at"], ", ".join(row["says"].strip(" :;,.").splitlines()))
        for row in rows
    }


def _outcome(place: str, message: str) -> str:
    quoted = f'"{message.replace("|", "/")}"'
    match place:
        case "import":
            return f"The import reports: {quoted}"
        case "statement":
            return f"The statement lists a requirement that is not met: {quoted}"
        case "asked":
            subject = Words("en")[f"requirement.{message}"]
            return f'An unqualified opinion requires the verifier\'s text on: "{subject}"'
    subject = Words("en")[f"submission.{place}"]
    return f'`tonne submission check` lists {quoted} as missing under "{subject}"'


def refreshed(page: str) -> str:
    """Return a page with the text of each link to a test replaced by the test's description."""
    return _TEST_LINK.sub(lambda m: link_to(m[1] + (m[2] or "").replace("#", "::")), page)


def _finding_lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "\n## Findings of returned requests for issuance (CDM)\n"
    before, now = (
        ", ".join(f"{sum(row[when] == v for row in rows)} are {w}" for v, w in _VERDICTS.items())
        for when in ("before", "now")
    )
    yield (
        f"The table has {len(rows)} findings with which the CDM secretariat or Board returned"
        " requests for issuance. The fourth column states what tonne does if an operator makes the"
        ' same fault. "Prevented": the fault cannot occur, or the quantity concerned is not'
        ' credited. "Reported": the registry import, the statement or `tonne submission check`'
        ' reports the fault, or the verifier must assess it. "Not detected": neither of these.'
        f" Of the findings, {now}. In release 0.1.0, {before.replace(' are ', ' were ')}.\n"
    )
    yield (
        "| finding | project type | fault in the returned request for issuance | the same fault in"
        " tonne is | what a test shows |"
    )
    yield "|---|---|---|---|---|"
    for number, entry in enumerate(rows, 1):
        tests = "<br>".join(dict.fromkeys(map(link_to, entry["tests"]))) or "-"
        link = f"[{number}](https://cdm.unfccc.int{entry['address']})"
        yield f"| {link} | {entry['of']} | {entry['issue']} | {_VERDICTS[entry['now']]} | {tests} |"


PAGE = Path("docs/haiphong.md")
CATALOG = Path("deploy/catalog/haiphong")
_BEGIN, _END = "<!-- projects: begin, `make pages` -->", "<!-- projects: end -->"
_COSTS = (
    "No project is credited for time without readings, for register steps of unknown size, or for "
    "energy above the rated power. The same applies to a meter with the certificate of another "
    "meter, and to energy that another project claims. In project emissions, the upper bound of "
    "such a quantity is applied."
)
TABLE, CONFORMITY = Path("docs/conformity.toml"), Path("docs/conformity.md")
_MAP_HEAD = """\
# Conformity map

For: verifiers and officers. The tables list requirements of standards and programmes, the page,
command or file of tonne that meets each, and what an automatic test shows (the link leads to the
test). This is not a certificate: no accredited body has assessed tonne against these texts. The
last column states with which text the requirement was compared: the original, a transcription, a
secondary source, or none. The texts of ISO were not available; clause numbers of ISO 14064-3 are
those of its table of contents. A requirement without a test is marked as open.

`make pages` writes this page from `docs/conformity.toml`, `docs/findings.tsv` and the tests.
"""


def section(page: str) -> str:
    """Return the page with its section on projects replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{chr(10).join(_lines())}\n{_END}{after}"


def _lines() -> Iterator[str]:
    registry = read_files([CATALOG]).registry
    yield f"{_COSTS}\n"
    yield "| project | methodology | roles of its meters | parameters entered with a document |"
    yield "|---|---|---|---|"
    for project in sorted(registry.projects.values(), key=lambda p: (p.system or "", p.id)):
        methodology = find(project.methodology, project.version)
        yield (
            f"| `{project.id}` | [{methodology.id}](methodologies/{methodology.id}.md) |"
            f" {', '.join(_measured(project))} |"
            f" {', '.join(_entered(project, methodology)) or '-'} |"
        )


def _measured(project: Project) -> Iterator[str]:
    for role, count in Counter(device.role for device in project.devices).items():
        yield role if count == 1 else f"{role} ({count} meters)"


def _entered(project: Project, methodology: Methodology) -> Iterator[str]:
    for name in methodology.parameters:
        if name in project.parameters:
            yield f"`{name}`"


def conformity_page(text: str) -> str:
    """Return the page of the conformity table."""
    return "\n".join(_conformity_page(tomllib.loads(text)["line"])) + "\n"


def _conformity_page(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield _MAP_HEAD
    tested = sum(bool(row.get("tests")) for row in rows)
    yield f"Requirements covered by tests: {tested}. Open: {len(rows) - tested}."
    for of, lines in groupby(rows, key=lambda row: row["of"]):
        yield f"\n## {of}\n"
        yield (
            "| clause or subject | requirement | described in | what a test shows | requirement"
            " compared with |"
        )
        yield "|---|---|---|---|---|"
        yield from (_map_row(line) for line in lines)


def _map_row(row: dict[str, Any]) -> str:
    tests = "<br>".join(map(link_to, row.get("tests", ()))) or "**open**"
    source = _CERTAINTY[row["certainty"]]
    cells = (row["clause"], row["says"], _place(row.get("where", "-")), tests, source)
    return "| " + " | ".join(cells) + " |"


def _place(where: str) -> str:
    """Return a link to a page or file; a command as code."""
    if "/" not in where and not where.endswith(".md"):
        return f"`{where}`" if where.startswith("tonne ") else where
    return f"[{Path(where).name}]({Path(os.path.relpath(where, CONFORMITY.parent)).as_posix()})"


def write_conformity() -> None:
    """Write the conformity page and the links of the threat model below the current folder."""
    if TABLE.is_file():
        pages = conformity_page(TABLE.read_text("utf-8"))
        pages += findings_section(FINDINGS.read_text("utf-8"))
        CONFORMITY.write_text(pages, encoding="utf-8")
        THREATS.write_text(refreshed(THREATS.read_text("utf-8")), encoding="utf-8")


# parameters of a device for which the maximum per day is calculated
_LIQUID = {"density_kg_per_m3": 540}


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def limits_and_evidence(methodology: Methodology) -> Iterator[str]:
    """
    Yield the lines on a methodology's limits of consumption, capacity and service, and on the
    evidence that it requires.
    """
    for taken in methodology.consumptions:
        yield (
            f"The service (output delivered) that `{', '.join(taken.serves)}` measures requires"
            f" electricity or fuel, which `{', '.join(taken.uses)}` measures [{taken.unit}]. If a"
            " consumption meter does not advance"
            " during service, tonne adds its consumption at a conservative rate (MTR-05)."
            f"{_span(taken)}\n"
        )
        if taken.by_history and taken.lowest:
            yield (
                f"In each block of {WEEKS} weeks, the consumption per unit of service is compared"
                " with that of the project's earlier periods. Below"
                f" {float(taken.lowest):g} times that value, the credited service is at most the"
                " metered consumption divided by that value (MTR-06, tonne's own rule).\n"
            )
        if taken.by_model and not taken.by_design:
            yield (
                f"Below {float(taken.closer or taken.lowest):g} times the devices'"
                f" `{taken.by_model}`, the credited service is at most the metered consumption"
                f" divided by `{taken.by_model}` (MTR-06). Invoices of"
                f" `{', '.join(taken.uses)}` are not required; EVD-03 reports missing ones.\n"
            )
        if taken.by_design:
            closer = taken.lowest if taken.closer is None else taken.closer
            sure = taken.sure if taken.sure > closer else 0
            also = f" Up to {float(sure):g} times it, the consumption is reported." if sure else ""
            yield (
                f"If the consumption per unit of service is below {float(closer):g} times"
                f" `{taken.by_design}`, the credited service is at most the metered consumption"
                f" divided by `{taken.by_design}` (MTR-06, tonne's own rule).{also}\n"
            )
    for built in methodology.capacities:
        of = f" times `{built.of}`" if built.of else ""
        whose = "each meter" if built.each else "the service"
        yield (
            f"{'Over the period' if built.of else 'In each week'}, {whose} of"
            f" `{', '.join(built.serves)}`{of} is credited up to `{built.parameter}` per day on"
            " average (MTR-07). The service of a meter without"
            " valid calibration is not credited unless a dated document states"
            f" `{built.parameter}`, or invoices state the service (EVD-02).\n"
        )
        yield from _treatable(methodology, built)
    if methodology.invoiced:
        names = [role for role in methodology.roles if role in methodology.invoiced]
        kind = ", if all output is of one kind" if len(names) > 1 else ""
        either = (
            f" Invoices of the electricity `{', '.join(methodology.powering)}`, together with the"
            f" design documents, are also sufficient{kind}."
            if methodology.powering
            else ""
        )
        yield (
            f"A reduction is credited only if `{', '.join(names)}` has a meter under valid"
            " calibration that is not [contradicted](../rules.md#terms), or invoices that"
            " [cover](../rules.md#terms) it"
            f" ([EVD-03](../findings.md#evidence-that-evd-03-requires)).{either}\n"
        )
    yield from _maxima(methodology)
    for name, spec in methodology.parameters.items():
        if spec.unmeasured is not None:
            channels = " and ".join(f"`{c}`" for c in spec.channels[1:])
            by = f"{channels} of the role `{spec.channels[0]}`, or by " if channels else ""
            yield (
                f"`{name}` is measured by {by}`laboratory` results; without measurements, tonne"
                f" applies {spec.unmeasured} (PAR-06).\n"
            )
        if spec.by_publication:
            beside = "the published values" if spec.factor is None else "its default"
            yield (
                f"A value of `{name}` other than {beside} is applied only if a third party's"
                " document states it (`documents`), or if it does not raise the reduction"
                " (FAC-01, tonne's own rule).\n"
            )
    yield from _evidence_of_values(methodology)


def _span(taken: Consumption) -> str:
    """Return the sentence on the plausible range of a specific consumption; empty without one."""
    if taken.span is None:
        return ""
    span = taken.range
    if not span:
        low, high = taken.span({})
        span = f"{float(low):g} to {float(high):g} {taken.unit}"
    return f" Plausible range: {span} ({taken.source})."


def _treatable(methodology: Methodology, built: Capacity) -> Iterator[str]:
    """Yield the sentence on a load that is limited by the electricity for it (MTR-07)."""
    flow = [c.parameter for c in methodology.capacities if not c.of and c.serves == built.serves]
    power = [c for c in methodology.consumptions if c.by_design and {*c.serves} >= {*built.serves}]
    if built.of and flow and power:
        design, uses = power[0].by_design, ", ".join(power[0].uses)
        yield (
            f"The load that the metered electricity can treat is `{uses}` / `{design}` x"
            f" `{built.parameter}` / `{flow[0]}`. If the load is more than 1.5 times this,"
            f" `{built.of}` is reduced to it (MTR-07), unless laboratory results with the hashes"
            f" of their reports state `{built.of}` and the electricity is at least two thirds of"
            f" `{design}` times the service. If it is above 1/0.95 times this, a finding reports"
            " it.\n"
        )


def _evidence_of_values(methodology: Methodology) -> Iterator[str]:
    """Yield the values that need a dated document (EVD-03), and the published ranges (PAR-05)."""
    if methodology.baseline_documents:
        names = ", ".join(f"`{name}`" for name in methodology.baseline_documents)
        yield f"Without a dated document of each of {names}, the reduction is 0 (EVD-03).\n"
    rows: list[tuple[str, ...]] = [
        (name, ", ".join(f"{low} to {high}" for low, high in ranges), unit, source)
        for name, (ranges, unit, source) in _published_ranges(methodology)
    ]
    if rows:
        yield (
            "If a value lacks evidence of the required grade, the end of its published range that"
            " gives the lower reduction is applied (PAR-05):\n"
        )
        yield from table(("value", "published ranges", "unit", "source"), rows)
        yield ""


_Range = tuple[tuple[tuple[str, str], ...], str, str]


def _published_ranges(methodology: Methodology) -> Iterator[tuple[str, _Range]]:
    """Yield each value with its published ranges, unit and source; by role if the ranges differ."""
    roles: dict[str, dict[_Range, list[str]]] = {}
    specs = [("", *one) for one in methodology.parameters.items()]
    specs += [(role, *one) for role, of in methodology.roles.items() for one in of.params.items()]
    for role, name, spec in specs:
        ranges, source = _published_range(name, spec)
        if ranges:
            key = tuple((low, high) for low, high in ranges), spec.unit, source
            roles.setdefault(name, {}).setdefault(key, []).append(role)
    for name, found in roles.items():
        for key, names in found.items():
            of = f" of {', '.join(f'`{role}`' for role in names)}" if len(found) > 1 else ""
            yield f"`{name}`{of}", key


def _published_range(name: str, spec: ParameterSpec) -> tuple[Sequence[tuple[str, str]], str]:
    """Return the worldwide published ranges of a value, and their source; none without any."""
    declared = of_parameter(name)
    if declared.ranges:
        return declared.ranges, declared.source
    return ((), "") if spec.plausible is None else (spec.plausible.ranges, spec.plausible.source)


def _maxima(methodology: Methodology) -> Iterator[str]:
    """Yield the maximum energy per device, hour and day (MTR-01) and on average (EVD-04)."""
    for role, needs in methodology.roles.items():
        if needs.class_limit is ams_iii_c.class_limit:
            yield (
                "The class of a vehicle follows from its baseline fuel consumption. Each class has"
                " limits of electricity and distance (MTR-01, MTR-05, EVD-04):\n"
            )
            yield from table(
                ("class", "baseline fuel below [L/100 km]", "kWh/km", "km an hour", "km a day",
                 "mean km a day"),
                [
                    (vehicle_class.name, f"{float(vehicle_class.below):g}",
                     " to ".join(f"{float(end):g}" for end in vehicle_class.kwh_per_km),
                     str(vehicle_class.km_per_h), str(vehicle_class.km_per_day),
                     str(vehicle_class.km_per_mean_day))
                    for vehicle_class in ams_iii_c.CLASSES
                ],
            )  # fmt: skip
            yield ""
        elif needs.class_limit is not None and (maximum := needs.class_limit(_LIQUID)) is not None:
            hour, day = (amount_text(n, needs.unit) for n in (maximum.per_hour, maximum.per_day))
            of = " of a liquid" if "density_kg_per_m3" in needs.params else ""
            yield (
                f"For a device of role `{role}`, at most {hour}{of} per hour and {day} per day are"
                " credited (MTR-01).\n"
            )
