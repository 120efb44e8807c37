"""What the wrapped app answered, held back until it is known what it is.

`Answer` stands in for the server's ``start_response``; `Body` is the app's iterable, with a look
at its first item. Both let everything through as it came where the response is no stream.

Source: PEP 3333.
"""

from functools import partial
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional

from sse_middleware.errors import ResponseError, shown
from sse_middleware.headers import Headers, find_header

__all__ = ["Answer", "Body", "Environ", "LaterFile", "StartResponse", "WSGIApp", "close"]

Environ = Dict[str, Any]
StartResponse = Callable[..., Any]
WSGIApp = Callable[[Environ, StartResponse], Iterable[Any]]


class Answer:
    """The app's status and headers. The server hears of them when `forward` is called."""

    status = ""
    headers: Headers = []  # noqa: RUF012 replaced as a whole, and never changed
    has_written = False
    _exc_info: Any = None
    _is_forwarded = False
    _server_write: Optional[Callable[[bytes], Any]] = None

    def __init__(self, start_response: StartResponse) -> None:
        self._server = start_response

    def start_response(
        self, status: str, headers: Headers, exc_info: Any = None
    ) -> Callable[[bytes], Any]:
        """What the app calls. Once the server knows, it is the server that answers.

        Raises:
            ResponseError: a second call without ``exc_info``.
        """
        if self._is_forwarded:
            self._server_write = _call(self._server, status, headers, exc_info)
            return self._write
        if self.status and not exc_info:
            raise ResponseError(
                f"start_response was called twice, with {self.status!r} and {status!r}: "
                "expected one call, or exc_info in the second (PEP 3333)"
            )
        self.status, self.headers, self._exc_info = status, headers, exc_info
        return self._write

    def recognised(self) -> None:
        """It is known now that the response is a stream."""

    def forward(self, headers: Optional[Headers] = None) -> None:
        """Tell the server; ``headers`` replace the app's."""
        self._is_forwarded = True
        sent = self.headers if headers is None else headers
        exc_info, self._exc_info = self._exc_info, None  # its traceback holds the app's frames
        self._server_write = _call(self._server, self.status, sent, exc_info)

    @property
    def has_no_body(self) -> bool:
        """Whether the status allows none: 1xx, 204, 304."""
        return self.status.startswith(("1", "204", "304"))

    def _write(self, data: bytes) -> None:
        """The imperative form: from its first call on, the response passes as it is."""
        if not self._is_forwarded:
            self.forward()
        self.has_written = True
        if self._server_write is None:
            raise ResponseError("this server has no write(): expected the app to yield its body")
        self._server_write(data)


def _call(server: StartResponse, status: str, headers: Headers, exc_info: Any) -> Any:
    return server(status, headers, exc_info) if exc_info else server(status, headers)


class LaterFile:
    """A file that is to be wrapped in the thread of the server, where alone its wrapper works.

    A subclass holds the server's own wrapper as ``wrap``.
    """

    wrap: Callable[..., Iterable[bytes]]

    def __init__(self, file: Any, block_size: int = 8192) -> None:
        self._file = file
        self._block_size = block_size

    def wrapped(self) -> Iterable[bytes]:
        """What the server's wrapper makes of the file."""
        return self.wrap(self._file, self._block_size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self._file.read, self._block_size), b"")

    def close(self) -> None:
        """Close the file, if it can be."""
        close(self._file)


_WHOLE = (list, tuple, str, bytes)


def _is_file(iterable: Iterable[Any], environ: Environ) -> bool:
    wrapper = environ.get("wsgi.file_wrapper")
    return (
        hasattr(iterable, "read")
        or hasattr(iterable, "filelike")  # wsgiref's and gunicorn's FileWrapper
        or (isinstance(wrapper, type) and isinstance(iterable, wrapper))
    )


class Body:
    """The app's iterable. Iterating and closing it is iterating and closing the app's own."""

    _items: Optional[Iterator[Any]] = None
    _held: List[Any] = []  # noqa: RUF012 replaced as a whole, and never changed while it is empty

    def __init__(self, iterable: Iterable[Any], environ: Environ) -> None:
        self._iterable = iterable
        #: Whether it is no iterator, but what the server sends as a whole.
        self.is_whole = isinstance(iterable, _WHOLE) or _is_file(iterable, environ)

    def is_lazy(self, headers: Headers) -> bool:
        """Whether it is an iterator of unknown length, so that its items may be events."""
        return (
            not self.is_whole
            and hasattr(self._iterable, "__next__")
            and find_header(headers, "content-length") is None
        )

    @property
    def has_started(self) -> bool:
        """Whether something was read from it."""
        return self._items is not None

    def peek(self) -> Any:
        """The first item, which stays to be read; None where there is none."""
        if self._items is None:
            self._items = self._begun()
            self._held = [item for _, item in zip(range(1), self._items)]
        return self._held[0] if self._held else None

    def untouched(self) -> Iterable[Any]:
        """The app's own object while nothing was read from it, else this."""
        return self._iterable if self._items is None else self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._held:
            return self._held.pop()
        if self._items is None:
            self._items = self._begun()
        return next(self._items)

    def _begun(self) -> Iterator[Any]:
        iterable = self._iterable
        if not (hasattr(iterable, "__iter__") or hasattr(iterable, "__getitem__")):
            hint = " (WSGI has no async generators)" if hasattr(iterable, "__aiter__") else ""
            raise ResponseError(f"the app returned {shown(iterable)}: expected an iterable{hint}")
        return iter(iterable)

    def close(self) -> None:
        """Close the app's iterable; once, however often it is called."""
        iterable, self._iterable = self._iterable, ()
        self._items, self._held = iter(()), []  # web.py's has no close(): letting go ends it
        close(iterable)


def close(iterable: Any) -> None:
    """Close what an app returned, if it can be: a list, for one, cannot."""
    closing = getattr(iterable, "close", None)
    if closing is not None:
        closing()
