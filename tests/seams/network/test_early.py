"""Temporary files in which pip's cache collects answers."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pip._internal.network.auth import MultiDomainBasicAuth

from pipfast.settings import Settings
from pipfast_hooks.network.beside import note_user_of
from pipfast_hooks.network.early import Buffers, _apart
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


def test_what_early_requests_know_of_users() -> None:
    """They share what pip knows and what they have learnt; pip learns nothing before it has asked itself."""
    pips = MultiDomainBasicAuth(prompting=False)
    early = _apart(pips)
    assert early._get_url_and_credentials("http://me:sesame@one/page/")[1:] == ("me", "sesame")
    assert pips._get_url_and_credentials("http://one/file")[1:] == (None, None)
    assert early._get_url_and_credentials("http://one/file")[1:] == ("me", "sesame")
    note_user_of("http://me:sesame@one/page/", SimpleNamespace(auth=pips))
    note_user_of("http://two/page/", SimpleNamespace(auth=pips))
    assert pips.passwords == {"one": ("me", "sesame")}
    pips._get_url_and_credentials("http://you:open@three/page/")
    assert early._get_url_and_credentials("http://three/file")[1:] == ("you", "open")
    assert early.passwords == {"one": ("me", "sesame"), "three": ("you", "open")}
    assert _apart(None) is None
