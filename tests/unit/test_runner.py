"""The runner's answers about pipfast's own installation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipfast import runner

if TYPE_CHECKING:
    from pathlib import Path


_RELATIVE = "# shared\nimport sys\n../shared\n"


@pytest.mark.parametrize("pth", [None, "{pip}\n", _RELATIVE], ids=["none", "pipx's", "relative"])
def test_pip_is_beside_or_where_a_pth_file_leads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pth: str | None
) -> None:
    """pipx has one pip for all its environments; a shell's function starts the runner and knows nothing of it."""
    here = tmp_path / "here"
    pip = here if pth is None else tmp_path / "shared"
    here.mkdir()
    (here / "broken.pth").write_bytes(b"\xff\n")
    (here / "folder.pth").mkdir()
    monkeypatch.setattr(runner, "roots", lambda: {"pipfast": str(here)})
    assert runner.folder_of_pip() == ""
    (pip / "pip").mkdir(parents=True)
    (pip / "pip" / "__pip-runner__.py").touch()
    if pth is not None:
        (here / "pipx_shared.pth").write_text(pth.format(pip=pip), "utf-8")
    assert (pip / "pip").samefile(f"{runner.folder_of_pip()}/pip")
