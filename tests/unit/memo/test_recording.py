from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipfast.memo import entry
from pipfast.memo.entry import Entry, decoded, root
from pipfast.memo.question import Question, is_install, unfit
from pipfast.memo.recording import Recording
from pipfast.memo.screen import MOST_BYTES, Screen
from pipfast.memo.watch import MOST_IN_A_FOLDER, _make_room
from pipfast.settings import Settings
from pipfast.store import layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WEEK_NS = 7 * 86_400 * 10**9

ENTRY = Entry(5, 7, "/tmp", False, [("/a\udce9", "f 1 2"), ("/b", "a2 True")], [(1, b"out\n"), (2, b"\xff\n")])


def test_encoding_is_undone() -> None:
    found = decoded(ENTRY.encoded())
    assert [getattr(found, name) for name in Entry.__slots__] == [getattr(ENTRY, name) for name in Entry.__slots__]


@pytest.mark.parametrize("damage", [
    lambda parts: parts[:-1], lambda parts: parts[:8], lambda parts: [b"1", *parts[1:]],
    lambda parts: [*parts[:-2], b"3", b"x"], lambda parts: [*parts[:6], b"99", *parts[7:]], lambda parts: [b""],
])
def test_what_is_no_entry(damage: object) -> None:
    payload = b"\0".join(damage(ENTRY.encoded().split(b"\0")))  # type: ignore[operator]
    with pytest.raises((ValueError, IndexError)):
        decoded(payload)


def test_what_stands_twice_is_the_same() -> None:
    assert entry.USE_NOTED_S == layout.USE_NOTED_S


def test_null_bytes_cannot_be_kept() -> None:
    with pytest.raises(ValueError, match="null"):
        Entry(1, 0, "", False, [], [(1, b"a\0b")]).encoded()


@pytest.mark.parametrize(("environ", "expected"), [
    ({"PIPFAST_STORE": "/s", "PIP_CACHE_DIR": "/c"}, "/s"), ({"PIPFAST_STORE": "s"}, ""),
    ({"PIP_CACHE_DIR": "/c", "HOME": "/h"}, "/c/pipfast"), ({"PIP_CACHE_DIR": "c"}, ""),
    ({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/pipfast"), ({"HOME": "/h"}, "/h/.cache/pipfast"), ({}, ""),
])
def test_folder_of_the_store(environ: Mapping[str, str], expected: str) -> None:
    assert root(environ) == expected


@pytest.mark.parametrize(("arguments", "environ", "expected"), [
    (["install", "x"], {}, True), (["download", "x"], {}, False), (["-q", "install", "x"], {}, False),
    ([], {}, False),
    (["install", "--no-cache-dir", "x"], {}, False), (["install", "--cache-dir=x"], {}, False),
    (["install", "--log", "x"], {}, False), (["install"], {"PIPFAST": "off"}, False),
    (["install"], {"PIPFAST_DISABLE": "index, Memo"}, False), (["install"], {"PIPFAST_MEMO": "verify"}, True),
    (["install"], {"PIP_LOG": "x"}, False),
])
def test_which_questions_may_be_remembered(arguments: list[str], environ: dict[str, str], expected: bool) -> None:
    assert (is_install(arguments, environ) and not unfit(arguments, environ)) is expected


def test_weekly_question_ends_an_answer(tmp_path: Path) -> None:
    """pip asks for a newer pip a week after it did; where that is not told, nothing is kept."""
    recording = Recording(Question(["install"], os.environ), str(tmp_path))
    recording.heed(Settings(store=tmp_path), "/http/", "/selfcheck/")
    told = tmp_path / "selfcheck" / "note"
    told.parent.mkdir()
    told.write_text(json.dumps({"last_check": "2026-01-02T03:04:05Z"}), encoding="utf-8")
    assert recording._until({(str(told), "f")}) == 1_767_323_045 * 10**9 + WEEK_NS
    assert recording._until({("/elsewhere", "f")}) == 0
    assert recording.witness.objection == ""
    sooner = told.with_name("sooner")
    sooner.write_text(json.dumps({"last_check": "2026-01-01T03:04:05Z"}), encoding="utf-8")
    assert recording._until({(str(told), "f"), (str(sooner), "f")}) == (1_767_323_045 - 86_400) * 10**9 + WEEK_NS
    told.write_text("{}", encoding="utf-8")
    recording._until({(str(told), "f")})
    assert recording.witness.objection


def test_kept_answer_of_a_server_is_no_answer_of_pips(tmp_path: Path) -> None:
    """It holds for a time that servers set; and nothing is kept where nobody said how it is known."""
    objections = []
    for pattern, path in (("/http/", "/home/http/ab"), ("/http/", "/home/file"), ("", "/home/file")):
        recording = Recording(Question(["install"], os.environ), str(tmp_path))
        if pattern:
            recording.heed(Settings(store=tmp_path), pattern, "/selfcheck/")
        recording.witness.looked[path, "f"] = "f 2"
        recording.entry()
        objections.append(recording.witness.objection)
    assert "server" in objections[0] and "configuration" in objections[2]
    assert "server" not in objections[1] and "configuration" not in objections[1]


@contextlib.contextmanager
def noting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Screen]:
    """Stand before the descriptors 1 and 2."""
    with (
        open(1, "w", encoding="utf-8", closefd=False) as out, open(2, "w", encoding="utf-8", closefd=False) as err,
        monkeypatch.context() as patch,
    ):
        for name, stream in (("stdout", out), ("stderr", err)):
            patch.setattr(sys, name, stream)
            patch.setattr(sys, f"__{name}__", stream)
        screen = Screen()
        assert screen.start()
        yield screen
        sys.stdout.flush()


def test_screen_notes_in_order_what_each_stream_gets(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only streams that Python has made are replaced, and what they are is kept."""
    with noting(monkeypatch) as screen:
        for name, text in (("stdout", "one"), ("stdout", "two"), ("stderr", "thréé"), ("stdout", "four")):
            getattr(sys, name).write(text)
            getattr(sys, name).flush()
        sys.stdout.write("later")
        sys.stderr.write("sooner")
        sys.stderr.flush()
        screen.stop()
        sys.stdout.write("late")
        assert screen.lines == [
            (1, b"onetwo"), (2, "thréé".encode()), (1, b"four"), (2, b"sooner"), (1, b"later"),
        ]
        assert not screen.is_incomplete
        assert sys.stdout.encoding == "utf-8"
        assert not Screen().start()
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("onetwofourlaterlate", "thréésooner")


def test_interrupt_while_it_is_noted_writes_nothing_twice(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with noting(monkeypatch) as screen:
        for method in ("note", "pass_on"):
            with monkeypatch.context() as patch:
                patch.setattr(screen, method, interrupt)
                with pytest.raises(KeyboardInterrupt):
                    print(f"{method} ", end="", flush=True)
            sys.stdout.flush()
    assert capfd.readouterr().out == "note pass_on "


def test_screen_gives_up_what_it_cannot_tell(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of much that was kept back, some came first; bytes pass it by."""
    with noting(monkeypatch) as screen:
        sys.stdout.write("x" * 10_000)
        assert not screen.is_incomplete
        sys.stderr.write("y")
        sys.stderr.flush()
        assert screen.is_incomplete
    with noting(monkeypatch) as screen:
        sys.stdout.buffer.write(b"z")
        assert screen.is_incomplete
    assert capfd.readouterr().out == "x" * 10_000 + "z"


def test_screen_gives_up_what_is_too_much() -> None:
    screen = Screen()
    screen.note(1, bytes(MOST_BYTES))
    assert not screen.is_incomplete
    screen.note(2, b"x")
    assert screen.is_incomplete


def test_folder_keeps_what_was_used_last(tmp_path: Path) -> None:
    """One more fits afterwards; a folder in the way is nobody's answer."""
    for number in range(MOST_IN_A_FOLDER + 3):
        (tmp_path / str(number)).touch()
        os.utime(tmp_path / str(number), (number, number))
    _make_room(tmp_path)
    left = sorted(int(path.name) for path in tmp_path.iterdir())
    assert left == list(range(4, MOST_IN_A_FOLDER + 3))
    _make_room(tmp_path / "none")


WAYS = {
    "a trace": "sys.settrace(lambda *_: None)",
    "a profile": "sys.setprofile(lambda *_: None)",
    "another stream": "sys.stdout = open(1, 'w', closefd=False)",
    "another stream of errors": "import io; sys.stderr = io.StringIO()",
    "no stream": "sys.stdout = None",
    "a method of its own": "sys.stderr.write = sys.stderr.write",
    "a closed stream": "sys.stdout.close()",
    "warnings": "sys.warnoptions.append('error')",
    "elsewhere": "sys.pycache_prefix = '/elsewhere'",
}


def test_process_that_is_watched_or_prints_in_its_own_way() -> None:
    """Nothing is kept or given there."""
    check = "; from pipfast.memo.question import oddity; import os; os._exit(not oddity())"
    for name, way in {"plain": "pass", "ignored": "sys.warnoptions.append('ignore')", **WAYS}.items():
        ended = subprocess.run([sys.executable, "-c", f"import sys; {way}{check}"], check=False, timeout=60)
        assert ended.returncode == (name in ("plain", "ignored")), name
    for flags in (("-X", "dev"), ("-X", "importtime"), ("-v",)):
        ended = subprocess.run(
            [sys.executable, *flags, "-c", f"import sys{check}"], check=False, timeout=60, capture_output=True
        )
        assert ended.returncode == 0, flags
