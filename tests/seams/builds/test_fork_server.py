"""The modules that a fork server imports for its forks."""

from __future__ import annotations

import importlib

import pytest

from pipfast_hooks.builds.environments import fork_server


@pytest.mark.parametrize("name", fork_server._IMPORTED)
def test_each_name_is_a_module(name: str) -> None:
    """The server passes over what it cannot import: with a stale name each fork would be slower, unnoticed."""
    importlib.import_module(name)


def test_what_opens_the_store_is_imported() -> None:
    """Each fork opens the store."""
    assert {"pipfast.prepare.preparer", "pipfast.store.condition"} <= set(fork_server._IMPORTED)
