"""Settings from environment variables."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from pipfast.settings import DEFAULT_CONNECTIONS, SETTINGS, Settings, usable_cores


def test_defaults() -> None:
    settings = Settings.from_environ({})
    assert settings == Settings(workers=usable_cores(), builds=usable_cores())
    assert settings.enabled and settings.store is None and settings.problems == ()


def test_every_field_has_a_row() -> None:
    assert [each.field for each in SETTINGS] == [each.name for each in fields(Settings)][:-1]


def test_what_a_pip_that_fills_a_build_environment_gets(tmp_path: Path) -> None:
    """The rest it finds as this process did; where the store is, pip's command line may have said."""
    fixed = {"PIPFAST_LINK_MODE": "copy", "PIPFAST_BUILD_RESCUE": "off", "PIPFAST_TIMINGS": None,
             "PIPFAST_STORE_SIZE": "none", "PIPFAST_TIMELINE": None, "PIPFAST_REMOTE": "off",
             "PIPFAST_REMOTE_KEY": None, "PIPFAST_REMOTE_WRITE": None, "PIPFAST_REMOTE_TIMEOUT": None,
             "PIPFAST_REMOTE_ARCHIVES": None, "PIPFAST_REMOTE_PREPARED": None}
    assert Settings().for_children() == fixed
    there = Settings(store=tmp_path, link_mode="hardlink", timings=tmp_path / "times", connections=3)
    assert there.for_children(workers="1") == {
        **fixed, "PIPFAST_STORE": str(tmp_path), "PIPFAST_WORKERS": "1"
    }


@pytest.mark.parametrize(("text", "enabled"), [("off", False), ("OFF", False), ("0", False), ("false", False),
                                               ("on", True), ("1", True), ("", True), ("maybe", True)])
def test_switch(text: str, enabled: bool) -> None:
    settings = Settings.from_environ({"PIPFAST": text})
    assert settings.enabled is enabled
    assert bool(settings.problems) is (text == "maybe")


def test_values() -> None:
    settings = Settings.from_environ({
        "PIPFAST_DISABLE": " downloads, INSTALL ,", "PIPFAST_STORE": "~/s", "PIPFAST_CONNECTIONS": "3",
        "PIPFAST_WORKERS": " 2 ", "PIPFAST_LINK_MODE": "Copy", "PIPFAST_TIMINGS": "t.json",
    })
    assert settings.disabled == {"downloads", "install"}
    assert settings.store == Path("~/s").expanduser()
    assert (settings.connections, settings.workers, settings.link_mode) == (3, 2, "copy")
    assert settings.timings == Path.cwd() / "t.json"
    assert settings.problems == ()


@pytest.mark.parametrize("text", ["0", "-1", "65", "many", "1e1", "\u0663"])
def test_unreadable_number_is_named_and_the_default_used(text: str) -> None:
    """Never fatal: pip alone would have installed."""
    settings = Settings.from_environ({"PIPFAST_CONNECTIONS": text})
    assert settings.connections == DEFAULT_CONNECTIONS
    assert len(settings.problems) == 1 and "PIPFAST_CONNECTIONS" in settings.problems[0]


def test_unknown_names_are_named() -> None:
    settings = Settings.from_environ({"PIPFAST_DISABLE": "install,nothing", "PIPFAST_LINK_MODE": "magic"})
    assert settings.disabled == {"install"} and settings.link_mode == "auto"
    assert len(settings.problems) == 2


def test_the_environment_wins_over_the_file() -> None:
    """A key of pip.conf counts where its variable is not set, or is empty."""
    section = {"connections": "3", "link-mode": "copy", "disable": "install", "build-rescue": "named"}
    settings = Settings.from_environ({"PIPFAST_CONNECTIONS": "5", "PIPFAST_LINK_MODE": ""}, section)
    assert (settings.connections, settings.link_mode, settings.build_rescue) == (5, "copy", "named")
    assert settings.disabled == {"install"} and settings.problems == ()


def test_the_file_has_a_switch_too() -> None:
    assert not Settings.from_environ({}, {"enabled": "off"}).enabled
    assert Settings.from_environ({"PIPFAST": "on"}, {"enabled": "off"}).enabled


def test_a_problem_names_the_place_it_comes_from() -> None:
    """A variable is not blamed for what a file says, and a key that nobody knows is named."""
    settings = Settings.from_environ({"PIPFAST_WORKERS": "x"}, {"connections": "many", "conections": "3"})
    assert len(settings.problems) == 3
    assert any(problem.startswith("[pipfast] connections is 'many'") for problem in settings.problems)
    assert any("'conections'" in problem for problem in settings.problems)
    assert any(problem.startswith("PIPFAST_WORKERS is") for problem in settings.problems)


def test_build_rescue_is_one_of_three() -> None:
    assert Settings.from_environ({"PIPFAST_BUILD_RESCUE": "Named"}).build_rescue == "named"
    settings = Settings.from_environ({"PIPFAST_BUILD_RESCUE": "always"})
    assert settings.build_rescue == "on" and len(settings.problems) == 1


def test_extra_build_dependencies_by_package() -> None:
    settings = Settings.from_environ({"PIPFAST_EXTRA_BUILD_DEPENDENCIES": "Flash_Attn: torch, ninja"})
    assert settings.extra_build_dependencies == {"flash-attn": ("torch", "ninja")}
    settings = Settings.from_environ({"PIPFAST_EXTRA_BUILD_DEPENDENCIES": "torch"})
    assert settings.extra_build_dependencies == {}
    assert "PIPFAST_EXTRA_BUILD_DEPENDENCIES" in settings.problems[0]


@pytest.mark.parametrize(("text", "size"), [
    ("20GB", 20 * 10**9), ("500mb", 500 * 10**6), ("2GiB", 2 << 30), ("1.5g", 1_500_000_000), (" 4096 ", 4096),
    ("64 KiB", 65536), ("none", None), ("", None),
])
def test_size(text: str, size: int | None) -> None:
    settings = Settings.from_environ({"PIPFAST_STORE_SIZE": text})
    assert settings.store_size == size and not settings.problems


@pytest.mark.parametrize("text", ["0", "many", "20 G B", "-1", "1e9", "20XB", "\u0663GB", "9" * 400])
def test_a_size_that_is_none_is_named_and_nothing_bounded(text: str) -> None:
    """Not even by 0, which bounds nothing elsewhere."""
    settings = Settings.from_environ({}, {"store-size": text})
    assert settings.store_size is None
    (problem,) = settings.problems
    assert problem.startswith("[pipfast] store-size is ") and "500MB" in problem


@pytest.mark.parametrize(("text", "remote"), [
    ("s3://bucket/prefix", "s3://bucket/prefix"), ("file:///mnt/team", "file:///mnt/team"),
    ("off", None), ("", None),
    ("file://relative", None), ("ftp://host/x", None), ("s3://", None), ("bucket", None),
])
def test_team_store(text: str, remote: str | None) -> None:
    settings = Settings.from_environ({"PIPFAST_REMOTE": text})
    assert settings.remote == remote
    assert bool(settings.problems) is (remote is None and text not in ("off", ""))


@pytest.mark.parametrize("text", [
    "user:secret@host/x", "https:/user:secret@host/x", "ftp://user:secret@host/x", "user:a?secret@host/x",
    "user:a#secret@host/x", "ftp://user:a/secret@host/x", "https:/user:a secret@host/x", "user:a@secret@host/x",
    "user:a'secret@host/x", "host/x?secret", "host/x#secret",
])
def test_team_store_that_is_no_address_may_have_a_password(text: str) -> None:
    """Nobody prints it."""
    problems = Settings.from_environ({"PIPFAST_REMOTE": text}).problems
    assert "host/x" in str(problems)
    assert "secret" not in str(problems)


def test_no_problem_shows_a_secret() -> None:
    settings = Settings.from_environ({
        "PIPFAST_REMOTE": "ftp://me:secret@host/x?secret", "PIPFAST_REMOTE_KEY": "secret",
        "PIPFAST_REMOTE_WRITE": "2",
    })
    assert len(settings.problems) == 2 and "secret" not in str(settings.problems)
    assert not settings.remote_write
