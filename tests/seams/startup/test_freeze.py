"""``freeze`` with pipfast in the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.program import Box


@pytest.fixture
def named(box: Box) -> Box:
    """Return an environment in which a pipfast and something else are installed."""
    for name in ("pipfast", "something"):
        folder = box.site_packages / f"{name}-7.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 7.0\n", encoding="utf-8")
    return box


def test_pipfast_is_left_out_as_pip_is(named: Box) -> None:
    """``--all`` names both, and so does ``PIPFAST=off`` us; nothing else changes."""
    stock = named.pip("freeze").out.splitlines()
    assert {"pipfast==7.0", "something==7.0"} <= set(stock) and not any(line.startswith("pip==") for line in stock)
    (named.work / "wanted.txt").write_text("something\n", encoding="utf-8")
    for more in ([], ["--exclude", "six"], ["-r", "wanted.txt"]):
        ended = named.pipfast("freeze", *more)
        expected = named.pip("freeze", *more)
        assert ended.out.splitlines() == [line for line in expected.out.splitlines() if line != "pipfast==7.0"]
        assert (ended.status, ended.err) == (expected.status, expected.err)
    assert named.pipfast("freeze", "--all") == named.pip("freeze", "--all")
    assert named.pipfast("freeze", PIPFAST="off") == named.pip("freeze")
    assert "pipfast" in named.pipfast("freeze", "--help").out
