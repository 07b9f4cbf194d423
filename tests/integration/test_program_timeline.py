"""``--timeline``: what page and trace say of a run, against what the server and the environment say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from support.index import serving
from support.program import make_box
from support.sources import archive, torch
from support.told import check_trace
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index, Server
    from support.program import Box, Ended

MISSING = "import torch\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as server:
        index = server.index()
        index.add(
            Wheel("app", requires=["library", "large"], console={"app": "app:main"}).build(),
            Wheel("library", files={"library/a.py": "x = 1\n"}).build(),
            Wheel("large", files={"large/data.bin": bytes(range(256)) * 4000, "large/__init__.py": ""}).build(),
            torch("1.0"), archive("needy", scripts={"wheel": MISSING, "requires": MISSING}),
            archive("broken", scripts={"requires": "import sys\nsys.exit('<b>no compiler</b>')\n"}),
        )
        yield server


@pytest.fixture
def index(server: Server) -> Index:
    server.rewind()
    return server._indexes["a"]


def told(box: Box) -> tuple[dict[str, Any], list[dict[str, Any]], str]:
    """Return what stands first in the trace, its complete events, and the page."""
    found = json.loads((box.work / "t.json").read_text(encoding="utf-8"))
    check_trace(found["traceEvents"])
    page = (box.work / "t.html").read_text(encoding="utf-8")
    return found["otherData"], [each for each in found["traceEvents"] if each["ph"] == "X"], page


def install(box: Box, index: Index, *arguments: str, **variables: str) -> Ended:
    return box.pipfast("install", *index.args, "--timeline", "t.html", *arguments, **variables)


def served(server: Server, index: Index) -> tuple[int, int]:
    """Return how many requests the server has answered, and the bytes of what it has sent."""
    requests = server.requests()
    bodies = [index.answer(each.path.removeprefix("/a/"), each.headers).body for each in requests]
    return len(requests), sum(map(len, bodies))


def empty(box: Box) -> None:
    """Make the environment new; the store stays."""
    for path in box.site_packages.iterdir():
        if path.name.startswith(("app", "library", "large")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def test_cold_and_warm(box: Box, server: Server, index: Index) -> None:
    """Requests and bytes are the server's, packages the environment's; and the second run is compared."""
    assert install(box, index, "app").status == 0
    other, events, page = told(box)
    figures = other["figures"]
    assert (figures["requests"], figures["received"]) == served(server, index)
    installed = [each for each in box.installed() if each.endswith(".dist-info")]
    assert figures["packages"] == len(installed) == 3
    downloads = [each for each in events if each["cat"] == "download" and each["name"].startswith("download: ")]
    assert {each["name"]: each["args"]["bytes"] for each in downloads} == {
        f"download: {name}-1.0-py3-none-any.whl": size for name, size in sizes(index).items()
    }
    assert {each["cat"] for each in events} == {
        "pip", "index", "metadata", "download", "unpack", "compile", "link"
    }
    # Workers tell of themselves.
    assert len({each["pid"] for each in events}) > 1
    assert sum(figures["lanes"].values()) == pytest.approx(figures["seconds"])
    assert "succeeded" in page and "Against the run before" not in page
    assert (figures["hits"], other["status"]) == (0, 0)

    empty(box)
    server.rewind()
    assert install(box, index, "app").status == 0
    other, events, page = told(box)
    assert (other["figures"]["requests"], other["figures"]["received"]) == served(server, index)
    assert other["figures"]["hits"] >= 6 and other["figures"]["packages"] == 3
    assert not [each for each in events if each["cat"] in ("unpack", "compile")]
    assert "Against the run before" in page


def sizes(index: Index) -> dict[str, int]:
    return {name: len(index._uploads[name][0].archive.data) for name in ("app", "library", "large")}


@pytest.mark.once
def test_rescued_build(box: Box, index: Index) -> None:
    """Each call of a hook is there, the failed one and the one that succeeded, and the pips that were started."""
    ended = install(box, index, "torch", "needy")
    assert ended.status == 0 and "Building it again" in ended.err
    other, events, page = told(box)
    hooks = [each for each in events if each["name"] == "hook: needy: get_requires_for_build_wheel"]
    assert [bool(each["args"].get("failed")) for each in hooks][-2:] == [True, False]
    assert any(each["name"].startswith("choosing what the build misses: needy") for each in events)
    mains = {each["pid"] for each in events if each["name"] == "starting: starting"}
    assert len(mains) > 1
    assert "the build of needy" in other["advice"][0] and "the build of needy" in page
    assert box.leftovers() == []


@pytest.mark.once
def test_failed_build(box: Box, index: Index) -> None:
    ended = install(box, index, "broken")
    assert ended.status == 1
    other, events, page = told(box)
    assert other["status"] == 1 and "failed (exit code 1)" in page
    assert any(each["args"].get("failed") for each in events if each["cat"] == "build")
    assert other["figures"]["packages"] == 0
    assert "<b>" not in page.partition("</svg>")[2].partition("<script>")[0]


@pytest.mark.once
@pytest.mark.parametrize("place", ["before", "behind", "variable", "configuration"])
def test_pips_output_is_the_same(tmp_path: Path, index: Index, place: str) -> None:
    """Wherever it stands, and whether the page can be written or not."""
    plain, timed = make_box(tmp_path / "plain"), make_box(tmp_path / "timed")
    command = ["install", *index.args, "library"]
    expected = plain.pipfast(*command)
    (timed.work / "pip.conf").write_text("[pipfast]\ntimeline = t.html\n", encoding="utf-8")
    arguments = {"before": ["--timeline", "t.html", *command], "behind": [*command, "--timeline=t.html"]}
    variables = {
        "variable": {"PIPFAST_TIMELINE": "t.html"}, "configuration": {"PIP_CONFIG_FILE": "pip.conf"},
    }
    ended = timed.pipfast(*arguments.get(place, command), **variables.get(place, {}))
    assert (ended.status, without_speed(ended.out), ended.err) == (0, without_speed(expected.out), expected.err)
    assert told(timed)[0]["command"] == command
    assert timed.leftovers() == []


def without_speed(text: str) -> str:
    return re.sub(r"[\d.]+ [kM]B/s.*", "", text)


@pytest.mark.once
def test_a_page_that_cannot_be_written_costs_nothing(box: Box, index: Index) -> None:
    """It is said before pip's first word, which a shared stream shows."""
    ended = box.run(
        "-c", "import os, subprocess, sys\nos.dup2(1, 2)\n"
        "sys.exit(subprocess.call([sys.executable, '-m', 'pipfast', *sys.argv[1:]]))",
        "install", *index.args, "--timeline", "missing/t.html", "library", PYTHONUNBUFFERED="1",
    )
    assert ended.status == 0
    first, hint, *_ = ended.out.splitlines()
    assert first.startswith("pipfast: no timeline is written: ") and first.endswith(": No such file or directory")
    assert hint.startswith("hint: ") and "Successfully installed library-1.0" in ended.out


@pytest.mark.once
def test_verbose_runs_end_with_three_lines(box: Box, index: Index) -> None:
    ended = box.pipfast("install", "-v", *index.args, "library")
    assert ended.status == 0
    lines = ended.err.splitlines()[-3:]
    assert all(re.match(r"pipfast: (\d+ %|in) .* s", line) for line in lines)
    assert "pipfast: " not in box.pipfast("install", *index.args, "library").err


@pytest.mark.once
@pytest.mark.parametrize(("arguments", "variables", "why"), [
    (["list"], {}, "this command downloads and installs nothing"),
    (["list"], {"PIPFAST_OFFLINE": "only"}, "this command downloads and installs nothing"),
    (["store", "path"], {}, "this command downloads and installs nothing"),
    (["install", "pip"], {"PIPFAST": "off"}, "pip runs alone"),
])
def test_where_there_is_none(box: Box, arguments: list[str], variables: dict[str, str], why: str) -> None:
    expected = box.pipfast(*arguments, **variables)
    ended = box.pipfast("--timeline", "t.html", *arguments, **variables)
    assert (ended.status, ended.out) == (expected.status, expected.out)
    assert ended.err == f"pipfast: no timeline is written: {why}\n{expected.err}"
    assert not (box.work / "t.html").exists()


@pytest.mark.once
@pytest.mark.parametrize("offline", ["off", "only"])
def test_a_command_with_nothing_to_show_leaves_the_page(box: Box, index: Index, offline: str) -> None:
    """Of the command before, where a setting names the page; nothing is said of it."""
    variables = {"PIPFAST_TIMELINE": "t.html", "PIPFAST_OFFLINE": offline}
    box.pipfast("download", "--no-index", "absent", **variables)
    page = (box.work / "t.html").read_bytes()
    for command in (["list"], ["freeze"], ["check"], ["uninstall", "-y", "absent"], ["store", "path"]):
        assert "timeline" not in box.pipfast(*command, **variables).err
    assert (box.work / "t.html").read_bytes() == page


@pytest.mark.once
def test_help_names_it(box: Box) -> None:
    assert "  --timeline <file.html> " in box.pipfast("--help").out


@pytest.mark.slow
def test_a_browser_shows_the_pages(tmp_path: Path, index: Index) -> None:
    """Chromium draws each row of a cold, a warm, a rescued and a failed run, and runs nothing of theirs."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium")
    box = make_box(tmp_path)
    for name, arguments in {
        "cold": ["app"], "warm": ["app"], "rescued": ["torch", "needy"], "failed": ["broken"],
    }.items():
        empty(box)
        ended = install(box, index, *arguments, "--extra-index-url", "http://127.0.0.1:9/<script>document.title=1</script>")
        assert ended.status == (name == "failed"), ended.err
        other, _, page = told(box)
        drawn = dumped(chromium, box.work / "t.html", tmp_path / f"profile-{name}")
        data = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
        body = drawn.partition("<tbody>")[2]
        table = drawn.partition('<table id="table">')[2]
        assert body and table.count("<tr>") == len(data["rows"]) + 1
        assert drawn.count('class="row"') == len(data["rows"])
        assert f"{len(data['rows'])} rows" in drawn
        assert "<title>pipfast install" in drawn
        assert str(other["figures"]["packages"]) in drawn


def dumped(chromium: str, page: Path, profile: Path) -> str:
    """Return a page's elements after its script has run."""
    return subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
         "--virtual-time-budget=5000", "--dump-dom", page.as_uri()],
        capture_output=True, encoding="utf-8", errors="replace", timeout=120, check=True,
    ).stdout
