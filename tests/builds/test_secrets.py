"""Passwords of the user are in nothing that we write."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.index import Index
    from support.program import Box

MARKER = "marker-of-a-password"


@pytest.mark.once
def test_passwords_are_in_nothing_that_we_write(box: Box, index: Index) -> None:
    """In addresses of indexes, in pip's configuration, in what builds need besides."""
    page = index.args[index.args.index("--index-url") + 1].replace("://", f"://me:{MARKER}@")
    torch = f"{page.rpartition('/simple')[0]}/files/torch-1.0-py3-none-any.whl?token={MARKER}"
    config, timings, log = (box.root / name for name in ("pip.conf", "timings", "log"))
    extras = json.dumps({"needy": [f"torch @ {torch}"]})
    config.write_text(
        f"[global]\nindex-url = {page}\nextra-index-url = {page}\n"
        f"[pipfast]\nextra-build-dependencies = {extras}\nconnections = {page}\nmisspelt = {page}\n"
    )
    variables = {"PIP_CONFIG_FILE": str(config), "PIPFAST_TIMINGS": str(timings), "PIP_LOG": str(log),
                 "PIPFAST_WORKERS": page}
    said = []
    for arguments in (("install", "-vv", "late", "needy"), ("install", "strange", "liar"),
                      ("install", "--force-reinstall", "needy"), ("doctor", "-v"), ("doctor", "--json"),
                      ("store", "list", "--built"), ("store", "list", "--built", "--json"), ("store", "verify")):
        ended = box.pipfast(*arguments, **variables)
        said.append(f"{arguments}\n{ended.out}\n{ended.err}")
    assert timings.read_text() and "needy" in said[0]
    for text in (*said, timings.read_text()):
        assert not [line for line in text.splitlines() if MARKER in line]
    assert not [line for line in log.read_text().splitlines() if MARKER in line]
    for folder, _, names in os.walk(box.store):
        for name in names:
            with open(f"{folder}/{name}", "rb") as file:  # noqa: PTH123
                assert MARKER.encode() not in file.read(), f"{folder}/{name}"
