"""pip's requests, answered early or from pip's cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipfast.report import timed
from pipfast_hooks.guard import guarded
from pipfast_hooks.network.ahead import Ahead
from pipfast_hooks.network.asked import note_answer, of_this_thread
from pipfast_hooks.network.beside import as_pips_first, is_plain_get, note_user_of, send_beside
from pipfast_hooks.network.early import EarlyRequests
from pipfast_hooks.network.fresh import FreshPages
from pipfast_hooks.network.servers import Servers
from pipfast_hooks.run import current_run

if TYPE_CHECKING:
    from pipfast_hooks.call import Call
    from pipfast_hooks.run import Run


def _around_request(call: Call) -> Any:
    """Answer a GET with a response fetched ahead, or with a fresh one of pip's cache."""
    method, url, headers = call["method"], call["url"], call.get("headers") or {}
    session, stream = call.instance, bool(call.get("stream"))
    ours, answer = of_this_thread(method, url, headers)
    if answer is not None:
        return answer
    run = current_run()
    if ours or run.settings.offline != "off" or call.get("params") or not is_plain_get(call):
        run.note_request(url)
    if run.settings.offline != "off":
        # Not at the top: a run with a network needs none of it.
        from pipfast_hooks.network.offline import answered

        return answered(call, run)
    if ours or call.get("params") or not is_plain_get(call):
        return call.original()
    early = run.find(EarlyRequests)
    refusal = early.refusals.pop(url, None) if early is not None else None
    if refusal is not None:
        run.note_request(url)
        return as_pips_first(session, refusal, stream=stream)
    requests, found, is_fresh = run.part(Ahead).of(session), None, False
    with guarded("a request is left to pip"):
        found = requests.take(url, headers, stream=stream)
        if found is None:
            pages = run.part(FreshPages)
            found = pages.answer(session, url, headers, stream=stream)
            is_fresh = found is not None and pages.has_noted(url)
        if found is None:
            requests.activate()
            found = requests.take(url, headers, stream=stream)
    if not is_fresh:
        run.note_request(url)
    if found is not None:
        note_user_of(url, session)
        return _kept(call, run, found)
    with timed("request", key=url, stream=stream) as facts:
        response = send_beside(call, run.find(Servers))
        note_answer(facts, response, read=not stream)
    if not stream:
        requests.has_come(url, response)
    return _kept(call, run, response)


def _kept(call: Call, run: Run, response: Any) -> Any:
    """Have an answer kept for a time without a network; return it."""
    if not call.get("stream") and not call.get("params") and call["method"] == "GET":
        with guarded("an answer is not kept"):
            from pipfast_hooks.network.kept import Keeper

            run.part(Keeper).keep(call.instance, call["url"], call.get("headers") or {}, response)
    return response
