"""What pip says of a file that is judged."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pip._internal.index.package_finder import LinkEvaluator
from pip._internal.models.target_python import TargetPython

from pipfast_hooks.index.evaluation import Judge

if TYPE_CHECKING:
    import pytest


def test_judging_a_bound_on_python_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """With -v pip tells of each link that it objects to; what stands for all of them is no link of a page."""
    caplog.set_level(logging.DEBUG)
    evaluator = LinkEvaluator("demo", "demo", frozenset({"source"}), TargetPython(), allow_yanked=True)
    judge = Judge([])
    assert judge.other_python("<3", evaluator)
    assert judge.other_python(">=3", evaluator) is None
    assert caplog.records == []
