"""sse_middleware.cli.loading: which app a name means, and what is told where there is none."""

import os
import subprocess
import sys

import pytest

from sse_middleware.cli.loading import load_app
from sse_middleware.errors import OptionError, SSEError

CHAT = """
import json
from json import dumps

def app(environ, start_response):
    return ["app"]

def application(environ, start_response):
    return ["application"]

class Api:
    async def __call__(self, scope, receive, send):
        pass

class Plain:
    def __call__(self, environ, start_response):
        return ["Plain"]

class made:
    plain = Plain()
    count = 3

def create_app():
    return app

def create_config():
    return {"debug": True}

def broken():
    raise KeyError("OPENAI_API_KEY")

def configured(config):
    return app

async def asgi(scope, receive, send):
    pass

def asgi2(scope):
    pass

class Old:
    def __init__(self, environ, start_response):
        pass

    def __iter__(self):
        return iter(["Old"])

class Pair:
    def __init__(self, one, other):
        pass

api = Api()
config = {"debug": True}
_hidden = app
"""
FILES = {
    "chat.py": CHAT,
    "wsgi.py": "def application(environ, start_response):\n    return ['wsgi']\n",
    "bare.py": "import json\nfrom json import dumps\nlimit = 3\n",
    "proxied.py": "class Request:\n"
    "    __name__ = property(lambda self: 1 / 0)\n"
    "    __call__ = print\n"
    "request = Request()\n"
    "def application(environ, start_response):\n    return ['proxied']\n",
    "late.py": "def create_app():\n    pass\n",
    "package/__init__.py": "",
    "package/web.py": "def app(environ, start_response):\n    return ['web']\n",
    "dashed-name.py": "def app(environ, start_response):\n    return ['dashed']\n",
    "imports.py": "import os\nimport not_installed_at_all\n",
    "deep.py": "def fail():\n    return 1 / 0\n\nfail()\n",
    "library.py": "import json\n\njson.loads('no JSON')\n",
    "ours.py": "from sse_middleware import SSEMiddleware\nSSEMiddleware(print, heartbeat=-1)\n",
    "syntax.py": "ok = 1\ndef f(:\n",
    "exits.py": "import sys\nsys.exit('no key')\n",
    "lines.py": "raise ValueError('one\\n  two')\n",
    "silent.py": "raise LookupError\n",
    "django_unset.py": "from django.core.wsgi import get_wsgi_application\n"
    "application = get_wsgi_application()\n",
    "django_wrong.py": "import os\nos.environ['DJANGO_SETTINGS_MODULE'] = 'nowhere.settings'\n"
    "from django.core.wsgi import get_wsgi_application\n"
    "application = get_wsgi_application()\n",
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The current directory, with `FILES`; what is imported from it is forgotten."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in {file.split(".")[0].split("/")[0] for file in FILES}:
        for module in set(sys.modules) - before:
            if module.split(".")[0] == name:
                del sys.modules[module]


FOUND = {
    "chat": "app",
    "wsgi": "wsgi",
    "chat:application": "application",
    "chat:made.plain": "Plain",
    "chat:create_app()": "app",
    "chat:Plain()": "Plain",
    "chat:_hidden": "app",
    "chat:Old": "Old",
    "package.web": "web",
    "package.web:app": "web",
    "dashed-name": "dashed",
}


@pytest.mark.parametrize(("text", "answer"), FOUND.items(), ids=FOUND)
def test_the_app_that_is_meant_is_found(text, answer):
    assert list(load_app(text)({}, print)) == [answer]


def test_a_callable_that_does_not_tell_its_arguments_is_taken_as_it_is():
    assert load_app("builtins:min") is min


def test_the_current_directory_comes_first_and_once(folder):
    load_app("chat")
    load_app("wsgi")
    assert sys.path[0] == str(folder)
    assert sys.path.count(str(folder)) == 1


WSGI = "a WSGI app, called with environ, start_response"
SHAPE = "module, module:name or module:factory()"
CALLABLES = "app, application, Api, Plain, made, create_app, create_config, broken, configured"
ALL = f"one of {CALLABLES}, asgi, asgi2, Old, Pair, api"
HERE = "expected one that is installed, or in {folder}"
REFUSED = {
    "nothing": f"app is '': expected {SHAPE}",
    "chat:": f"app is 'chat:': expected {SHAPE}",
    ":app": f"app is ':app': expected {SHAPE}",
    ".chat": f"app is '.chat': expected {SHAPE}",
    "chat:a:b": f"app is 'chat:a:b': expected {SHAPE}",
    "chat:app(1)": f"app is 'chat:app(1)': expected {SHAPE}",
    "chat:()": f"app is 'chat:()': expected {SHAPE}",
    "chat.py": "module is 'chat.py', a path: expected its name: chat",
    "./chat.py": "module is './chat.py', a path: expected its name: chat",
    "package/web.py:app": "module is 'package/web.py', a path: expected its name: package.web",
    "package/web": "module is 'package/web', a path: expected its name: package.web",
    "/srv/chat.py": "module is '/srv/chat.py', a path: expected its name: chat, in the folder /srv",
    "../chat.py": "module is '../chat.py', a path: expected its name: chat, in the folder {above}",
    "package/../chat.py": "module is 'package/../chat.py', a path: expected its name: chat",
    "nowhere": "module is 'nowhere', not found: " + HERE,
    "nowhere.at.all": "module is 'nowhere.at.all', not found (No module named 'nowhere'): " + HERE,
    "package.api": "module is 'package.api', not found: " + HERE,
    "bare": "module is bare, without app: expected a module with a WSGI app: it has no callable",
    "late": "module is late, without app: expected a name behind it: late:create_app",
    "chat:ap": f"name is 'ap', not in chat: expected {ALL}",
    "proxied:nope": "name is 'nope', not in proxied: expected one of Request, application",
    "chat:made.nothing": "name is 'nothing', not in made: expected one of plain",
    "chat:config.debug": "name is 'debug', not in dict: expected another: dict has no callable",
    "chat:config": "chat:config is {'debug': True}: expected " + WSGI,
    "chat:made.count": f"chat:made.count is 3: expected {WSGI}",
    "chat:config()": "chat:config() is {'debug': True}: expected a factory, "
    "called without arguments",
    "chat:create_config()": "chat:create_config() is {'debug': True}: expected " + WSGI,
    "chat:asgi": f"chat:asgi is an ASGI app: expected {WSGI}",
    "chat:api": f"chat:api is an ASGI app: expected {WSGI}",
    "chat:asgi2": f"chat:asgi2 is called with (scope): expected {WSGI}, or a factory: chat:asgi2()",
    "chat:create_app": f"chat:create_app is called with (): expected {WSGI}, "
    "or a factory: chat:create_app()",
    "chat:Pair": "chat:Pair is a class whose objects are no response: "
    f"expected {WSGI}, or a factory: chat:Pair()",
}


@pytest.mark.parametrize(("text", "message"), REFUSED.items(), ids=REFUSED)
def test_what_is_no_app_is_told_with_what_would_be_one(text, message, folder):
    with pytest.raises(OptionError) as caught:
        load_app("" if text == "nothing" else text)
    told = message.replace("{folder}", str(folder)).replace("{above}", str(folder.parent))
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("text", "file", "taken"),
    [
        ("json", "json.py", os.__file__.replace("os.py", os.path.join("json", "__init__.py"))),
        ("json:app", "json/__init__.py", os.path.join("json", "__init__.py")),
        ("json.web", "json/__init__.py", os.path.join("json", "__init__.py")),
        ("sys", "sys.py", "a part of Python"),
    ],
    ids=["a module", "with a name", "a package", "built in"],
)
def test_a_module_whose_name_is_taken_is_told_of_both(text, file, taken, folder):
    (folder / file).parent.mkdir(exist_ok=True)
    (folder / file).write_text(FILES["wsgi.py"])
    with pytest.raises(OptionError) as caught:
        load_app(text)
    assert f"{taken} and not {folder / file}: expected a name of its own" in str(caught.value)


def test_a_module_that_is_imported_already_is_not_taken_by_itself():
    assert load_app("wsgi") is load_app("wsgi")


FAILED = {
    "imports": ("imports.py:2", "ModuleNotFoundError: No module named 'not_installed_at_all'"),
    "deep": ("deep.py:2", "ZeroDivisionError: division by zero"),
    "library": ("library.py:3", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
    "ours": ("ours.py:2", "OptionError: heartbeat is -1: expected seconds, a number > 0, or None"),
    "exits": ("exits.py:2", "SystemExit: no key"),
    "lines": ("lines.py:1", "ValueError: one two"),
    "silent": ("silent.py:1", "LookupError"),
    "chat:broken()": ("chat.py:30", "KeyError: 'OPENAI_API_KEY'"),
}


@pytest.mark.parametrize(("text", "told"), FAILED.items(), ids=FAILED)
def test_an_exception_of_the_module_is_one_line_with_its_innermost_place_there(text, told, folder):
    with pytest.raises(SSEError) as caught:
        load_app(text)
    place, error = told
    assert str(caught.value) == f"{text} failed: {folder}{os.sep}{place}: {error}"


def test_what_stands_for_something_else_is_told_in_its_own_words(folder):
    pytest.importorskip("flask")
    (folder / "late.py").write_text("from flask import request\n")
    with pytest.raises(SSEError, match=r"^late:request failed: .*RuntimeError: Working outside of"):
        load_app("late:request")


def test_a_module_that_is_no_python_is_told_with_its_line(folder):
    with pytest.raises(SSEError, match=r"syntax failed: .*syntax\.py:2: SyntaxError: \S+"):
        load_app("syntax")


def test_a_factory_that_wants_arguments_is_told_in_pythons_words():
    told = r"configured\(\) failed: TypeError: configured\(\) missing 1 required .*: 'config'"
    with pytest.raises(SSEError, match=told):
        load_app("chat:configured()")


@pytest.mark.parametrize("name", ["django_unset", "django_wrong"])
def test_settings_that_django_lacks_are_told_with_the_line_that_needs_them(name, folder):
    pytest.importorskip("django")
    # In a process of its own: here another test may have configured Django.
    load = "import sys; from sse_middleware.cli.loading import load_app; load_app(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", load, name], capture_output=True, timeout=60, check=False
    )
    told = done.stderr.decode().splitlines()[-1]
    assert f"{name} failed: {folder}{os.sep}{name}.py:" in told
    wanted = "DJANGO_SETTINGS_MODULE" if name == "django_unset" else "No module named 'nowhere'"
    assert wanted in told
