"""Transport on http.client, without pip."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHUNK = 64 * 1024


class HttpStatusError(Exception):
    """An answer of 400 or above."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP status {status}")
        self.status = status


class PlainResponse:
    """One answer on a connection of its own."""

    from_cache = False

    def __init__(self, url: str, connection: http.client.HTTPConnection, answer: http.client.HTTPResponse) -> None:
        self.url = url
        self.status = answer.status
        self.headers: Mapping[str, str] = answer.headers  # type: ignore[assignment]
        self._connection = connection
        self._answer = answer
        self._socket = connection.sock or answer.fp.raw._sock  # type: ignore[attr-defined]

    def chunks(self) -> Iterator[bytes]:
        while chunk := self._answer.read1(CHUNK):
            yield chunk

    def close(self) -> None:
        # A close alone would wait for a reader in another thread; a shutdown makes its read return.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._answer.close()
        self._connection.close()


class PlainTransport:
    """Makes requests over loopback, and keeps every exception it raised."""

    def __init__(self, timeout: float = 20.0) -> None:
        self.timeout = timeout
        self.errors: list[Exception] = []
        self._pending: set[http.client.HTTPConnection] = set()
        self._lock = threading.Lock()

    def get(self, url: str, headers: Mapping[str, str]) -> PlainResponse:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=self.timeout)
        with self._lock:
            self._pending.add(connection)
        try:
            connection.request("GET", parts.path, headers=dict(headers))
            answer = connection.getresponse()
            if answer.status >= 400:
                answer.close()
                raise HttpStatusError(answer.status)
        except Exception as error:
            self.errors.append(error)
            connection.close()
            raise
        finally:
            with self._lock:
                self._pending.discard(connection)
        return PlainResponse(url, connection, answer)

    def abort(self) -> None:
        with self._lock:
            for connection in self._pending:
                if connection.sock is not None:
                    with contextlib.suppress(OSError):
                        connection.sock.shutdown(socket.SHUT_RDWR)

    def is_busy(self, error: BaseException) -> bool:
        if isinstance(error, HttpStatusError):
            return error.status in (429, 503)
        is_refused = isinstance(error, ConnectionRefusedError)
        return not is_refused and isinstance(error, OSError | http.client.HTTPException)
