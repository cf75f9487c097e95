"""The proxy that cuts, delays and silences: what the other tests of broken networks rely on."""

import socket
import threading
from collections.abc import Iterator

import pytest

from orchestra.chaos.proxy import Behaviour, FaultProxy

PATIENCE = 5  # seconds for what comes at once
SILENCE = 0.3  # seconds in which what is silenced would have come


@pytest.fixture
def proxy() -> Iterator[FaultProxy]:
    """One before a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=echo_for_ever, args=(server,), daemon=True).start()
        with FaultProxy("127.0.0.1", server.getsockname()[1]) as proxy:
            yield proxy


def echo_for_ever(server: socket.socket) -> None:
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=echo, args=(connection,), daemon=True).start()


def echo(connection: socket.socket) -> None:
    with connection:
        try:
            while piece := connection.recv(65536):
                connection.sendall(piece)
        except OSError:
            return


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[socket.socket]:
    """A connection through it that has been used."""
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        yield client


def test_a_silent_one_keeps_connections_open_and_speaks_again(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.behave(Behaviour(silent=True))
    client.sendall(b"anybody?")

    client.settimeout(SILENCE)
    with pytest.raises(TimeoutError):
        client.recv(1)

    client.settimeout(PATIENCE)
    proxy.behave(Behaviour())
    assert client.recv(8) == b"anybody?"


def test_a_cut_resets_what_is_open_and_lets_new_connections_through(proxy: FaultProxy, client: socket.socket) -> None:
    assert proxy.cut() == 1

    with pytest.raises(ConnectionResetError):
        client.recv(1)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as again:
        again.sendall(b"hello")
        assert again.recv(5) == b"hello"


def test_a_refusing_one_resets_new_connections(proxy: FaultProxy) -> None:
    proxy.behave(Behaviour(refusing=True))

    with pytest.raises(ConnectionResetError), socket.create_connection(("127.0.0.1", proxy.port), PATIENCE) as client:
        client.recv(1)


def test_a_half_closed_one_ends_the_answer(proxy: FaultProxy, client: socket.socket) -> None:
    proxy.behave(Behaviour(half_closed=True))
    client.sendall(b"hello")

    assert client.recv(5) == b""


def test_a_corrupting_one_leaves_the_first_bytes_right(proxy: FaultProxy) -> None:
    proxy.behave(Behaviour(corrupt_after=3))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE) as client:
        client.sendall(b"hello")

        answer = client.recv(5)

    assert answer[:3] == b"hel"
    assert answer[3:] != b"lo"


@pytest.mark.parametrize("slow", [Behaviour(latency=SILENCE * 2), Behaviour(bandwidth=10 / SILENCE)])
def test_a_slow_one_brings_everything_later(proxy: FaultProxy, client: socket.socket, slow: Behaviour) -> None:
    proxy.behave(slow)
    client.sendall(b"twenty letters or so")

    client.settimeout(SILENCE)
    with pytest.raises(TimeoutError):
        client.recv(1)

    client.settimeout(PATIENCE)
    assert client.recv(20) == b"twenty letters or so"
