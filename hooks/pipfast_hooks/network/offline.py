"""pip's requests without a network, answered with what is kept."""

from __future__ import annotations

import io
import os
import shlex
import time
from email.message import Message
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pip._internal.exceptions import InstallationError, NetworkConnectionError
from pip._vendor.requests.adapters import HTTPAdapter
from pip._vendor.urllib3.response import HTTPResponse

from pipfast.address import shown
from pipfast.index import kept
from pipfast.index.pages import FreshPage
from pipfast.report import counted
from pipfast.requirements import canonicalize_name, may_allow
from pipfast_hooks.guard import guarded
from pipfast_hooks.network import fresh
from pipfast_hooks.network.asked import caching_adapter
from pipfast_hooks.network.beside import note_user_of
from pipfast_hooks.network.kept import Keeper, layout_of, said_at
from pipfast_hooks.run import Part, Run, current_run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipfast_hooks.call import Call

OLD_S = 86_400.0
"""Seconds after which the age of a page is said."""

_ANY_AGE = 10**10
"""Seconds, three hundred years: a freshness with which pip's cache gives whatever it has."""

_NAMED = 8
"""Names in one line."""

NOBODY = "nobody is asked for it (PIPFAST_OFFLINE=only)"

_NOBODY_WAS = "nobody was asked (PIPFAST_OFFLINE=only)"


class Offline(Part):
    """Takes answers from pip's cache and from the store, however old, and tells what is missing."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.only = run.settings.offline == "only"
        self._oldest = time.time()
        """When the oldest page that was used was got, in seconds since the epoch."""
        self._asked: dict[str, float] = {}
        """By project, when the oldest of its pages was got."""
        self._pages: dict[str, str] = {}
        """By project, the address of a page that is not kept."""
        self._others: list[str] = []
        """Other addresses whose answers are not kept."""
        self._wanted: dict[str, str] = {}
        """By project, the version that would do, and of which no file is kept."""
        self._lacking: dict[str, str] = {}
        """By requirement that nothing on the kept pages fits, its project."""
        self._passed: dict[str, str] = {}
        """By project, a version that was passed over because it is not kept."""
        self._keeps = True

    def find(self, session: Any, url: str, headers: Mapping[str, str], *, stream: bool) -> Any:
        """Return the kept answer to a GET, or None."""
        if any(name.lower() == "range" for name in headers):
            return None
        plain = kept.without_user(url)
        cached = self._of_pip(session, plain, headers)
        layout = layout_of(self.run, session)
        self._keeps &= layout.keeps
        answer = None if stream else kept.find_answer(layout, kept.answer_key(url, headers.get("Accept", "")))
        if cached is not None and answer is not None and said_at(cached) < answer.asked - OLD_S:
            cached.close()
            cached = None
        if cached is not None:
            if not stream:
                fresh.read(cached)
                self._use(said_at(cached), url, headers)
            return cached
        content = kept.content_of(layout, answer) if answer is not None else None
        if answer is None or content is None:
            return None
        self._use(answer.asked, url, headers)
        return _response(session, answer.url or plain, headers, answer, content)

    def page(self, session: Any, url: str, headers: Mapping[str, str]) -> FreshPage | None:
        """Return a kept page without its content; None if it has to be read, or is not kept."""
        layout = layout_of(self.run, session)
        answer = kept.find_answer(layout, kept.answer_key(url, headers.get("Accept", "")))
        if answer is None or answer.status != 200:
            return None
        plain = kept.without_user(url)
        adapter = caching_adapter(session, plain)
        if adapter is not None:
            path = adapter.cache._get_cache_path(adapter.controller.cache_url(plain))
            if os.path.exists(path) and os.stat(path).st_mtime > answer.asked + OLD_S:
                # pip alone has asked since.
                return None
        self._use(answer.asked, url, headers)
        note_user_of(url, session)
        encoding = _encoding(answer.content_type)
        return FreshPage(0.0, (), answer.url or plain, answer.content_type, encoding, answer.digest)

    def refusal(self, method: str, url: str, headers: Mapping[str, str], *, stream: bool) -> Exception:
        """Return pip's error in the place of a request."""
        sought = shown(url)
        if method == "GET" and not stream and _is_page(headers):
            self._pages.setdefault(_project_of(sought), sought)
        else:
            self._others.append(sought)
        words = f"{sought} is not kept, and {NOBODY}"
        # pip goes on without a page; of a download it takes any other error for an answer.
        kind: Any = NetworkConnectionError if method in ("GET", "HEAD") and not stream else InstallationError
        error: Exception = kind(words)
        return error

    def note_wanted(self, project: str, version: str) -> None:
        """Note that nothing is kept that would do; with a network pip would take this version."""
        self._wanted[project] = version

    def note_lacking(self, project: str, specifiers: str) -> None:
        """Note that no version on the kept pages fits, if that is not the specifiers' own fault."""
        with guarded("what the kept pages of %s lack is not said", project):
            if may_allow(specifiers):
                self._lacking[f"{project}{specifiers}"] = canonicalize_name(project)

    def note_passed(self, project: str, version: str) -> None:
        """Note a version that pip would have taken, and that is not kept."""
        self._passed[project] = version

    def _of_pip(self, session: Any, url: str, headers: Mapping[str, str]) -> Any:
        adapter = caching_adapter(session, url)
        if adapter is None:
            return None
        return fresh.cached_response(session, adapter, url, {**headers, "Cache-Control": f"max-age={_ANY_AGE}"})

    def _use(self, asked: float, url: str, headers: Mapping[str, str]) -> None:
        self._oldest = min(self._oldest, asked)
        if _is_page(headers):
            project = _project_of(shown(url))
            self._asked[project] = min(asked, self._asked.get(project, asked))

    def close(self, wait_s: float) -> None:
        """Say what is missing, what would bring it, and how old the pages were that decided."""
        say, days = self.run.say_at_end, self._days_since(self._oldest)
        lacks = self._say_missing()
        if self._passed:
            versions = [f"{name} {version}" for name, version in self._passed.items()]
            say(f"older versions were taken, for newer ones are not kept: {_listed(versions)}")
        if days and not lacks:
            date = time.strftime("%Y-%m-%d", time.localtime(self._oldest))
            say(f"index pages as of {date}, {counted(days, 'day', 'days')} ago, decided "
                f"(PIPFAST_OFFLINE={self.run.settings.offline})")

    def _say_missing(self) -> bool:
        """Say what is not kept, and what kept pages lack; tell whether they lack anything."""
        # Where the resolver found another way, nothing is missing.
        wanted = self._wanted if self.run.has_failed else {}
        named = {*self._pages, *map(canonicalize_name, wanted)}
        lacking = {
            requirement: self._asked[project] for requirement, project in self._lacking.items()
            if self.run.has_failed and project in self._asked and project not in named
        }
        missing = [f"{name} ({where})" for name, where in self._pages.items()]
        missing += [f"{name} {version}" for name, version in wanted.items()]
        missing += dict.fromkeys(self._others)
        sought = {project: each for each, project in self._lacking.items()} if self.run.has_failed else {}
        paged = [sought.get(canonicalize_name(name), name) for name in self._pages]
        names = [*paged, *(f"{name}=={version}" for name, version in wanted.items()), *lacking][:_NAMED]
        hint = self._what_brings(names)
        if self.only and missing:
            self.run.say_at_end(f"not kept, and {_NOBODY_WAS}: {_listed(missing)}", hint)
        if lacking:
            aged = [f"{each} (its page is {self._age(asked)} old)" for each, asked in lacking.items()]
            asked_nobody = _NOBODY_WAS if self.only else "nobody was asked for newer ones (PIPFAST_OFFLINE=prefer)"
            self.run.say_at_end(f"nothing on kept pages fits, and {asked_nobody}: {_listed(aged)}", hint)
        return bool(lacking)

    def _what_brings(self, names: list[str]) -> str:
        if not self.only:
            return "the same command with PIPFAST_OFFLINE=off asks for newer pages"
        if not self._keeps:
            return "with --no-cache-dir, or where there is no store, nothing is kept"
        brings = "the same command with PIPFAST_OFFLINE=off"
        if names:
            command = f"`PIPFAST_OFFLINE=off pipfast download {shlex.join(names)}`"
            brings = f"{command}, with the options that this command has for indexes and Pythons,"
        return f"where there is a network, {brings} brings it into the store"

    def _age(self, asked: float) -> str:
        days = self._days_since(asked)
        return counted(days, "day", "days") if days else "less than a day"

    @staticmethod
    def _days_since(asked: float) -> int:
        return int((time.time() - asked) / OLD_S)


def answered(call: Call, run: Run) -> Any:
    """Answer a request with what is kept; ask for the rest, if that is allowed."""
    method, url, headers = call["method"], call["url"], call.get("headers") or {}
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        return call.original()
    offline, stream, found = run.part(Offline), bool(call.get("stream")), None
    if method == "GET" and not call.get("params"):
        with guarded("what is kept of %s is not found", shown(url)):
            found = offline.find(call.instance, url, headers, stream=stream)
    if found is not None:
        note_user_of(url, call.instance)
        return found
    if offline.only:
        raise offline.refusal(method, url, headers, stream=stream)
    response = call.original()
    if method == "GET" and not stream and not call.get("params"):
        run.part(Keeper).keep(call.instance, url, headers, response)
    return response


def _around_obtain(call: Call) -> Any:
    """Refuse a checkout that would come over a network."""
    if current_run().settings.offline == "only":
        url = str(getattr(call["url"], "secret", call["url"]))
        if urlsplit(url.partition("+")[2] or url).scheme.lower() != "file":
            raise InstallationError(
                f"{shown(url)} is not kept, and {NOBODY}: of a repository only wheels are, built from a whole "
                "commit that the address names"
            )
    return call.original()


def _response(session: Any, url: str, headers: Mapping[str, str], answer: kept.Answer, content: bytes) -> Any:
    raw = HTTPResponse(
        body=io.BytesIO(content), headers={"Content-Type": answer.content_type}, status=answer.status,
        reason="OK" if answer.status == 200 else "Not Found", preload_content=False,
    )
    request = fresh.request_of(session, url, headers)
    # Not the caching adapter's own method: the cache is pip's.
    response = HTTPAdapter.build_response(session.get_adapter(url), request, raw)
    _ = response.content
    # pip asks a response of its own for this.
    response.from_cache = True
    return response


def _encoding(content_type: str) -> str | None:
    """Return the encoding that pip takes from a header."""
    message = Message()
    message["content-type"] = content_type
    charset = message.get_param("charset")
    return str(charset) if charset else None


def _is_page(headers: Mapping[str, str]) -> bool:
    """Tell whether a project's page is asked for."""
    return "simple" in headers.get("Accept", "")


def _project_of(address: str) -> str:
    return address.rstrip("/").rpartition("/")[2]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
