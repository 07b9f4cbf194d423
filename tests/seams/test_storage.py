"""The store of one run: opened when it is used, and once."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from pipfast.prepare.bytecode import current_kind
from pipfast.settings import Settings
from pipfast_hooks.storage import Aim, Intent, Store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipfast.memo.watch import Watch

INSTALLING = Intent(Aim.INSTALL)


@dataclass
class Command:
    """As much of a run as its store asks for."""

    settings: Settings
    intent: Intent = INSTALLING
    umask: int = 0o022
    is_copy: bool = False
    recording: Watch | None = None
    said: list[str] = field(default_factory=list)

    def say_daily(self, message: str, hint: str | None = None) -> None:
        self.said.append(message)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(Settings(store=tmp_path / "store", workers=1))


@pytest.fixture
def store(command: Command) -> Iterator[Store]:
    made = Store(command)
    yield made
    made.stop()


def test_the_folder_is_made_when_the_store_is_first_used(store: Store, tmp_path: Path) -> None:
    store.tidy()
    assert store.opened is None and not (tmp_path / "store").exists()
    assert store.layout.keeps and store.layout is store.layout is store.opened
    assert (tmp_path / "store").is_dir()


def test_a_command_that_is_to_keep_nothing_has_no_store(store: Store, command: Command, tmp_path: Path) -> None:
    """Also one that learns this when the store is open."""
    assert store.layout.keeps
    command.intent = Intent(Aim.INSTALL, stores=False)
    assert not store.layout.keeps and store.opened is None and store.preparer() is None


def test_why_there_is_no_store_is_said_once(store: Store, command: Command, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "precious").touch()
    assert not store.layout.keeps and store.layout is store.nowhere
    assert len(command.said) == 1 and "in use for something else" in command.said[0]
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["precious"]


@pytest.mark.parametrize("aim", [Aim.ARCHIVES, Aim.METADATA])
def test_only_an_installation_prepares_wheels(store: Store, command: Command, aim: Aim) -> None:
    command.intent = Intent(aim)
    assert store.preparer() is None
    command.intent = INSTALLING
    assert store.preparer() is store.preparer() is not None


@pytest.mark.parametrize("known", ["the same", "other bytecode", "no links ahead"])
def test_what_is_prepared_is_given_up_if_the_intent_changes(store: Store, command: Command, known: str) -> None:
    command.intent = Intent(Aim.INSTALL, bytecode=current_kind({}), link_ahead=True)
    before = store.preparer()
    if known == "other bytecode":
        command.intent = Intent(Aim.INSTALL, bytecode=None, link_ahead=True)
    elif known == "no links ahead":
        command.intent = Intent(Aim.INSTALL, bytecode=current_kind({}))
    store.settle()
    assert (store.preparer() is before) is (known == "the same")


def test_digests_of_a_file_hold_while_it_is_unchanged(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    store.remember(path, {"sha256": "a" * 64, "md5": "b" * 32})
    known = store.known(os.fspath(path))
    assert known == {"sha256": "a" * 64, "md5": "b" * 32}
    os.utime(path, ns=(1, 2))
    assert store.known(os.fspath(path)) is None
    path.write_bytes(b"longer")
    os.utime(path, ns=(1, 1))
    assert store.known(os.fspath(path)) is None
    path.unlink()
    assert store.known(os.fspath(path)) is None and store.known("another") is None
