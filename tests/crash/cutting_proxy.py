"""A Unix socket before a PostgreSQL server that cuts the connection at a statement, once or for ever.

It reads the frontend's messages as far as needed to see where a statement ends: the first of a connection has no type,
and a statement ends with Sync (`S`) or is a simple Query (`Q`).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
_READ_BYTES = 1 << 16
_ENDS = b"SQ"


class CuttingProxy:
    """Cuts at the `number`th statement over all connections, counted from 1, 0 for never.

    `executes`: the server gets the statement and does it, and only its answer is lost. `stays_down`: no connection is
    made any more after that.
    """

    def __init__(self, server: Path, number: int, *, executes: bool = False, stays_down: bool = False) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="planloom-cut-"))  # short: the name of a socket is
        self.statements = 0
        self._server = str(server / SOCKET_NAME)
        self._number = number
        self._executes = executes
        self._stays_down = stays_down
        self._is_down = False
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.folder / SOCKET_NAME))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop listening, and wait until every connection has ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()
        shutil.rmtree(self.folder)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_down:
                client.close()
                continue
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._server)
            back = threading.Thread(target=_copy, args=(server, client))
            forth = threading.Thread(target=self._forward, args=(client, server, back))
            self._threads += (forth, back)
            back.start()
            forth.start()

    def _forward(self, client: socket.socket, server: socket.socket, back: threading.Thread) -> None:
        """Pass messages on until the statement to be cut at, or the end."""
        for message, is_end in _messages(client):
            if is_end and self._is_the_one():
                if not self._executes:
                    break
                # the client is told nothing more; the server does what it got, and then sees the end
                _shut(client, socket.SHUT_WR)
                server.sendall(message)
                break
            with contextlib.suppress(OSError):
                server.sendall(message)
        else:
            _shut(server, socket.SHUT_WR)
            back.join()
            _end(client, server)
            return
        if self._executes:
            _shut(server, socket.SHUT_WR)
            back.join()
        _end(client, server)

    def _is_the_one(self) -> bool:
        with self._lock:
            self.statements += 1
            is_the_one = self.statements == self._number
            self._is_down = self._is_down or (is_the_one and self._stays_down)
            return is_the_one


def _messages(client: socket.socket) -> Iterator[tuple[bytes, bool]]:
    """Yield each message of a frontend, and whether a statement ends with it."""
    buffer = b""
    header = 0  # the first message has no type
    while True:
        while len(buffer) >= header + 4:
            size = header + int.from_bytes(buffer[header : header + 4], "big")
            if len(buffer) < size:
                break
            message, buffer = buffer[:size], buffer[size:]
            yield message, header == 1 and message[:1] in _ENDS
            header = 1
        try:
            read = client.recv(_READ_BYTES)
        except OSError:
            return
        if not read:
            return
        buffer += read


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what a server says, and go on reading when nobody listens any more."""
    with contextlib.suppress(OSError):
        while read := source.recv(_READ_BYTES):
            with contextlib.suppress(OSError):
                target.sendall(read)
    _shut(target, socket.SHUT_WR)


def _shut(end: socket.socket, how: int) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(how)


def _end(*ends: socket.socket) -> None:
    for end in ends:
        _shut(end, socket.SHUT_RDWR)
        end.close()
