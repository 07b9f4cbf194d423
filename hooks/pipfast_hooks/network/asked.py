"""Requests that pip would send, and the cache that it has."""

from __future__ import annotations

import functools
import io
from typing import Any, cast

from pip._internal.network.session import CacheControlAdapter
from pip._vendor.requests.adapters import HTTPAdapter
from pip._vendor.urllib3.response import HTTPResponse

from pipfast import report
from pipfast_hooks.threads import here


class _NotSent(BaseException):
    """Ends pip's code at the request it would have sent; no handler of pip's takes it for its own."""


def of_this_thread(method: Any, url: Any, headers: Any) -> tuple[bool, Any]:
    """Tell whether a request belongs to this module, and its response, if it is not to be sent at all."""
    if here.asked is not None:
        here.asked.append((method, url, dict(headers or {})))
        raise _NotSent
    return here.answer is not None or here.ours, here.answer


def fetch_with(response: Any, collector: Any, link: Any, name: str) -> Any:
    """Run pip's code for a page with this response; return the page."""
    with here.having(answer=response):
        return fetch(collector, link, name)


def request_for(collector: Any, link: Any, name: str) -> tuple[str, dict[str, str]] | None:
    """Return address and headers of the GET that pip would send for a page, or None."""
    asked: list[tuple[str, str, dict[str, str]]] = []
    with here.having(asked=asked):
        try:
            fetch(collector, link, name)
        except _NotSent:
            method, url, headers = asked[0]
            return (url, headers) if method == "GET" else None
    return None


def fetch(collector: Any, link: Any, name: str) -> Any:
    """Run pip's code for a page."""
    further = {"package_name": name} if takes_name(cast("Any", type(collector))) else {}
    return collector.fetch_response(link, **further)


@functools.cache
def takes_name(collector: Any) -> bool:
    """Tell whether this pip's class of collectors wants to know whose page it fetches."""
    import inspect

    return "package_name" in inspect.signature(collector.fetch_response).parameters


def streamed(session: Any, response: Any) -> Any:
    """Return a response whose body can be read from its connection, as pip does with files."""
    if "Content-Encoding" in response.headers:
        return None
    raw = HTTPResponse(
        body=io.BytesIO(response.content), headers=dict(response.headers), status=response.status_code,
        reason=response.reason, preload_content=False,
    )
    adapter = session.get_adapter(response.request.url)
    # Not the caching adapter's own method: a cacheable answer is in the cache already.
    again = HTTPAdapter.build_response(adapter, response.request, raw)
    again.from_cache = getattr(response, "from_cache", False)
    return again


def note_answer(facts: dict[str, Any], response: Any, *, read: bool = True) -> None:
    """Note where an answer came from and how many bytes of it came over the network, as facts of an event.

    :param read: its body has been read already.
    """
    if report.recorder is None:
        return
    facts["status"] = response.status_code
    if not getattr(response, "from_cache", False):
        size = response.headers.get("Content-Length", "")
        facts["cache"] = "network"
        if size.isdigit() or read:
            # Without that header it came in pieces, which nobody has counted.
            facts["bytes"] = int(size) if size.isdigit() else len(response.content)
    else:
        turn = getattr(response, "turn", None)
        facts["cache"] = "again" if turn is not None and turn.server is not None else "pip"


def caching_adapter(session: Any, url: str = "https://") -> Any:
    """Return a session's adapter for an address if that has pip's cache; under ``--no-cache-dir`` it has none."""
    adapter = session.get_adapter(url)
    return adapter if isinstance(adapter, CacheControlAdapter) else None
