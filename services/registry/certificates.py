"""Parsers for calibration certificates and meter replacements of a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal

from ingest import classes
from ingest.profiles import file_registers
from ingest.profiles.file_registers import Register
from mrv.registry.declared import Calibration
from services.registry.entries import Replacement
from services.registry.fields import MAX_WHOLE, Row


def calibrator(class_id: str) -> Callable[[Row], Calibration]:
    """Return a parser for certificates, with the channel names of the class."""
    columns = {r.name: r.column for r in file_registers.registers(class_id).values()}
    device_class = classes.load().get(class_id)
    if device_class is not None:
        columns |= {n: n for n, c in device_class.channels.items() if c.kind == "gauge"}

    def read(row: Row) -> Calibration:
        row.only(*(f.name for f in fields(Calibration)))
        performed = row.required("performed", row.day("performed"), "a date")
        last_test = bool(row.flag("last_test"))
        ends = row.day("valid_until")
        if last_test and ends is not None:
            row.problem(
                "valid_until", "goes with no `last_test`: the meter was removed; leave it out"
            )
        channel = row.optional("channel")
        if channel is not None and channel not in columns:
            known = ", ".join(sorted(columns))
            row.problem("channel", f"{channel!r} is not a channel of {class_id!r}; known: {known}")
        calibration = Calibration(
            performed=performed,
            valid_until=performed if last_test else row.required("valid_until", ends, "a date"),
            certificate=row.text("certificate"),
            accuracy_class=row.optional("accuracy_class"),
            max_error_percent=row.number("max_error_percent", 0, 100),
            serial=row.optional("serial"),
            channel=columns.get(channel or ""),
            found_error_percent=row.number("found_error_percent", 0, 100),
            last_test=last_test,
            laboratory=row.optional("laboratory"),
            accreditation=row.optional("accreditation"),
        )
        if calibration.accreditation and not calibration.laboratory:
            row.problem("laboratory", "is missing: `accreditation` is the number of a laboratory")
        if last_test and calibration.found_error_percent is None:
            row.problem("found_error_percent", "is missing; give the error that the test found")
        if not row.problems and not last_test and calibration.valid_until <= calibration.performed:
            row.problem(
                "valid_until", f"{calibration.valid_until} is not after {calibration.performed}"
            )
        return calibration

    return read


def replacer(class_id: str) -> Callable[[Row], Replacement]:
    """Return a parser for meter replacements, whose values are in the class's payload unit."""
    registers = file_registers.registers(class_id)

    def read(row: Row) -> Replacement:
        row.only("at", "channel", "last", "first", "reason", "document")
        channel = row.text("channel")
        register = registers.get(channel)
        if register is None and channel:
            known = ", ".join(registers) or "none"
            row.problem("channel", f"{channel!r} is no register of {class_id!r}; known: {known}")
        return Replacement(
            channel=register.column if register else "",
            at=row.required("at", row.moment("at"), "a time with its offset"),
            last=_base(row, "last", register),
            first=_base(row, "first", register),
            reason=row.text("reason"),
            document=row.optional("document"),
        )

    return read


def _base(row: Row, key: str, register: Register | None) -> int:
    """Return a register's value in base units, exactly."""
    result = row.required(key, row.number(key, 0, MAX_WHOLE), "the register's value")
    if result is None or register is None:
        return 0
    value = register.to_base(Decimal(result))
    if value is None or value > MAX_WHOLE:
        row.problem(key, f"{result} {register.unit} is finer or larger than is stored; round it")
    return value or 0
