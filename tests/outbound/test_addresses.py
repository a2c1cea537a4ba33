"""Which addresses may be dialled."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vodsprite.errors import AddressRefused, InvalidInput
from vodsprite.outbound.addresses import REFUSED, AddressRules

NOTHING = AddressRules.parse("")


def refusal(address: str, rules: AddressRules = NOTHING) -> AddressRefused:
    with pytest.raises(AddressRefused) as caught:
        rules.check(address)
    return caught.value


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1"]
)
def test_public_addresses_pass(address: str) -> None:
    """What is plainly on the internet may be dialled."""
    NOTHING.check(address)


@pytest.mark.parametrize(
    ("address", "rfc"),
    [
        ("127.0.0.1", "RFC 1122"),
        ("127.255.255.254", "RFC 1122"),
        ("::1", "RFC 4291"),
        ("0.0.0.0", "RFC 1122"),
        ("::", "RFC 4291"),
        ("10.0.0.1", "RFC 1918"),
        ("172.16.0.1", "RFC 1918"),
        ("172.31.255.255", "RFC 1918"),
        ("192.168.1.1", "RFC 1918"),
        ("fd12:3456::1", "RFC 4193"),
        ("100.64.0.1", "RFC 6598"),
        ("169.254.1.1", "RFC 3927"),
        ("fe80::1", "RFC 4291"),
        ("fe80::1%eth0", "RFC 4291"),
        ("169.254.169.254", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("168.63.129.16", "host service"),
        ("224.0.0.1", "RFC 5771"),
        ("ff02::1", "RFC 4291"),
        ("192.0.2.1", "RFC 5737"),
        ("198.51.100.1", "RFC 5737"),
        ("203.0.113.1", "RFC 5737"),
        ("2001:db8::1", "RFC 3849"),
        ("198.19.0.1", "RFC 2544"),
        ("240.0.0.1", "RFC 1112"),
        ("255.255.255.255", "RFC 919"),
    ],
)
def test_what_is_not_public_is_refused_with_its_source(address: str, rfc: str) -> None:
    """Each range names who says that it is no public one."""
    assert rfc in refusal(address).rule


@pytest.mark.parametrize(
    "address",
    [
        "::ffff:127.0.0.1",  # mapped
        "::127.0.0.1",  # compatible
        "::ffff:0:127.0.0.1",  # translated
        "64:ff9b::127.0.0.1",  # NAT64
        "2002:7f00:1::",  # 6to4
        "2001:0:7f00:1::f7f7:f7f7",  # Teredo, the server
        "2001:0:808:808::80ff:fffe",  # Teredo, the client
    ],
)
def test_an_address_inside_an_address_is_found(address: str) -> None:
    """However 127.0.0.1 is wrapped, it is 127.0.0.1; and what allows it allows its wrappings."""
    error = refusal(address)
    assert "loopback" in error.rule
    assert error.setting == "VODSPRITE_OUTBOUND_ALLOW=loopback"
    AddressRules.parse("loopback").check(address)


def test_a_public_address_in_a_wrapping_passes() -> None:
    """NAT64 of a public address is how an IPv6-only host reaches it."""
    NOTHING.check("64:ff9b::8.8.8.8")


@pytest.mark.parametrize("address", ["127.1", "2130706433", "0x7f.1", "localhost", "", "127.0.0.1 ", "[::1]"])
def test_another_spelling_of_an_address_is_refused(address: str) -> None:
    """A text that a socket might read as an address, but that is none to us, is not dialled."""
    refusal(address)


def test_words_allow_their_ranges_only() -> None:
    """`loopback` and `private` say what they say; metadata services are in neither."""
    loopback, private = AddressRules.parse("loopback"), AddressRules.parse("private")
    for address in ("127.0.0.1", "::1"):
        loopback.check(address)
        refusal(address, private)
    for address in ("10.1.2.3", "192.168.0.9", "fd12::1"):
        private.check(address)
        refusal(address, loopback)
    both = AddressRules.parse(" private , loopback ")
    refusal("169.254.169.254", both)
    refusal("fd00:ec2::254", both)
    refusal("100.64.0.1", both)


def test_cidrs_and_single_addresses_allow() -> None:
    """Ranges and addresses can be named, with host bits or without."""
    rules = AddressRules.parse("10.1.0.0/16,169.254.169.254,fe80::/10,192.168.7.9/24")
    for address in ("10.1.255.1", "169.254.169.254", "fe80::5", "192.168.7.200", "::ffff:10.1.0.1"):
        rules.check(address)
    refusal("10.2.0.1", rules)


@pytest.mark.parametrize("text", ["localhost", "10.0.0.0/33", "private;loopback", "Loopback", "10.0.0"])
def test_nonsense_is_named(text: str) -> None:
    """A setting that cannot be read is refused with the part that is wrong."""
    with pytest.raises(InvalidInput, match="outbound_allow") as caught:
        AddressRules.parse(f"private,{text}")
    assert text in str(caught.value)


@given(
    address=st.sampled_from(REFUSED).flatmap(lambda one: st.ip_addresses(network=one.network)),
    present=st.sampled_from(["", "loopback", "10.0.0.0/8,loopback"]),
)
def test_the_setting_that_is_named_does_allow(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, present: str
) -> None:
    """Whoever sets what a refusal names is not refused that address again, and keeps what was allowed."""
    try:
        AddressRules.parse(present).check(str(address))
    except AddressRefused as error:
        named, _, value = error.setting.partition("=")
    else:
        return
    assert named == "VODSPRITE_OUTBOUND_ALLOW"
    assert value.startswith(present)
    AddressRules.parse(value).check(str(address))
