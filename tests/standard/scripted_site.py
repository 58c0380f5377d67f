"""A scripted web site on the loopback address: raw bytes out, the heads of requests kept."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

STALL = object()
"""A page: nothing more is sent, and the connection stays open until the site is closed."""

PAUSE = object()
"""A moment in which nothing is sent."""


def answer(body: bytes = b"", status: str = "200 OK", length: int | None = -1, **headers: str) -> bytes:
    """One answer; `length` -1 is the true one, None leaves the header out. `content_type` means Content-Type."""
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length == -1 else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Site:
    """Serves `pages` by path; a page is bytes, or a list of bytes, STALL and PAUSE."""

    def __init__(self, pages: Mapping[str, Any], tls: ssl.SSLContext | None = None) -> None:
        self.pages = dict(pages)
        self.heads: list[str] = []
        self._closing = threading.Event()
        site = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                site._serve(self.request, tls)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that hangs up is part of the script."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def _serve(self, connection: Any, tls: ssl.SSLContext | None) -> None:
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            head = b""
            while b"\r\n\r\n" not in head and (piece := connection.recv(65_536)):
                head += piece
                if not head.startswith(b"G"):
                    break
            if not head:
                return
            if head.startswith(b"G"):
                self.heads.append(head.decode("latin-1"))
            page = self.pages.get(
                head.decode("latin-1").partition(" ")[2].partition(" ")[0], answer(status="404 Not Found")
            )
            for piece in page if isinstance(page, list) else [page]:
                if piece is STALL:
                    self._closing.wait()
                elif piece is PAUSE:
                    self._closing.wait(0.02)
                else:
                    connection.sendall(piece)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
