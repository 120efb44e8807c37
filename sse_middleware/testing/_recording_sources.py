"""The other ways to a recording: built from what the model shall say, or imported.

These are class methods of ``Recording``; they stand here because what they read and write is not
the recording's own format.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

from sse_middleware.errors import RecordingError
from sse_middleware.testing import _built_chat, _built_responses, _cassette, _curl
from sse_middleware.testing import _recording_files as files
from sse_middleware.testing._built_answer import Answer, Text, chunked
from sse_middleware.testing._encoding import decoded
from sse_middleware.testing._recording_files import AnyPath
from sse_middleware.testing._redact import kept_headers

__all__ = ["Sources", "in_file"]

_S = TypeVar("_S", bound="Sources")


class Sources:
    """What ``Recording`` inherits."""

    if TYPE_CHECKING:

        def __init__(self, body: bytes, **options: Any) -> None: ...

    @classmethod
    def chat(
        cls: Type[_S],
        text: Text = "",
        *,
        model: str = "gpt-4o-mini-2024-07-18",
        tool_calls: Sequence[Mapping[str, Any]] = (),
        refusal: Text = "",
        finish_reason: Optional[str] = None,
        usage: Union[bool, Mapping[str, Any]] = False,
        obfuscation: bool = False,
        interval_s: float = 0.0,
    ) -> _S:
        """The stream in which OpenAI's Chat Completions API gives that answer.

        The same arguments give the same bytes, ids and times included.

        Args:
            text: a str is cut into deltas about as a model would; the items of any other iterable
                are the deltas.
            model: what the chunks name as the model.
            tool_calls: of each call the name, the arguments (an object, or a str that need not be
                JSON), and the id, if it matters.
            refusal: what the model says instead of a text; as ``text``.
            finish_reason: by default ``tool_calls`` if there are any, else ``stop``.
            usage: True for what ``include_usage`` adds, counting each delta as a token; or the
                counts, by the keys of OpenAI's object.
            obfuscation: pad each chunk, as OpenAI does unless it is told not to.
            interval_s: seconds from each event to the next.

        Raises:
            OptionError: an argument that has no meaning.

        >>> from sse_middleware.testing import Recording
        >>> Recording.chat("Hello there").body.count(b"chat.completion.chunk")
        4
        >>> call = {"name": "get_weather", "arguments": {"city": "Paris"}}
        >>> Recording.chat(tool_calls=[call]).name
        'get_weather'
        """
        said = Answer(text, model, tool_calls, refusal)
        frames = _built_chat.frames(
            said, finish_reason=finish_reason, usage=usage, obfuscation=obfuscation
        )
        chunks = chunked(frames, interval_s)
        return cls(b"".join(frames), chunks=chunks, name=said.name)

    @classmethod
    def response(
        cls: Type[_S],
        text: Text = "",
        *,
        model: str = "gpt-4o-mini-2024-07-18",
        tool_calls: Sequence[Mapping[str, Any]] = (),
        refusal: Text = "",
        incomplete_reason: Optional[str] = None,
        usage: Optional[Mapping[str, Any]] = None,
        obfuscation: bool = False,
        interval_s: float = 0.0,
    ) -> _S:
        """The stream in which OpenAI's Responses API gives that answer.

        Of the arguments two differ from those of ``chat``: ``incomplete_reason``, that is
        ``max_output_tokens`` or ``content_filter`` if the answer was cut short by it, and
        ``usage``, the counts by the keys of OpenAI's object; by default each delta is a token.

        Raises:
            OptionError: an argument that has no meaning.

        >>> from sse_middleware.testing import Recording
        >>> Recording.response("Hello there").body.count(b"event: response.output_text.delta")
        2
        """
        said = Answer(text, model, tool_calls, refusal)
        frames = _built_responses.frames(
            said, incomplete_reason=incomplete_reason, usage=usage, obfuscation=obfuscation
        )
        chunks = chunked(frames, interval_s)
        return cls(b"".join(frames), chunks=chunks, name=said.name)

    @classmethod
    def from_curl(cls: Type[_S], path: AnyPath, *, headers: Optional[AnyPath] = None) -> _S:
        """The answer that curl wrote to a file; when its parts came is not known.

        Of the headers those that hold no secrets are kept: the content type, rate limits, ids of
        requests.

        Args:
            path: what ``curl -N -i URL`` or ``curl -N -D - URL`` put out.
            headers: what ``-D`` wrote to a file of its own; ``path`` is then the body alone.

        Raises:
            RecordingError: a file is absent or damaged; the text names it, and the line.
        """
        name = Path(path).stem
        if headers is None:
            head, body = _curl.split(files.read(Path(path)), str(path))
        else:
            head, _ = _curl.split(files.read(Path(headers)), str(headers))
            body = files.read(Path(path))
        return cls._imported(name, str(headers or path), body, head.status, head.headers)

    @classmethod
    def from_cassette(cls: Type[_S], path: AnyPath, *, index: Optional[int] = None) -> _S:
        """The answer in a cassette of vcrpy, in YAML (which needs PyYAML) or JSON.

        Of the request the method, the path and a JSON body are kept, of the headers of the
        response those that hold no secrets. When the parts of the body came is not known.

        Args:
            path: the cassette.
            index: which interaction, counted from 0; not needed if one of them is an event stream.

        Raises:
            RecordingError: the file is absent or damaged, or ``index`` is needed; the text names
                it, and the line.
            OptionError: there is no such index.
        """
        found = _cassette.picked(files.read(Path(path)), str(path), index)
        return cls._imported(
            Path(path).stem, str(path), found.body, found.status, found.headers, found.request
        )

    @classmethod
    def _imported(
        cls: Type[_S],
        name: str,
        source: str,
        body: bytes,
        status: int,
        headers: Sequence[Tuple[str, str]],
        request: Optional[Mapping[str, Any]] = None,
    ) -> _S:
        """From what another tool recorded in the file ``source``."""
        body, kept = decoded(body, headers, source), kept_headers(headers)
        try:
            return cls(body, status=status, headers=kept, request=request, name=name)
        except RecordingError as error:
            raise in_file(source, error) from None


def in_file(source: str, error: RecordingError) -> RecordingError:
    """The same error, which names the file as well."""
    return RecordingError(f"{source}: {error.thing}", error.measured, error.expected)
