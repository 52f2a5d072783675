"""The documentation as a site: the Markdown pages of the repository, as Sphinx reads them."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]

project = "tonne"
author = "the tonne project"
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "docs/index"
# pages of the repository's root and of docs; a link to any other file is offered as that file
include_patterns = ["*.md", "docs/**", "*/README.md", "mrv/NOMENCLATURE.md"]
exclude_patterns = ["docs/site/**", "docs/schemas/**", ".*/**", "deploy/**", "tests/**"]
# links to folders of the code, which a site has no page for; tests/test_documented.py follows all
suppress_warnings = ["myst.xref_missing"]
source_suffix = {".md": "markdown"}

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_title = f"tonne {release}"
html_static_path = []
html_copy_source = False
html_show_copyright = False
html_show_sphinx = False
copybutton_prompt_text = r"\$ "
copybutton_prompt_is_regexp = True
