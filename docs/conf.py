"""Settings of the documentation, which `make docs` builds; a warning is an error there."""

from seqtools import __version__

project = "seqtools"
author = "The seqtools authors"
copyright = f"2026, {author}"
release = __version__

# No intersphinx: the documentation builds without a network.
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings have names in single backquotes: links where there is something to link to.
default_role = "py:obj"
napoleon_numpy_docstring = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"

html_theme = "furo"
html_title = f"seqtools {release}"
