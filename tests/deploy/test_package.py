"""tonne installed from its wheel, outside a checkout, with its required packages only."""

import json
import os
import subprocess
import sys
from importlib.metadata import packages_distributions

import grimp
import pytest

from services import extras
from services.cli.__main__ import COMMANDS
from tests.deploy.files import DEPLOY
from tests.deploy.installed import install

OURS = {"ingest", "mrv", "services"}


@pytest.fixture(scope="session")
def bare(tmp_path_factory):
    """Return the `bin` of an installation without any extra."""
    return install(tmp_path_factory, "bare", ())


def ask(bin_folder, folder, *words, **environment):
    """Run a command of the installation in a folder that is no checkout."""
    return subprocess.run(
        [bin_folder / "tonne", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "TONNE_HOME": str(folder / "home"), **environment},
    )


def imported():
    """Return the third-party modules that the code imports."""
    graph = grimp.build_graph(*sorted(OURS), include_external_packages=True, cache_dir=None)
    return {name for name in graph.modules if graph.is_module_squashed(name)}


def test_each_module_that_a_bare_installation_lacks_names_its_extra(bare, tmp_path):
    """`No module named 'anyio'` tells no one what to install."""
    others = sorted(imported() - OURS - {"deploy", "tests"} - sys.stdlib_module_names)
    code = (
        "import sys, importlib.util as u; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])"
    )
    done = subprocess.run(
        [bare / "python", "-c", code, *others],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    lacking = done.stdout.split()
    assert {"httpx", "fastapi", "faust", "typst"} <= set(lacking)
    assert {m: extras.extra_of(m) for m in lacking if not extras.extra_of(m)} == {}
    assert {m for m in others if extras.extra_of(m)} == set(lacking)
    assert set(others) <= packages_distributions().keys()


def test_every_command_tells_what_it_lacks_in_one_line(bare, tmp_path):
    """A technician sees forty lines of Python and gives up."""
    code = (
        "import json\n"
        "from click.testing import CliRunner\n"
        "from services.cli.__main__ import COMMANDS, main\n"
        "said = {}\n"
        "for name in COMMANDS:\n"
        "    done = CliRunner().invoke(main, [name, '--help'])\n"
        "    said[name] = done.exit_code, done.output, repr(done.exception)\n"
        "print(json.dumps(said))\n"
    )
    done = subprocess.run(
        [bare / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    said = json.loads(done.stdout)
    assert said.keys() == COMMANDS.keys()
    for name, (exit_code, output, exception) in said.items():
        assert exit_code in {0, 2}, (name, exception)
        assert not exit_code or (output.count("\n") == 1 and "; run: " in output), (name, output)
    assert {name for name, (exit_code, *_) in said.items() if not exit_code} >= {
        "run",
        "registry",
        "period",
        "verify",
        "simulate",
        "local",
    }


def test_a_missing_extra_names_the_command_that_brings_it(bare, tmp_path):
    """The hint would name a package index without tonne, and its user would get a 404."""
    done = ask(bare, tmp_path, "api")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "it comes with the extra `api`; run: uv pip install --python '" in line
    assert line.endswith("-py3-none-any.whl[api]'")


def test_the_catalog_comes_with_the_wheel(bare, tmp_path):
    """`tonne demo` and `tonne registry check` had nothing to read outside a checkout."""
    catalog = f"{ask(bare, tmp_path, 'local', 'files').stdout.strip()}/catalog/haiphong"
    assert str(bare.parent) in catalog
    checked = ask(bare, tmp_path, "registry", "check", catalog)
    assert checked.returncode == 0, checked.stderr
    (shipped,) = bare.parent.glob("lib/python*/site-packages/services/shipped_files")
    for folder in (
        "alertmanager",
        "catalog",
        "data",
        "grafana/alerting",
        "grafana/dashboards",
        "prometheus",
    ):
        ours = {p.relative_to(DEPLOY) for p in (DEPLOY / folder).rglob("*") if p.is_file()}
        assert ours
        assert {p for p in ours if not (shipped / p).exists()} == set()
