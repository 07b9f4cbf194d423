"""Sources of requirements, in words that a command line takes."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(("address", "source"), [
    ("git+https://h/x/y.git@main#subdirectory=a", "git+https://h/x/y.git@{}#subdirectory=a"),
    ("git+https://h/x/y.git", "git+https://h/x/y.git@{}"),
    ("git+file:///x/y#subdirectory=csrc/rotary", "git+file:///x/y@{}#subdirectory=csrc/rotary"),
    ("git+ssh://git@h/x/y.git@v1", "git+ssh://git@h/x/y.git@{}"),
    ("git+https://user:secret@h/x@v1#egg=x", "git+https://user:****@h/x@{}"),
])
def test_source_of_a_repository(monkeypatch: pytest.MonkeyPatch, address: str, source: str) -> None:
    """Address without password, commit and subdirectory; whoever has the same commit has the same source."""
    # As in a run: on 25.1 the modules below cannot be imported first.
    importlib.import_module("pip._internal.commands.install")
    sources = importlib.import_module("pipfast_hooks.builds.source")
    link = importlib.import_module("pip._internal.models.link").Link(address)
    monkeypatch.setattr(sources.vcs, "get_backend_for_scheme", lambda scheme: SimpleNamespace(
        get_revision=lambda folder: COMMIT))
    requirement = SimpleNamespace(link=link, editable=False, source_dir="/x")
    assert sources.source_of(requirement) == source.format(COMMIT)
