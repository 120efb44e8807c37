"""How Sphinx builds the pages of this folder: ``tox -e docs``, without a network."""

from importlib import metadata
from typing import Any, Dict, List

project = "sse_middleware"
author = "the sse_middleware authors"
copyright = f"2026, {author}"
release = version = metadata.version("sse-middleware")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"sse_middleware {release}"
html_copy_source = False
highlight_language = "none"  # of a block that names none
pygments_style = "friendly"
pygments_dark_style = "native"

# Headings of the pages are link targets, as they are on GitHub.
myst_heading_anchors = 4

# A name in single backticks is one of the reference; that it is there is checked.
default_role = "py:obj"
nitpicky = True
#: In signatures: types of the standard library, of other packages, and our own that nobody names.
nitpick_ignore_regex = [("py:class", ".*"), ("py:obj", "json")]
smartquotes_action = "D"  # dashes; quotes stay as they are typed
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"exclude-members": "__init__, __new__"}
python_maximum_signature_line_length = 80
toc_object_entries_show_parents = "hide"
napoleon_use_param = napoleon_use_keyword = False
napoleon_custom_sections = [("Forms", "notes_style")]


def without_private(app: Any, name: str, obj: Any, options: Any, bases: List[type]) -> None:
    """Show the public bases of a class, also those behind a private one."""
    shown: List[type] = []
    for base in bases:
        found = base.__bases__ if base.__name__.startswith("_") else (base,)
        shown += [each for each in found if each not in shown]
    bases[:] = shown


def found_anywhere(app: Any, env: Any, node: Any, contnode: Any) -> Any:
    """The docstrings name things without their modules: look for the one of that name."""
    domain, target = env.get_domain("py"), node["reftarget"]
    found = domain.find_obj(env, None, None, target, "obj", 1)
    found = [(name, entry) for name, entry in found if not entry.aliased]
    if len(found) != 1:
        return None
    docname = node.get("refdoc", "")
    return domain.resolve_xref(env, docname, app.builder, "obj", found[0][0], node, contnode)


_kept: Dict[str, List[str]] = {}


def keep(app: Any, what: str, name: str, obj: Any, options: Any, lines: List[str]) -> None:
    """Napoleon would take what is before a colon for the type of an attribute."""
    if what in ("attribute", "data", "property"):
        _kept[name] = list(lines)


def give_back(app: Any, what: str, name: str, obj: Any, options: Any, lines: List[str]) -> None:
    """Behind Napoleon: what `keep` has kept."""
    lines[:] = _kept.pop(name, lines)


def setup(app: Any) -> None:
    """Sphinx calls it."""
    app.connect("autodoc-process-docstring", keep, priority=400)
    app.connect("autodoc-process-docstring", give_back, priority=600)
    app.connect("missing-reference", found_anywhere)
    app.connect("autodoc-process-bases", without_private)
