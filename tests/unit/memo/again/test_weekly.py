"""pip's notes of its weekly question, written for one more environment."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

from pipfast.memo.again.elsewhere import Environment
from pipfast.memo.again.weekly import Weekly, noted, until

if TYPE_CHECKING:
    from pathlib import Path

ONE, OTHER = Environment("/x/one"), Environment("/y/another")


def note(folder: Path, environment: Environment, *, days: int = 0, version: str = "26.3") -> Path:
    path = folder / hashlib.sha224(environment.prefix.encode()).hexdigest()
    when = datetime.now(timezone.utc) - timedelta(days=days)
    told = {"key": environment.prefix, "last_check": when.isoformat(), "pypi_version": version}
    path.write_text(json.dumps(told, sort_keys=True, separators=(",", ":")), encoding="utf-8")
    path.chmod(0o640)
    return path


@pytest.fixture
def weekly(tmp_path: Path) -> Weekly:
    return noted(str(note(tmp_path, ONE)), ONE, was_there=False)


def test_another_environment_gets_a_note_of_its_own(weekly: Weekly, tmp_path: Path) -> None:
    assert weekly.renew(OTHER) == ""
    path = tmp_path / hashlib.sha224(OTHER.prefix.encode()).hexdigest()
    told = json.loads(path.read_text(encoding="utf-8"))
    assert (told["key"], told["pypi_version"]) == (OTHER.prefix, "26.3")
    assert abs(datetime.fromisoformat(told["last_check"]) - datetime.now(timezone.utc)) < timedelta(minutes=5)
    assert path.stat().st_mode & 0o777 == 0o640 and len(list(tmp_path.iterdir())) == 2


def test_note_of_this_week_stays(weekly: Weekly, tmp_path: Path) -> None:
    path = note(tmp_path, OTHER, days=3)
    before = path.read_bytes()
    assert weekly.renew(OTHER) == "" and path.read_bytes() == before


def test_note_of_another_pip_is_pips_to_judge(weekly: Weekly, tmp_path: Path) -> None:
    note(tmp_path, OTHER, version="27.0")
    assert "another pip" in weekly.renew(OTHER)


def test_old_note_is_written_anew(weekly: Weekly, tmp_path: Path) -> None:
    path = note(tmp_path, OTHER, days=8, version="20.0")
    assert weekly.renew(OTHER) == "" and json.loads(path.read_text())["pypi_version"] == "26.3"


def test_pip_asks_where_it_did_not_ask_before(tmp_path: Path) -> None:
    there = noted(str(note(tmp_path, ONE)), ONE, was_there=True)
    assert "missing or old" in there.renew(OTHER)


@pytest.mark.parametrize("text", ["", "[]", '{"last_check":1}', '{"a": "b"}', '{"last_check":"soon"}', "\udcff"])
def test_other_notes_are_not_kept(text: str, tmp_path: Path) -> None:
    path = note(tmp_path, ONE)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError):
        noted(str(path), ONE, was_there=False)


def test_note_with_another_name_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="name"):
        noted(str(note(tmp_path, OTHER)), ONE, was_there=False)


def test_folder_that_cannot_be_written_to(weekly: Weekly, tmp_path: Path) -> None:
    weekly.folder = str(tmp_path / "nowhere")
    assert "nowhere" in weekly.renew(OTHER)


def test_when_pip_asks_again(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_text('{"last_check": "2026-01-02T03:04:05Z"}', encoding="utf-8")
    assert until(str(path)) == 1_767_323_045 * 10**9 + 7 * 86_400 * 10**9
