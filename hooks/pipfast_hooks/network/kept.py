"""Answers of servers, on their way into the store."""

from __future__ import annotations

import functools
import time
from contextlib import suppress
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING, Any

from pipfast.index import kept
from pipfast.system import threads
from pipfast_hooks.guard import guarded
from pipfast_hooks.network import fresh
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.run import Part, Run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast.store.layout import Layout

_TOLD = (200, 404, 410)
"""Answers that will do for later: there it is, or there is none."""

MAX_BYTES = 64 << 20
"""Bytes beyond which an answer is no page."""


class Keeper(Part):
    """Keeps answers in a thread of its own: to compress a page takes longer than pip should wait."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self._threads = threads.Pool(1, "pipfast-keep")

    def keep(self, session: Any, url: str, headers: Mapping[str, str], response: Any) -> None:
        """Keep a read answer to a GET, unless the user wants nothing kept."""
        if response.status_code not in _TOLD or not url.startswith(("http://", "https://")):
            return
        layout = layout_of(self.run, session)
        if layout.keeps and len(response.content) <= MAX_BYTES:
            key = kept.answer_key(url, headers.get("Accept", ""))
            self._put(functools.partial(_keep, layout, key, url, response))

    def keep_metadata(self, session: Any, digest: str, content: bytes) -> None:
        """Keep a metadata file that has this SHA-256."""
        layout = layout_of(self.run, session)
        if layout.keeps and not kept.has_metadata(layout, digest):
            self._put(functools.partial(kept.keep_metadata, layout, digest, content))

    def _put(self, call: Any) -> None:
        # The run may be over for a thread that is late.
        with suppress(RuntimeError):
            self._threads.submit(functools.partial(_guarded, call))

    def give_way(self) -> None:
        """End the thread; nothing more is kept."""
        self._threads.close(0.0)

    def close(self, wait_s: float) -> None:
        """Wait at most that many seconds for what is to be kept."""
        with suppress(Exception):
            self._threads.submit(lambda: None).result(wait_s)
        self._threads.close(0.0)


def layout_of(run: Run, session: Any) -> Layout:
    """Return the store of what comes through a session; its null form under ``--no-cache-dir``."""
    return run.store.nowhere if caching_adapter(session) is None else run.store.layout


def _guarded(call: Any) -> None:
    with guarded("an answer is not kept", brief=True):
        call()


def _keep(layout: Layout, key: str, url: str, response: Any) -> None:
    final = kept.without_user(response.url)
    if final == kept.without_user(url):
        final = ""
    elif "?" in final:
        # It may be a secret, and relative links lead from it.
        return
    answer = kept.Answer(
        response.status_code, final, response.headers.get("Content-Type", ""), b"", said_at(response)
    )
    kept.keep_answer(layout, key, answer, lambda: fresh.whole_content(response.content))


def said_at(response: Any) -> float:
    """Return when a server gave an answer, in seconds since the epoch."""
    if getattr(response, "from_cache", False) and (date := parsedate_tz(response.headers.get("Date", ""))):
        return float(mktime_tz(date))
    return time.time()
