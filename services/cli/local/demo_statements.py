"""The demo's statements: closed, signed by two keys, issued, verified as an auditor does."""

from __future__ import annotations

import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import click

from ingest.errors import InputError
from services.cli.errors import Exit
from services.cli.local.demo_stage import Stage, brief

# project, first local day, first local day after
REAL = ("nrel-pv", "2022-01-02", "2022-01-07")
SIMULATED = ("nck-pv", "cat-ba-ebus")  # of the month that ends the day before yesterday
_REFUSAL = 3  # lines
KEYS = {"operator": "demo-operator", "verifier": "demo-verifier"}
# whose the keys are, and what they may sign
BOUNDS = {
    "operator": (
        *("--organisation", "Demo Energy JSC"),
        *(word for project in (REAL[0], *SIMULATED) for word in ("--project", project)),
    ),
    "verifier": ("--organisation", "Demo Verification Ltd", "--accreditation", "DEMO-1"),
}
OPINION = ("--opinion", "unqualified", "--assurance", "reasonable")
# what the verifier writes into the template; no reason: it is refused where a finding is open
WORDS = {
    "means": "demonstration: readings computed again, certificates and documents compared",
    "opinion": "demonstration: what is stated agrees with the readings and the documents",
    "crossChecked": "demonstration: no other source measures it",
}
RING = "keys.json"
# What a statement of version 0.1.0 lacks: it was verified without a written reason, and
# no day had to be sealed before.
OF_0_1_0 = ("--accept", "unmet-conditions", "--accept", "unsealed-days")


def account(stage: Stage, project: str, first: str, end: str) -> dict[str, Any]:
    """
    Close a period and bring its statement to issue, with two keys; verify the pack.

    A statement that an earlier run issued stays what it is, and is verified again.
    """
    ensure_keys(stage)
    stage.quiet = project != REAL[0]  # the others go the same way
    click.secho(f"{project}, {first} to {end}", fg="green")
    listed = stage.json("statement", "list", shown=False)
    issued = [s["statement"] for s in listed if (s["project"], s["state"]) == (project, "issued")]
    name = issued[-1] if issued else close_and_issue(stage, project, first, end)
    pack = stage.packs / name
    shutil.rmtree(pack, ignore_errors=True)
    stage.tonne("statement", "export", name, "--out", str(pack))
    checked(stage, project, pack, earlier=bool(issued))
    statement = stage.json("statement", "show", name, shown=False)
    return {"statement": name, "state": statement["state"], "pack": pack, **statement["document"]}


def checked(stage: Stage, project: str, pack: Path, *, earlier: bool) -> None:
    """
    Verify a pack as an auditor does, and show that without keys nothing is relied on.

    The first statement's verification is printed whole, the others' by its outcome.
    """
    ring, status = stage.packs / RING, stage.packs / f"status-{project}.json"
    stage.tonne(
        "statement", "status-list", project, "--key", KEYS["operator"], "--out", str(status)
    )
    # the ring keeps the lists of all projects so far: it alone is enough to verify by
    lists = [
        word
        for path in sorted(stage.packs.glob("status-*.json"))
        for word in ("--status", str(path))
    ]
    stage.tonne("keys", "export", *lists, "--out", str(ring))
    given = ("verify", str(pack), "--keys", str(ring))
    try:
        output = stage.tonne(*given)
    except InputError:
        if not earlier:
            raise
        output = stage.tonne(*given, *OF_0_1_0)
    lines = output.splitlines()
    brief(lines[-1].partition(", on the grounds")[0] if stage.quiet else output, lines=len(lines))
    if not stage.quiet:
        click.echo("The same without keys that you trust is not enough:")
    refused = stage.tonne("verify", str(pack), code=Exit.NOT_ENOUGH)
    if not stage.quiet:
        brief(refused, lines=_REFUSAL)


def close_and_issue(stage: Stage, project: str, first: str, end: str) -> str:
    """Take a period's draft through the hands of operator and verifier."""
    # the sealer of `tonne run` would come to it within the hour
    until = date.fromisoformat(end) + timedelta(days=1)
    brief(stage.tonne("log", "seal", "--project", project, "--until", until.isoformat()))
    closed = stage.json("period", "close", project, "--from", first, "--to", end)
    name: str = closed["statement"]
    report = str(stage.packs / f"verification-{name}.yaml")
    steps = {
        "draft": ("submit", "--key", KEYS["operator"]),
        "submitted": ("verify", "--key", KEYS["verifier"], *OPINION, "--report", report),
        "verified": ("issue",),
    }
    state = closed["state"]
    while state in steps:
        step, *signer = steps[state]
        if step == "verify":
            written(stage, name, Path(report))
        stage.tonne("statement", step, name, *signer)
        state = stage.json("statement", "show", name, shown=False)["state"]
    return name


def written(stage: Stage, name: str, report: Path) -> None:
    """Fill in the verifier's report of a statement."""
    report.parent.mkdir(parents=True, exist_ok=True)
    stage.tonne("statement", "template", name, "--out", str(report))
    text = report.read_text("utf-8")
    for key, said in WORDS.items():
        text = text.replace(f'{key}: ""', f'{key}: "{said}"')
    report.write_text(text, "utf-8")


def ensure_keys(stage: Stage) -> None:
    """Make the two keys where the folder does not hold them yet."""
    for role, name in KEYS.items():
        if not (stage.home / "keys" / f"{name}.json").exists():
            stage.tonne("keys", "create", "--role", role, "--name", name, *BOUNDS[role])
