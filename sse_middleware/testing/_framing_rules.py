"""Every rule of the framing check: its code, the fault, why it hurts, and the fix.

This is the one place where they are written, and it holds nothing else. The checks name a rule by
its code; the messages and ``docs/framing.md`` are made from the table. A code never changes its
meaning:

* ``SSE1xx``: the bytes of the stream; for every reader.
* ``SSE2xx``: the bytes of the stream; what breaks the SDKs of OpenAI. Profile ``openai`` only.
* ``SSE3xx``: the headers.
* ``SSE4xx``: the seam between a WSGI app and its server, where only `FramingLint` can look.
"""

from typing import Dict, NamedTuple, Tuple

__all__ = ["PROFILES", "RULES", "Rule"]

#: ``openai`` holds all that ``whatwg`` holds, and what the SDKs of OpenAI need besides.
PROFILES = ("whatwg", "openai")


class Rule(NamedTuple):
    """One rule. ``fault`` and ``fix`` are parts of a message, ``harm`` is a sentence or more."""

    code: str
    name: str
    fault: str
    harm: str
    fix: str

    @property
    def profiles(self) -> Tuple[str, ...]:
        """The profiles that hold this rule."""
        return PROFILES[1:] if self.code.startswith("SSE2") else PROFILES


_TABLE = [
    Rule(
        "SSE101",
        "bom",
        "the stream starts with a byte order mark",
        "Browsers drop it, but many other readers take it for a part of the first field's name; "
        "openai-python loses the first event without an error.",
        "encode as 'utf-8', not 'utf-8-sig'",
    ),
    Rule(
        "SSE102",
        "invalid-utf-8",
        "these bytes are not UTF-8",
        "The format is UTF-8, whatever the headers say. A browser shows U+FFFD in place of the "
        "bytes; openai-python raises UnicodeDecodeError.",
        "encode text as UTF-8, and never cut a frame after it was encoded",
    ),
    Rule(
        "SSE103",
        "mixed-line-ends",
        "lines end in more than one way",
        "The standard allows LF, CRLF and CR, each line as it likes. Readers that split at a blank "
        "line of one kind do not see the others, and join events. Most often an app writes LF and "
        "puts text with CRLF or CR into it. Comments, which a middleware may add, do not count.",
        "end every line in LF, and send each line of a text with its own 'data: '",
    ),
    Rule(
        "SSE104",
        "unknown-field",
        "the standard knows no such field",
        "A reader ignores the whole line without a word. Names are lower case, without spaces; "
        "they are data, event, id and retry. Often such a line is the rest of a text that had a "
        "newline in it: the newline ended its field.",
        "give each line of a text a data: of its own, or send JSON; as names use data, event, id "
        "or retry",
    ),
    Rule(
        "SSE105",
        "half-event",
        "the stream ends inside an event",
        "An event counts only once a blank line has ended it: browsers and openai-python drop this "
        "one, without an error.",
        r"end every event, the last one too, with a blank line ('\n\n')",
    ),
    Rule(
        "SSE106",
        "event-without-data",
        "the event has a name but no data",
        "A browser drops it, so that no listener hears of it; openai-python and openai-node raise "
        "an error.",
        "add a data line; 'data: ' alone is an event with empty data",
    ),
    Rule(
        "SSE107",
        "id-with-nul",
        "the id holds a NUL",
        "A browser ignores the field, and comes back with the id before it: it gets again what it "
        "has seen.",
        "send an id without NUL",
    ),
    Rule(
        "SSE108",
        "id-repeated",
        "an event before this one had the same id",
        "A client that comes back sends the last id it saw. Where two events share it, the one is "
        "lost or the other comes twice. (The last 4,096 ids are compared.)",
        "give each event its own id, or none",
    ),
    Rule(
        "SSE109",
        "id-not-increasing",
        "the number in the id is lower than the one before",
        "Servers resume with everything above the last id that a client saw. What comes with a "
        "lower number is never sent again. (Ids are compared where they are numbers, alone or "
        "after the same prefix, as in run-7.)",
        "number the events of a stream upwards",
    ),
    Rule(
        "SSE110",
        "retry-not-digits",
        "the reconnection time is not a number of milliseconds",
        "A browser ignores the field unless its value is ASCII digits and nothing else.",
        "write milliseconds in digits: 'retry: 3000'",
    ),
    Rule(
        "SSE111",
        "field-twice",
        "one event has this field twice",
        "The last one counts. Mostly it means that the blank line between two events is missing: "
        "then their data arrive as one, under the second name. Of 'event' and 'id' only: a "
        "second 'retry' does no harm.",
        r"end every event with a blank line ('\n\n')",
    ),
    Rule(
        "SSE112",
        "space-lost",
        "some data lines have a space after the colon, others have none",
        "A reader takes one space away. A sender that writes 'data:' without it loses the first "
        "space of every text that starts with one, as the tokens of language models do: 'Hello' "
        "and ' world' arrive as 'Helloworld'. A sender that never writes the space and never "
        "sends such a text is right, and so is one that always writes it.",
        "always write 'data: ' with the space",
    ),
    Rule(
        "SSE113",
        "event-too-large",
        "the event is over 16 MiB",
        "Readers bound the size of an event, or fill their memory. An endless one is often a body "
        "that never had blank lines. The rest of it is not checked.",
        "send several smaller events, or a link",
    ),
    Rule(
        "SSE201",
        "id-without-data",
        "a block of an id alone",
        "The standard allows it, but openai-python takes it for an event and raises "
        "JSONDecodeError for its empty data.",
        "put the id on an event with data",
    ),
    Rule(
        "SSE202",
        "retry-without-data",
        "a block of a reconnection time alone",
        "The standard allows it, but openai-python takes it for an event and raises "
        "JSONDecodeError for its empty data.",
        "put the retry line into the first event with data",
    ),
    Rule(
        "SSE203",
        "blank-line-after-id",
        "a blank line more, after an event with an id",
        "openai-python never forgets an id: each further blank line, also that of a comment, is "
        "an event for it, and it raises JSONDecodeError for the empty data.",
        r"send no ids, or end a comment with one line end (':\n') and events with one blank line",
    ),
    Rule(
        "SSE204",
        "done-missing",
        "the stream ends without [DONE]",
        "No OpenAI client notices: an answer that was cut off looks complete. Streams that "
        "end in an error event need none, nor do those of named events, such as the Responses "
        "API's.",
        "send 'data: [DONE]' last",
    ),
    Rule(
        "SSE205",
        "done-twice",
        "a second [DONE]",
        "Readers stop at the first one; what is behind it belongs to nobody.",
        "send [DONE] once, at the very end",
    ),
    Rule(
        "SSE206",
        "done-not-last",
        "an event follows [DONE]",
        "It is lost with readers that stop there, as openai-python does; openai 0.28 delivers it.",
        "send [DONE] after everything else",
    ),
    Rule(
        "SSE207",
        "data-not-json",
        "the data is not JSON",
        "Every SDK of OpenAI reads the data of each event as JSON, but for [DONE], and raises an "
        "error where it is not; also where it is empty.",
        "send JSON, and a line that is for nobody as a comment (': ping')",
    ),
    Rule(
        "SSE301",
        "content-type",
        "events are sent under another Content-Type",
        "EventSource fails for good unless it is text/event-stream; openai 0.28 raises an error, "
        "and later ones find no event in application/json.",
        "send 'Content-Type: text/event-stream; charset=utf-8'",
    ),
    Rule(
        "SSE302",
        "charset",
        "Content-Type does not say charset=utf-8",
        "The format is always UTF-8, but some readers believe the header: without a charset "
        "requests decodes text as ISO-8859-1, and é arrives as Ã©.",
        "send 'Content-Type: text/event-stream; charset=utf-8'",
    ),
    Rule(
        "SSE303",
        "content-length",
        "a stream has a Content-Length",
        "Clients and servers stop at that many bytes, or wait for those that never come; "
        "with one that is right, the whole stream was made before it was sent.",
        "leave Content-Length out",
    ),
    Rule(
        "SSE304",
        "content-encoding",
        "the stream is compressed",
        "Compressors gather their input: events arrive late, often all at the end.",
        "exclude text/event-stream from compression",
    ),
    Rule(
        "SSE305",
        "hop-by-hop",
        "the app sets a header that only a server may set",
        "PEP 3333 forbids it. 'Connection' is a 500 on waitress and wsgiref; with "
        "'Transfer-Encoding' uWSGI and mod_wsgi send a body that cannot be read.",
        "leave the header out: the server sets it",
    ),
    Rule(
        "SSE306",
        "cacheable",
        "nothing keeps a cache from storing the stream",
        "A cache may hold the stream back to store it, and answer the next client with an old one. "
        "An ETag invites a client to ask whether its copy is still good, and a stream has none.",
        "send 'Cache-Control: no-cache, no-transform', and no ETag",
    ),
    Rule(
        "SSE307",
        "x-accel-buffering",
        "X-Accel-Buffering is not 'no'",
        "nginx, as it is installed, holds a stream back until it ends, unless this header tells "
        "it otherwise.",
        "send 'X-Accel-Buffering: no'",
    ),
    Rule(
        "SSE401",
        "split-event",
        "an event goes on in the next item of the body",
        "Each item is sent by itself: the client waits for the rest of the event, and whatever is "
        "written in between, such as a heartbeat, lands inside it. Several whole events in one "
        "item are fine.",
        "yield every event as one bytes object",
    ),
    Rule(
        "SSE402",
        "empty-item",
        "an item of the body is empty",
        "Some servers send the headers for it, some do nothing; it never reaches the client, so "
        "it is no heartbeat.",
        r"yield nothing, or a comment (b': \n\n')",
    ),
    Rule(
        "SSE403",
        "not-bytes",
        "an item of the body is not bytes",
        "Servers fail on it in mid-stream, after 200 OK was sent; some frameworks send its repr.",
        "encode it, or wrap the app: FramingLint(SSEMiddleware(app))",
    ),
    Rule(
        "SSE404",
        "bytes-subclass",
        "an item of the body is of a subclass of bytes",
        "wsgiref.validate refuses it, and some frameworks copy it and lose what it carries.",
        "yield bytes(item)",
    ),
    Rule(
        "SSE405",
        "has-length",
        "the body has a length",
        "Servers that find a length of 1 set Content-Length to the size of the first item, and "
        "the client stops there; gevent adds up all items before it sends one.",
        "return an iterator, such as a generator, without __len__",
    ),
    Rule(
        "SSE406",
        "no-close",
        "the body has no close()",
        "close() is how an app hears that the client left. Without it what the app holds (a "
        "connection, a subscription, a generator in a map or a chain) stays open.",
        "return a generator, or give the iterable a close() that closes what it reads from",
    ),
    Rule(
        "SSE407",
        "closed-twice",
        "close() was called twice",
        "PEP 3333 has it called once; apps release what they hold there, and fail, or release "
        "what is another's by now, if it comes again. The caller is what stands around the lint.",
        "call close() once, in what wraps the app",
    ),
    Rule(
        "SSE408",
        "never-closed",
        "close() was never called",
        "The app's generator goes on, or is ended by the garbage collector at any time, in any "
        "thread. The caller is what stands around the lint, or the test itself.",
        "call close() on what the app returned, in a finally",
    ),
    Rule(
        "SSE409",
        "body-on-head",
        "the answer to HEAD has a body",
        "Some servers send it, where the client reads it as its next response; others read the "
        "stream to its end, which an endless one does not have.",
        "return [] when REQUEST_METHOD is HEAD",
    ),
    Rule(
        "SSE410",
        "body-without-content",
        "a response that has no content has a body",
        "The statuses 1xx, 204, 205 and 304 end with their headers: the client reads the body as "
        "its next response.",
        "return [] with such a status, or send 200",
    ),
    Rule(
        "SSE411",
        "late-start-response",
        "start_response was called only when the body was read",
        "Granian sends 200 without any headers then, and middlewares must read the first item to "
        "see them. It is what an app that is itself a generator function does.",
        "call start_response in the app, and return a generator that another function makes",
    ),
    Rule(
        "SSE412",
        "second-start-response",
        "start_response was called again without exc_info",
        "PEP 3333 makes it a fatal error: the client has, or will get, one of the two.",
        "call it once; to answer with an error instead, pass sys.exc_info()",
    ),
    Rule(
        "SSE413",
        "body-before-start-response",
        "the body began before start_response was called",
        "The server has no status and no headers to send: it fails, or, as Granian does, sends 200 "
        "without any.",
        "call start_response before the first item is yielded",
    ),
    Rule(
        "SSE414",
        "no-start-response",
        "start_response was never called",
        "The server has no status and no headers to send: it fails, or, as Granian does, sends 200 "
        "without any.",
        "call start_response(status, headers) once for each request",
    ),
]

#: Every rule by its code, in order.
RULES: Dict[str, Rule] = {rule.code: rule for rule in _TABLE}
