"""Root that installs into another user's folder gives it files of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pipfast.system import owner
from pipfast.system.owner import effective_mode

if TYPE_CHECKING:
    from pathlib import Path

    from pipfast.settings import LinkMode


@pytest.mark.parametrize("asked", ["auto", "hardlink"])
@pytest.mark.parametrize("root", [True, False])
@pytest.mark.parametrize("below", ["", "new/folder"])
def test_only_auto_is_changed_and_only_for_root(
    asked: LinkMode, root: bool, below: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that is to be made there counts as well."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, -1)
    monkeypatch.setattr(owner, "is_root", lambda: root)
    assert effective_mode(asked, str(tmp_path / below)) == ("copy" if root and asked == "auto" else asked)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes root's folders")
def test_roots_own_folder_is_linked_into(tmp_path: Path) -> None:
    assert effective_mode("auto", str(tmp_path)) == "auto"
