"""The events of the bench, the same for every server; `peers/` has them once more for Node."""

__all__ = ["LARGE", "LARGE_COUNT", "SMALL", "SMALL_COUNT", "frame_of", "stamped"]

SMALL_COUNT = 30_000
LARGE_COUNT = 1_000

#: Some 75 bytes each once they are framed.
SMALL = [f'{{"text":"token {number:06}","index":0}}' for number in range(SMALL_COUNT)]
LARGE = ["x" * 4096] * LARGE_COUNT


def frame_of(number: int, text: str) -> bytes:
    """An event as a peer without checks writes it."""
    return f"event: token\nid: {number}\ndata: {text}\n\n".encode()


def stamped(now_ns: int) -> str:
    """Data that tells when it was made, on the clock that all processes share."""
    return f'{{"at":{now_ns:020},"text":"token"}}'
