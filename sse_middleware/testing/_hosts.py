"""Which names of a host are this machine's.

A site can make its own name point here (DNS rebinding). To the browser its page then has the origin
of what listens here, and may read all of it; but the name that stands in Host is still the site's.
"""

import ipaddress
from typing import Optional
from urllib.parse import urlsplit

__all__ = ["is_loopback", "is_name_of_others"]


def is_loopback(host: str) -> bool:
    """Whether an address or a name can only be this machine.

    >>> [is_loopback(host) for host in ("127.0.0.2", "::1", "localhost", "0.0.0.0", "example.com")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")


def is_name_of_others(host: Optional[str]) -> bool:
    """Whether a Host is a name, and not this machine's. Of addresses no site can take one.

    >>> [is_name_of_others(host) for host in ("[::1]:80", "192.0.2.1", "LOCALHOST:8891", None)]
    [False, False, False, False]
    >>> [is_name_of_others(host) for host in ("example.com:8891", "127.0.0.1.example.com", "[")]
    [True, True, True]
    """
    name = ""
    try:
        name = urlsplit(f"//{host or 'localhost'}").hostname or ""
        ipaddress.ip_address(name)
    except ValueError:
        return not is_loopback(name)
    return False
