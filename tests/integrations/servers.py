"""Real HTTP servers on loopback, and a listener that notices every connection."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    peer: int  # the client's port


@dataclass
class Answer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Server:
    """A server that answers by a function of what it received, and keeps all of that."""

    port: int
    answer: Callable[[Received], Answer]
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def holding() -> Iterator[Callable[[Received], Answer]]:
    """An answer that is held back until the block ends: whoever goes on before did not wait for it."""
    let_go = threading.Event()
    try:
        yield lambda _: Answer(200 if let_go.wait(120) else 504)
    finally:
        let_go.set()


@contextmanager
def serving(answer: Callable[[Received], Answer] = lambda _: Answer()) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("content-length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.command, self.path, headers, self.rfile.read(length), self.client_address[1])
            server.received.append(received)
            reply = server.answer(received)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(reply.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(ConnectionError):  # some tests make the client hang up
                super().handle()

    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.handle_any)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = Server(listener.server_address[1], answer)
    thread = threading.Thread(target=listener.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


@contextmanager
def canary() -> Iterator[tuple[int, list[object]]]:
    """Listen on one port of all loopback addresses; the list grows with every connection."""
    connections: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as v4:
        port = v4.getsockname()[1]
        listeners = [v4]
        if socket.has_ipv6:
            with suppress(OSError):  # a machine without IPv6
                listeners.append(socket.create_server(("::1", port), family=socket.AF_INET6))
        for listener in listeners:
            threading.Thread(target=_accept, args=(listener, connections), daemon=True).start()
        yield port, connections
        for listener in listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


def _accept(listener: socket.socket, connections: list[object]) -> None:
    while True:
        try:
            connection, peer = listener.accept()
        except OSError:
            return
        connections.append(peer)
        connection.close()
