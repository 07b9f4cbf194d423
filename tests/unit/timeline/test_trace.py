"""The trace, by the rules of the Trace Event Format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipfast.timeline.trace import other_data, trace
from support.told import HOSTILE, check_trace

if TYPE_CHECKING:
    from support.told import Told


def test_trace(told: Told) -> None:
    told.add("download", 0.5, 2.0, 9, key="https://host/a.whl", bytes=7, cache="network", asked=0.1, by=told.main)
    told.add("unpack", 2.0, 2.5, (77, 1), digest="ab")
    told.add("wait", 1.0, 2.0, on="https://host/a.whl")
    told.recorder.names[9] = "pipfast-fetch-0"
    text = trace(told.story(3.0), told.recorder, {"connections": [(0.0, 0.0), (0.5, 1.0)]}, {"began_at": 5.0})
    found = json.loads(text)
    check_trace(found["traceEvents"])
    complete = [each for each in found["traceEvents"] if each["ph"] == "X"]
    assert [(each["name"], each["ts"], each["dur"]) for each in complete] == [
        ("download: a.whl", 500_000, 1_500_000), ("waiting: waiting", 1_000_000, 1_000_000),
        ("unpacking: ab", 2_000_000, 500_000),
    ]
    assert complete[0]["args"] == {"bytes": 7, "cache": "network"}
    assert complete[0]["pid"] == told.recorder.pid and complete[2]["pid"] == 77
    assert len({(each["pid"], each["tid"]) for each in complete}) == 3
    names = {each["tid"]: each["args"]["name"] for each in found["traceEvents"] if each["name"] == "thread_name"}
    assert names[complete[1]["tid"]] == "pip" and names[complete[0]["tid"]] == "fetch-0"
    assert [each["ts"] for each in found["traceEvents"] if each["ph"] in "sf"] == [1_999_999, 2_000_000]


def test_what_the_next_run_needs_stands_first(told: Told) -> None:
    text = trace(told.story(1.0), told.recorder, {}, {"command": ["install", "x"]})
    assert other_data(text[:40]) == {"command": ["install", "x"]}


@pytest.mark.parametrize("text", ["", "{}", '{"otherData":', '{"otherData":{"a"', '{"traceEvents":[]}'])
def test_what_is_no_trace_of_ours(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        other_data(text)


def test_no_secret_is_in_it(told: Told) -> None:
    told.add("request", 0.1, 0.2, key="https://user:secret@host/simple/x/?key=hidden", cache="network")
    told.add("place", 0.2, 0.3, name=HOSTILE, how=HOSTILE)
    text = trace(told.story(1.0), told.recorder, {}, {})
    check_trace(json.loads(text)["traceEvents"])
    assert "secret" not in text and "hidden" not in text
