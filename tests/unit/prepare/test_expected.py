"""Notes about the last installation of a command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.expected import ExpectedWheel, command_key, find_expected, keep_expected, merged
from pipfast.store.names import EXPECTED
from pipfast.store.notes import write_note
from support.stores import new_store

if TYPE_CHECKING:
    from pathlib import Path

KEY = "a" * 64
ONE, TWO, THREE = (ExpectedWheel(str(number) * 64, f"w{number}-1.dist-info") for number in (1, 2, 3))


def test_it_is_kept_in_its_order(tmp_path: Path) -> None:
    layout = new_store(tmp_path / "store")
    assert find_expected(layout, KEY) == []
    keep_expected(layout, KEY, [TWO, ONE])
    assert find_expected(layout, KEY) == [TWO, ONE]


MANY = json.dumps([ONE] * 5_001).encode()


@pytest.mark.parametrize("payload", [b"", b"{", b"7", b"[1]", b'[["../../etc", "x"]]', b'[["AB", "x"]]', MANY],
                         ids=lambda payload: payload[:12].decode())
def test_what_is_no_list_of_wheels_is_thrown_away(payload: bytes, tmp_path: Path) -> None:
    layout = new_store(tmp_path / "store")
    write_note(layout, EXPECTED, KEY, payload)
    assert find_expected(layout, KEY) == []
    assert not list((layout.root / EXPECTED).glob("*/*"))


def test_a_command_line_is_known_by_what_decides_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key = command_key(["install", "flask"], {"HOME": "/x"})
    assert key == command_key(["install", "flask"], {"HOME": "/y"})
    assert key != command_key(["install", "flask", "--pre"], {})
    assert key != command_key(["install", "flask"], {"PIP_INDEX_URL": "https://x"})
    in_files = command_key(["install", "-rwanted.txt"], {})
    (tmp_path / "other" / "flask").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "other")
    assert in_files != command_key(["install", "-rwanted.txt"], {})
    assert key != command_key(["install", "flask"], {})


def test_what_was_there_already_is_expected_of_an_empty_environment() -> None:
    nothing: frozenset[str] = frozenset()
    assert merged([], nothing, [ONE, TWO]) == [ONE, TWO]
    assert merged([ONE, TWO], frozenset([ONE.info_dir]), [TWO]) == [ONE, TWO]
    # Neither there nor placed: another version came in its place.
    assert merged([ONE, TWO], nothing, [ONE, THREE]) == [ONE, THREE]
