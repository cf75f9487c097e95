"""No way of writing an address leads inside: every one of these is refused, and nothing listens in vain."""

import socket
from ipaddress import ip_address

import pytest

from apps.common.asyncio_loop import run_coroutine
from apps.common.errors import Fatal, Retryable
from apps.integrations.egress import EgressRefused, fetch, rules
from tests.integrations.servers import canary

LOOPBACK = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "127.127.127.127",
    "127.0.0.1.",
    "0",
    "0.0.0.0",  # noqa: S104
    "0x7f.1",
    "0x7f.0.0.1",
    "0x7f000001",
    "0X7F000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "00000177.0.0.1",
    "0177.0x0.0.1",
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "localhost.localdomain",
    "ip6-localhost",
    "ip6-loopback",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[0000::0001]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::FFFF:7F00:0001]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2002:7f00:0001::1]",
    "[2001:0:7f00:1::]",
    "[2001:0:5ef5:79fd:0:0:80ff:fffe]",
    "①②⑦.⓪.⓪.①",
    "１２７.０.０.１",  # noqa: RUF001
    "127。0。0。1",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
]

INSIDE = [
    "169.254.169.254",
    "169.254.170.2",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:a9fe:a9fe::]",
    "[fd00:ec2::254]",
    "0xa9fea9fe",
    "2852039166",
    "025177524776",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[fc00::1]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[ff0e::1]",
    "[100::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[5f00::1]",
]

ODD = [
    "https://0251.0376.0251.0376:{port}/",
    "https://[fe80::1%25lo]:{port}/",
    "https://[::1%25lo]:{port}/",
    "http://127.0.0.1:{port}/",
    "HTTP://127.0.0.1:{port}/",
    "https://user:password@127.0.0.1:{port}/",
    "https://example.com@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}@127.0.0.1:{port}/",
    "https://example.com:{port}@127.0.0.1/",
    "https://127.0.0.1:{port}#@example.com/",
    "https://127.0.0.1:{port}?@example.com/",
    "https://127.0.0.1:{port}\\@example.com/",
    "https:/\\127.0.0.1:{port}/",
    "https:127.0.0.1:{port}",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}",
    " https://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/\r\nHost: example.com",
    "https://127.0.0.1%00.example.com:{port}/",
    "https://127.0.0.1\t.example.com:{port}/",
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_INFO",
    "dict://127.0.0.1:{port}/info",
    "unix:///run/postgresql/.s.PGSQL.5432",
    "http+unix://%2Frun%2Fdocker.sock/info",
    "data:text/plain,hello",
    "javascript:alert(1)",
    "https://",
    "https:///path",
    "",
]

URLS = [f"https://{host}:{{port}}/" for host in LOOPBACK + INSIDE] + ODD


@pytest.fixture
def open_port(monkeypatch):
    """A listening port that the port rule lets through, so that the address rule alone has to hold."""
    with canary() as (port, connections):
        monkeypatch.setattr(rules, "PORTS", rules.PORTS | {port})
        yield port, connections


def test_the_corpus_is_large():
    assert len(set(URLS)) >= 100


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_inside_is_refused_by_name(host, open_port):
    port, _ = open_port

    with pytest.raises(EgressRefused, match="is not a public address"):
        run_coroutine(fetch("GET", f"https://{host}:{port}/", timeout=5))


@pytest.mark.parametrize("url", URLS)
def test_a_way_around_is_refused_and_nothing_connects(url, open_port):
    port, connections = open_port

    with pytest.raises((Fatal, Retryable)):  # retryable: a name that this machine cannot resolve now
        run_coroutine(fetch("GET", url.format(port=port), timeout=5))

    assert connections == []


@pytest.mark.parametrize("host", LOOPBACK)
def test_the_address_rule_alone_refuses_loopback(host, open_port):
    port, _ = open_port

    with pytest.raises((EgressRefused, OSError, UnicodeError)):
        run_coroutine(rules.checked_addresses(host.strip("[]"), port))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"])
def test_the_open_internet_is_public(address):
    assert rules.is_public(ip_address(address))


@pytest.mark.parametrize("address", ["::ffff:1.1.1.1", "64:ff9b::101:101", "2002:101:101::1"])
def test_a_wrapped_public_address_is_public(address):
    assert rules.is_public(ip_address(address))


def test_one_private_address_among_public_ones_is_enough_to_refuse(open_port, monkeypatch):
    port, connections = open_port
    resolving(monkeypatch, {"two-faced.example": ["93.184.216.34", "127.0.0.1"]})

    with pytest.raises(EgressRefused, match=r"two-faced\.example \(127\.0\.0\.1\) is not a public address"):
        run_coroutine(fetch("GET", f"https://two-faced.example:{port}/", timeout=5))

    assert connections == []


@pytest.mark.parametrize("url", ["https://example.com:8443/", "https://example.com:22/", "http://example.com/"])
def test_other_ports_and_plain_http_are_refused_with_the_remedy(url):
    with pytest.raises(EgressRefused, match=r"ORCHESTRA_EGRESS_ALLOW=example\.com:\d+"):
        run_coroutine(fetch("GET", url, timeout=5))


def test_the_database_and_the_broker_are_refused_even_when_allowed(settings, monkeypatch):
    settings.DATABASES["default"] = {**settings.DATABASES["default"], "HOST": "db.internal", "PORT": 5433}
    settings.REDIS_URL = "redis://127.0.0.1:6380/0"
    settings.ORCHESTRA_EGRESS_ALLOW = frozenset(
        {"db.internal:5433", "10.1.2.3:5433", "127.0.0.1:6380", "localhost:6380"}
    )
    resolving(monkeypatch, {"db.internal": ["10.1.2.3"], "localhost": ["127.0.0.1"]})

    for address in settings.ORCHESTRA_EGRESS_ALLOW:
        with pytest.raises(EgressRefused, match="belongs to Orchestra itself"):
            run_coroutine(fetch("GET", f"http://{address}/", timeout=5))


def test_our_own_web_address_is_refused_unless_allowed(settings, monkeypatch):
    settings.ORCHESTRA_BASE_URL = "https://orchestra.example"
    resolving(monkeypatch, {"orchestra.example": ["93.184.216.34"]})

    with pytest.raises(EgressRefused, match="belongs to Orchestra itself"):
        run_coroutine(rules.checked_addresses("orchestra.example", 443))

    settings.ORCHESTRA_EGRESS_ALLOW = frozenset({"orchestra.example:443"})
    assert run_coroutine(rules.checked_addresses("orchestra.example", 443)) == ["93.184.216.34"]


def resolving(monkeypatch, names):
    """Answer these names as a name server would, and leave the others to the machine."""
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, **kwargs):
        if host not in names:
            return real(host, port, *args, **kwargs)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in names[host]]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
