"""Fresh answers of pip's HTTP cache, without the way through a request that is never sent.

Whether an answer is fresh is decided by pip's own cache controller, which also reads it. What is left
out is the preparation of a request (proxies, cookies, credentials), which takes longer than both.
"""

from __future__ import annotations

import functools
import re
import zlib
from typing import TYPE_CHECKING, Any

from pip._internal.network.session import CacheControlAdapter
from pip._vendor.requests.models import PreparedRequest
from pip._vendor.requests.structures import CaseInsensitiveDict

from pipfast.report import logger
from pipfast_hooks.call import Call
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

_PLAIN_ARGUMENTS = {"method", "url", "headers", "stream", "allow_redirects", "params"}


def _around_request(call: Call) -> Any:
    """Answer a GET with what was fetched ahead, or from the cache if that has a fresh answer."""
    method, url, headers = call["method"], call["url"], call.get("headers") or {}
    stream = bool(call.get("stream"))
    # Also when the resolution is over: a thread may be in the middle of asking pip what it would send.
    ours, answer = of_this_thread(method, url, headers)
    if ours:
        return answer if answer is not None else call.original()
    run = current_run()
    if call.get("params") or not _is_plain_get(call):
        return call.original()
    ahead = run.ahead if run.ahead is not None and run.ahead.session is call.instance else None
    refusal = run.refusals.pop(url, None)
    if refusal is not None:
        return early.as_pips_first(call.instance, refusal, stream=stream)
    try:
        found = ahead.take(url, headers, stream=stream) if ahead is not None else None
        if found is None:
            found = fresh_answer(call.instance, url, headers, stream=stream)
        if found is None and ahead is not None:
            ahead.activate()
            found = ahead.take(url, headers, stream=stream)
    except Exception:
        logger.debug("pipfast: a request is left to pip", exc_info=True)
        found = None
    if found is not None:
        return found
    response = _send_beside(call)
    if ahead is not None and not stream:
        ahead.has_come(url, response)
    return response


def guard(session: Any) -> None:
    """Have pip's own requests sent as ``_around_request`` sends them, where that is not attached."""
    if hasattr(type(session).request, "__wrapped__"):
        return
    request = session.request

    def guarded(*args: Any, **kwargs: Any) -> Any:
        call = Call(request, session, args, kwargs, {"method": 0, "url": 1})
        return _send_beside(call) if _is_plain_get(call) else call.original()

    session.request = guarded


def _is_plain_get(call: Call) -> bool:
    return call["method"] == "GET" and len(call.args) <= 2 and call.kwargs.keys() <= _PLAIN_ARGUMENTS


def _send_beside(call: Call) -> Any:
    """Send pip's own request, which early ones may be under way beside."""
    session, url = call.instance, call["url"]
    server = early.server_at(url)
    if server is None or not server.takes_early:
        return call.original()
    send = functools.partial(call.original, auth=early.Known(session.auth))
    return _send(server, session, url, send, call.original, stream=bool(call.get("stream")))


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
