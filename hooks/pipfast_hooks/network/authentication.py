"""pip's authentication without questions, and with them in pip's turn."""

from __future__ import annotations

from typing import Any


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
