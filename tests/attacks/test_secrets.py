"""Passwords in addresses, settings and variables: the marker is sought in every byte that a run writes."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from support.index import Manners
from support.sources import archive, backend, built_with, source, torch
from support.wheels import Wheel, sdist_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Server
    from support.program import Box

pytestmark = pytest.mark.slow

MARKER = "marker-of-a-secret"

SEEKING = """
import json, os
found = []
for top in ({tmp!r}, {store!r}):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    content = file.read()
            except OSError:
                continue
            # Scripts of the test itself have it as well.
            if {marker!r}.encode() in content and not name.startswith("at_"):
                found.append(path)
with open({notes!r}, "a") as file:
    file.write(json.dumps(found) + "\\n")
"""
"""A build script that looks for the marker in the temporary folder and in the store, while a run is under way."""


def marked(root: Path, but: set[Path]) -> Iterator[Path]:
    """Yield the files below a folder that hold the marker, in their content or in their name."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = root / folder / name
            if path in but or path.is_symlink():
                continue
            if MARKER in name or MARKER.encode() in path.read_bytes():
                yield path


def test_no_byte_has_it(box: Box, host: Server) -> None:
    """Indexes with passwords, signed addresses, proxies, the team's store; cold, warm, failing, timed."""
    index = host.index("a", Manners(credentials=("me", MARKER)))
    notes = box.root / "notes"
    seeking = SEEKING.format(tmp=str(box.tmp), store=str(box.store), marker=MARKER, notes=str(notes))
    index.add(
        Wheel("demo", requires=["needed"]).build(), Wheel("needed").build(), torch("1.0"), backend(),
        built_with("maker", "made", scripts={"wheel": seeking}), archive("own", scripts={"wheel": seeking}),
        archive("needy", scripts={"wheel": f"import torch\n{seeking}"}),
        archive("failing", scripts={"requires": "import strange\n"}),
    )
    page = index.authenticated("me", MARKER)
    signed = host.file("signed-1.0.tar.gz", sdist_of("signed", "1.0", source("signed", scripts={})).data)
    signed += f"?X-Signature={MARKER}"
    links = host.file("links/", "<html></html>").replace("://", f"://me:{MARKER}@")
    config, log, timings, timeline = (box.root / each for each in ("pip.conf", "log", "times", "work/t.html"))
    config.write_text(f"[global]\nindex-url = {page}\nfind-links = {links}\n[pipfast]\nremote = file:///nowhere\n")
    variables = {
        "PIP_CONFIG_FILE": str(config), "PIPFAST_TIMINGS": str(timings), "PIPFAST_TIMELINE": str(timeline),
        "PIPFAST_REMOTE": f"https://me:{MARKER}@127.0.0.1:9/team?sig={MARKER}", "PIPFAST_REMOTE_KEY": MARKER,
        "PIPFAST_REMOTE_WRITE": "on", "PIP_CACHE_DIR": "", "PIPFAST_CONECTIONS": page,
        "PIPFAST_EXTRA_BUILD_DEPENDENCIES": json.dumps({"own": [f"torch @ {index.authenticated('me', MARKER)}x"]}),
        "NO_PROXY": "*", "https_proxy": f"http://me:{MARKER}@127.0.0.1:9",
    }
    said = []
    for arguments in (
        ("install", "--log", str(log), "demo", "made", "own", "torch", "needy"),
        ("install", "-vv", "--force-reinstall", "demo", "made", "needy"), ("install", "-vv", "failing"),
        ("download", "-d", "there", f"signed @ {signed}"), ("install", "-vv", "demo==9"),
        ("wheel", "-w", "wheels", "made", "own"), ("doctor",), ("doctor", "-v"), ("doctor", "--json"),
        ("store", "list"), ("store", "list", "--built", "--json"), ("store", "info", "--json"),
        ("store", "verify"),
    ):
        ended = box.pipfast(*arguments, **variables)
        lines = [line for line in (ended.out + ended.err).splitlines() if MARKER in line]
        # pip shows the query of an address that the user has typed.
        said += [f"{arguments}: {line}" for line in lines if not line.startswith("Collecting signed @ ")]
    assert timeline.is_file() and timings.is_file() and log.is_file() and notes.is_file()
    assert said == []
    assert [json.loads(line) for line in notes.read_text("utf-8").splitlines() if json.loads(line)] == []
    assert list(marked(box.root, {config, notes})) == []
