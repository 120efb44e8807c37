"""The format alone: ``python bench/format.py`` encodes and parses beside its peers.

    python bench/format.py                 # a table
    python bench/format.py --json          # a JSON object a line: task, subject, rounds
    python bench/format.py parse --rounds 5

Encoding is in seconds an event, parsing in seconds a megabyte. In each round every subject of a
task is measured once, one right after the other, in the processor's time; a ratio is taken within
a round, and its median, lowest and highest are told. What the imports left on the heap is frozen,
so that the collector's work is that of the subject. Peers that are not installed are left out.

*by hand* is the article's line, in a function of the same item: ``"id: {}\\nevent: {}\\ndata:
{}\\n\\n".format(...).encode()``, with ``json.dumps`` of data that is no text. It checks nothing.
*event_stream* is what the middleware does with an item: the whole way from the app's generator to
bytes. Parsers get the recordings that ``--recordings`` names, each as one stream, and count the
events; a peer is fed as its users feed it. On Node the parser takes text: once it is fed bytes
through a ``TextDecoder``, as from a connection, and once text that was decoded before.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from sse_middleware import EventParser, encode
from sse_middleware.dumps import _standard_dumps
from sse_middleware.framing import Framing
from sse_middleware.stream import EventStream

ROOT = Path(__file__).resolve().parents[1]

#: One round of one subject: how many seconds an operation took.
Subject = Callable[[], float]
Tasks = Dict[str, Dict[str, Subject]]

_CHUNK = {
    "id": "chatcmpl-9xAbCdEfGhIjKlMnOpQrStUv",
    "object": "chat.completion.chunk",
    "created": 1700000000,
    "model": "gpt-4o-mini",
    "choices": [{"index": 0, "delta": {"content": " Hello"}, "finish_reason": None}],
}
_DATA: Dict[str, Any] = {
    "text": "Hello there",
    "unicode text": "Grüße, 世界 😀",
    "4 KiB text with newlines": "some words of a line of text\n" * 141,
    "JSON dict": {"data": "Hello there"},
    "JSON chat chunk": _CHUNK,
}
_EVENTS = 5_000
_READS = {"64 KiB": 1 << 16, "320-byte": 320, "1-byte": 1}


def by_hand(item: Dict[str, Any]) -> bytes:
    """The article's line."""
    return "id: {}\nevent: {}\ndata: {}\n\n".format(
        item["id"], item["event"], item["data"]
    ).encode()


def by_hand_in_lines(item: Dict[str, Any]) -> bytes:
    """The article's line for text that has line ends."""
    return "id: {}\nevent: {}\ndata: {}\n\n".format(
        item["id"], item["event"], item["data"].replace("\n", "\ndata: ")
    ).encode()


def by_hand_with_json(item: Dict[str, Any]) -> bytes:
    """The article's line for data that is no text."""
    return "id: {}\nevent: {}\ndata: {}\n\n".format(
        item["id"], item["event"], json.dumps(item["data"])
    ).encode()


def encoding() -> Tasks:
    """The tasks of encoding, those of JSON once more with orjson where it is installed."""
    try:
        import orjson  # noqa: F401
    except ImportError:
        has_orjson = False
    else:
        has_orjson = True
    tasks: Tasks = {}
    for name, data in _DATA.items():
        item = {"id": 7, "event": "message", "data": data}
        if isinstance(data, str):
            plain = by_hand_in_lines if "\n" in data else by_hand
            tasks[f"encode, {name}"] = _encoders(plain, item, Framing())
            continue
        standard = Framing(dumps=_standard_dumps())
        tasks[f"encode, {name}"] = _encoders(by_hand_with_json, item, standard)
        if has_orjson:
            tasks[f"encode, {name}, orjson"] = _encoders(by_hand_with_json, item, Framing())
    return tasks


def _encoders(
    plain: Callable[[Dict[str, Any]], bytes], item: Dict[str, Any], framing: Framing
) -> Dict[str, Subject]:
    dumps = framing.dumps

    def with_plain() -> None:
        for _ in range(_EVENTS):
            plain(item)

    def with_encode() -> None:
        for _ in range(_EVENTS):
            encode(item, dumps=dumps)

    def with_default() -> None:
        for _ in range(_EVENTS):
            encode(item)

    def through_event_stream() -> None:
        for _ in EventStream((item for _ in range(_EVENTS)), framing):
            pass

    return {
        "by hand": _timed(with_plain, _EVENTS),
        "ours": _timed(with_default if dumps is None else with_encode, _EVENTS),
        "event_stream": _timed(through_event_stream, _EVENTS),
    }


def _timed(run: Callable[[], object], operations: float) -> Subject:
    def subject() -> float:
        began_at = time.process_time()
        run()
        return (time.process_time() - began_at) / operations

    return subject


def parsing(bodies: List[bytes], node: Optional["Node"]) -> Tasks:
    """The tasks of parsing, and how the time grows with the size of one event."""
    megabytes = sum(map(len, bodies)) / 1e6
    tasks: Tasks = {}
    for name, size_bytes in _READS.items():
        streams = [_cut(body, size_bytes) for body in bodies]
        subjects = {
            who: _timed(_each(parse, streams), megabytes) for who, parse in _parsers().items()
        }
        if node is not None:
            for who, kind in (("eventsource-parser", "bytes"), ("same, decoded before", "text")):
                subjects[who] = node.subject(size_bytes, kind, megabytes)
        tasks[f"parse, {name} reads"] = subjects
    for size_bytes in (1, 320):
        tasks[f"parse, one event in {size_bytes}-byte reads"] = {
            f"of {mebibytes} MiB": _timed(
                _each(None, [_cut(b"data: %b\n\n" % (b"x" * (mebibytes << 20)), size_bytes)]),
                mebibytes * 1.048576,
            )
            for mebibytes in (1, 4)
        }
    return tasks


def _cut(body: bytes, size_bytes: int) -> List[bytes]:
    return [body[start : start + size_bytes] for start in range(0, len(body), size_bytes)]


#: From the pieces of a stream its events, as a peer's users get them.
Parse = Callable[[List[bytes]], Iterable[Any]]


def _each(parse: Optional[Parse], streams: List[List[bytes]]) -> Callable[[], None]:
    def run() -> None:
        for stream in streams:
            for _ in parse(stream):
                pass

    def run_ours() -> None:
        for stream in streams:
            parser = EventParser()
            for piece in stream:
                for _ in parser.feed(piece):
                    pass

    return run if parse else run_ours


def _parsers() -> Dict[str, Optional[Parse]]:
    found: Dict[str, Optional[Parse]] = {"ours": None}
    for name, peer in {
        "httpx-sse": _httpx_sse,
        "sseclient-py": _sseclient,
        "openai": _openai,
    }.items():
        try:
            found[name] = peer()
        except ImportError:
            print(f"{name} is not installed: left out", file=sys.stderr)
    return found


def _httpx_sse() -> Parse:
    import httpx
    from httpx_sse import EventSource

    class Body(httpx.SyncByteStream):
        def __init__(self, stream: List[bytes]) -> None:
            self.stream = stream

        def __iter__(self) -> Iterator[bytes]:
            return iter(self.stream)

    headers = {"Content-Type": "text/event-stream"}
    return lambda stream: EventSource(
        httpx.Response(200, headers=headers, stream=Body(stream))
    ).iter_sse()


def _sseclient() -> Parse:
    from sseclient import SSEClient

    return lambda stream: SSEClient(iter(stream)).events()


def _openai() -> Parse:
    from openai._streaming import SSEDecoder

    return lambda stream: SSEDecoder().iter_bytes(iter(stream))


_SCRIPT = """
import fs from "node:fs";
import readline from "node:readline";
import { createRequire } from "node:module";
const [modules, ...files] = process.argv.slice(1);
const { createParser } = createRequire(modules + "/")("eventsource-parser");
const bodies = files.map((file) => fs.readFileSync(file));
const cut = (body, size) => {
  const pieces = [];
  for (let at = 0; at < body.length; at += size) pieces.push(body.slice(at, at + size));
  return pieces;
};
const cuts = {};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [size, kind] = line.split(" ");
  cuts[line] ??= bodies.map((body) => cut(kind === "text" ? body.toString() : body, +size));
  let events = 0;
  const began = process.cpuUsage();
  for (const pieces of cuts[line]) {
    const parser = createParser({ onEvent: () => { events += 1; } });
    const decoder = new TextDecoder();
    if (kind === "text") for (const piece of pieces) parser.feed(piece);
    else for (const piece of pieces) parser.feed(decoder.decode(piece, { stream: true }));
  }
  const { user, system } = process.cpuUsage(began);
  const seconds = (user + system) / 1e6;
  console.log(JSON.stringify({ seconds, events }));
}
"""


class Node:
    """One process of Node for all rounds, so that it has compiled what it runs."""

    def __init__(self, modules: Path, files: List[Path]) -> None:
        command = [
            "node",
            "--input-type=module",
            "-e",
            _SCRIPT,
            "--",
            str(modules),
            *map(str, files),
        ]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def subject(self, size_bytes: int, kind: str, megabytes: float) -> Subject:
        """A run over all files; ``kind`` is "bytes" or "text"."""

        def once() -> float:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(f"{size_bytes} {kind}\n")
            self._process.stdin.flush()
            return float(json.loads(self._process.stdout.readline())["seconds"]) / megabytes

        for _ in range(5):
            once()
        return once

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=10)


def _find_node(modules: Optional[Path], files: List[Path]) -> Optional[Node]:
    if modules is None:
        try:
            from places import node_modules

            modules = node_modules()
        except (ImportError, OSError, subprocess.CalledProcessError) as error:
            print(f"Node is left out: {error}", file=sys.stderr)
            return None
    return Node(modules, files)


def _recordings(folder: Optional[Path]) -> List[Path]:
    given = [folder] if folder else [ROOT.parent / "shared" / "recordings"]
    for candidate in [*given, ROOT / "fixtures" / "recordings"]:
        files = sorted(candidate.glob("*.sse"))
        if files:
            return files
    raise SystemExit("no recordings: expected *.sse in the folder of --recordings")


def measured(tasks: Tasks, rounds: int) -> Iterator[Tuple[str, str, List[float]]]:
    """Of each subject, what its rounds took."""
    gc.collect()
    gc.freeze()
    for task, subjects in tasks.items():
        taken: Dict[str, List[float]] = {name: [] for name in subjects}
        for subject in subjects.values():  # the first time is no round: caches fill
            subject()
        for _ in range(max(3, rounds // 3) if "1-byte" in task else rounds):
            for name, subject in subjects.items():
                taken[name].append(subject())
        for name, of_rounds in taken.items():
            yield task, name, of_rounds


def _line(task: str, name: str, rounds: List[float], first: List[float]) -> str:
    middle = statistics.median(rounds)
    ratios = [other / own for own, other in zip(rounds, first)]
    speed = f"{middle * 1e9:8.0f} ns" if task.startswith("encode") else f"{1 / middle:8.1f} MB/s"
    spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    return f"{task:38} {name:22} {speed}   as fast as the first: {spread}"


def main(arguments: Optional[List[str]] = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("group", nargs="?", choices=["encode", "parse"], help="one of the halves")
    parser.add_argument("--json", action="store_true", help="a JSON object a line")
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--recordings", type=Path, help="a folder of .sse files")
    parser.add_argument("--node-modules", type=Path, help="where eventsource-parser is installed")
    options = parser.parse_args(arguments)
    tasks: Tasks = encoding() if options.group != "parse" else {}
    node = None
    if options.group != "encode":
        files = _recordings(options.recordings)
        node = _find_node(options.node_modules, files)
        tasks.update(parsing([file.read_bytes() for file in files], node))
    first: Dict[str, List[float]] = {}
    for task, name, rounds in measured(tasks, options.rounds):
        middle = statistics.median(rounds)
        if options.json:
            row = {"task": task, "subject": name, "seconds_per_op": middle, "rounds": rounds}
            print(json.dumps(row), flush=True)
        else:
            print(_line(task, name, rounds, first.setdefault(task, rounds)), flush=True)
    if node is not None:
        node.close()


if __name__ == "__main__":
    main()
