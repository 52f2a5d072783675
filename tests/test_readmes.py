"""READMEs are those that `make readmes` writes: their files, what they answer, who imports them."""

import importlib.util
from pathlib import Path

from tests.every import every

ROOT = Path(__file__).parents[1]
_spec = importlib.util.spec_from_file_location("readmes", ROOT / "deploy/readmes.py")
readmes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(readmes)


def test_a_readme_has_not_drifted():
    """A reader would look for a file that is gone, or import what the contracts refuse."""

    @every(readmes.packages())
    def _(folder):
        assert (folder / "README.md").read_bytes().decode() == readmes.readme(folder), (
            "make readmes"
        )
