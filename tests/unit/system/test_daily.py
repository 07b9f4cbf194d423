"""Messages that are said once a day."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING

import pytest

from pipfast import report
from pipfast.system import daily
from pipfast.system.daily import say_daily

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, message: str = "slow") -> bool:
    monkeypatch.setattr(report, "_said", set())
    say_daily(message, "do this")
    return capsys.readouterr().err == f"pipfast: {message}\nhint: do this\n"


def test_once_a_day_for_each_reason(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(capsys, monkeypatch) and not said(capsys, monkeypatch)
    assert said(capsys, monkeypatch, "another reason")
    yesterday = time.time() - daily.DAY_S - 1
    for path in (places / "cache").iterdir():
        os.utime(path, (yesterday, yesterday))
    assert said(capsys, monkeypatch) and not said(capsys, monkeypatch)
    assert not list((places / "tmp").iterdir())


def test_the_temporary_folder_serves_where_there_is_no_cache(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / "cache").write_text("")
    assert said(capsys, monkeypatch) and not said(capsys, monkeypatch)


def test_nothing_is_made_in_another_users_home(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root's HOME may be another user's (`sudo -E`): a cache folder of root's would shut that user out."""
    monkeypatch.setattr(os, "geteuid", lambda: places.stat().st_uid + 1)
    assert said(capsys, monkeypatch)
    assert not (places / "cache").exists() and list((places / "tmp").iterdir())


def test_where_there_are_no_user_ids(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "geteuid")
    assert said(capsys, monkeypatch)


def test_each_time_where_nothing_can_be_noted(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (places / "cache").write_text("")
    monkeypatch.setattr("tempfile.tempdir", str(places / "cache"))
    assert said(capsys, monkeypatch) and said(capsys, monkeypatch)


def test_no_link_of_another_is_followed(
    places: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(capsys, monkeypatch)
    (note,) = (places / "cache").iterdir()
    (places / "precious").write_text("x")
    os.utime(places / "precious", (1, 1))
    note.unlink()
    note.symlink_to(places / "precious")
    assert said(capsys, monkeypatch) and (places / "precious").stat().st_mtime == 1


def test_not_under_quiet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    handler = logging.NullHandler()
    handler.setLevel(logging.WARNING)
    handler.set_name("console")
    monkeypatch.setattr(logging.getLogger(), "handlers", [handler])
    assert not said(capsys, monkeypatch)
    handler.setLevel(logging.INFO)
    assert said(capsys, monkeypatch)
