"""Bottle: its ``_cast`` refuses dicts in a body, so events are framed just before it looks.

Bottle decides what a body is in ``Bottle._cast``, after handlers, plugins, raised
``HTTPResponse`` and error handlers, and answers a generator of dicts with a 500. That one method
is wrapped on the app's instance, on what is mounted in it, and on what will be.
"""

import logging
import sys
from itertools import chain
from typing import Any, Iterable, Iterator, Mapping, Optional

from sse_middleware.current import current_stream
from sse_middleware.errors import EventError
from sse_middleware.event import Event
from sse_middleware.framing import Framing
from sse_middleware.headers import is_event_stream, stream_headers
from sse_middleware.response import close
from sse_middleware.stream import event_stream

__all__ = ["SSEPlugin", "adapt"]

#: What a plugin was made with: `event_stream`'s, by name.
_Options = Mapping[str, Any]

_log = logging.getLogger("sse_middleware")


class SSEPlugin:
    """For a Bottle app that is not wrapped: ``app.install(SSEPlugin())``.

    Generators of dicts leave as an event stream with its headers. The options are those of
    `event_stream`; inside the middleware they default to its own. `SSEMiddleware` needs no
    plugin, and gives more.

    Raises:
        OptionError: an unknown option, or a value without meaning.
    """

    name = "sse_middleware"
    api = 2

    def __init__(self, **options: Any) -> None:
        Framing().checked(options)
        self._options = options
        self._apps: list = []  # type: ignore[type-arg]

    def setup(self, app: Any) -> None:
        """Bottle calls it when the plugin is installed."""
        self._apps.append(app)
        adapt(app, self._options)

    def apply(self, callback: Any, route: Any) -> Any:
        """Bottle calls it for each route; what counts happens in the app."""
        return callback

    def close(self) -> None:
        """Bottle calls it when an app has uninstalled the plugin, and does not say which."""
        for app in self._apps:
            if self not in app.plugins:
                _release(app, self._options)


def adapt(app: Any, options: Optional[_Options] = None) -> None:
    """Let ``app``, where it is a Bottle app or wraps one, yield events; else do nothing.

    With ``options`` always, without it only in requests that the middleware serves.
    """
    bottle_app = _find_bottle(app)
    if bottle_app is None:
        return
    cast = _find_cast(bottle_app)
    is_known = cast is not None and (options is None or options is cast.options)
    if cast is None:
        cast = vars(bottle_app)["_cast"] = _Cast(bottle_app)
        vars(bottle_app)["add_route"] = _AddRoute(bottle_app)
    if options is not None:
        cast.options = options
    if not is_known:
        for target in _mounted(bottle_app):
            _adapt_mounted(target, options)


def _adapt_mounted(target: Any, options: Optional[_Options]) -> None:
    """As `adapt`, but the options of a plugin of the mounted app's own stay."""
    cast = _find_cast(_find_bottle(target))
    adapt(target, options if cast is None or cast.options is None else None)


def _release(app: Any, options: _Options) -> None:
    """Take back what `adapt` did with ``options``, here and in what is mounted."""
    bottle_app = _find_bottle(app)
    cast = _find_cast(bottle_app)
    if cast is not None and cast.options is options:
        cast.options = None
        for target in _mounted(bottle_app):
            _release(target, options)


def _mounted(bottle_app: Any) -> Iterator[Any]:
    return (route.config.get("mountpoint.target") for route in list(bottle_app.routes))


def _find_cast(bottle_app: Any) -> "Optional[_Cast]":
    cast = None if bottle_app is None else vars(bottle_app).get("_cast")
    return cast if isinstance(cast, _Cast) else None


def _find_bottle(app: Any) -> Any:
    """The Bottle app in ``app``, through bound methods and the usual names of what is wrapped."""
    for _ in range(10):
        if hasattr(app, "_cast") and hasattr(app, "mount") and hasattr(app, "routes"):
            return app
        names = ("__self__", "app", "wsgi_app", "application")
        inner = (getattr(app, name, None) for name in names)
        app = next((found for found in inner if found is not None), None)
    return None


class _AddRoute:
    """``Bottle.add_route``, through which ``mount`` and ``merge`` go: what it mounts is adapted."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._add_route = app.add_route

    def __call__(self, route: Any) -> None:
        self._add_route(route)
        _adapt_mounted(route.config.get("mountpoint.target"), self._app._cast.options)


class _Cast:
    """``Bottle._cast``, and iterators whose first item is an event are framed before it."""

    def __init__(self, app: Any) -> None:
        self._cast = app._cast
        owners = [cls for cls in type(app).__mro__ if "_cast" in vars(cls)]
        self._bottle = sys.modules[owners[-1].__module__]  # the first may be a subclass's
        #: Those of the plugin; None where there is no plugin.
        self.options: Optional[_Options] = None

    def __call__(self, out: Any, peek: Any = None) -> Any:
        framing = current_stream().framing
        if self.options is not None:
            framing = (framing or Framing())._replace(**self.options)
        if framing is None or not self._may_hold_events(out):
            return self._cast(out)
        if self._bottle.request.method == "HEAD":
            close(out)  # unrun: an answer that nobody will read may cost money
            return []
        return self._cast(self._framed(out, framing))

    def _may_hold_events(self, out: Any) -> bool:
        return (
            hasattr(out, "__iter__")
            and not hasattr(out, "read")
            and not isinstance(out, (str, bytes, list, tuple, Mapping, self._bottle.BaseResponse))
        )

    def _framed(self, out: Iterable[Any], framing: Framing) -> Iterator[Any]:
        """The items of ``out``, as frames if the first that is not empty is an event.

        Bottle runs it to its first item, so that what the handler raises is still Bottle's.
        """
        try:
            items = iter(out)
            for first in items:
                is_event = self._is_event(first, framing)
                if first or (is_event and framing.items == "data"):
                    rest = chain([first], items)
                    yield from self._events(rest, framing) if is_event else rest
                    return  # what an ended stream left in its source is not sent
        except EventError:
            _log.exception("an event was refused")  # Bottle would keep the reason to itself
            raise
        finally:
            close(out)

    def _is_event(self, first: Any, framing: Framing) -> bool:
        if isinstance(first, (bytes, self._bottle.BaseResponse)):
            return False
        declared = is_event_stream(self._bottle.response.headerlist)
        if isinstance(first, str):  # framed by the app itself, as before there were dicts
            return declared and framing.items == "data"
        return declared or isinstance(first, (Mapping, Event))

    def _events(self, items: Iterable[Any], framing: Framing) -> Iterator[bytes]:
        if self.options is not None:
            self._set_headers(self._bottle.response)
        return event_stream(items, **framing._asdict())

    @staticmethod
    def _set_headers(response: Any) -> None:
        """What the middleware would do, where there may be none. Cookies are kept elsewhere."""
        wanted = stream_headers(response.headerlist)
        for name in {name for name, _ in response.headerlist} - {"Set-Cookie"}:
            response.headers.pop(name, None)
        for name, value in wanted:
            if name != "Set-Cookie":
                response.add_header(name, value)
