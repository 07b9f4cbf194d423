"""Settings from environment variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipfast.settings import DEFAULT_CONNECTIONS, Settings, usable_cores


def test_defaults() -> None:
    settings = Settings.from_environ({})
    assert settings == Settings(workers=usable_cores())
    assert settings.enabled and settings.store is None and settings.problems == ()


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
