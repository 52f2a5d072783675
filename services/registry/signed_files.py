"""
Signing of files of suppliers, laboratories or manufacturers before the import.

A file of invoices (YAML or CSV), or a registry file with `laboratory` and `documents` of projects.
Rows of other issuers are unchanged.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ingest.errors import InputError, RegistryError
from mrv.registry.declared import Sample
from mrv.registry.project import Project
from mrv.signatures.keys import EnrolledKey, SigningKey
from mrv.signatures.organisations import affiliated
from mrv.statement.signed_rows import SignedRow, row_of, sign
from services.registry import invoices, limits, parse
from services.registry.entries import document_of
from services.registry.fields import Row
from services.registry.files import read_document
from services.registry.located import decoded


class Signed(NamedTuple):
    """Signed row: name, signed bytes, signature."""

    row: str
    message: str
    signed: str


@dataclass
class SignedFile:
    """A file with its signatures: text, signed rows, and rows of other issuers."""

    text: str = ""
    rows: list[Signed] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


def sign_file(
    path: Path, key: SigningKey, holder: EnrolledKey, zone: str | None, *, cose: bool = False
) -> SignedFile:
    """
    Return a file in which the rows issued by the key's organisation are signed.

    Parameters
    ----------
    zone : str, optional
        Time zone of the project, for the days of invoices; needed only for these.

    Raises
    ------
    RegistryError
        When a row cannot be read.
    InputError
        When no row is by the holder's organisation, or invoices are given without a zone.
    """
    whose, signed_file = holder.bounds.organisation or holder.name, SignedFile()
    parameters = _read(path)
    for row, into in _rows(path, parameters, zone):
        if row.issuer is None or not affiliated(row.issuer, whose):
            signed_file.others.append(f"{row.name} by {row.issuer or 'no one named'}")
            continue
        into["signed"] = sign(row.message, key, cose=cose)
        signed_file.rows.append(Signed(row.name, row.message.decode(), into["signed"]))
    if not signed_file.rows:
        others = f"; it has {', '.join(signed_file.others)}" if signed_file.others else ""
        raise InputError(f"{path}: no row is by {whose}{others}; pass rows issued by {whose}")
    signed_file.text = _text(path, parameters)
    return signed_file


def _rows(
    path: Path, parameters: Mapping[str, Any], zone: str | None
) -> Iterator[tuple[SignedRow, dict[str, Any]]]:
    """Yield each row, and the place of its signature in the file."""
    top = Row(read_document(path, "invoices"), str(path), "file", 1)
    for row, into in zip(top.rows("invoices") or (), parameters.get("invoices") or (), strict=True):
        if zone is None:
            raise InputError(
                f"{path}: set --timezone to that of the project; the days of invoices are local"
            )
        yield _invoice(row, zone), into
    for row, into in zip(top.rows("projects") or (), parameters.get("projects") or (), strict=True):
        project = row.identifier("id")
        papers = limits.read(row) or {}
        samples = [parse.read(row, Sample) for row in row.rows("laboratory") or ()]
        _refuse(top, row, *(row.rows("laboratory") or ()))
        for sample, place in zip(samples, into.get("laboratory") or (), strict=True):
            yield row_of(project, sample), place
        for name, paper in papers.items():
            if isinstance(paper, dict):
                yield row_of(project, document_of(name, paper)), into["documents"][name]


def _invoice(row: Row, zone: str) -> SignedRow:
    if not row.has("quantity"):
        row.problem("quantity", "name the invoiced quantity, such as energy_import: it is signed")
    project = row.identifier("project")
    entered = invoices.entered(row, {project: Project(project, "", "", "", zone, 0, 0)})
    _refuse(row)
    if entered is None:
        raise RegistryError(f"{row.path} cannot be read; correct it")
    return row_of(project, entered.invoice)


def _refuse(*rows: Row) -> None:
    if result := [text for row in rows for text in row.problems]:
        raise RegistryError("\n".join(dict.fromkeys(result)))


def _read(path: Path) -> dict[str, Any]:
    text = decoded(path.read_bytes(), str(path))
    if path.suffix.lower() == ".csv":
        return {"invoices": list(csv.DictReader(io.StringIO(text)))}
    safe_load = yaml.safe_load(text)
    return safe_load if isinstance(safe_load, dict) else {}


def _text(path: Path, parameters: Mapping[str, Any]) -> str:
    if path.suffix.lower() != ".csv":
        return yaml.safe_dump(parameters, sort_keys=False, allow_unicode=True)
    rows: list[dict[str, Any]] = parameters["invoices"]
    out = io.StringIO()
    writer = csv.DictWriter(out, list(dict.fromkeys(k for row in rows for k in row)))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()
