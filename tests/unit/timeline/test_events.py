"""Recording: in this process, from all its threads, and from others."""

from __future__ import annotations

import json
import math
import threading
import time
from typing import Any

import pytest

from pipfast import report
from pipfast.timeline import events
from pipfast.timeline.events import Recorder


def test_event_has_its_thread_and_its_times() -> None:
    recorder = Recorder()
    began = time.monotonic()
    recorder.note("place", began, {"name": "demo"})
    (event,) = recorder.events()
    assert (event.phase, event.began, event.facts) == ("place", began, {"name": "demo"})
    assert recorder.began <= began <= event.ended <= time.monotonic()
    assert event.thread == recorder.main == threading.get_ident()
    assert recorder.names[threading.get_ident()] == threading.current_thread().name


def test_no_event_of_any_thread_is_lost() -> None:
    recorder = Recorder()

    def work(number: int) -> None:
        for each in range(500):
            recorder.note("segment", time.monotonic(), {"key": f"{number} {each}"})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = recorder.events()
    assert len({event.facts["key"] for event in found}) == 8 * 500
    assert [each.began for each in found] == sorted(each.began for each in found)


def test_too_many_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST", 3)
    recorder = Recorder()
    for _ in range(5):
        recorder.note("place", time.monotonic(), {})
    assert (len(recorder.events()), recorder.dropped) == (3, 2)


def test_timed_notes_while_somebody_records() -> None:
    with report.timed("before"):
        pass
    recorder = Recorder()
    report.record(recorder)
    try:
        with report.timed("place", name="demo") as facts:
            facts["files"] = 3
        with pytest.raises(KeyError), report.timed("hook", name="demo"):
            raise KeyError
        asked = report.asked()
    finally:
        report.record(None)
    with report.timed("after"):
        pass
    assert [(each.phase, each.facts) for each in recorder.events()] == [
        ("place", {"name": "demo", "files": 3}), ("hook", {"name": "demo", "failed": True}),
    ]
    assert asked["by"] == recorder.main and recorder.began < asked["asked"] <= time.monotonic()
    assert report.asked() == {}


def test_what_another_process_tells_arrives() -> None:
    """As plain data, with the thread that had asked for the first of it."""
    theirs, ours = Recorder(), Recorder()
    theirs.note("unpack", time.monotonic(), {"digest": "ab", "bytes": 5, "private": "x"})
    theirs.note("compile", time.monotonic(), {"digest": "ab"})
    told = json.loads(json.dumps(theirs.told()))
    assert theirs.told() == []
    ours.take_in(77, told, {"asked": ours.began, "by": ours.main})
    first, second = ours.events()
    assert first.facts == {"digest": "ab", "bytes": 5, "asked": ours.began, "by": ours.main}
    assert first.thread == second.thread == (77, theirs.main)
    assert second.facts["asked"] == second.began and second.facts["by"] == second.thread


@pytest.mark.parametrize("told", [
    None, 3, "place", [], ["place"], ["place", 0, 0, 1, {}], ["place", math.nan, math.nan, 1, {}],
    ["place", "x", "y", 1, {}], [3, "now", "now", 1, {}], ["place", "now", "now", "thread", {}],
    ["place", "now", "now", 1, []], ["place", "now", "before", 1, {}], ["place", "now", math.inf, 1, {}],
], ids=repr)
def test_what_is_no_event_is_left_out(told: Any) -> None:
    """A build may write where its pip tells its events."""
    recorder = Recorder()
    now = time.monotonic()
    times = {"now": now, "before": now - 1}
    if isinstance(told, list):
        told = [times.get(each, each) if isinstance(each, str) else each for each in told]
    recorder.take_in(77, [told])
    assert (recorder.events(), recorder.dropped) == ([], 1)


def test_texts_of_another_process_are_short() -> None:
    recorder, now = Recorder(), time.monotonic()
    recorder.take_in(77, [["p" * 9999, now, now, 1, {"name": "n" * 9999, "key": ["x"], "on": None}]])
    (event,) = recorder.events()
    assert len(event.phase) == len(event.facts["name"]) == 400
    assert event.facts["key"] == "['x']"
