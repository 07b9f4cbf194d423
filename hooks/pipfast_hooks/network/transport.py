"""Transport of the fetch engine through pip's own session."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import NetworkConnectionError
from pip._internal.network.utils import HEADERS, raise_for_status, response_chunks
from pip._vendor import requests, urllib3

from pipfast.fetch.turns import LeftToPip, Turn
from pipfast_hooks.network.early import EarlyRequests, came, give_up, is_answer, over

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


_CHUNK = 256 * 1024
"""Bytes read at once, pip's own number since 24.1; older ones read 10 KiB at twice the CPU time."""

_HOPELESS = (
    urllib3.exceptions.NewConnectionError, urllib3.exceptions.ProxyError, urllib3.exceptions.SSLError,
    requests.exceptions.SSLError,
)
"""No server, or none to be trusted: pip's session has retried already, and fewer connections will not help."""

_TIRED = (
    urllib3.exceptions.ProtocolError, urllib3.exceptions.TimeoutError, requests.exceptions.ConnectionError,
    requests.exceptions.Timeout, ConnectionError, TimeoutError,
)
"""Broken, cut short, or too slow to answer."""


class SessionResponse:
    """A ``requests`` response, read raw as pip reads downloads."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self.from_cache: bool = getattr(response, "from_cache", False)
        self.keep: Callable[[Any], None] | None = None
        """Puts the answer into pip's HTTP cache when it is called with the whole body, a buffer."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it came over the wire."""
        try:
            yield from response_chunks(self.response, _CHUNK)
        except Exception:
            over(self.response, broken=True)
            raise
        came(self.response)

    def close(self) -> None:
        """End the response; a read that waits in another thread ends with it."""
        give_up(self.response)
        raw = self.response.raw
        # Closing alone does not wake a thread that waits in recv(). With `Connection: close` the connection
        # has given its socket up by now, and only the body's own file knows it.
        with contextlib.suppress(Exception):
            raw._connection.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            raw._fp.fp.raw._sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self.response.close()
        over(self.response)


class SessionTransport:
    """GET through ``session``: its authentication, proxies, certificates, retries and cache."""

    def __init__(self, early: EarlyRequests, session: Any, kept: Callable[[str], bool]) -> None:
        """:param kept: tells whether the store will keep what an address gives; else pip's own cache may."""
        self._early = early
        self._session = session
        self._kept = kept

    def get(self, url: str, headers: Mapping[str, str]) -> SessionResponse:
        """Send the request pip would send, once, and when its server has room for it.

        :raises NetworkConnectionError: the server answered 4xx, as it would have answered pip.
        :raises LeftToPip: pip has to ask itself.
        """
        turn = Turn(early=True, ranged="Range" in headers, first=True, wait=False)
        response = self._early.get(self._session, url, {**HEADERS, **headers}, turn, stream=True)
        if not is_answer(response):
            response.close()
            over(response)
            raise LeftToPip(url)
        if response.status_code == 401:
            # Read to its end, so that pip finds the connection clean.
            _ = response.content
        raise_for_status(response)
        answer = SessionResponse(response)
        keep = _take_out_of_cache(response)
        if not self._kept(url):
            answer.keep = keep
        return answer

    def is_busy(self, error: BaseException) -> bool:
        """Tell an answer that broke off, and may be continued, from one that is no answer."""
        answered = isinstance(error, NetworkConnectionError) and error.response is not None
        if answered or isinstance(error, LeftToPip):
            return False
        # From 25.2 on pip puts its own diagnostic errors in front of what requests and urllib3 raise.
        causes = list(_chain(error))
        is_hopeless = any(isinstance(cause, _HOPELESS) for cause in causes)
        return not is_hopeless and any(isinstance(cause, _TIRED) for cause in causes)


def _take_out_of_cache(response: Any) -> Callable[[Any], None] | None:
    """Keep a body out of pip's HTTP cache; return the function that would have put it there.

    On its way to the store it would be written thrice; and where it is fetched in ranges, the first answer is not
    read to its end, so that nothing would come of it. cachecontrol copies what is read from ``raw._fp``; without
    its wrapper there is nothing to copy.
    """
    raw = response.raw
    wrapper = vars(raw._fp) if hasattr(raw._fp, "__dict__") else {}
    inner = wrapper.get("_CallbackFileWrapper__fp")
    # A chunked body's reader relies on the wrapper.
    if inner is None or raw.chunked:
        return None
    raw._fp = inner
    return wrapper.get("_CallbackFileWrapper__callback")


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and what led to it, the reason inside urllib3's MaxRetryError included."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        each = waiting.pop(0)
        if isinstance(each, BaseException) and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args[:1]]
