"""Objects of the team's store are believed as they were signed, and under the name they were signed for."""

from __future__ import annotations

import io
import os
import pickle
import threading
from typing import TYPE_CHECKING

import pytest

from pipfast.remote import signing
from pipfast.remote.signing import Head, NoKey, TeamKey, Unbelievable, read_head, read_key, sign
from pipfast.settings import Secret, Settings

if TYPE_CHECKING:
    from pathlib import Path

KEY = TeamKey(b"one key of the team")
NAME = "v1/wheels/ab/abab/0"
HEAD = sign(KEY, NAME, "wheel", 5, "0" * 64, {"name": "plain"})
BYTES = HEAD.line + HEAD.raw + b"12345"


def read(content: bytes, key: TeamKey | None = KEY, name: str = NAME) -> Head:
    return read_head(key, name, io.BytesIO(content).read)


def test_what_is_signed_is_read() -> None:
    assert read(BYTES) == HEAD
    assert read(BYTES).info == {"name": "plain"}


@pytest.mark.parametrize("position", range(0, len(HEAD.line + HEAD.raw), 3))
def test_no_altered_byte_of_a_head_is_believed(position: int) -> None:
    altered = bytearray(BYTES)
    altered[position] ^= 1
    with pytest.raises(Unbelievable):
        read(bytes(altered))


@pytest.mark.parametrize("length", [0, 1, len(HEAD.line) - 1, len(HEAD.line), len(HEAD.line + HEAD.raw) - 1])
def test_no_head_that_is_cut_short_is_believed(length: int) -> None:
    with pytest.raises(Unbelievable):
        read(BYTES[:length])


def test_no_object_is_believed_under_another_name_or_key() -> None:
    with pytest.raises(Unbelievable, match="another name"):
        read(BYTES, name="v1/wheels/ab/abab/1")
    with pytest.raises(Unbelievable, match="not signed"):
        read(BYTES, TeamKey(b"another key of them"))


@pytest.mark.parametrize("content", [
    b"<html>502</html>", b"pipfast-object-1 " + b"0" * 64 + b" 99999999\n",
    b"pipfast-object-2 " + b"0" * 64 + b" 2\n{}",
    b"pipfast-object-1 " + b"0" * 64 + b" 5\n[[[[[", b"\n" * 500,
])
@pytest.mark.parametrize("key", [KEY, None])
def test_what_is_no_object_is_said_to_be_none(content: bytes, key: TeamKey | None) -> None:
    with pytest.raises(Unbelievable):
        read(content, key)


def test_key_from_a_file_and_as_it_is(tmp_path: Path) -> None:
    """A final newline is not part of it: editors add one."""
    (tmp_path / "key").write_bytes(b"0123456789abcdef\n")
    assert read_key(Secret(f"@{tmp_path}/key")).signature("a", b"") == read_key(
        Secret("0123456789abcdef")
    ).signature("a", b"")


@pytest.mark.parametrize("text", ["too short", "@/nowhere/key"])
def test_key_that_cannot_be_had(text: str) -> None:
    """The message says why; no part of a key is in it."""
    with pytest.raises(NoKey) as found:
        read_key(Secret(text))
    assert "too short" not in str(found.value)


def test_nothing_shows_the_key() -> None:
    secret = Secret("0123456789abcdef")
    settings = Settings(remote_key=secret)
    assert "0123456789" not in f"{secret} {secret!r} {settings} {settings!r} {read_key(secret)!r}"
    # A worker or a copy may get it; what it prints does not.
    assert "0123456789" not in repr(pickle.loads(pickle.dumps(secret)))


def test_key_from_a_pipe(tmp_path: Path) -> None:
    """As a shell makes of `@<(command)`: what comes late counts."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"0123456789abcdef",))
    writer.start()
    key = read_key(Secret(f"@{tmp_path}/pipe"))
    writer.join()
    assert key.object_name == read_key(Secret("0123456789abcdef")).object_name


@pytest.mark.parametrize(("name", "why"), [
    ("pipe", "it gives nothing for 0.1 s"), ("missing", "No such file"), ("", "Is a directory"),
    ("empty", "shorter than 16"), ("\0", "null byte"),
])
def test_key_file_that_is_none(name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a pipe into which nobody writes."""
    monkeypatch.setattr(signing, "_PIPE_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    with pytest.raises(NoKey, match=why):
        read_key(Secret(f"@{tmp_path}/{name}"))
