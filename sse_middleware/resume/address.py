"""The ids that a stream gives away, and the name under which a log keeps it.

An id is ``<stream id>-<number>``. The stream id is 128 random bits. The log never sees it: a stream
is kept under a hash over its id, its owner, and the method, path and query of its request. So an
id from another owner or for another path is not refused, it is not found, in the same way and the
same time as one that never was; and no comparison of secrets can leak how far they agree.
"""

import hashlib
import json
import re
import secrets
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from sse_middleware.errors import OptionError
from sse_middleware.resume.log import Owner

__all__ = ["Address", "find_address", "new_stream_id", "parted"]

_ID = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,14})", re.ASCII)


class Address(NamedTuple):
    """Whose streams, and of which requests, an id may name."""

    parts: Tuple[str, ...]

    def name(self, stream_id: str) -> str:
        """The name in the log of the stream ``stream_id``."""
        return hashlib.sha256(json.dumps([stream_id, *self.parts]).encode()).hexdigest()


def find_address(environ: Dict[str, Any], owner: Owner) -> Optional[Address]:
    """The address of a request as it came; None if it is nobody's.

    Raises:
        OptionError: ``owner`` says something that names nobody.
    """
    whose = _owner_parts(environ, owner)
    if whose is None:
        return None
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    method, query = environ.get("REQUEST_METHOD", ""), environ.get("QUERY_STRING", "")
    return Address((method, path, query, *whose))


def new_stream_id() -> str:
    """128 bits that nobody can guess."""
    return secrets.token_hex(16)


def parted(event_id: str) -> Tuple[str, int]:
    """The stream id and the number in ``event_id``; what is no id of ours names no stream.

    >>> parted("0123456789abcdef0123456789abcdef-7")
    ('0123456789abcdef0123456789abcdef', 7)
    >>> parted("7")
    ('', 0)
    """
    found = _ID.fullmatch(event_id)
    return (found.group(1), int(found.group(2))) if found else ("", 0)


def _owner_parts(environ: Dict[str, Any], owner: Owner) -> Optional[List[str]]:
    if owner is None:
        return ["bearer"]
    whose = owner(environ)
    if whose is None or whose == "":
        return None
    if not isinstance(whose, (str, int)) or isinstance(whose, bool):
        raise OptionError(
            "owner(environ)", f"a {type(whose).__name__}", "a str or an int, or None for nobody"
        )
    return ["owner", type(whose).__name__, str(whose)]
