"""What each client makes of each fault: the table, and ``docs/faults.md``, which is made of it.

The table is ``fixtures/fault-outcomes.tsv``. A run of ``tests/clients`` compares it with what its
clients do; with ``SSE_OUTCOMES_OUT``, which names a file such as the table itself, it writes their
rows into that. After that:

python tests/clients/table.py > docs/faults.md
"""

import csv
import re
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).resolve().parents[2] / "fixtures" / "fault-outcomes.tsv"
CLEAN_END = "end"
IN_WORDS = {CLEAN_END: "a clean end", "waits on": "*waits on*"}
#: Those that hand over bytes, and know no events.
RAW = ("Node's fetch", "curl", "httpx", "httpx2", "requests")
#: Of these faults the docstring tells the outcome of one form.
SHOWN = {"http_error": ("http_error(429", "Outcome of 429")}

INTRO = """\
# Faults

Made by `tests/clients/table.py` from `fixtures/fault-outcomes.tsv`; do not edit. `tests/clients`
compares each line with what the client does, against the fake upstream's HTTP server.

```python
from sse_middleware.testing import FakeUpstream, faults

upstream = FakeUpstream()
upstream.play("chat-text", fault=faults.cut(after_events=2))
```

* **Came** is the number of objects that the SDK handed over before the end. Of HTTP clients, which
  hand over bytes (HTTP_CLIENTS), it is the number of whole events in
  those bytes.
* **Then** is the exception that the user's loop sees, or *a clean end*: the loop is over, and
  nothing tells that something was wrong.
* Each client has `max_retries=0`, where it has such an option, and a timeout of 20 s, but 0.4 s
  for `slow_first_token` and `stall`. *Waits on*: it had not given up 0.4 s after that, though
  openai-node has it as its `timeout`. fetch has no such option, and was given nothing else.
* Without a fault there come WITHOUT.
* The stream is `chat-text`, a Chat Completion. anthropic gets a Message, which has no `[DONE]`, and
  SDKs of OpenAI a Response for the two forms `responses`.
* A client's name stands for its sync and its async form, unless they differ.
* By default openai from 1 on, anthropic and openai-node ask three times in all when they get a 429
  or 5xx; the journal, `upstream.requests`, has each of these requests, and `http_error` meets them
  all. None asks again once a stream has begun, also after a cut.
"""


class Row(NamedTuple):
    """A line of the table. A client's name ends in ``async`` where it is the asynchronous one."""

    client: str
    fault: str
    came: str
    then: str


def read(path=TABLE):
    """The rows."""
    with open(path, encoding="utf-8", newline="") as file:
        return [Row(*row) for row in list(csv.reader(file, delimiter="\t"))[1:]]


def write(rows, path=TABLE):
    """Put ``rows`` into the file, in the place of those that it has of the same clients."""
    path = Path(path)
    new = {row.client for row in rows}
    kept = [row for row in read(path) if row.client not in new] if path.exists() else []
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(Row._fields)
        # Sorting is stable: the faults keep their order.
        writer.writerows(sorted([*kept, *rows], key=lambda row: _rank(row.client)))


def _rank(client):
    """SDKs before the clients that know none of the APIs, newest first."""
    name = client.replace(" async", "")
    version = float(name.split(" ")[1]) if re.search(r" [\d.]+$", name) else 0
    return (name in RAW, not name.startswith("openai "), -version, name, client)


def grouped(rows):
    """``{fault: {(came, then): [client, ...]}}``, in the order of the table."""
    found = {}
    for row in rows:
        outcomes = found.setdefault(row.fault, {})
        outcomes.setdefault((row.came, row.then), []).append(row.client)
    return found


def joined(clients, everyone):
    """The names, where ``X`` stands for ``X`` and ``X async``, if both are there."""
    names = []
    for name in clients:
        base = name.replace(" async", "")
        if f"{base} async" not in everyone or {base, f"{base} async"} <= set(clients):
            names += [] if base in names else [base]
        else:
            names.append(name if name != base else f"{base} sync")
    return ", ".join(names)


def outcome_of(name, rows):
    """What the docstring of ``faults.<name>`` says: how it ends, in whatever form it comes."""
    shown, heading = SHOWN.get(name, (f"{name}(", "Outcome"))
    clean = {row.client: int(row.came) for row in rows if row.fault == "none"}
    kinds = {}
    for row in rows:
        if row.fault.startswith(shown):
            kinds.setdefault(row.client, {})[_kind(row, clean[row.client])] = True
    groups = {}
    for client, found in kinds.items():
        groups.setdefault(" or ".join(sorted(found)), []).append(client)
    if len(groups) == 1:
        return f"{heading}: {''.join(groups)} (all)."
    told = [f"{kind} ({_short(joined(names, clean))})" for kind, names in groups.items()]
    return f"{heading}: {'; '.join(told)}."


def _short(names):
    """One word for the clients that hand over bytes; of openai's versions, the figures."""
    names = names.replace(", ".join(RAW), "HTTP clients")
    return re.sub(r"(?<=, )openai (\d)(?=, |$)", r"\1", names)


def _kind(row, clean_count):
    """How it ended, in a word or two, without the text of an exception."""
    if row.then.startswith("curl: "):
        return row.then.split(") ")[0] + ")"
    if row.then != CLEAN_END:
        return row.then.split(": ")[0]
    if row.came == "0" and row.client.replace(" async", "") not in RAW:
        return "clean end without an event"
    is_less = row.fault.startswith("bom(") and int(row.came) < clean_count
    return "clean end, the first event lost" if is_less else "clean end"


def _section(fault, outcomes, everyone):
    lines = [f"## `{fault}`", "", "| came | then | clients |", "|---|---|---|"]
    for (came, then), clients in outcomes.items():
        told = IN_WORDS.get(then, f"`{then.replace('|', '')}`")
        lines.append(f"| {came} | {told} | {joined(clients, everyone)} |")
    return "\n".join(lines)


def document(rows):
    """The text of ``docs/faults.md``."""
    sections = grouped(rows)
    without = sections.pop("none")
    everyone = {row.client for row in rows}
    told = [f"{came} ({_short(joined(names, everyone))})" for (came, _), names in without.items()]
    intro = INTRO.replace("WITHOUT", "; ".join(told)).replace("HTTP_CLIENTS", ", ".join(RAW))
    order = sorted(sections, key=lambda fault: _place(fault, rows))
    return "\n\n".join([intro.rstrip(), *(_section(f, sections[f], everyone) for f in order)])


def _place(fault, rows):
    """The faults as the first client with all of them has them."""
    return [row.fault for row in rows].index(fault)


if __name__ == "__main__":
    print(document(read()))
