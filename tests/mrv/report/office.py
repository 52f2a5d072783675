"""LibreOffice as the reader: it calculates every formula of a workbook again."""

import os
import re
import shutil
import subprocess
import zipfile
from io import BytesIO

import pytest

SOFFICE = shutil.which("soffice")
_VALUE = re.compile(r"(</f>)<v>[^<]*</v>")


def required(program, package):
    """Skip without a program; where CI runs it has to be there."""
    if shutil.which(program) is None:
        message = f"{program} is not here; `sh deploy/test_packages.sh` installs {package}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def without_values(data):
    """Take away the values that we wrote beside the formulas, so that none can be taken over."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.startswith("xl/worksheets/"):
                text = _VALUE.sub(r"\1", text.decode()).encode()
            new.writestr(name, text)
    return out.getvalue()


def calculated(folder, workbooks):
    """
    Let LibreOffice open workbooks and write them again with what it calculated.

    Parameters
    ----------
    workbooks : mapping of str to bytes
        By name.
    """
    required("soffice", "libreoffice-calc-nogui")
    given, found = folder / "given", folder / "found"
    given.mkdir()
    for name, data in workbooks.items():
        (given / f"{name}.xlsx").write_bytes(without_values(data))
    subprocess.run(
        [SOFFICE, "--headless", f"-env:UserInstallation={(folder / 'profile').as_uri()}",
         "--convert-to", "xlsx", "--outdir", str(found), *map(str, sorted(given.iterdir()))],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    return {name: (found / f"{name}.xlsx").read_bytes() for name in workbooks}
