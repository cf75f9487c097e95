import gzip
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apps.common.asyncio_loop import Cancelled, run_coroutine
from apps.common.errors import Fatal, Retryable
from apps.integrations.egress import EgressRefused, fetch, transport
from tests.integrations.servers import Answer, canary, holding, serving
from tests.integrations.test_egress_rules import resolving


@pytest.fixture
def allow(settings):
    def allow(*addresses):
        settings.ORCHESTRA_EGRESS_ALLOW |= set(addresses)

    return allow


def get(url, **options):
    return run_coroutine(fetch("GET", url, **options))


def test_an_allowed_address_is_fetched_over_plain_http(allow):
    with serving(lambda _: Answer(headers={"Content-Type": "text/plain; charset=latin-1"}, body=b"gr\xfcn")) as server:
        allow(server.address)

        answer = get(f"{server.url}/colour?x=1", headers={"X-Mine": "1"})

    assert (answer.status, answer.text, answer.url) == (200, "grün", f"{server.url}/colour?x=1")
    assert server.received[0].headers["x-mine"] == "1"


def test_a_neighbouring_port_of_an_allowed_host_stays_refused(allow):
    allow("127.0.0.1:1")

    with canary() as (port, connections), pytest.raises(EgressRefused):
        get(f"http://127.0.0.1:{port}/")

    assert connections == []


def test_connections_are_used_again(allow):
    with serving() as server:
        allow(server.address)

        for _ in range(3):
            get(server.url)

    assert len({received.peer for received in server.received}) == 1


def test_cookies_of_one_request_are_not_sent_with_the_next(allow):
    with serving(lambda _: Answer(headers={"Set-Cookie": "session=alice"})) as server:
        allow(server.address)

        get(server.url)
        get(server.url)

    assert "cookie" not in server.received[1].headers


def test_the_name_is_kept_while_the_socket_goes_to_the_checked_address(allow, monkeypatch):
    resolving(monkeypatch, {"service.example": ["127.0.0.1"]})
    with serving() as server:
        allow(f"service.example:{server.port}")

        get(f"http://service.example:{server.port}/")

    assert server.received[0].headers["host"] == f"service.example:{server.port}"


def test_a_name_that_changes_its_address_is_asked_only_once(allow, monkeypatch):
    questions = []
    with serving() as server, canary() as (_, connections):
        resolving(monkeypatch, {"rebinding.example": ["127.0.0.1"]})
        answer = socket.getaddrinfo

        def getaddrinfo(host, *args, **kwargs):
            if host == "rebinding.example":
                questions.append(host)
            return answer(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        allow(f"rebinding.example:{server.port}")

        get(f"http://rebinding.example:{server.port}/")

    assert questions == ["rebinding.example"]
    assert connections == []


def test_proxies_of_the_environment_are_not_used(allow, monkeypatch):
    with canary() as (port, connections), serving() as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
        allow(server.address)

        assert get(server.url).status == 200

    assert connections == []


# Redirects


def test_three_redirects_are_followed_and_a_fourth_is_not(allow):
    def answer(received):
        count = int(received.path[1:])
        return Answer(302, {"Location": f"/{count - 1}"}) if count else Answer(body=b"there")

    with serving(answer) as server:
        allow(server.address)

        assert get(f"{server.url}/3").body == b"there"
        with pytest.raises(Fatal, match="More than 3 redirects"):
            get(f"{server.url}/4")


def test_a_redirect_to_the_inside_is_refused(allow):
    with canary() as (port, connections):
        for target in (
            f"http://127.0.0.1:{port}/",
            f"https://127.0.0.1:{port}/",
            f"//127.0.0.1:{port}",
            "file:///etc/passwd",
        ):
            with serving(lambda _, to=target: Answer(302, {"Location": to})) as server:
                allow(server.address)
                with pytest.raises((EgressRefused, Retryable)) as caught:
                    get(server.url)
                assert caught.value.in_doubt  # the first server had the request

        assert connections == []


def test_secrets_stay_with_the_host_they_were_meant_for(allow):
    secrets = {"Authorization": "Bearer s", "Cookie": "a=s", "X-Api-Key": "s", "Accept": "text/plain"}
    with serving() as other, serving(lambda _: Answer(307, {"Location": f"{other.url}/next"})) as server:
        allow(server.address, other.address)

        get(server.url, headers=secrets)

    assert server.received[0].headers["x-api-key"] == "s"
    assert {"authorization", "cookie", "x-api-key"}.isdisjoint(other.received[0].headers)
    assert other.received[0].headers["accept"] == "text/plain"
    assert other.received[0].headers["host"] == other.address


def test_secrets_are_kept_on_the_same_host(allow):
    with serving(lambda received: Answer(302, {"Location": "/b"}) if received.path == "/a" else Answer()) as server:
        allow(server.address)

        get(f"{server.url}/a", headers={"X-Api-Key": "s"})

    assert server.received[1].headers["x-api-key"] == "s"


# Bounds


def test_a_large_body_is_refused(allow):
    with serving(lambda _: Answer(body=b"x" * 2000)) as server:
        allow(server.address)

        with pytest.raises(Fatal, match="larger than 1000 bytes") as caught:
            get(server.url, max_bytes=1000)

    assert caught.value.code == "response_too_large"


def test_a_body_is_counted_after_decompression(allow):
    bomb = gzip.compress(b"\0" * 50_000_000)
    with serving(lambda _: Answer(headers={"Content-Encoding": "gzip"}, body=bomb)) as server:
        allow(server.address)

        with pytest.raises(Fatal, match="larger than 5242880 bytes"):
            get(server.url)


def test_a_compressed_body_arrives_readable(allow):
    with serving(lambda _: Answer(headers={"Content-Encoding": "gzip"}, body=gzip.compress(b"hello"))) as server:
        allow(server.address)

        assert get(server.url).body == b"hello"


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip"])
def test_a_compression_nobody_asked_for_is_refused(allow, coding):
    with serving(lambda _: Answer(headers={"Content-Encoding": coding}, body=b"x")) as server:
        allow(server.address)

        with pytest.raises(Fatal, match="not asked for"):
            get(server.url)


def test_a_broken_compression_is_a_final_error(allow):
    with serving(lambda _: Answer(headers={"Content-Encoding": "gzip"}, body=b"not gzip")) as server:
        allow(server.address)

        with pytest.raises(Fatal, match="broken"):
            get(server.url)


def test_a_slow_answer_ends_in_time_and_may_be_retried(allow):
    with holding() as answer, serving(answer) as server:
        allow(server.address)

        with pytest.raises(Retryable) as caught:
            get(server.url, timeout=0.3)

    assert caught.value.code == "timeout"


def test_a_trickling_body_ends_in_time(allow):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        allow(f"127.0.0.1:{listener.getsockname()[1]}")
        threading.Thread(target=trickle, args=(listener,), daemon=True).start()

        with pytest.raises(Retryable):
            get(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=0.5)


def trickle(listener):
    connection, _ = listener.accept()
    with connection:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        try:
            for _ in range(100):
                connection.sendall(b"x")
                time.sleep(0.1)
        except OSError:
            pass


def test_a_cancelled_fetch_ends_at_once(allow):
    with holding() as answer, serving(answer) as server:
        allow(server.address)

        with pytest.raises(Cancelled):
            run_coroutine(fetch("GET", server.url), cancelled=lambda: bool(server.received))


def test_a_refused_connection_may_be_retried(allow):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    allow(f"127.0.0.1:{port}")

    with pytest.raises(Retryable) as caught:
        get(f"http://127.0.0.1:{port}/path?token=secret")

    assert (caught.value.code, caught.value.in_doubt) == ("connection_failed", False)
    assert "secret" not in caught.value.message


def test_what_is_no_http_may_be_retried(allow):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        allow(f"127.0.0.1:{port}")
        threading.Thread(target=hang_up, args=(listener,), daemon=True).start()

        with pytest.raises(Retryable) as caught:
            get(f"http://127.0.0.1:{port}/", timeout=5)

        assert caught.value.in_doubt  # it had the request


def hang_up(listener):
    listener.accept()[0].close()


# TLS


def test_the_certificate_is_checked_against_the_name(allow, monkeypatch, tmp_path):
    resolving(monkeypatch, {"right.example": ["127.0.0.1"], "wrong.example": ["127.0.0.1"]})
    with TlsServer("right.example", tmp_path, monkeypatch) as (port, names):
        allow(f"right.example:{port}", f"wrong.example:{port}")

        assert get(f"https://right.example:{port}/").status == 200
        with pytest.raises(Fatal) as caught:
            get(f"https://wrong.example:{port}/")

    assert names == ["right.example", "wrong.example"]
    assert caught.value.code == "certificate_invalid"


class TlsServer:
    """A TLS server with a certificate for one name that this process trusts; yields its port and the SNI names."""

    def __init__(self, name, directory, monkeypatch):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime.now(UTC) - timedelta(days=1))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.pem = directory / "server.pem"
        self.pem.write_bytes(
            certificate.public_bytes(serialization.Encoding.PEM)
            + key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.names = []
        self.monkeypatch = monkeypatch

    def __enter__(self):
        trusting = ssl.create_default_context(cafile=str(self.pem))
        self.monkeypatch.setattr(transport, "_ssl_context", lambda: trusting)
        self.monkeypatch.setattr(transport, "_transports", {})
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.pem)
        context.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.serve, args=(context,), daemon=True).start()
        return self.listener.getsockname()[1], self.names

    def serve(self, context):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as tls:
                    tls.recv(4096)
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            except OSError:
                connection.close()

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
