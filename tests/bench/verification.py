"""The evidence pack of a month of 100 devices at one minute, read and verified offline."""

import shutil
import time

from ingest.heap import keep_freed
from mrv.packs.reader import read_pack
from mrv.program import program
from mrv.signatures import canonical
from mrv.statement.compose import Label, compose
from mrv.statement.evidence import monitored, remeter
from mrv.statement.evidence_case import Case
from mrv.verify import verify
from services.issuer import pack
from services.issuer.collect_evidence import plan_of
from services.issuer.further_evidence import files as case_files
from services.store.postgres.pool import connect
from services.store.registry.entries_from_rows import load_registry
from services.store.registry.load import load_book
from tests.bench import month
from tests.bench.stages_store import database
from tests.running import Pipeline

DEVICES = 100


def measure(pipeline: Pipeline) -> dict[str, float]:
    """Return seconds, and readings per second, for reading the pack and every step of its check."""
    url = database(pipeline, "verifying", DEVICES)
    folder, span = pipeline.home / "pack", (month.BEGIN_US, month.END_US)
    with connect(url, role="tonne_mrv", autocommit=True) as conn:
        (project,) = load_registry(conn).projects
        plan = plan_of(conn, project, *span)
        fleet = plan.fleet()
        frame = month.frame(range(len(fleet)), month.MINUTE_US)
        rows = remeter(fleet, [frame], monitored(plan.project, fleet), *span)
        case = Case(plan, [frame], rows, *span, load_book(conn))
        documents = pack.StatementDocuments(compose(case, Label(1, program())), None, ())
        whole = pack.complete(conn, documents, case_files(case))
    for name, data in whole.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    keep_freed()  # as `tonne verify` does
    began, spent = time.monotonic(), time.process_time()
    report = verify(read_pack(folder))
    took, cpu = time.monotonic() - began, time.process_time() - spent
    if not report.consistent:
        raise AssertionError(f"the bench's pack does not verify: {report}")
    digest = canonical.sha256_hex((folder / "statement.json").read_bytes())[:8]
    print(
        f"verified {len(frame)} readings of {len(fleet)} devices ({digest}) in {took:.2f} s,"
        f" {cpu:.2f} s of processor time"
    )
    shutil.rmtree(folder)
    return {
        "verify_readings_per_s": len(frame) / took,
        "verify_month_s": took,
        "verify_month_readings_per_cpu_s": len(frame) / cpu,
    }
