"""Where no message is ever sent."""

from __future__ import annotations

import pytest

from domain.errors import Invalid, WebhookAddressRefused
from infra.webhooks import AddressGuard
from infra.webhooks.networks import networks

PUBLIC = "93.184.215.14"


def guard(*answers: str, private: str = "") -> AddressGuard:
    """One whose names all have those addresses; addresses stand for themselves."""

    def resolve(host: str, _port: int) -> list[str]:
        return list(answers) if any(c.isalpha() for c in host) and ":" not in host else [host]

    return AddressGuard(networks(private), resolve)


def refused(url: str, *answers: str, private: str = "") -> str:
    with pytest.raises(WebhookAddressRefused) as error:
        guard(*answers, private=private).check(url)
    assert error.value.extra["errors"][0]["pointer"] == "#/url"
    return str(error.value.extra["reason"])


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/hook?x=1&y=%20", "https://example.com", "https://example.com:8443/",
        "https://93.184.215.14/", "https://[2606:4700:4700::1111]/", "https://xn--bcher-kva.example/",
        "https://EXAMPLE.com./x",
    ],
)  # fmt: skip
def test_the_public_internet_is_sent_to(url: str) -> None:
    guard(PUBLIC).check(url)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
        "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "::ffff:93.184.215.14", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "2002:7f00:1::", "2001::1", "2001:db8::1", "3fff::1", "::7f00:1", "fec0::1",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere(address: str) -> None:
    assert refused("https://rebind.example/", address) == "private_address"
    # One forbidden address among good ones is enough: who connects may get either.
    assert refused("https://rebind.example/", PUBLIC, address) == "private_address"


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://[::1]/", "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://10.0.0.1/",
        "https://[fd00:ec2::254]/latest/", "https://0.0.0.0/", "https://[::]/",
    ],
)  # fmt: skip
def test_addresses_of_here(url: str) -> None:
    assert refused(url) == "private_address"


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1",
        "127.0.0.1.", "0", "1.2.3.256", "1.2.3.4.5", "0x", "127.0.0.0x1", "[fe80::1%25eth0]",
        "[::1%lo]", "[127.0.0.1]", "[v1.x]", "", ".", "a..b", "-a.example", "a_b-.example",
        "a%62.example",
        "exa\u00admple.com", "\uff11\uff12\uff17.0.0.1", "bücher.example", "a" * 64 + ".example",
        "x" * 300,
    ],
)  # fmt: skip
def test_hosts_in_odd_spellings(host: str) -> None:
    assert refused(f"https://{host}/", PUBLIC) in ("malformed", "private_address")


def test_localhost_is_what_it_resolves_to() -> None:
    with pytest.raises(WebhookAddressRefused) as error:
        AddressGuard().check("https://localhost/")
    assert error.value.extra["reason"] == "private_address"
    # Which address it has is nobody's business.
    assert "127.0.0.1" not in error.value.detail


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://example.com/", "insecure"), ("ftp://example.com/", "malformed"),
        ("file:///etc/passwd", "malformed"), ("gopher://example.com/", "malformed"),
        ("//example.com/", "malformed"), ("example.com", "malformed"), ("", "malformed"),
        ("https://user@example.com/", "credentials"), ("https://u:p@example.com/", "credentials"),
        ("https://example.com@127.0.0.1/", "credentials"), ("https://example.com/#x", "malformed"),
        ("https://example.com:22/", "port"), ("https://example.com:6379/", ""),
        ("https://example.com:25/", "port"), ("https://example.com:6667/", "port"),
        ("https://example.com:0/", "port"), ("https://example.com:99999/", "malformed"),
        ("https://example.com:x/", "malformed"), ("https://example.com\\@127.0.0.1/", "malformed"),
        ("https://example.com/a b", "malformed"), ("https://example.com/\r\nX: y", "malformed"),
        ("https://example.com/\x00", "malformed"),
        ("https://example.com/" + "x" * 2048, "malformed"),
    ],
)  # fmt: skip
def test_urls_that_are_not_used(url: str, reason: str) -> None:
    if reason:
        assert refused(url, PUBLIC) == reason
    else:
        guard(PUBLIC).check(url)


def test_a_name_without_an_address_is_refused() -> None:
    def nobody(*_: object) -> list[str]:
        raise OSError("Name or service not known")

    with pytest.raises(WebhookAddressRefused) as error:
        AddressGuard((), nobody).check("https://nowhere.example/")
    assert error.value.extra["reason"] == "unresolved"
    assert refused("https://strange.example/", "not an address") == "unresolved"
    with pytest.raises(WebhookAddressRefused):
        AddressGuard((), lambda *_: []).check("https://nowhere.example/")


def test_private_networks_are_sent_to_when_the_operator_says_so() -> None:
    assert guard(private="127.0.0.0/8, ::1/128").check("http://127.0.0.1:9000/x").port == 9000
    guard("::1", private="::1/128").check("http://dev.example/")
    assert refused("http://10.0.0.1/", private="127.0.0.0/8") == "private_address"
    assert refused("http://93.184.215.14/", private="127.0.0.0/8") == "insecure"
    # Another spelling of an allowed address is another address.
    assert refused("http://[::ffff:127.0.0.1]/", private="127.0.0.0/8") == "private_address"
    with pytest.raises(Invalid, match="SPLITSOUND_WEBHOOK_PRIVATE_NETWORKS"):
        networks("127.0.0.1/8")
