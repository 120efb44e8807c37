"""The recorder's way to the upstream: one connection for a request, and no second try.

The standard library's client, because it lets the body be read as it was framed; what it gives
to its own readers is that body put together again.
"""

import http.client
import re
import ssl
from base64 import b64encode
from typing import Dict, Iterable, Iterator, List, Optional, Tuple
from urllib.parse import SplitResult, quote, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from sse_middleware.errors import OptionError, shown, shown_url
from sse_middleware.headers import Headers, hop_by_hop
from sse_middleware.testing._hosts import is_loopback

__all__ = ["Upstream"]

_CONNECT_TIMEOUT_S = 30.0
_AS_IT_IS = "%/:=&?~#+!$,;'@()*[]"
#: Set anew for the connection to the upstream. A compressed stream could be neither recorded as
#: text nor searched for secrets.
_OURS = {"host", "content-length", "accept-encoding", "expect"}


class Upstream:
    """Where requests go.

    Args:
        url: scheme, host and path of the API, such as ``https://api.openai.com/v1``.

    Raises:
        OptionError: the URL, or that of the proxy which the environment names for it, cannot be
            used.
    """

    def __init__(self, url: str) -> None:
        parts = _split(url)
        self.url = url
        self.path = parts.path.rstrip("/")
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_tls else 80)
        self._authority = parts.netloc
        self._proxy = _find_proxy(parts)
        self._trusted = ssl.create_default_context() if self._is_tls else None

    def target(self, path: str) -> str:
        """The path at the upstream for a ``path`` that a client asked for.

        It is put behind the path of the URL. Where that ends with what the client's begins with,
        segment for segment, this part stands once.

        >>> upstream = Upstream("https://api.groq.com/openai/v1")
        >>> asked = ["/chat/completions", "/v1/chat/completions", "/openai/v1/chat/completions"]
        >>> {upstream.target(path) for path in asked}
        {'/openai/v1/chat/completions'}
        """
        path = quote(path.encode("latin-1"), safe=_AS_IT_IS)
        own, asked = self.path.split("/")[1:], path.split("/")[1:]
        for count in range(min(len(own), len(asked)), 0, -1):
            if own[-count:] == asked[:count]:
                return "/" + "/".join(own + asked[count:])
        return self.path + path

    def is_at(self, port: int) -> bool:
        """Whether it is what listens on that port of this machine."""
        return self._port == port and is_loopback(self._host)

    def connect(self) -> http.client.HTTPConnection:
        """A new connection, open.

        Raises:
            OSError: there is none to be had.
        """
        connection = self._unconnected()
        connection.connect()
        connection.sock.settimeout(None)  # a model may think for minutes
        return connection

    def send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
    ) -> None:
        """Send a request whole; its answer is then due at ``connection``."""
        if self._proxy is not None and not self._is_tls:
            target = f"http://{self._authority}{target}"
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in [*self._for_proxy().items(), *_forwarded(headers)]:
            connection.putheader(name, value.encode("latin-1"))
        connection.putheader("Accept-Encoding", "identity")
        if body or method in ("POST", "PUT", "PATCH"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)

    def _unconnected(self) -> http.client.HTTPConnection:
        hop = self._proxy
        host = self._host if hop is None else hop.hostname or ""
        port = self._port if hop is None else hop.port or 80
        if self._trusted is None:
            return http.client.HTTPConnection(host, port, timeout=_CONNECT_TIMEOUT_S)
        connection = http.client.HTTPSConnection(
            host, port, timeout=_CONNECT_TIMEOUT_S, context=self._trusted
        )
        if hop is not None:
            connection.set_tunnel(self._host, self._port, _authorization(hop))
        return connection

    def _for_proxy(self) -> Dict[str, str]:
        """What a proxy that is no tunnel must be told with each request."""
        return {} if self._proxy is None or self._is_tls else _authorization(self._proxy)


def _split(url: str) -> SplitResult:
    expected = "http:// or https://, a host, and the path of the API if it has one"
    parts = _find_parts(url, ("http", "https"))
    if parts is None or not url.isascii() or any(char <= " " for char in url):
        raise OptionError("upstream", shown_url(url), expected)
    if parts.username is not None or parts.query or parts.fragment:
        # Not shown: it may be a key.
        told = "a URL with a user, a query or a fragment"
        raise OptionError("upstream", told, f"{expected}; clients send the rest themselves")
    return parts


def _find_proxy(upstream: SplitResult) -> Optional[SplitResult]:
    """The proxy that the environment names for ``upstream``; never one for this machine."""
    host = upstream.hostname or ""
    proxies = getproxies()
    url = proxies.get(upstream.scheme) or proxies.get("all")
    if not url or is_loopback(host) or proxy_bypass(host):
        return None
    url = url if "://" in url else f"http://{url}"
    parts = _find_parts(url, ("http",))
    if parts is None:
        without_password = re.sub("//.*@", "//", url)
        expected = "http:// and a host, or none"
        raise OptionError("proxy in the environment", shown(without_password), expected)
    return parts


def _find_parts(url: str, schemes: Tuple[str, ...]) -> Optional[SplitResult]:
    """The parts of a URL with one of ``schemes`` and with a host that can be looked up, or None."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        return parts if host and parts.scheme in schemes and parts.port != 0 else None
    except ValueError:  # a port of letters, half an IPv6 address, a host with two dots in a row
        return None


def _authorization(proxy: SplitResult) -> Dict[str, str]:
    if proxy.username is None:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + b64encode(pair.encode("utf-8")).decode("ascii")}


def _forwarded(headers: Headers) -> Iterator[Tuple[str, str]]:
    """A request's headers without those of its connection."""
    return _without(headers, {*(name.lower() for name in hop_by_hop(headers)), *_OURS})


def _without(headers: Headers, names: Iterable[str]) -> Iterator[Tuple[str, str]]:
    dropped: List[str] = list(names)
    return ((name, value) for name, value in headers if name.lower() not in dropped)
