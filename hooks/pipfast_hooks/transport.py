"""Requests through pip's own session, as the fetch engine asks for them."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import NetworkConnectionError
from pip._internal.network.utils import HEADERS, raise_for_status, response_chunks
from pip._vendor import requests, urllib3

from pipfast.fetch.errors import TruncatedBody
from pipfast.fetch.transport import Failure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BUSY_STATUS = frozenset({429, 503})
"""Too Many Requests, Service Unavailable: what servers say that want fewer requests."""


class SessionResponse:
    """A ``requests`` response, read raw as pip reads downloads."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.url: str = response.url
        self.from_cache: bool = getattr(response, "from_cache", False)

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it came over the wire."""
        yield from response_chunks(self.response)

    def close(self) -> None:
        """End the response; a read that waits in another thread ends with it."""
        with contextlib.suppress(Exception):
            connection = self.response.raw._connection
            # Closing alone does not wake a thread that waits in recv().
            if connection is not None and connection.sock is not None:
                connection.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self.response.close()


class SessionTransport:
    """GET through ``session``: its authentication, proxies, certificates, retries and cache."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def get(self, url: str, headers: Mapping[str, str]) -> SessionResponse:
        """Send the request pip would send.

        :raises NetworkConnectionError: the server answered 4xx or 5xx, after pip's own retries.
        """
        response = self._session.get(url, headers={**HEADERS, **headers}, stream=True)
        raise_for_status(response)
        return SessionResponse(response)

    def classify(self, error: BaseException) -> Failure:
        """Tell a server that has had enough from one that refuses."""
        if isinstance(error, NetworkConnectionError) and error.response is not None:
            if error.response.status_code in _BUSY_STATUS:
                return Failure(FailureKind.BUSY, _seconds(error.response.headers.get("Retry-After")))
            return Failure(FailureKind.FATAL)
        if isinstance(error, urllib3.exceptions.SSLError | requests.exceptions.SSLError):
            return Failure(FailureKind.FATAL)
        if isinstance(
            error,
            TruncatedBody
            | urllib3.exceptions.ProtocolError
            | urllib3.exceptions.ReadTimeoutError
            | requests.exceptions.ConnectionError
            | requests.exceptions.Timeout
            | ConnectionError
            | TimeoutError,
        ):
            return Failure(FailureKind.BUSY)
        return Failure(FailureKind.FATAL)


def _seconds(retry_after: str | None) -> float | None:
    """Return Retry-After in seconds; its other form, a date, is left to the engine's own back-off."""
    return float(retry_after) if retry_after and retry_after.strip().isdigit() else None
