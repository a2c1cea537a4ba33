"""
Which addresses may be dialled: what is not plainly public is refused, unless it is allowed by name.

The ranges are those of IANA's special-purpose registries (RFC 6890) and the multicast and metadata ranges. An
IPv6 address that carries an IPv4 address inside is judged by what it carries.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from vodsprite.errors import AddressRefused, InvalidInput

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

SETTING = "VODSPRITE_OUTBOUND_ALLOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedRange:
    """A range that is refused, and who says that it is no public one."""

    network: Network
    rule: str
    word: str = ""  # the setting's word that allows it; "" needs its addresses


def _range(cidr: str, rule: str, word: str = "") -> RefusedRange:
    return RefusedRange(network=ip_network(cidr), rule=rule, word=word)


REFUSED = (
    # Narrow ranges before the wide ones that hold them: the first match gives the reason.
    _range("169.254.169.254/32", "cloud metadata service, link-local by RFC 3927"),
    _range("168.63.129.16/32", "host service of a cloud, public by accident"),
    _range("0.0.0.0/8", "this host on this network, RFC 1122 section 3.2.1.3"),
    _range("127.0.0.0/8", "loopback, RFC 1122 section 3.2.1.3", "loopback"),
    _range("10.0.0.0/8", "private, RFC 1918", "private"),
    _range("172.16.0.0/12", "private, RFC 1918", "private"),
    _range("192.168.0.0/16", "private, RFC 1918", "private"),
    _range("100.64.0.0/10", "shared by a carrier's customers, RFC 6598"),
    _range("169.254.0.0/16", "link-local, RFC 3927"),
    _range("192.0.0.0/24", "protocol assignments, RFC 6890"),
    _range("192.0.2.0/24", "documentation, RFC 5737"),
    _range("198.51.100.0/24", "documentation, RFC 5737"),
    _range("203.0.113.0/24", "documentation, RFC 5737"),
    _range("192.88.99.0/24", "6to4 relays, RFC 7526"),
    _range("198.18.0.0/15", "benchmarks, RFC 2544"),
    _range("224.0.0.0/4", "multicast, RFC 5771"),
    _range("255.255.255.255/32", "broadcast, RFC 919"),
    _range("240.0.0.0/4", "reserved, RFC 1112 section 4"),
    _range("::/128", "unspecified, RFC 4291 section 2.5.2"),
    _range("::1/128", "loopback, RFC 4291 section 2.5.3", "loopback"),
    _range("64:ff9b:1::/48", "local translation to IPv4, RFC 8215"),
    _range("100::/64", "discard only, RFC 6666"),
    _range("100:0:0:1::/64", "dummy prefix, RFC 9780"),
    _range("2001:2::/48", "benchmarks, RFC 5180"),
    _range("2001:10::/28", "ORCHID, RFC 4843"),
    _range("2001:20::/28", "ORCHIDv2, RFC 7343"),
    _range("2001::/23", "protocol assignments, RFC 2928"),
    _range("2001:db8::/32", "documentation, RFC 3849"),
    _range("3fff::/20", "documentation, RFC 9637"),
    _range("5f00::/16", "segment routing, RFC 9602"),
    _range("fd00:ec2::254/128", "cloud metadata service, private by RFC 4193"),
    _range("fc00::/7", "private, RFC 4193", "private"),
    _range("fe80::/10", "link-local, RFC 4291 section 2.5.6"),
    _range("fec0::/10", "site-local, RFC 3879"),
    _range("ff00::/8", "multicast, RFC 4291 section 2.7"),
)

WORDS = ("loopback", "private")
"""What `parse` understands besides CIDRs. Metadata services are in no word: they must be named."""

# Prefixes with an IPv4 address inside, and how far its lowest bit is from the right.
_CARRIERS: tuple[tuple[IPv6Network, int], ...] = (
    (IPv6Network("::/96"), 0),  # IPv4-compatible, RFC 4291 section 2.5.5.1
    (IPv6Network("::ffff:0:0/96"), 0),  # IPv4-mapped, RFC 4291 section 2.5.5.2
    (IPv6Network("::ffff:0:0:0/96"), 0),  # IPv4-translated, RFC 2765 section 2.1
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64, RFC 6052
    (IPv6Network("2002::/16"), 80),  # 6to4, RFC 3056
    (IPv6Network("2001::/32"), 64),  # Teredo's server, RFC 4380
)
_TEREDO = IPv6Network("2001::/32")


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """Which of the refused ranges are allowed all the same."""

    words: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()
    text: str = ""  # as it was written

    @classmethod
    def parse(cls, text: str) -> AddressRules:
        """
        Read a comma-separated list of CIDRs, single addresses and the words `loopback` and `private`.

        Raises:
            InvalidInput: A part is none of these.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        words = frozenset(part for part in parts if part in WORDS)
        networks = tuple(_network(part) for part in parts if part not in WORDS)
        return cls(words=words, networks=networks, text=",".join(parts))

    def check(self, address: str) -> None:
        """
        Let *address* pass, or say why not.

        Args:
            address: As a socket takes it. A text that is no plain address is refused: another spelling of an
                address ("127.1") would reach it unseen.

        Raises:
            AddressRefused: The address is in a refused range that is not allowed.
        """
        try:
            dialled = ip_address(address.partition("%")[0])  # without an IPv6 zone
        except ValueError:
            raise AddressRefused(
                address[:64], "no plain IP address", self._with("<the address in its usual form>")
            ) from None
        found = [(inner, refused) for inner in _all_forms(dialled) if (refused := self._refused_by(inner))]
        if found:
            # All that it carries, or who allows the first would meet the second.
            needed = dict.fromkeys(refused.word or _single(inner) for inner, refused in found)
            raise AddressRefused(address, found[0][1].rule, self._with(",".join(needed)))

    def _refused_by(self, address: Address) -> RefusedRange | None:
        if any(address in network for network in self.networks):
            return None
        for refused in REFUSED:
            if address in refused.network:
                return None if refused.word in self.words else refused
        return None

    def _with(self, addition: str) -> str:
        return f"{SETTING}={self.text},{addition}" if self.text else f"{SETTING}={addition}"


def _all_forms(address: Address) -> Iterator[Address]:
    """Yield the IPv4 addresses inside an IPv6 one, or else the address itself."""
    inside = list(_carried(address)) if isinstance(address, IPv6Address) else []
    # `::` and `::1` lie in the IPv4-compatible prefix but are addresses of their own kind.
    if not inside or int(address) <= 1:
        yield address
        return
    yield from inside


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    for prefix, shift in _CARRIERS:
        if address in prefix:
            yield IPv4Address(int(address) >> shift & 0xFFFFFFFF)
    if address in _TEREDO:  # the client's address is kept inverted
        yield IPv4Address(~int(address) & 0xFFFFFFFF)


def _network(part: str) -> Network:
    try:
        return ip_network(part, strict=False)
    except ValueError:
        words = " and ".join(WORDS)
        raise InvalidInput(
            "outbound_allow", f"contains {part[:64]!r}, which is no address, no CIDR and none of {words}"
        ) from None


def _single(address: Address) -> str:
    return f"{address}/{address.max_prefixlen}"
