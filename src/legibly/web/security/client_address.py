"""Finds the client's address, for limits and the audit log."""

import functools
import ipaddress

from fastapi import Request


def address_of(request: Request) -> str:
    """The address of the client, according to the server or its proxy."""
    return request.client.host if request.client else ""


def network_of(request: Request) -> str:
    """The address, or for IPv6 the /64 network, since each household has one."""
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
