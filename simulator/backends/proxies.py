"""Proxies of the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, and NO_PROXY against them."""

import ipaddress
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from simulator.core.errors import BackendError

_REMEDY = (
    "set HTTP_PROXY or HTTPS_PROXY to http://HOST:PORT, or add the endpoint's host to NO_PROXY"
)


def is_remote(url: str) -> bool:
    """Return whether a URL leads to another machine, so that a proxy may stand between."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_unspecified)


def check_proxy(url: str) -> None:
    """Refuse a proxy that the client can't speak with.

    Raises:
        BackendError: the environment names one for this URL.
    """
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    scheme, named, _ = proxy.partition("://")
    bypassed = not is_remote(url) or proxy_bypass(parts.hostname or "")
    if named and scheme.lower() not in ("http", "https") and not bypassed:
        raise BackendError(f"{url}: a proxy of kind '{scheme}' can't be used; {_REMEDY}")
