"""Samples of the processor."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from pipfast.timeline import processor
from pipfast.timeline.processor import Processor, Sample, mean_share, shares


def test_samples_are_in_order_and_the_thread_ends() -> None:
    before = set(threading.enumerate())
    watched = Processor()
    found = watched.end()
    assert len(found) >= 2
    assert all(first.at <= second.at and first.own <= second.own for first, second in pairwise(found))
    assert set(threading.enumerate()) <= before
    assert watched.end() == found


def test_a_long_run_is_sampled_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "MOST", 4)
    monkeypatch.setattr(processor, "EVERY_S", 0.001)
    watched = Processor()
    deadline = time.monotonic() + 20
    while watched._every < 0.004 and time.monotonic() < deadline:
        time.sleep(0.001)
    first = watched._samples[0]
    found = watched.end()
    assert len(found) <= 5 and found[0] == first


def test_shares() -> None:
    samples = [Sample(0.0, 0.0, 10.0), Sample(2.0, 1.0, 13.0), Sample(2.0, 1.0, 13.0), Sample(4.0, 1.0, 17.0)]
    assert shares(samples) == [(2.0, 0.5, 1.5), (4.0, 0.0, 2.0)]
    assert mean_share(samples, 4) == pytest.approx(7 / 4 / 4)
    assert mean_share([Sample(0.0, 0.0, 0.0), Sample(1.0, 1.0, 0.0)], 4) is None
    assert mean_share(samples[:1], 4) is None
