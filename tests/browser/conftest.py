"""Debian's Chromium, driven by playwright."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))  # cutting: pytest adds no folder

SCRIPT = Path(sysconfig.get_path("scripts")) / "sse-middleware"
DEADLINE_S = 20
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@pytest.fixture(scope="session")
def chromium():
    """The browser. In CI, where it is to be there, its absence is a failure."""
    found = shutil.which("chromium")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("chromium is not installed")
    if found is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium):
    """A page of its own for each test."""
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    yield page
    context.close()


@pytest.fixture
def serve():
    """Serves a WSGI app, or several, until the test is over; the port of each."""
    from werkzeug.serving import make_server

    servers = []

    def begin(app):
        server = make_server("127.0.0.1", 0, app, threaded=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        servers.append((server, thread))
        return server.server_port

    yield begin
    for server, thread in servers:
        server.shutdown()
        thread.join(DEADLINE_S)


@pytest.fixture(scope="session")
def demo():
    """The address of the page of a running ``sse-middleware demo``."""
    command = [str(SCRIPT), "demo", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            line = process.stdout.readline().decode()
            yield re.fullmatch(r"The page:  (http://127\.0\.0\.1:\d+/)\n", line).group(1)
        finally:
            process.terminate()
            process.wait(DEADLINE_S)
