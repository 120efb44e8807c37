"""A stream as an app writes it by hand, for the compressors that run inside the app."""

import time

HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def frames():
    for number in range(1, 5):
        yield f"id: {number}\ndata: {number}\n\n".encode()
        time.sleep(0.3)
    yield b"event: close\ndata: \n\n"
