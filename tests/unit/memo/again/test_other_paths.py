"""Paths and texts of an environment, as they are kept for any of them."""

from __future__ import annotations

import pytest

from pipfast.memo.again.elsewhere import HERE, Environment

PREFIX = "/work/e1"


@pytest.mark.parametrize("text", [
    "{}", "{}/bin/python", "'{}', '{}/x'", '"{}"', "--constraint={}/c.txt", "{}/bin:/usr/bin:{}/more",
    "in {}/lib (from {}/x)", "-c {}/c.txt, -r {}/r.txt;",
])
def test_folder_of_the_environment(text: str) -> None:
    told = Environment(PREFIX).neutral(text.format(PREFIX, PREFIX))
    assert told == text.format(HERE, HERE)
    assert Environment("/other/e2").full_bytes(told.encode()).decode() == text.format("/other/e2", "/other/e2")


@pytest.mark.parametrize("text", [
    "/work/e10", "/work/e1.old/c.txt", "/mnt/work/e1/c.txt", "-c ../work/e1/c.txt", "~/work/e1/c.txt",
    "$X/work/e1", "http://127.0.0.1/work/e1/simple", "http://127.0.0.1:/work/e1/simple", "http://h/a=/work/e1", "file:///work/e1",
    "/mnt+/work/e1", "/mntü/work/e1", "/work/e1é/c.txt",
])
def test_another_folder(text: str) -> None:
    """A longer name, the end of another path, or of an address."""
    assert Environment(PREFIX).neutral(text) == text
    assert Environment(PREFIX).neutral_bytes(text.encode()) == text.encode()
