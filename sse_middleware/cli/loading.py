"""The WSGI app that ``module:name`` names, and in one line why it cannot be had.

Whose fault it is decides what is told: a name that is not there is the caller's, an exception
while the module is imported is the module's, and is told with the place that raised it.
"""

import inspect
import os
import sys
import sysconfig
import traceback
from importlib import import_module
from types import ModuleType
from typing import Any, Callable, List, NamedTuple, Optional

from sse_middleware.errors import OptionError, SSEError, shown
from sse_middleware.response import WSGIApp

__all__ = ["load_app"]

_EXPECTED = "module, module:name or module:factory()"
_WSGI = "a WSGI app, called with environ, start_response"
_USUAL_NAMES = ("app", "application")


class _Target(NamedTuple):
    text: str
    module: str
    names: str  # dotted; empty: the usual ones
    is_factory: bool


def load_app(text: str) -> WSGIApp:
    """The app named ``module``, ``module:name`` or ``module:factory()``; names may have dots.

    Without a name it is ``app``, else ``application``. Modules are also looked for in the current
    directory.

    Raises:
        OptionError: there is no such app, or it is not for WSGI.
        SSEError: the module, or the factory, raised an exception.
    """
    target = _parsed(text)
    found = _found(_imported(target.module), target)
    if target.is_factory:
        _check_callable(found, target.text, "a factory, called without arguments")
        found = _theirs(found, target.text)
    _check_wsgi(found, target)
    app: WSGIApp = found
    return app


def _parsed(text: str) -> _Target:
    module, colon, names = text.partition(":")
    is_factory = names.endswith("()")
    names = names[:-2] if is_factory else names
    if module.endswith(".py") or "/" in module or os.sep in module:
        raise OptionError("module", f"{shown(module)}, a path", f"its name: {_as_name(module)}")
    parts = names.split(".") if colon else []
    if not all(module.split(".")) or not all(part.isidentifier() for part in parts):
        raise OptionError("app", shown(text), _EXPECTED)
    return _Target(text, module, names, is_factory)


def _as_name(path: str) -> str:
    stem = os.path.splitext(os.path.abspath(path))[0]
    here = os.path.join(os.getcwd(), "")
    if stem.startswith(here):
        return stem[len(here) :].replace(os.sep, ".")
    folder, name = os.path.split(stem)
    return f"{name}, in the folder {folder}"


def _imported(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    _check_not_taken(name)
    try:
        module: ModuleType = _theirs(lambda: import_module(name), name)
    except ModuleNotFoundError as error:
        told = "" if error.name == name else f" ({error})"
        expected = f"one that is installed, or in {os.getcwd()}"
        raise OptionError("module", f"{shown(name)}, not found{told}", expected) from None
    return module


def _check_not_taken(name: str) -> None:
    """What is imported already, such as json, would be taken for a module that is here."""
    top = name.partition(".")[0]
    for own in (os.path.abspath(f"{top}.py"), os.path.abspath(os.path.join(top, "__init__.py"))):
        if top not in sys.modules or not os.path.isfile(own):
            continue
        taken = getattr(sys.modules[top], "__file__", None) or "a part of Python"
        if os.path.realpath(taken) != os.path.realpath(own):
            measured = f"{shown(top)}, which is {taken} and not {own}"
            raise OptionError("module", measured, "a name of its own: rename the file")


def _theirs(call: Callable[[], Any], name: str) -> Any:
    """What ``call`` returns. What it raises is told in one line, with where it was raised."""
    try:
        return call()
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            raise
        raise SSEError(f"{name} failed: {_place(error)}{_last_line(error)}") from None


def _last_line(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return ": ".join(filter(None, (type(error).__name__, " ".join(text.split()))))


def _place(error: BaseException) -> str:
    """The innermost line of a file that is neither Python's nor of an installed package."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}: "
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not frame.filename.startswith("<")
    ]
    for frame in [frame for frame in frames if not _is_library(frame.filename)] or frames:
        place = f"{frame.filename}:{frame.lineno}: "
    return place if frames else ""


def _is_library(path: str) -> bool:
    ours = os.path.dirname(os.path.dirname(__file__))
    folders = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), ours)
    is_below = path.startswith(tuple(os.path.join(folder, "") for folder in folders))
    return is_below or not {"site-packages", "dist-packages"}.isdisjoint(path.split(os.sep))


def _found(module: ModuleType, target: _Target) -> Any:
    if not target.names:
        for name in _USUAL_NAMES:
            if hasattr(module, name):
                return getattr(module, name)
        raise OptionError("module", f"{target.module}, without app", _named_callables(module))
    found: Any = module
    for name in target.names.split("."):
        if not hasattr(found, name):
            raise OptionError("name", f"{shown(name)}, not in {_named(found)}", _one_of(found))
        found = getattr(found, name)
    return found


def _named(owner: Any) -> str:
    return str(getattr(owner, "__name__", type(owner).__name__))


def _one_of(owner: Any) -> str:
    names = _callables(owner)
    return f"one of {', '.join(names)}" if names else f"another: {_named(owner)} has no callable"


def _named_callables(module: ModuleType) -> str:
    names = _callables(module)
    if not names:
        return "a module with a WSGI app: it has no callable"
    return "a name behind it: " + ", ".join(f"{module.__name__}:{name}" for name in names)


def _callables(owner: Any) -> List[str]:
    """The names of the callables that ``owner`` did not get from elsewhere."""
    home = getattr(owner, "__module__", getattr(owner, "__name__", None))
    return [
        name
        for name, value in getattr(owner, "__dict__", {}).items()
        if callable(value) and not name.startswith("_") and _is_of(home, value)
    ]


def _is_of(home: Optional[str], value: Any) -> bool:
    try:
        return not hasattr(value, "__name__") or getattr(value, "__module__", home) == home
    except Exception:  # such as that of Flask's request, where there is none
        return False


def _check_wsgi(app: Any, target: _Target) -> None:
    _check_callable(app, target.text, _WSGI)
    # First: what stands for something else, as Flask's request does, fails when it is looked at.
    signature = _theirs(lambda: _find_signature(app), target.text)
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(type(app).__call__):
        raise OptionError(target.text, "an ASGI app", _WSGI)
    factory = f"{_WSGI}, or a factory: {target.text}()"
    if inspect.isclass(app) and not hasattr(app, "__iter__"):  # PEP 3333 lets a class be an app
        raise OptionError(target.text, "a class whose objects are no response", factory)
    try:
        if signature is not None:
            signature.bind({}, print)
    except TypeError:
        raise OptionError(target.text, f"called with {signature}", factory) from None


def _check_callable(value: Any, text: str, expected: str) -> None:
    if not callable(value):
        raise OptionError(text, shown(value), expected)


def _find_signature(app: Any) -> Optional[inspect.Signature]:
    try:
        return inspect.signature(app)
    except (TypeError, ValueError):  # a builtin, or something that pretends to be anything
        return None
