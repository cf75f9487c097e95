"""Where requests may go: https to public addresses on the usual ports, and what the operator allows beside."""

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

from django.conf import settings

from apps.common.errors import Fatal

PORTS = {80, 443}
DEFAULT_PORTS = {"http": 80, "https": 443}

# Beside what `is_global` refuses; newer Python versions know some of these, 3.11 does not.
NEVER_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"), IPv4Network("240.0.0.0/4"))
GLOBAL_UNICAST = IPv6Network("2000::/3")  # everything else in IPv6 is local, reserved or a translation of IPv4
NEVER_V6 = (IPv6Network("2001::/23"), IPv6Network("2001:db8::/32"), IPv6Network("3fff::/20"))
V4_IN_LOW_BITS = (IPv6Network("::ffff:0:0/96"), IPv6Network("::ffff:0:0:0/96"), IPv6Network("64:ff9b::/96"))


class Url(Protocol):
    """A URL as either of the HTTP libraries has read it."""

    @property
    def scheme(self) -> str: ...
    @property
    def raw_host(self) -> bytes: ...
    @property
    def port(self) -> int | None: ...
    @property
    def userinfo(self) -> bytes: ...
    def copy_with(self, **parts: Any) -> "Url": ...


class EgressRefused(Fatal):
    """The rules do not let a request go where it wants to; asking again will not change that."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="egress_refused")


def check_url(url: Url) -> None:
    """Raise EgressRefused for a scheme, port or user name that is not allowed; the address is checked on connecting."""
    host, port = destination(url)
    if url.scheme not in DEFAULT_PORTS or not host:
        raise EgressRefused(f"'{_shown(url)}' is not an http(s) address with a host.")
    if url.userinfo:
        raise EgressRefused("An address may not carry a user name or password; send a header instead.")
    if is_allowed(host, port):
        return
    if url.scheme != "https":
        raise EgressRefused(f"Only https is allowed, not '{_shown(url)}'.{_remedy(host, port)}")
    if port not in PORTS:
        raise EgressRefused(f"Port {port} of {host} is not allowed, only 80 and 443.{_remedy(host, port)}")


def destination(url: Url) -> tuple[str, int]:
    """Give the host (ASCII, lower case) and port that a request to the URL connects to."""
    return _canonical(url.raw_host.decode("ascii")), url.port or DEFAULT_PORTS.get(url.scheme, 0)


def is_allowed(host: str, port: int) -> bool:
    """Tell whether the operator's ORCHESTRA_EGRESS_ALLOW names this very host and port."""
    return (host, port) in {_host_and_port(entry) for entry in settings.ORCHESTRA_EGRESS_ALLOW}


async def checked_addresses(host: str, port: int) -> list[str]:
    """Resolve the host once and give its addresses, or raise EgressRefused if a single one is not allowed.

    The caller connects to what it gets: resolving again would let the name point elsewhere by then.
    """
    host = _canonical(host)
    addresses = await _resolve(host, port)
    if await _is_own(host, addresses, port):
        raise EgressRefused(f"{host}:{port} belongs to Orchestra itself.")
    if not is_allowed(host, port):
        for address in addresses:
            if not is_public(ip_address(address)):
                named = host if host == address else f"{host} ({address})"
                raise EgressRefused(f"{named} is not a public address.{_remedy(host, port)}")
    return addresses


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address is one of the open internet, also when it wraps an IPv4 address."""
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast and not any(address in net for net in NEVER_V4)
    wrapped = wrapped_v4(address)
    if wrapped:
        return all(is_public(inner) for inner in wrapped)
    return address in GLOBAL_UNICAST and address.is_global and not any(address in net for net in NEVER_V6)


def wrapped_v4(address: IPv6Address) -> list[IPv4Address]:
    """Give the IPv4 addresses that packets to this one may end up at: mapped, NAT64, 6to4, Teredo."""
    if any(address in net for net in V4_IN_LOW_BITS):
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    if address.sixtofour:
        return [address.sixtofour]
    return list(address.teredo or ())


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def _is_own(host: str, addresses: list[str], port: int) -> bool:
    """Tell whether this is our database or broker (never to be reached), or our own web address (if not allowed)."""
    own = {own_host for own_host, own_port in _own_services(host, port) if own_port == port}
    if host in own:
        return True
    for own_host in own:
        try:
            resolved = await _resolve(own_host, port)
        except OSError:
            continue  # a name that leads nowhere hides nothing
        if any(_unwrapped(address) in map(_unwrapped, resolved) for address in addresses):
            return True
    return False


def _own_services(host: str, port: int) -> set[tuple[str, int]]:
    own = {
        (_canonical(str(database.get("HOST") or "localhost")), int(database.get("PORT") or 5432))
        for database in settings.DATABASES.values()
        if not str(database.get("HOST")).startswith("/")  # a socket in the file system
    }
    own.add(_host_and_port(settings.REDIS_URL, default=6379))
    if not is_allowed(host, port):
        own.add(_host_and_port(settings.ORCHESTRA_BASE_URL))
    return own


def _host_and_port(entry: str, default: int | None = None) -> tuple[str, int]:
    parts = urlsplit(entry if "://" in entry else f"//{entry}")
    return _canonical(parts.hostname or ""), parts.port or default or DEFAULT_PORTS.get(parts.scheme, 443)


def _canonical(host: str) -> str:
    host = host.lower().rstrip(".")
    try:
        return str(ip_address(host))
    except ValueError:
        return host


def _unwrapped(address: str) -> IPv4Address | IPv6Address:
    ip = ip_address(address)
    return wrapped_v4(ip)[-1] if isinstance(ip, IPv6Address) and wrapped_v4(ip) else ip


def _shown(url: Url) -> str:
    return str(url.copy_with(username=None, password=None, query=None, fragment=None))


def _remedy(host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return f" The operator can allow it with ORCHESTRA_EGRESS_ALLOW={shown}:{port}."
