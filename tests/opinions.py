"""A verifier's conclusions in tests, for any conditions that are not met."""

from dataclasses import replace

from mrv.documents.statement import Claims
from mrv.statement.conditions import unmet
from mrv.statement.credentials import Finding
from mrv.statement.opinion import Words, known
from services.issuer.documents import documents

REASON = "the plan of the plant was seen on paper"
MEANS = "registers read on site and the readings computed again"
OPINION = "the amount is what the meter registered in the period"


def concluded(opinion, assurance="reasonable", *, of=None, reason=REASON):
    """
    Conclude, with texts on everything in a statement: its claims, or a
    connection and its name.
    """
    said = of if of is None or isinstance(of, Claims) else documents(*of).claims
    return Finding(opinion, assurance, "5", (), Words() if said is None else worded(said, reason))


def worded(said, reason=REASON):
    """Return texts on each parameter and requirement, and a reason for each open finding."""
    words = known(said)
    return replace(
        words,
        parameters=tuple(
            type(one)(
                parameter=one.parameter,
                device=one.device,
                means=MEANS,
                source=one.source,
                cross_checked=one.cross_checked or "nothing else measures it",
                opinion=OPINION,
            )
            for one in words.parameters
        ),
        requirements=tuple(
            type(one)(requirement=one.requirement, means=MEANS, opinion=OPINION)
            for one in words.requirements
        ),
        reasons=tuple(reason for _ in unmet(said)),
    )


def reported(run, what, folder, reason=REASON):
    """Return the options that give a filled-in report, made by the runner of `tonne statement`."""
    file = folder / "verification.yaml"
    run("template", what, "--out", file)
    file.write_text(filled(file.read_text("utf-8"), reason), "utf-8")
    return ("--report", file)


def filled(text, reason=REASON):
    """Fill in the file of `tonne statement template` as a verifier would."""
    words = {"means": MEANS, "opinion": OPINION, "reason": reason}
    words |= {"crossChecked": "nothing else measures it", "source": "the document itself"}
    for key, said in words.items():
        text = text.replace(f'{key}: ""', f'{key}: "{said}"')
    return text
