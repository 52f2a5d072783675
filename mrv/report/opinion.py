"""Who signed a statement and its verification, and what they said, as rows of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mrv.report.report_data import Facts
    from mrv.report.words import Words


class FindingRow(NamedTuple):
    """A finding, or one event of it, as a table shows it; None where there is nothing."""

    name: str
    kind: str
    event: str
    by: str | None
    at: str | None
    text: str
    effect_t: str | None


def opinion_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield what to name and what stands there; None where no document says it."""
    yield words["statement"], facts.name
    yield words["state"], state(facts, words)
    yield from signer_rows(facts, words)
    yield from conclusion_rows(facts, words)
    yield from evidence_rows(facts, words)


def signer_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield who prepared and who verified, when, and with which key."""
    statement, opinion = facts.statement, facts.verification
    yield words["preparer"], _name(statement.get("issuer"))
    yield words["signed_at"], statement.get("proof", {}).get("created")
    yield words["preparer_key"], statement.get("proof", {}).get("verificationMethod")
    if opinion is not None:
        yield words["verifier"], _name(opinion["issuer"])
        yield words["verified_at"], opinion["validFrom"]
        yield words["verifier_key"], opinion["proof"]["verificationMethod"]


def conclusion_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield opinion, assurance, materiality and what was done."""
    if facts.verification is None:
        yield words["opinion"], words["not_verified"]
        return
    said = facts.verification["credentialSubject"]
    yield words["opinion"], words.get(f"opinion.{said['opinion']}", said["opinion"])
    level = said["levelOfAssurance"]
    yield words["assurance"], words.get(f"assurance.{level}", level)
    yield words["materiality"], f"{words.number(said['materiality_percent'])} %"
    errors = said.get("misstatements")
    if errors is not None:
        yield words["misstatement_net"], _error(errors, "net", words)
        yield words["misstatement_absolute"], _error(errors, "absolute", words)
        yield words["material"], words["yes" if errors["material"] else "no"]
    yield words["procedure"], words["procedure.text"]


def finding_rows(facts: Facts, words: Words) -> Iterator[FindingRow]:
    """Yield the events of each finding, then the verifier's remarks."""
    for one in facts.findings:
        kind = words.get(f"finding.{one['kind']}", one["kind"])
        if "finding" not in one:
            yield FindingRow(words["remark"], kind, "", None, None, one["text"], None)
            continue
        for place, event in enumerate(one["events"]):
            last = place == len(one["events"]) - 1
            name = words.get(f"finding.{event['event']}", event["event"])
            effect = one["effect_t"] if last else None
            yield FindingRow(
                one["finding"], kind, name, event["by"], event["at"], event["text"], effect
            )


def open_findings(facts: Facts) -> tuple[int, int]:
    """Count corrective action and clarification requests: all, and those not closed."""
    asked = [one for one in facts.findings if one["kind"] in {"CAR", "CL"} and "finding" in one]
    return len(asked), sum(one["state"] != "closed" for one in asked)


def evidence_rows(facts: Facts, words: Words) -> Iterator[tuple[str, str | None]]:
    """Yield the digests that name the evidence, the place in the log, and the program."""
    if facts.verification is not None:
        for related in facts.verification["relatedResource"]:
            yield words["digest_of_statement"], related["digestSRI"]
    for name, digest in facts.subject["digests"].items():
        yield words.get(f"digest.{name}", name), digest
    yield (
        words["log_entry"],
        (words["not_in_log"] if facts.log_index is None else str(facts.log_index)),
    )
    yield words["code_version"], facts.subject["codeVersion"]


def state(facts: Facts, words: Words) -> str:
    """State of the statement, with its successor where it has one."""
    text = words[f"state.{facts.state}"]
    return f"{text}: {facts.superseded_by}" if facts.superseded_by else text


def _name(issuer: object) -> str | None:
    return str(issuer["name"]) if isinstance(issuer, dict) else None


def _error(errors: Mapping[str, Any], which: str, words: Words) -> str:
    text = f"{words.number(errors[f'{which}Misstatement_t'])} t CO2e"
    share = errors[f"{which}Share_percent"]
    return text if share is None else f"{text}; {words.number(share)} % {words['of_reduction']}"
