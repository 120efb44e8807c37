"""The pages together: all that a user can name is on one of them, every link leads somewhere."""

import argparse
import configparser
import importlib
import inspect
import re
import runpy
import shlex
import signal
import sys
import sysconfig
from pathlib import Path

import pytest

from sse_middleware import SSEMiddleware, cli, errors, pytest_plugin
from sse_middleware.framing import Framing
from sse_middleware.testing import faults, rechunk
from sse_middleware.testing._framing_rules import RULES

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path.read_text("utf-8") for path in DOCS.rglob("*.md")}
GUIDES = {name: text for name, text in PAGES.items() if "/" not in name}
OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
LINKED = {
    **{f"docs/{name}": text for name, text in PAGES.items()},
    **{name: (ROOT / name).read_text("utf-8") for name in OTHERS},
}
#: The modules whose ``__all__`` is public, and the page of the reference that each is on.
PUBLIC = {
    "sse_middleware": ("serving.md", "format.md"),
    "sse_middleware.relay": ("relay.md",),
    "sse_middleware.resume": ("resume.md",),
    "sse_middleware.integrations.bottle": ("bottle.md",),
    "sse_middleware.testing": ("testing.md", "faults.md"),
    "sse_middleware.testing.webtest": ("testing.md",),
    "sse_middleware.testing.faults": ("faults.md",),
    "sse_middleware.testing.rechunk": ("faults.md",),
    "sse_middleware.errors": ("errors.md",),
}
#: Their names are too many for a changelog.
IN_THE_REFERENCE_ALONE = {
    "sse_middleware.testing.faults",
    "sse_middleware.testing.rechunk",
    "sse_middleware.errors",
}
#: Public for other modules of the package, and for nobody else.
INTERNAL = {"adapt", "printable", "shown", "shown_url"}


def public():
    """Each public name with its module and its value."""
    for module_name in PUBLIC:
        if module_name.endswith("webtest"):
            pytest.importorskip("webtest")
        module = importlib.import_module(module_name)
        for name in module.__all__:
            if name not in INTERNAL:
                yield module_name, name, getattr(module, name)


def code(text):
    """What stands in fenced blocks and between backticks."""
    return "\n".join(re.findall(r"^```.*?^```|`[^`\n]+`", text, re.DOTALL | re.MULTILINE))


def is_named(name, text):
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


# The reference


def test_every_public_name_is_in_the_reference():
    missing = []
    for module, name, _ in public():
        text = "".join(PAGES[f"reference/{page}"] for page in PUBLIC[module])
        whole = re.search(rf"automodule:: {re.escape(module)}$(?:\n   :\w.*)*", text, re.MULTILINE)
        module_of_names = name in ("faults", "rechunk")
        one = rf"(?:auto\w+|automodule):: (?:{re.escape(module)}\.)?{name}$"
        if not whole and not module_of_names and not re.search(one, text, re.MULTILINE):
            missing.append(f"{module}.{name}")
    assert missing == []


def options(made):
    """The options of a callable: what may be left out, or must be named."""
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError):
        return []
    return [
        one.name
        for one in parameters
        if one.kind is one.KEYWORD_ONLY
        or (one.kind is one.POSITIONAL_OR_KEYWORD and one.default is not one.empty)
    ]


def callables():
    """Each public callable and each public method: its name, its docstrings, its options."""
    for _, name, value in public():
        if not callable(value) or (inspect.isclass(value) and issubclass(value, Exception)):
            continue
        yield name, value.__doc__ or "", options(value)
        for method, member in inspect.getmembers(value) if inspect.isclass(value) else ():
            is_ours = str(getattr(member, "__module__", "")).startswith("sse_middleware")
            if is_ours and inspect.isroutine(member) and not method.startswith("_"):
                yield f"{name}.{method}", f"{value.__doc__} {member.__doc__}", options(member)


def test_every_public_name_is_in_the_changelog():
    """So that a version's changelog misses nothing that its user may type."""
    text = code(LINKED["CHANGELOG.md"])
    names = {name for module, name, _ in public() if module not in IN_THE_REFERENCE_ALONE}
    names |= {*pytest_plugin.__all__, *dict(commands(cli.parser_of([])))}
    assert {name for name in names if not is_named(name, text)} == set()


def test_every_option_is_in_the_docstring_or_on_a_page():
    """Of a public callable, where its docstring or a page that names it tells of it."""
    missing = []
    for name, told, names in callables():
        short = name.rsplit(".", 1)[-1]
        pages = [code(text) for text in PAGES.values() if is_named(short, code(text))]
        for option in names:
            if not any(is_named(option, text) for text in [told, *pages]):
                missing.append(f"{name}({option}=)")
    assert missing == []


# Pages that must be whole


def told_defaults(page, heading):
    """The first two cells of the rows of the table in a section: names and defaults."""
    section = GUIDES[page].split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", section, re.MULTILINE))


def test_every_option_of_the_middleware_is_told_with_its_default():
    told = told_defaults("serving.md", "All options")
    parameters = inspect.signature(SSEMiddleware).parameters.values()
    defaults = {one.name: one.default for one in parameters if one.kind is one.KEYWORD_ONLY}
    assert list(told) == list(defaults)
    for name, default in defaults.items():
        assert eval(told[name]) == default


def test_the_options_of_event_stream_and_of_the_plugin_are_told():
    section = GUIDES["serving.md"].split("\n## All options\n", 1)[1]
    [named] = re.findall(r"\. ((?:[^.]*)) are also those of `event_stream", section)
    assert re.findall(r"`(\w+)`", named) == list(Framing._fields)


def test_every_error_is_on_the_page_of_errors():
    for name in set(errors.__all__) - INTERNAL:
        assert is_named(name, GUIDES["errors.md"])


def test_every_rule_of_framing_has_its_section():
    for rule in RULES.values():
        assert f"\n### {rule.code} {rule.name}\n" in GUIDES["framing.md"]


def test_every_fault_has_its_section():
    for name in set(faults.__all__) - {"Fault"}:
        assert re.search(rf"^## `{name}\(", GUIDES["faults.md"], re.MULTILINE)


def test_every_mode_of_rechunk_is_named():
    for name in set(rechunk.__all__) - {"MODES", "Rechunk"}:
        assert is_named(name, GUIDES["fake-upstream.md"]), name


def test_every_key_of_the_environ_is_told():
    sources = (ROOT / "sse_middleware").rglob("*.py")
    used = {
        key
        for source in sources
        for key in re.findall(
            r'environ(?:\.get\(|\.pop\(|\[)"(sse_middleware\.\w+)"', source.read_text("utf-8")
        )
    }
    assert used
    assert {key for key in used if f"| `{key}` |" not in PAGES["reference/environ.md"]} == set()


def test_every_fixture_the_mark_and_the_ini_option_are_told():
    page = GUIDES["pytest.md"]
    for name in pytest_plugin.__all__:
        assert f"| `{name}` |" in page
    inis = []
    parser = argparse.Namespace(addini=lambda name, *args, **kwargs: inis.append(name))
    pytest_plugin.pytest_addoption(parser)
    assert inis
    for name in inis:
        assert re.search(rf"^{name} = ", page, re.MULTILINE)
    marks = []
    pytest_plugin.pytest_configure(
        argparse.Namespace(addinivalue_line=lambda name, line: marks.append(line))
    )
    for mark in marks:
        name = mark.split("(")[0]
        assert f"@pytest.mark.{name}(" in page
        for argument in re.findall(r"(\w+)=True", mark.split(":")[0]):
            assert is_named(argument, code(page)), argument


# The commands


class Parsed(Exception):
    """Carries the parser out of ``main``."""


@pytest.fixture
def parser_of(monkeypatch):
    """From arguments to the parser that ``main`` parses them with, however that is made."""

    def parser_of(arguments):
        def parse_args(self, *args, **kwargs):
            raise Parsed(self)

        with monkeypatch.context() as patch, pytest.raises(Parsed) as raised:
            patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
            cli.main(arguments)
        return raised.value.args[0]

    return parser_of


def commands(parser):
    """Each command with its own parser."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def own_parsers(parser_of):
    """The same, each as it is when its command is given."""
    return {name: dict(commands(parser_of([name])))[name] for name, _ in commands(parser_of([]))}


def test_every_command_and_every_flag_is_told(parser_of):
    found = own_parsers(parser_of)
    assert {"demo", "record", "replay", "inspect"} <= set(found)
    assert "--upstream" in found["record"]._option_string_actions
    parts = re.split(r"^## ", GUIDES["commands.md"], flags=re.MULTILINE)
    missing = []
    for name, parser in found.items():
        own = [part for part in parts if is_named(name, part.split("\n", 1)[0])]
        words = [
            action.option_strings[-1:] or [action.metavar or action.dest]
            for action in parser._actions
        ]
        for word in [name, *(str(word) for [word] in words if word != "--help")]:
            if not own or not is_named(word, own[0]):
                missing.append(f"{name}: {word}")
    assert missing == []


def shown_commands():
    """Each command line of ours that a page shows, without what a shell does with it."""
    for page, text in sorted(LINKED.items()):
        for line in re.findall(r"^\$ (.*sse-middleware .*)$", text, re.MULTILINE):
            for part in re.split(r" (?:&&|\|) ", line):
                if part.startswith("sse-middleware "):
                    yield pytest.param(part, id=f"{page}: {part}")


@pytest.mark.parametrize("line", list(shown_commands()))
def test_a_command_that_is_shown_can_be_given(line, parser_of):
    arguments = shlex.split(line, comments=True)[1:]
    assert parser_of(arguments).parse_args(arguments)


# Links, and the way through the pages


def slugs(text):
    """The anchors of the headings of a page, as GitHub and MyST make them."""
    made = set()
    for heading in re.findall(r"^#+ (.+)$", without_blocks(text), re.MULTILINE):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = 0
        while slug in made:
            number += 1
            slug = f"{slug.rsplit('-', 1)[0] if number > 1 else slug}-{number}"
        made.add(slug)
    return made


def without_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def links(text):
    """Where the links of a page lead, those to other sites left out."""
    prose = re.sub(r"`[^`\n]*`(?!\])", "", without_blocks(text))
    return [
        target
        for target in re.findall(r"\]\(([^)\s]+)\)", prose)
        if not re.match(r"[a-z]+:", target)
    ]


@pytest.mark.parametrize("page", sorted(LINKED))
def test_every_link_of_a_page_leads_somewhere(page):
    lost = []
    for target in links(LINKED[page]):
        path, _, anchor = target.partition("#")
        goal = (ROOT / page).parent / path if path else ROOT / page
        if not goal.exists() or (anchor and anchor not in slugs(goal.read_text("utf-8"))):
            lost.append(target)
    assert lost == []


def test_every_page_is_in_a_toctree():
    entries = []
    for name, text in PAGES.items():
        folder = Path(name).parent
        for tree in re.findall(r"^```\{toctree\}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
            lines = [line for line in tree.splitlines() if line and not line.startswith(":")]
            entries += [(folder / line).as_posix() + ".md" for line in lines]
    assert sorted(entries) == sorted(set(PAGES) - {"index.md"})


# What the examples import

#: What another name installs.
DISTRIBUTIONS = {"web": "web.py"}
#: The frameworks that a reader has who wants the example: the page says so.
HAD = {
    "README.md": {"django"},  # a view, and no app
    "quick-start.md": {"flask", "bottle", "django", "pyramid", "falcon", "cherrypy", "web.py"},
    "migrate.md": {"flask-sse", "sse-starlette", "starlette"},
}
#: What comes with an extra of ours, by way of what the extra names.
BROUGHT = {"testing": {"waitress", "requests"}}


def imported(text):
    """The packages that the Python of a page imports, but for Python's own and the page's."""
    python = "\n".join(re.findall(r"^```py\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))
    names = re.findall(r"^(?:>>> | *)(?:from|import) (\w+)", python, re.MULTILINE)
    return {name for name in names if not is_python(name) and f"`{name}.py`" not in text}


def is_python(name):
    if name in ("sse_middleware", *sys.builtin_module_names):
        return True
    return (Path(sysconfig.get_path("stdlib")) / name).is_dir() or (
        Path(sysconfig.get_path("stdlib")) / f"{name}.py"
    ).is_file()


def installed(text):
    """What the page says to install, extras of ours taken apart."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    extras = setup["options.extras_require"]
    found = set()
    for line in re.findall(r"pip install\s+([^`\n&]*(?:\n[^`\n&]*(?=`))?)", text):
        for word in line.replace("'", "").replace('"', "").split():
            name, _, of_ours = word.rstrip("]").partition("[")
            found.add(name)
            for extra in of_ours.split(",") if of_ours else ():
                found |= BROUGHT.get(extra, set())
                found |= {re.split("[>=]", one)[0] for one in extras.get(extra, "").split()}
    return found


@pytest.mark.parametrize("page", sorted({*GUIDES, "README.md"} - {"check.md", "servers.md"}))
def test_what_a_page_imports_it_says_to_install(page):
    text = GUIDES.get(page) or LINKED[page]
    needed = {DISTRIBUTIONS.get(name, name).replace("_", "-") for name in imported(text)}
    assert needed - installed(text) == HAD.get(page, set())


# Blocks


@pytest.mark.parametrize("page", sorted(GUIDES))
def test_the_test_of_a_page_counts_its_blocks(page):
    """So that a block that is added has a test that runs it."""
    fences = re.findall(r"^```(.*)$", GUIDES[page], re.MULTILINE)[::2]
    if page in MADE or not any(fence[:1] != "{" for fence in fences):
        return
    name = f"test_docs_{page[: -len('.md')].replace('-', '_')}.py"
    tests = list((ROOT / "tests").rglob(name))
    assert tests, f"the page has blocks and no {name}"
    counts = r"^def test_(?:every|each)_\w*(?:block|example|command)"
    assert re.search(counts, tests[0].read_text("utf-8"), re.MULTILINE), "no test counts them"


#: Pages whose blocks are written by the tests of their subject.
MADE = {"check.md", "proxies.md", "servers.md"}


def test_the_page_of_the_servers_is_made_by_their_table():
    """All of it but the rows, which are measured."""
    made = runpy.run_path(str(ROOT / "tests" / "servers" / "table.py"))
    head, _, rest = GUIDES["servers.md"].partition("\n| server |")
    assert head == made["INTRO"]
    assert rest.partition("\n\n")[2] == made["LEGEND"][1:] + made["NOTES"] + made["recipes"]()


def test_the_recipe_of_gunicorn_drains_a_flask_app_too():
    """As README.md wraps it: gunicorn serves the Flask app, and its wsgi_app is the middleware."""
    recipe = runpy.run_path(str(ROOT / "tests" / "servers" / "recipes" / "gunicorn_drain.py"))
    before = signal.getsignal(signal.SIGTERM)
    for wrap in (lambda app: app, lambda app: argparse.Namespace(wsgi_app=app)):
        app = SSEMiddleware(lambda environ, start_response: [])
        worker = argparse.Namespace(wsgi=wrap(app))
        try:
            recipe["post_worker_init"](worker)
        finally:
            signal.signal(signal.SIGTERM, before)
        recipe["worker_exit"](None, worker)
        assert worker.drain == app.drain
    recipe["worker_exit"](None, argparse.Namespace())  # it failed to start
