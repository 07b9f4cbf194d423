"""Temporary files in which pip's cache collects answers."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pipfast.settings import Settings
from pipfast_hooks.network.early import Buffers
from pipfast_hooks.run import Run
from pipfast_hooks.seams import COLLECTS_ANSWERS

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_what_a_thread_still_writes_to_goes_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of an answer that nobody has read to its end is removed, and pip's own function is back."""
    module: Any = import_module(COLLECTS_ANSWERS[0])
    stock = getattr(module, COLLECTS_ANSWERS[1])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    buffers = Buffers(Run(Settings(), 0o022))
    buffers.begin()
    buffers.begin()
    collecting = module.CallbackFileWrapper(None, None)
    assert len(list(tmp_path.iterdir())) == 1
    buffers.close(0.0)
    assert list(tmp_path.iterdir()) == []
    assert getattr(module, COLLECTS_ANSWERS[1]) is stock
    del collecting
