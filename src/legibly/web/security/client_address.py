"""Where requests come from, for limits and the audit log."""

import functools
import ipaddress

from fastapi import Request


def address_of(request: Request) -> str:
    """The address of the client, as the server or the proxy in front of it knows it."""
    return request.client.host if request.client else ""


def network_of(request: Request) -> str:
    """The address, and of IPv6 the /64 network: one household has that many addresses."""
    return _network(address_of(request))


@functools.lru_cache(maxsize=1024)
def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
