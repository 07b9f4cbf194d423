"""Intent of one command, as its options say it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from pipfast_hooks.storage import Aim, Intent


def test_nothing_is_installed_before_something_is_known() -> None:
    """A command that pipfast does not understand is pip's: files come in parallel, and no more."""
    intent = Intent()
    assert not intent.installs and not intent.metadata_only and not intent.link_ahead and intent.stores


@pytest.mark.parametrize(("aim", "installs", "metadata_only"), [
    (Aim.INSTALL, True, False), (Aim.ARCHIVES, False, False), (Aim.METADATA, False, True),
])
def test_aims(aim: Aim, installs: bool, metadata_only: bool) -> None:
    intent = replace(Intent(), aim=aim)
    assert (intent.installs, intent.metadata_only) == (installs, metadata_only)


def test_it_is_replaced_as_a_whole() -> None:
    """Threads read it: none may see half of a change."""
    with pytest.raises(FrozenInstanceError):
        Intent().aim = Aim.INSTALL  # type: ignore[misc]
