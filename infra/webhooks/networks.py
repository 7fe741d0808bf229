"""Which addresses are the public internet's, and so may be sent to.

What is refused stands in IANA's registries of special-purpose addresses (RFC 6890) and of
multicast. It is written out instead of asked of ``ipaddress``, whose ``is_global`` differs between
patch releases of Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from domain.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_REFUSED_4 = (
    "0.0.0.0/8",  # this host
    "10.0.0.0/8",  # private, RFC 1918
    "100.64.0.0/10",  # carriers' NAT, RFC 6598
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # metadata of Azure, on an address that looks public
    "169.254.0.0/16",  # link-local, and the metadata of most clouds
    "172.16.0.0/12",  # private, RFC 1918
    "192.0.0.0/24",  # protocol assignments
    "192.0.2.0/24",  # documentation
    "192.88.99.0/24",  # 6to4 relays, RFC 7526
    "192.168.0.0/16",  # private, RFC 1918
    "198.18.0.0/15",  # benchmarks, RFC 2544
    "198.51.100.0/24",  # documentation
    "203.0.113.0/24",  # documentation
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
)
# Outside of 2000::/3 nothing is global unicast: loopback, link-local, unique local, multicast,
# IPv4-mapped (::ffff:0:0/96) and NAT64 (64:ff9b::/96), which mean IPv4 addresses.
_GLOBAL_6 = "2000::/3"
_REFUSED_6 = (
    "2001::/23",  # protocol assignments: Teredo and others
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4, which means IPv4 addresses
    "3fff::/20",  # documentation, RFC 9637
)
_NOT_PUBLIC_4 = tuple(IPv4Network(each) for each in _REFUSED_4)
_NOT_PUBLIC_6 = tuple(IPv6Network(each) for each in _REFUSED_6)
_UNICAST_6 = IPv6Network(_GLOBAL_6)


def is_public(address: Address) -> bool:
    """Whether the address is a global unicast one of the internet's."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    if address.scope_id is not None or address not in _UNICAST_6:
        return False
    return not any(address in network for network in _NOT_PUBLIC_6)


def is_within(address: Address, networks: Iterable[Network]) -> bool:
    """Whether one of the networks has that very address (an IPv4-mapped one is no IPv4 one)."""
    return any(address in network for network in networks)


def parsed_address(text: str) -> Address | None:
    """The address that a resolver named; None for what is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def networks(csv: str) -> tuple[Network, ...]:
    """CIDRs by commas, e.g. ``127.0.0.0/8,::1/128``. Raises Invalid."""
    try:
        return tuple(ip_network(each.strip()) for each in csv.split(",") if each.strip())
    except ValueError as error:
        raise Invalid(
            f"SPLITSOUND_WEBHOOK_PRIVATE_NETWORKS: {error}. Write networks in CIDR notation, by "
            "commas, as in 127.0.0.0/8."
        ) from error
