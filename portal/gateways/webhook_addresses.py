"""The addresses of webhooks, which strangers choose: nothing is sent into this machine's network."""

import ipaddress
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_REFUSED: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # shared by the customers of a carrier (RFC 6598)
        "168.63.129.16/32",  # the metadata of a cloud, at a public address
        "192.0.0.0/24",  # protocol assignments, with the metadata of a cloud
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "64:ff9b::/96",  # NAT64 (RFC 6052)
        "64:ff9b:1::/48",  # NAT64 of a local network (RFC 8215)
        "2001::/32",  # Teredo
        "2002::/16",  # 6to4
        "fec0::/10",  # site-local
        "3fff::/20",  # documentation (RFC 9637)
        "::/96",  # IPv4-compatible
    )
)


class BadUrl(ValueError):
    """The address can't be an endpoint. `code` is the reason."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def is_refused(address: Address, *, allow_loopback: bool = False) -> bool:
    """Nothing is sent to this address: it is not a public unicast address, or it leads to one that is not."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback:
        return not allow_loopback
    if not address.is_global or address.is_multicast or address.is_reserved:
        return True
    return any(address.version == network.version and address in network for network in _REFUSED)


def check_url(url: str, *, allow_loopback: bool = False, hosts: Collection[str] = ()) -> str:
    """The address of an endpoint, as it was typed, its scheme in lower case.

    With `allow_loopback` also http to this machine, for development. `hosts` are the only ones to which requests may
    go, as in WEBHOOK_HOSTS; none: every public one.

    Refuses with BadUrl: bad_url; not_https; refused_address (an IP address to which nothing is sent); refused_host.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("bad_url") from None
    host = parts.hostname or ""
    if not re.fullmatch(r"[!-~]{1,500}", url) or parts.scheme not in ("http", "https") or port == 0:
        raise BadUrl("bad_url")
    if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host) or "@" in parts.netloc or "#" in url or "\\" in url:
        raise BadUrl("bad_url")
    url = parts.scheme + url[len(parts.scheme) :]
    literal = ip(host)
    if allow_loopback and (host == "localhost" or (literal is not None and literal.is_loopback)):
        return url
    if parts.scheme != "https":
        raise BadUrl("not_https")
    if literal is None:
        _check_name(host.removesuffix("."))
    if literal is not None and is_refused(literal):
        raise BadUrl("refused_address")
    if hosts and not any(_is_below(host, name) for name in hosts):
        raise BadUrl("refused_host")
    return url


def _is_below(host: str, name: str) -> bool:
    """Whether a host has this name, or for "*.example.org" a name below example.org."""
    return host.endswith(name[1:]) if name.startswith("*.") else host == name


def _check_name(host: str) -> None:
    """Refuse names of this machine and its network, and numbers that resolvers read as an IPv4 address: 127.1, 0x7f.1.

    `host` has no point at its end, which makes no other name. Refuses with BadUrl: bad_url; refused_address.
    """
    labels = host.split(".")
    if not all(0 < len(label) < 64 for label in labels):
        raise BadUrl("bad_url")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise BadUrl("refused_address")
    if len(labels) == 1 or labels[-1] in ("localhost", "local", "internal"):
        raise BadUrl("refused_address")


def ip(host: str) -> Address | None:
    """The IP address that a host is; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
