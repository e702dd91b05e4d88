"""A TCP proxy before a store or a database, which can be told to fail."""

import contextlib
import socket
import threading
import time
from typing import Literal

Mode = Literal["fine", "gone", "slow", "cut", "error"]
_ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_SLOW_SECONDS = 1.5


class Proxy:
    """Passes bytes on while `mode` is `fine`.

    `gone` refuses connections, `slow` holds each answer up, `cut` ends each answer in its middle,
    `error` answers each request with 500.
    """

    def __init__(self, port: int) -> None:
        self.mode: Mode = "fine"
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: Mode) -> None:
        """Fail in this way from now on; connections that are open end, but for `slow`."""
        self.mode = mode
        if mode not in ("fine", "slow"):
            for connection in list(self._open):
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Listen no more."""
        self.set("gone")
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.mode == "gone":
                return
            if self.mode == "error":
                client.recv(1 << 16)
                client.sendall(_ERROR)
                return
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._open |= {client, server}
                threading.Thread(target=self._pass, args=(client, server), daemon=True).start()
                self._pass(server, client, is_answer=True)
                self._open -= {client, server}

    def _pass(
        self, source: socket.socket, target: socket.socket, *, is_answer: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if is_answer and self.mode == "slow":
                    time.sleep(_SLOW_SECONDS)
                if is_answer and self.mode == "cut":
                    target.sendall(data[: len(data) // 2])
                    break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
