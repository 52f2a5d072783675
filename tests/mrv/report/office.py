"""LibreOffice as reader: it recalculates every formula of a workbook."""

import os
import re
import shutil
import subprocess
import zipfile
from functools import cache
from io import BytesIO

import pytest

from tests import memory

SOFFICE = shutil.which("soffice")
_VALUE = re.compile(r"(</f>)<v>[^<]*</v>")


def required(program, package):
    """Skip the test if a program is missing; in CI it must be installed."""
    if shutil.which(program) is None:
        message = f"{program} is not here; `sh deploy/test_packages.sh` installs {package}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)


def without_values(data):
    """Remove the values stored beside the formulas, so that none can be reused."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.startswith("xl/worksheets/"):
                text = _VALUE.sub(r"\1", text.decode()).encode()
            new.writestr(name, text)
    return out.getvalue()


@cache
def _profile():
    """Return the folder of LibreOffice's settings: its first start takes most of a conversion."""
    return memory.kept("office-")


def calculated(folder, workbooks):
    """
    Let LibreOffice open workbooks and save them with recalculated values.

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
        [SOFFICE, "--headless", f"-env:UserInstallation={_profile().as_uri()}",
         "--convert-to", "xlsx", "--outdir", str(found), *map(str, sorted(given.iterdir()))],
        check=True, capture_output=True,
    )  # fmt: skip
    return {name: (found / f"{name}.xlsx").read_bytes() for name in workbooks}
