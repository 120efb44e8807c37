"""The app's answer and body, held back until it is known what they are."""

import io
import sys
import weakref
from wsgiref.util import FileWrapper

import pytest

from sse_middleware.errors import ResponseError
from sse_middleware.response import Answer, Body, LaterFile

HTML = [("Content-Type", "text/html")]
PLAIN = [("Content-Type", "text/plain")]


class Server:
    """The server's side: what it was told, and what was written."""

    def __init__(self):
        self.told = []
        self.written = []

    def start_response(self, *answer):
        self.told.append(answer)
        return self.written.append


def failure(text="first"):
    try:
        raise KeyError(text)
    except KeyError:
        return sys.exc_info()


def test_the_server_is_told_nothing_until_the_answer_is_forwarded():
    server = Server()
    answer = Answer(server.start_response)
    answer.start_response("200 OK", HTML)
    assert (answer.status, answer.headers, server.told) == ("200 OK", HTML, [])
    answer.forward()
    assert server.told == [("200 OK", HTML)]


@pytest.mark.parametrize("headers", [PLAIN, []], ids=["some", "none"])
def test_other_headers_may_be_forwarded_in_the_place_of_the_apps(headers):
    server = Server()
    answer = Answer(server.start_response)
    answer.start_response("200 OK", HTML)
    answer.forward(headers)
    assert server.told == [("200 OK", headers)]


def test_with_exc_info_the_app_may_change_its_mind():
    server, error = Server(), failure()
    answer = Answer(server.start_response)
    answer.start_response("200 OK", HTML)
    answer.start_response("500 Oops", PLAIN, error)
    answer.forward()
    assert server.told == [("500 Oops", PLAIN, error)]


def test_without_exc_info_a_second_answer_is_refused():
    answer = Answer(Server().start_response)
    answer.start_response("200 OK", HTML)
    with pytest.raises(ResponseError) as caught:
        answer.start_response("201 Created", HTML)
    assert str(caught.value) == (
        "start_response was called twice, with '200 OK' and '201 Created': "
        "expected one call, or exc_info in the second (PEP 3333)"
    )


@pytest.mark.parametrize("error", [(), (failure(),)], ids=["without exc_info", "with exc_info"])
def test_once_the_server_was_told_it_is_the_server_that_answers(error):
    server = Server()
    answer = Answer(server.start_response)
    answer.start_response("200 OK", HTML)
    answer.forward()
    write = answer.start_response("500 Oops", PLAIN, *error)
    assert server.told[1:] == [("500 Oops", PLAIN, *error)]
    write(b"late")
    assert server.written == [b"late"]


def test_what_is_written_forwards_the_answer_once_and_passes():
    server = Server()
    answer = Answer(server.start_response)
    write = answer.start_response("200 OK", HTML)
    assert answer.has_written is False
    write(b"one")
    write(b"two")
    assert answer.has_written is True
    assert (server.told, server.written) == ([("200 OK", HTML)], [b"one", b"two"])


def test_a_server_without_write_is_named():
    answer = Answer(lambda *answer: None)
    write = answer.start_response("200 OK", HTML)
    with pytest.raises(ResponseError) as caught:
        write(b"one")
    assert str(caught.value) == "this server has no write(): expected the app to yield its body"


def test_a_forwarded_failure_is_let_go():
    class Held:
        """What a frame of the app's holds, such as a connection."""

    def fail():
        held = Held()
        seen.append(weakref.ref(held))
        raise KeyError

    seen = []
    answer = Answer(lambda *answer: None)
    try:
        fail()
    except KeyError:
        answer.start_response("500 Oops", HTML, sys.exc_info())
    answer.forward()
    assert seen[0]() is None


STATUSES = {
    "100 Continue": True,
    "204 No Content": True,
    "304 Not Modified": True,
    "200 OK": False,
    "205 Reset Content": False,
    "404 Not Found": False,
    "": False,
}


@pytest.mark.parametrize(("status", "has_no_body"), STATUSES.items())
def test_the_status_says_whether_there_is_a_body(status, has_no_body):
    answer = Answer(lambda *answer: None)
    answer.start_response(status, HTML)
    assert answer.has_no_body is has_no_body


# --- LaterFile


class File(io.BytesIO):
    def __init__(self, data=b"abcde"):
        super().__init__(data)
        self.sizes = []

    def read(self, size):
        self.sizes.append(size)
        return super().read(size)


@pytest.mark.parametrize(("args", "block_size"), [((), 8192), ((2,), 2)])
def test_a_later_file_is_wrapped_by_the_server_with_the_block_size_it_was_given(args, block_size):
    class Later(LaterFile):
        wrap = staticmethod(lambda file, size: [file, size])

    file = File()
    assert Later(file, *args).wrapped() == [file, block_size]


@pytest.mark.parametrize(
    ("args", "blocks", "sizes"),
    [((), [b"abcde"], [8192] * 2), ((2,), [b"ab", b"cd", b"e"], [2] * 4)],
    ids=["by default", "in blocks of two"],
)
def test_a_later_file_can_be_read_where_it_is_not_wrapped(args, blocks, sizes):
    file = File()
    assert list(LaterFile(file, *args)) == blocks
    assert file.sizes == sizes


def test_a_later_file_closes_its_file_if_it_can_be_closed():
    file = File()
    LaterFile(file).close()
    assert file.closed
    LaterFile(object()).close()


# --- Body


class Items:
    """An iterator that counts what was taken from it."""

    def __init__(self, *items):
        self.items = list(items)
        self.taken = self.closed = 0

    def __iter__(self):
        return self

    def __next__(self):
        if not self.items:
            raise StopIteration
        self.taken += 1
        return self.items.pop(0)

    def close(self):
        self.closed += 1


class Iterable:
    def __iter__(self):
        return iter([b"one"])


class Wrapper(Items):
    """A server's own file wrapper, which looks like any iterator."""


class Readable(Items):
    read = None


BY_CLASS = {"wsgi.file_wrapper": Wrapper}
BY_FUNCTION = {"wsgi.file_wrapper": lambda file: Wrapper(file)}
LENGTH = [("Content-Length", "3")]
BODIES = {
    "a list": ([b"one"], {}, HTML, True, False),
    "a tuple": ((b"one",), {}, HTML, True, False),
    "text": ("one", {}, HTML, True, False),
    "bytes": (b"one", {}, HTML, True, False),
    "a server's file": (Wrapper(), BY_CLASS, HTML, True, False),
    "a file": (Readable(), {}, HTML, True, False),
    "wsgiref's file wrapper": (FileWrapper(io.BytesIO()), {}, HTML, True, False),
    "an iterator beside a file wrapper": (Items(b"one"), BY_CLASS, HTML, False, True),
    "an iterator beside a function that wraps": (Items(b"one"), BY_FUNCTION, HTML, False, True),
    "an iterator": (Items(b"one"), {}, HTML, False, True),
    "a generator": ((item for item in [b"one"]), {}, HTML, False, True),
    "an iterator of known length": (Items(b"one"), {}, LENGTH, False, False),
    "an iterable": (Iterable(), {}, HTML, False, False),
}


@pytest.mark.parametrize(
    ("iterable", "environ", "headers", "is_whole", "is_lazy"), BODIES.values(), ids=BODIES
)
def test_what_may_hold_events_is_known_before_it_is_read(
    iterable, environ, headers, is_whole, is_lazy
):
    body = Body(iterable, environ)
    assert (body.is_whole, body.is_lazy(headers)) == (is_whole, is_lazy)
    assert body.has_started is False
    assert body.untouched() is iterable


def test_a_look_at_the_first_item_takes_no_other_and_leaves_it():
    items = Items(b"one", b"two")
    body = Body(items, {})
    assert [body.peek(), body.peek()] == [b"one", b"one"]
    assert items.taken == 1
    assert body.has_started is True
    assert body.untouched() is body
    assert list(body) == [b"one", b"two"]


def test_there_is_no_first_item_of_nothing():
    body = Body(Items(), {})
    assert body.peek() is None
    assert body.peek() is None
    assert list(body) == []


def test_it_can_be_read_without_a_look():
    for iterable in (Items(b"one", b"two"), [b"one", b"two"]):
        body = Body(iterable, {})
        assert next(body) == b"one"
        assert body.has_started is True
        assert list(body) == [b"two"]


class Indexed:
    """Iterable since before there were iterators."""

    def __getitem__(self, index):
        return [b"one", b"two"][index]


def test_what_has_items_by_their_index_is_read_too():
    assert list(Body(Indexed(), {})) == [b"one", b"two"]


class Async:
    __aiter__ = None
    __repr__ = staticmethod(lambda: "<async>")


UNREADABLE = {
    "nothing": (None, "the app returned None: expected an iterable"),
    "async": (
        Async(),
        "the app returned <async>: expected an iterable (WSGI has no async generators)",
    ),
}


@pytest.mark.parametrize("read", [Body.peek, next], ids=["looked at", "read"])
@pytest.mark.parametrize(("returned", "message"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_no_body_is_told_when_it_is_read(returned, message, read):
    with pytest.raises(ResponseError) as caught:
        read(Body(returned, {}))
    assert str(caught.value) == message


def test_closing_closes_the_apps_own_once_and_ends_it():
    items = Items(b"one", b"two")
    body = Body(items, {})
    body.peek()
    body.close()
    body.close()
    assert items.closed == 1
    assert list(body) == []


def test_closing_what_cannot_be_closed_lets_it_go():
    class Unclosable:
        def __iter__(self):
            return self

        def __next__(self):
            return b"one"

    iterable = Unclosable()
    seen = weakref.ref(iterable)
    body = Body(iterable, {})
    body.peek()
    del iterable
    body.close()
    assert seen() is None
