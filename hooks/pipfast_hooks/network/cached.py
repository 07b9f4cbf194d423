"""Fresh answers of pip's HTTP cache, without the way through a request that is never sent.

Whether an answer is fresh is decided by pip's own cache controller, which also reads it. What is left
out is the preparation of a request (proxies, cookies, credentials), which takes longer than both.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

from pip._internal.network.session import CacheControlAdapter
from pip._vendor.requests.models import PreparedRequest
from pip._vendor.requests.structures import CaseInsensitiveDict

from pipfast.report import logger
from pipfast_hooks.network import early, fresh
from pipfast_hooks.network.asked import of_this_thread
from pipfast_hooks.network.compressed import content_of
from pipfast_hooks.output import records
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Mapping

    from pipfast.fetch.servers import Server

_PLAIN_URL = re.compile(r"https?://[a-z0-9.-]+(?::[0-9]+)?(?:/[A-Za-z0-9_.~+-]*)+")
"""Addresses that requests would not change, and that name no user."""

_PLAIN_OPTIONS = {"headers", "stream", "allow_redirects", "params"}


def _around_request(wrapped: Callable[..., Any], instance: Any, args: Any, kwargs: Any) -> Any:
    """Answer a GET with what was fetched ahead, or from the cache if that has a fresh answer."""
    method, url, further = _method_url_further(*args, **kwargs)
    headers, stream = further.get("headers") or {}, bool(further.get("stream"))
    # Also when the resolution is over: a thread may be in the middle of asking pip what it would send.
    ours, answer = of_this_thread(method, url, headers)
    if ours:
        return answer if answer is not None else wrapped(*args, **kwargs)
    run = current_run()
    if method != "GET" or further.get("params") or not further.keys() <= _PLAIN_OPTIONS:
        return wrapped(*args, **kwargs)
    ahead = run.ahead if run.ahead is not None and run.ahead.session is instance else None
    refusal = run.refusals.pop(url, None)
    if refusal is not None:
        return early.as_pips_first(instance, refusal, stream=stream)
    try:
        found = ahead.take(url, headers, stream=stream) if ahead is not None else None
        if found is None:
            found = fresh_answer(instance, url, headers, stream=stream)
        if found is None and ahead is not None:
            ahead.activate()
            found = ahead.take(url, headers, stream=stream)
    except Exception:
        logger.debug("pipfast: a request is left to pip", exc_info=True)
        found = None
    if found is not None:
        return found
    response = _send_beside(instance, url, wrapped, args, kwargs, stream=stream)
    if ahead is not None and not stream:
        ahead.has_come(url, response)
    return response


def guard(session: Any) -> None:
    """Have pip's own requests sent as ``_around_request`` sends them, where that is not attached."""
    if hasattr(type(session).request, "__wrapped__"):
        return
    request = session.request

    def guarded(*args: Any, **kwargs: Any) -> Any:
        method, url, further = _method_url_further(*args, **kwargs)
        if method != "GET" or not further.keys() <= _PLAIN_OPTIONS:
            return request(*args, **kwargs)
        return _send_beside(session, url, request, args, kwargs, stream=bool(further.get("stream")))

    session.request = guarded


def _send_beside(
    session: Any, url: str, send: Callable[..., Any], args: Any, kwargs: Any, *, stream: bool
) -> Any:
    """Send pip's own request, which early ones may be under way beside."""
    server = early.server_at(url)
    if server is None or not server.takes_early:
        return send(*args, **kwargs)
    known = {**kwargs, "auth": early.Known(session.auth)}
    return _send(
        server, session, url, lambda: send(*args, **known), lambda: send(*args, **kwargs), stream=stream
    )


def _send(
    server: Server, session: Any, url: str, send: Callable[[], Any], send_alone: Callable[[], Any], *, stream: bool
) -> Any:
    """Send pip's own request beside others; once more and alone, if that may be why it was refused.

    What is said of the first attempt is held back.
    """
    refused = server.doubted.get(url)
    if refused is None:
        kept: list[logging.LogRecord] = []
        response = None
        with early.noting_company() as had_company:
            try:
                with records.held_back(kept):
                    response = send()
            except Exception:
                if not had_company():
                    records.replay(kept)
                    raise
        if response is not None:
            refused = response.status_code
            if had_company():
                # That it was sent again is what the others were the reason of.
                kept = [record for record in kept if not record.name.endswith("urllib3.connectionpool")]
            if refused < 400 or refused in server.believed or not had_company():
                records.replay(kept)
                return early.as_pips_first(session, response, stream=stream) if refused == 401 else response
            response.close()
    server.clear()
    response = send_alone()
    server.judge(url, refused or 0, response.status_code)
    return response


def fresh_answer(session: Any, url: str, headers: Mapping[str, str], *, stream: bool) -> Any:
    """Return pip's response from its cache, or None if the server has to be asked."""
    if _PLAIN_URL.fullmatch(url) is None:
        return None
    adapter = session.get_adapter(url)
    if not isinstance(adapter, CacheControlAdapter):
        return None
    entry = fresh.entry_of(session, url, headers) if not stream else None
    looks = entry.looks() if entry is not None else None
    request = PreparedRequest()
    request.method, request.url = "GET", url
    request.headers = CaseInsensitiveDict(session.headers)
    request.headers.update(headers)
    try:
        cached = adapter.controller.cached_request(request)
    except zlib.error:
        return None
    if not cached:
        return None
    if cached.status != 200 or "Set-Cookie" in cached.headers:
        cached.close()
        return None
    response = adapter.build_response(request, cached, from_cache=True)
    if not stream:
        content = content_of(response)
        if content is not None:
            response._content, response._content_consumed = content, True
        _ = response.content
    if entry is not None and looks is not None:
        fresh.note(adapter, entry, looks, response)
    return response


def _method_url_further(method: Any, url: Any, **further: Any) -> tuple[Any, Any, dict[str, Any]]:
    return method, url, further
