"""
Errors between an interval and a signed statement.

TonneError
`-- InputError
    `-- MrvError
        |-- CanonicalError         a value has no canonical bytes, or bytes are not canonical data
        |   `-- PackFormatError    a pack has the format of another version
        |-- PackTooLargeError      a pack exceeds the size limits; its validity is not assessed
        |-- SignatureError         a key, proof or signed note is malformed or does not verify
        |-- SignedValueError       a value signed by a meter, or the meter's key, cannot be read
        |-- LogError               a Merkle proof, checkpoint or receipt is not valid
        |   `-- WitnessRefusedError    a witness does not cosign a checkpoint
        |-- TimestampError         a time-stamp token is not of these bytes or not accepted
        |-- EnrolmentError         a key is not enrolled, enrolled twice, or in the wrong role
        |-- MethodologyError       a methodology is unknown, or its inputs do not suit it
        |-- RuleError              a rule is not in the catalogue
        |-- IndicatorError         an indicator is unknown, or its limits or inputs do not suit it
        |-- FactorError            no emission factor of that kind and direction is valid then
        |   `-- CountryFactorError the grid of the project's country has no factor at that time
        |-- PeriodError            a monitoring period cannot be closed
        |-- StatementStateError    a statement cannot change to that state
        |-- ReportError            a report cannot be made
        |-- ExportError            an export cannot be made, or entries contradict each other
        `-- VerificationError      a step of the verification failed
"""

from ingest.errors import InputError


class MrvError(InputError):
    """Base of every error of this package."""


class CanonicalError(MrvError):
    """A value has no canonical bytes, or bytes cannot be read as canonical data."""


class PackFormatError(CanonicalError):
    """
    An evidence pack has the format of another version.

    `what`: the format and its version.
    `remedy`: how the pack can still be verified.
    """

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.remedy = remedy


class PackTooLargeError(MrvError):
    """A pack exceeds the size limits; its validity is not assessed."""


class SignatureError(MrvError):
    """A key, a proof or a signed note is malformed or does not verify."""


class SignedValueError(MrvError):
    """A value signed by a meter, or a meter's key, cannot be read."""


class LogError(MrvError):
    """A Merkle proof, a checkpoint or a receipt is not valid."""


class TimestampError(MrvError):
    """A time-stamp token is not of these bytes, or not by an accepted authority."""


class WitnessRefusedError(LogError):
    """
    A witness refuses to cosign a checkpoint.

    `status`: HTTP status as defined by c2sp.org/tlog-witness.
    `what`: the reason.
    `size`: size of the last tree head that it cosigned, where the status is 409.
    """

    def __init__(self, status: int, what: str, size: int | None = None) -> None:
        super().__init__(what)
        self.status = status
        self.size = size


class EnrolmentError(MrvError):
    """A key is unknown, enrolled twice, or enrolled in another role."""


class MethodologyError(MrvError):
    """A methodology is unknown, or its inputs are not valid."""


class RuleError(MrvError):
    """A rule is not in the catalogue."""


class IndicatorError(MrvError):
    """An indicator is unknown, its limits are missing, or its inputs are not valid."""


class FactorError(MrvError):
    """No emission factor of that kind and direction is valid at that time."""


class CountryFactorError(FactorError):
    """The project's grid has no factor at that time; a factor of another grid is not accepted."""


class PeriodError(MrvError):
    """A monitoring period cannot be closed."""


class StatementStateError(MrvError):
    """A statement cannot change to that state."""


class ReportError(MrvError):
    """A report cannot be made: its language is unknown, or it does not fit its format."""


class ExportError(MrvError):
    """An export cannot be made of a statement, or entries of an authority contradict each other."""


class VerificationError(MrvError):
    """
    A step of the verification of a statement failed.

    `step`: number and name of the step, as in the verifier's report.
    `what`: the finding, with the item and its value.
    `remedy`: what the reader can do about it.
    """

    def __init__(self, step: str, what: str, remedy: str) -> None:
        super().__init__(step, what, remedy)
        self.step = step
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.step}: {self.what}; {self.remedy}"
