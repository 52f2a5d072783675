"""
Typed client of the API.

Lists are loaded page by page; writes have an idempotency key, so that a repetition after a lost
connection has no further effect; an interrupted download is continued.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import uuid4

import httpx

from ingest.errors import InputError, ServerError
from mrv.packs import too_much
from services.api import schemas as shapes

if TYPE_CHECKING:
    from mrv.report import Format

_TRIES = 5
_PAUSE_S = 0.5
_PAGE = 1_000
_BUSY = frozenset({408, 429, 503})
_PART = 206
_S = TypeVar("_S", bound=shapes.Shape)


class RefusedError(InputError):
    """Request rejected by the API. `problem`: problem document of the answer."""

    def __init__(self, problem: shapes.Problem) -> None:
        super().__init__(f"{problem.status} {problem.title}: {problem.detail}")
        self.problem = problem


class Client:
    """
    Client of one API, with a bearer token or anonymous.

    `url`: `https://host[:port]`, without `/v1`.
    `token`: Bearer token.
    `timeout_s`: timeout of each request.
    Raises RefusedError by every method, if the API rejects the request; `problem` states the
    reason.
    Raises ServerError by every method, if the API cannot be reached or stays busy.
    """

    def __init__(self, url: str, token: str | None = None, timeout_s: float = 30.0) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(base_url=f"{url}/v1", headers=headers, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def me(self) -> shapes.Me:
        """Return the caller's identity and scope."""
        return self._get("/me", shapes.Me)

    def projects(self) -> Iterator[shapes.Project]:
        """List projects, by id."""
        return self._list("/projects", shapes.Project)

    def project(self, project: str) -> shapes.ProjectDetail:
        """Return a project and its devices."""
        return self._get(f"/projects/{project}", shapes.ProjectDetail)

    def devices(self) -> Iterator[shapes.Device]:
        """List devices, by id."""
        return self._list("/devices", shapes.Device)

    def device(self, device: str) -> shapes.DeviceDetail:
        """Return a device and its certificates."""
        return self._get(f"/devices/{device}", shapes.DeviceDetail)

    def intervals(self, device: str, begin: str, end: str) -> Iterator[shapes.Interval]:
        """
        Return a device's quantities by interval.

        `begin`, `end`: local dates of the site, or RFC 3339 with offset; end excluded.
        """
        return self._list(
            "/intervals", shapes.Interval, device=device, **{"from": begin, "to": end}
        )

    def emissions(self, project: str, begin: str, end: str) -> Iterator[shapes.Emission]:
        """
        Return a project's emissions by interval. [ug CO2e]

        `begin`, `end`: local dates of the project, or RFC 3339 with offset; end excluded.
        """
        span = {"from": begin, "to": end}
        return self._list("/emissions", shapes.Emission, project=project, **span)

    def statements(self, project: str | None = None) -> Iterator[shapes.Statement]:
        """Return statements in order of creation."""
        more = {} if project is None else {"project": project}
        return self._list("/statements", shapes.Statement, **more)

    def statement(self, statement: str) -> shapes.StatementDetail:
        """Return a statement, its steps and its signed documents so far."""
        return self._get(f"/statements/{statement}", shapes.StatementDetail)

    def document(self, statement: str) -> bytes:
        """Return a statement byte for byte as its operator signed it."""
        return self._ask("GET", f"/statements/{statement}.json").content

    def verification(self, statement: str) -> bytes:
        """Return the verifier's credential byte for byte."""
        return self._ask("GET", f"/statements/{statement}/verification.json").content

    def sampling(self, statement: str) -> bytes:
        """Return the verifier's sampling list byte for byte."""
        return self._ask("GET", f"/statements/{statement}/sampling.json").content

    def take_sampling(self, statement: str, signed: bytes) -> shapes.Sampled:
        """
        Submit a sampling list drawn and signed with a verifier's own key.

        `signed`: as `tonne statement sample PACK --key N --out FILE` writes it.
        """
        return self._hand_in(f"/statements/{statement}/sampling", signed, shapes.Sampled)

    def approve(self, statement: str, signed: bytes) -> shapes.TakenApproval:
        """
        Submit an operator's approval of a verified statement's issue.

        `signed`: as `tonne statement approve PACK --key N --out FILE` writes it.
        """
        return self._hand_in(f"/statements/{statement}/approval", signed, shapes.TakenApproval)

    def status_list(self, project: str) -> bytes:
        """Return a project's newest status list byte for byte."""
        return self._ask("GET", "/status-list", params={"project": project}).content

    def publish_status_list(self, project: str, signed: bytes) -> shapes.TakenList:
        """Submit a status list that the operator signed elsewhere."""
        return self._hand_in(f"/status-list?project={project}", signed, shapes.TakenList)

    def trust_root(self) -> bytes:
        """Return the programme's trust root on the server, byte for byte."""
        return self._ask("GET", "/trust-root").content

    def findings(self, statement: str) -> shapes.Findings:
        """Return a statement's findings, with their answers and states."""
        return self._get(f"/statements/{statement}/findings", shapes.Findings)

    def finding_events(self, statement: str) -> bytes:
        """Return the signed events of all findings, as a pack's `findings.json`."""
        return self._ask("GET", f"/statements/{statement}/findings.json").content

    def take_finding(self, statement: str, signed: bytes) -> shapes.TakenEvent:
        """
        Submit an event of a finding signed with its holder's own key.

        `signed`: as `tonne statement finding add|answer|close PACK --out FILE` writes it.
        """
        return self._hand_in(f"/statements/{statement}/findings", signed, shapes.TakenEvent)

    def submit(self, statement: str, signature: bytes) -> shapes.Submitted:
        """
        Submit an operator's signature over a draft.

        `signature`: as `tonne statement submit DRAFT --out FILE` writes it.
        """
        return self._hand_in(f"/statements/{statement}/submission", signature, shapes.Submitted)

    def verify(self, statement: str, signed: bytes) -> shapes.Judged:
        """
        Submit a verifier's opinion; the server first recalculates everything.

        `signed`: as `tonne statement verify PACK --out FILE` writes it.
        """
        return self._hand_in(f"/statements/{statement}/verification", signed, shapes.Judged)

    def invoices(self, project: str | None = None) -> Iterator[shapes.Invoice]:
        """List invoices by id, including those that a later invoice corrects."""
        more = {} if project is None else {"project": project}
        return self._list("/invoices", shapes.Invoice, **more)

    def invoice(self, invoice: str) -> shapes.Invoice:
        """Return an invoice as stored."""
        return self._get(f"/invoices/{invoice}", shapes.Invoice)

    def deliver_invoices(
        self, project: str, invoices: Sequence[shapes.NewInvoice]
    ) -> shapes.Deliveries:
        """Store invoices of a project, all or none; a repeated request stores them once."""
        body = shapes.Delivery(invoices=list(invoices)).model_dump(
            mode="json", by_alias=True, exclude_none=True
        )
        return self._post(f"/projects/{project}/invoices", shapes.Deliveries, body)

    def status(self, statement: str) -> shapes.Status:
        """Return a statement's current status: whether it is valid now, and why not."""
        return self._get(f"/statements/{statement}/status", shapes.Status)

    def receipt(self, statement: str) -> str:
        """Return the proof that a statement's issue is in the log, as text (C2SP tlog-proof)."""
        return self._ask("GET", f"/statements/{statement}/receipt").text

    def report(self, statement: str, wanted: Format, out: Path, language: str = "en") -> Path:
        """
        Download a statement's report, and return its path: `pdf`, or `xlsx` with daily sums of
        every meter.

        `out`: path of the file; as for `evidence`.
        """
        return self._whole(f"/statements/{statement}.{wanted}?lang={language}", out)

    def evidence(self, statement: str, out: Path, maximum: int | None = None) -> Path:
        """
        Download a statement's evidence pack, continuing an interrupted download, and return its
        path.

        `out`: path of the zip file; `<out>.part` is an incomplete download.
        `maximum`: maximum size. [bytes]
        Raises PackTooLargeError if it is larger.
        """
        return self._whole(f"/statements/{statement}/evidence", out, maximum)

    def _whole(self, path: str, out: Path, maximum: int | None = None) -> Path:
        part, tag = out.with_name(f"{out.name}.part"), out.with_name(f"{out.name}.tag")
        for attempt in range(_TRIES):
            try:
                self._download(path, part, tag, maximum)
            except httpx.TransportError as error:
                if attempt == _TRIES - 1:
                    raise ServerError(
                        f"the download was interrupted: {error}; call again"
                    ) from error
                time.sleep(_PAUSE_S * 2**attempt)
            else:
                break
        part.replace(out)
        tag.unlink(missing_ok=True)
        return out

    def _download(self, path: str, part: Path, tag: Path, maximum: int | None) -> None:
        have = part.stat().st_size if part.exists() and tag.exists() else 0
        headers = {}
        if have:
            headers = {"Range": f"bytes={have}-", "If-Range": tag.read_text(encoding="ascii")}
        with self._http.stream("GET", path, headers=headers) as answer:
            if answer.is_error:
                answer.read()
                raise _refused(answer)
            tag.write_text(answer.headers["etag"], encoding="ascii")
            with part.open("ab" if answer.status_code == _PART else "wb") as file:
                for piece in answer.iter_bytes():
                    if maximum is not None and file.tell() + len(piece) > maximum:
                        raise too_much("bytes of the pack", file.tell() + len(piece), maximum)
                    file.write(piece)

    def checkpoint(self) -> str:
        """Return the log's last signed head with its cosignatures, as text of a signed note."""
        return self._ask("GET", "/log/checkpoint").text

    def inclusion(self, index: int, size: int | None = None) -> shapes.Inclusion:
        """
        Return the proof that an entry is in the log.

        `index`: number of the entry, from 0.  `size`: size of the log; None for the current one.
        """
        more = {} if size is None else {"size": size}
        return self._get("/log/proof/inclusion", shapes.Inclusion, index=index, **more)

    def consistency(self, first: int, second: int | None = None) -> shapes.Consistency:
        """
        Return the proof that the log of one size extends the log of an earlier size.

        `first`: the earlier size.  `second`: the later size; None for the current one.
        """
        more = {} if second is None else {"second": second}
        return self._get("/log/proof/consistency", shapes.Consistency, first=first, **more)

    def programme(self, year: int | None = None) -> shapes.Programme:
        """Return the programme's progress: city model, measured and issued tonnes."""
        more = {} if year is None else {"year": year}
        return self._get("/programme", shapes.Programme, **more)

    def programme_report(self, year: int | None = None) -> shapes.ProgrammeReport:
        """Return the programme system by system."""
        more = {} if year is None else {"year": year}
        return self._get("/programme/report", shapes.ProgrammeReport, **more)

    def programme_workbook(self, year: int | None = None, language: str = "en") -> bytes:
        """Return the programme's report as a workbook, in a language of the reports."""
        more = {} if year is None else {"year": year}
        path = "/programme/report.xlsx"
        return self._ask("GET", path, params={"lang": language, **more}).content

    def programme_pages(self, year: int | None = None, language: str = "en") -> bytes:
        """Return the programme's report as a PDF, in a language of the reports."""
        more = {} if year is None else {"year": year}
        path = "/programme/report.pdf"
        return self._ask("GET", path, params={"lang": language, **more}).content

    def dead_letters(self, reason: str | None = None) -> Iterator[shapes.Letter]:
        """List rejected messages, newest first."""
        more = {} if reason is None else {"reason": reason}
        return self._list("/deadletters", shapes.Letter, **more)

    def close_period(self, project: str, begin: str, end: str) -> shapes.ClosedPeriod:
        """Close a monitoring period; a repeated request closes it once."""
        path = f"/projects/{project}/periods"
        return self._post(path, shapes.ClosedPeriod, {"from": begin, "to": end})

    def issue(self, statement: str) -> shapes.Issued:
        """Issue a verified statement; a repeated request issues it once."""
        return self._post(f"/statements/{statement}/issue", shapes.Issued, None)

    def supersede(self, statement: str, reason: str) -> shapes.ClosedPeriod:
        """Close an issued statement's period again, as a draft that supersedes the statement."""
        path = f"/statements/{statement}/supersede"
        return self._post(path, shapes.ClosedPeriod, {"reason": reason})

    def _get(self, path: str, shape: type[_S], **query: Any) -> _S:
        return shape.model_validate_json(self._ask("GET", path, params=query).content)

    def _post(self, path: str, shape: type[_S], body: object) -> _S:
        named = {"Idempotency-Key": str(uuid4())}
        return shape.model_validate_json(self._ask("POST", path, json=body, headers=named).content)

    def _hand_in(self, path: str, signed: bytes, shape: type[_S]) -> _S:
        """Submit signed bytes once, even if the connection fails, and return the answer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
        answer = self._ask("POST", path, content=signed, headers=headers)
        return shape.model_validate_json(answer.content)

    def _list(self, path: str, shape: type[_S], **query: Any) -> Iterator[_S]:
        while True:
            page = self._ask("GET", path, params={"limit": _PAGE, **query}).json()
            yield from (shape.model_validate(item) for item in page["items"])
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        """Return the answer to a request, repeated if the API is busy or the connection fails."""
        reason = ""
        for attempt in range(_TRIES):
            try:
                answer = self._http.request(method, path, **more)
            except httpx.TransportError as error:
                reason = str(error)
            else:
                if answer.status_code not in _BUSY:
                    if answer.is_error:
                        raise _refused(answer)
                    return answer
                reason = f"it answers {answer.status_code}"
            if attempt < _TRIES - 1:
                time.sleep(_PAUSE_S * 2**attempt)
        raise ServerError(f"{self._http.base_url} cannot be reached: {reason}; try again later")


def _refused(answer: httpx.Response) -> RefusedError:
    try:
        return RefusedError(shapes.Problem.model_validate_json(answer.content))
    except ValueError:
        return RefusedError(
            shapes.Problem(
                type="about:blank", title="Refused", status=answer.status_code, detail=answer.text
            )
        )
