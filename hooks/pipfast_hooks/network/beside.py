"""pip's own requests beside early ones."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipfast.address import shown
from pipfast_hooks.attach import is_attached
from pipfast_hooks.call import Call
from pipfast_hooks.guard import guarded
from pipfast_hooks.output import records
from pipfast_hooks.threads import here

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from pipfast.fetch.servers import Server
    from pipfast_hooks.network.servers import Servers


class Known:
    """Authentication with the credentials that pip knows without asking; a refusal is left to pip."""

    def __init__(self, auth: Any) -> None:
        self._auth = auth

    def __call__(self, request: Any) -> Any:
        """Add them to a request."""
        if self._auth is None:
            return request
        request = self._auth(request)
        # Its hook would send a refused request again, with whatever it has.
        ask = getattr(self._auth, "handle_401", None)
        request.hooks["response"] = [hook for hook in request.hooks["response"] if hook != ask]
        return request


def as_pips_first(session: Any, response: Any, *, stream: bool) -> Any:
    """Let pip's authentication handle a refusal in pip's own thread, as if pip had got it."""
    ask = getattr(session.auth, "handle_401", None)
    if ask is None:
        return response
    url = response.url
    response.connection = session.get_adapter(url)
    proxies = dict(getattr(session, "proxies", None) or {})
    options = session.merge_environment_settings(url, proxies, stream, None, None)
    options["timeout"] = getattr(session, "timeout", None)
    answer = ask(response, **options)
    if answer is not response:
        for each in answer.request.hooks["response"]:
            answer = each(answer, **options) or answer
        if not stream:
            _ = answer.content
    return answer


def note_user_of(url: str, session: Any) -> None:
    """Have pip's session note the user and the password in an address that it does not ask itself.

    pip 23.0 takes those of an index for its files only if it has asked the index.
    """
    parts = urlsplit(url)
    if parts.username is not None and parts.password is not None:
        with guarded("the user of %s is not noted", shown(url)):
            session.auth._get_url_and_credentials(url)


_PLAIN_ARGUMENTS = frozenset(("method", "url", "headers", "stream", "allow_redirects", "params"))


def is_plain_get(call: Call) -> bool:
    """Tell whether a request is a GET with no options but those that pip's own code uses."""
    return call["method"] == "GET" and len(call.args) <= 2 and call.kwargs.keys() <= _PLAIN_ARGUMENTS


def guard(session: Any, servers: Servers) -> None:
    """Have pip's own requests sent as the seam of its session sends them, where that is not attached."""
    if is_attached(type(session).request):
        return
    request = session.request

    def guarded(*args: Any, **kwargs: Any) -> Any:
        call = Call(request, session, args, kwargs, {"method": 0, "url": 1})
        return send_beside(call, servers) if is_plain_get(call) else call.original()

    session.request = guarded


def send_beside(call: Call, servers: Servers | None) -> Any:
    """Send a request of pip's own."""
    session, url = call.instance, call["url"]
    server = servers.at(url) if servers is not None else None
    if server is None or not server.takes_early:
        return call.original()
    send = functools.partial(call.original, auth=Known(session.auth))
    return _send(server, session, url, send, call.original, stream=bool(call.get("stream")))


def _send(
    server: Server, session: Any, url: str, send: Callable[[], Any], send_alone: Callable[[], Any], *, stream: bool
) -> Any:
    """Send the request beside others; once more and alone if their company may be why it was refused.

    Log records of the first attempt are held back.
    """
    refused = server.doubted.get(url)
    if refused is None:
        kept: list[logging.LogRecord] = []
        response = None
        here.had_company = False
        try:
            with records.held_back(kept):
                response = send()
        except Exception:
            if not here.had_company:
                records.replay(kept)
                raise
        if response is not None:
            refused = response.status_code
            if here.had_company:
                # Its retries are due to the others, and urllib3 must not warn of them.
                kept = [record for record in kept if not record.name.endswith("urllib3.connectionpool")]
            if refused < 400 or refused in server.believed or not here.had_company:
                records.replay(kept)
                return as_pips_first(session, response, stream=stream) if refused == 401 else response
            response.close()
    server.clear()
    response = send_alone()
    server.judge(url, refused or 0, response.status_code)
    return response
