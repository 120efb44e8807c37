"""Flask-Compress, told to compress event streams; ``SSE_LINES`` holds the lines of a fix."""

import os

from flask import Flask, Response
from flask_compress import Compress
from misconfigured_stream import HEADERS, frames

app = application = Flask(__name__)
app.config["COMPRESS_MIMETYPES"] = ["text/html", "text/event-stream"]
exec(os.environ["SSE_LINES"])
Compress(app)


@app.route("/stream")
def stream():
    return Response(frames(), headers=HEADERS, mimetype="text/event-stream")
