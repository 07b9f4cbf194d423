"""The page: escaped, closed against scripts and network, and its files."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import resource
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipfast import report
from pipfast.address import redacted
from pipfast.settings import Settings
from pipfast.timeline.keeper import Timeline
from pipfast.timeline.written import Run, find_earlier, write
from support.told import HOSTILE, check_trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.told import Told


class Read(HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._inside, []).append(data)

    @property
    def data(self) -> Any:
        """Return what the page's script reads."""
        return json.loads(self.texts["script"][0])


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(report, "_said", set())
    yield
    report.record(None)


def written(told: Told, page: Path, command: list[str], status: int | None = 0) -> str:
    write(Run(told.recorder, Settings(), command, 1e9, status, []), page)
    return page.read_text(encoding="utf-8")


def test_nothing_of_the_run_is_read_as_html(told: Told, tmp_path: Path) -> None:
    """Names, addresses and output are others' words."""
    told.recorder.began -= 10.0
    for phase in ("page", "place", "hook", "unheard of", HOSTILE):
        told.add(phase, 0.1, 0.2, name=HOSTILE, cache="network")
    told.add("request", 0.1, 0.2, key=f"https://u:secret@{HOSTILE}/simple/x/?key=hidden", cache="network")
    text = written(told, tmp_path / "a.html", ["install", redacted(HOSTILE)])
    read = Read(text)
    assert [name for name, _ in read.elements].count("script") == 2
    assert not [name for name, _ in read.elements if name in ("img", "link", "iframe", "object", "base", "a")]
    names = [row[1] for row in read.data["rows"]]
    assert any(name.startswith("</script><script>document.title='taken'") for name in names)
    for each in (text, (tmp_path / "a.json").read_text(encoding="utf-8")):
        assert "secret" not in each and "hidden" not in re.sub(r"\b(aria-)?hidden\b[^?]", "", each)


def test_only_its_own_script_and_style_may_run(told: Told, tmp_path: Path) -> None:
    text = written(told, tmp_path / "a.html", ["install", "demo"])
    read = Read(text)
    (policy,) = [each["content"] or "" for name, each in read.elements if "http-equiv" in each]
    rules = dict(each.strip().split(" ", 1) for each in policy.split(";"))

    def source(tag: str) -> str:
        (inside,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        return f"'sha256-{base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()}'"

    assert rules == {
        "default-src": "'none'", "base-uri": "'none'", "form-action": "'none'",
        "style-src": source("style"), "script-src": source("script"),
    }
    assert not [each for _, attributes in read.elements for each in attributes if each.startswith(("on", "style"))]
    assert not [each for _, attributes in read.elements for each in attributes if each in ("src", "href")]


@pytest.mark.parametrize(("status", "said"), [(0, "succeeded"), (1, "failed (exit code 1)"), (None, "failed")])
def test_how_it_ended(told: Told, tmp_path: Path, status: int | None, said: str) -> None:
    assert f" {said}<" in written(told, tmp_path / "a.html", ["install", "demo"], status)


def test_the_run_before_of_the_same_command(told: Told, tmp_path: Path) -> None:
    page = tmp_path / "a.html"
    assert "Against the run before" not in written(told, page, ["install", "demo"])
    assert "Against the run before" in written(told, page, ["install", "demo"])
    check_trace(json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))["traceEvents"])
    assert "Against the run before" not in written(told, page, ["install", "other"])


@pytest.mark.parametrize("text", [
    "", "{}", '{"otherData":[]}', '{"otherData":{"command":["x"]}}', '{"otherData":{"command":["x"],"figures":3}}',
    '{"otherData":' + "[" * 100_000, "\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
], ids=lambda text: text[:30])
def test_a_file_that_is_no_run_before(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text, encoding="latin-1")
    assert find_earlier(tmp_path / "a.json", ["x"]) is None


def test_a_page_that_cannot_be_written_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "missing" / "a.html"
    timeline = Timeline(Settings(timeline=page), ["install"])
    said = capsys.readouterr().err
    assert said.startswith(f"pipfast: no timeline is written: {page}: No such file or directory\nhint: ")
    timeline.end()
    assert capsys.readouterr().err == "" and not page.parent.exists()


@pytest.mark.parametrize("kind", ["json", "pipe", "folder", "trace is a folder"])
def test_what_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    """A pipe is not opened: that would wait for a reader."""
    page = tmp_path / ("a.json" if kind == "json" else "a.html")
    if kind == "pipe":
        os.mkfifo(page)
    elif kind != "json":
        (page if kind == "folder" else page.with_suffix(".json")).mkdir()
    Timeline(Settings(timeline=page), ["install"]).end()
    assert capsys.readouterr().err.startswith("pipfast: no timeline is written: ")
    assert not page.is_file()


FOREIGN = '{"otherData":{"version":"1.0"},"traceEvents":[]}'
"""A trace of another program's, say of Chrome's."""


@pytest.mark.parametrize("name", ["a.html", "a.json"])
@pytest.mark.parametrize("later", [False, True], ids=["before", "made meanwhile"])
def test_what_no_timeline_has_made_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, later: bool
) -> None:
    """Page and trace alike: neither is written where either is somebody else's."""
    note = tmp_path / name
    if not later:
        note.write_text(FOREIGN, encoding="utf-8")
    timeline = Timeline(Settings(timeline=tmp_path / "a.html"), ["install"])
    if later:
        note.write_text(FOREIGN, encoding="utf-8")
    timeline.end()
    kind = "page" if name == "a.html" else "trace"
    said = f"pipfast: no timeline is written: {note}: it is no {kind} of pipfast's, and stays as it is\nhint: "
    assert capsys.readouterr().err.startswith(said)
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {name: FOREIGN}


@pytest.mark.parametrize("cut", [0, 2000])
def test_what_a_timeline_has_made_is_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cut: int
) -> None:
    """Also where it was cut short, or is empty, as `mktemp` leaves it."""
    page, trace = tmp_path / "a.html", tmp_path / "a.json"
    Timeline(Settings(timeline=page), ["install"]).end()
    for path in (page, trace):
        path.write_bytes(path.read_bytes()[:cut])
    Timeline(Settings(timeline=page), ["install"]).end()
    assert capsys.readouterr().err == ""
    assert page.read_text(encoding="utf-8").endswith("</html>\n")
    assert json.loads(trace.read_text(encoding="utf-8"))["otherData"]["command"] == ["install"]


def test_a_full_disk_leaves_the_page_of_the_run_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so, of the page, and leaves nothing else."""
    page = tmp_path / "a.html"
    Timeline(Settings(timeline=page), ["install"]).end()
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    timeline = Timeline(Settings(timeline=page), ["install"])
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        timeline.end()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capsys.readouterr().err.startswith(f"pipfast: no timeline is written: {page}: File too large\nhint: ")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_link_stays_one(tmp_path: Path) -> None:
    """Also one to a file that is not there yet."""
    (tmp_path / "there").mkdir()
    page = tmp_path / "a.html"
    page.symlink_to(tmp_path / "there" / "b.html")
    for _ in range(2):
        timeline = Timeline(Settings(timeline=page), ["install"])
        assert page.is_symlink()
        timeline.end()
        assert page.is_symlink() and (tmp_path / "a.json").is_file()
        assert [path.name for path in (tmp_path / "there").iterdir()] == ["b.html"]


def test_a_link_to_the_trace_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "a.html"
    page.symlink_to("a.json")
    Timeline(Settings(timeline=page), ["install"]).end()
    assert "would be the trace beside the page" in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full", "/"])
def test_a_device_is_no_page(capsys: pytest.CaptureFixture[str], device: str) -> None:
    Timeline(Settings(timeline=Path(device)), ["install"]).end()
    why = "it is a folder" if device == "/" else "it is a pipe or a device"
    assert capsys.readouterr().err.startswith(f"pipfast: no timeline is written: {device}: {why}\nhint: ")
    assert not Path(f"{device}.json").exists()


@pytest.mark.parametrize("name", ["/dev/stdout", "out.html"])
def test_output_of_the_command_is_no_page(tmp_path: Path, name: str) -> None:
    """To replace it would lose what pip prints; to write to it would mix both."""
    program = (
        "import sys\nfrom pathlib import Path\nfrom pipfast.settings import Settings\n"
        "from pipfast.timeline.keeper import Timeline\n"
        "timeline = Timeline(Settings(timeline=Path(sys.argv[1])), ['install'])\nprint('pip')\ntimeline.end()\n"
    )
    with (tmp_path / "out.html").open("wb") as out:
        ended = subprocess.run(
            [sys.executable, "-c", program, name], cwd=tmp_path, stdout=out, stderr=subprocess.PIPE, timeout=60,
            check=True,
        )
    said = f"pipfast: no timeline is written: {name}: it is this command's own output\n".encode()
    assert ended.stderr.startswith(said)
    assert (tmp_path / "out.html").read_bytes() == b"pip\n"
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_closed_output_is_no_page(tmp_path: Path) -> None:
    """The page's own descriptor may get its number."""
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom pipfast.settings import Settings\n"
        "from pipfast.timeline.keeper import Timeline\nPath('a.html').touch()\nos.close(1)\n"
        "Timeline(Settings(timeline=Path('a.html')), ['install']).end()\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, stderr=subprocess.PIPE, timeout=60,
                           check=False)
    assert b"no timeline" not in ended.stderr and (tmp_path / "a.html").stat().st_size


def test_a_page_that_stops_being_writable_is_said_and_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "below" / "a.html"
    page.parent.mkdir()
    timeline = Timeline(Settings(timeline=page), ["install"])
    page.parent.rmdir()
    timeline.end()
    assert "no timeline is written: " in capsys.readouterr().err


def test_nothing_is_left_where_nothing_was_written(tmp_path: Path) -> None:
    timeline = Timeline(Settings(timeline=tmp_path / "a.html"), ["install"])
    assert list(tmp_path.iterdir()) == []
    timeline.end()


def test_events_of_a_pip_that_this_one_starts(tmp_path: Path) -> None:
    """They come through a folder, which goes with the run; what else lies there is passed over."""
    page = tmp_path / "a.html"
    timeline = Timeline(Settings(timeline=page), ["install"])
    folder = timeline.variables()["_PIPFAST_SPANS"]
    assert folder is not None and folder == timeline.variables()["_PIPFAST_SPANS"]
    child = Timeline(Settings(), ["install"], into=folder)
    assert child.variables()["_PIPFAST_SPANS"] == folder
    with report.timed("place", name="nested", key="https://me:secret@host/x?token=secret"):
        pass
    child.end()
    # A run that is killed leaves it.
    assert [path for path in Path(folder).iterdir() if "secret" not in path.read_text(encoding="ascii")]
    for number, text in enumerate(["", "[]", '{"pid": "x", "told": 3}', '{"pid": 3, "told": [3, [], "x"]}']):
        (tmp_path / f"{number}").write_text(text, encoding="utf-8")
        (tmp_path / f"{number}").rename(f"{folder}/{number}.json")
    Path(folder, "z.json").symlink_to("/dev/zero")
    timeline.status = 0
    timeline.end()
    assert "nested" in [row[1] for row in Read(page.read_text(encoding="utf-8")).data["rows"]]
    assert not Path(folder).exists()


@pytest.mark.parametrize("word", [
    "https://user:secret@host/simple", "--index-url=https://user:secret@host/simple", "user:secret@proxy:3128",
    "--proxy=user:secret@proxy:3128", "demo @ git+https://secret@host/demo.git", "https://host/simple?token=secret",
])
def test_no_secret_of_the_command_line_is_shown(tmp_path: Path, word: str) -> None:
    Timeline(Settings(timeline=tmp_path / "a.html"), ["install", "demo==1.0", word]).end()
    for path in tmp_path.iterdir():
        text = path.read_text(encoding="utf-8")
        assert "demo==1.0" in text and "secret" not in text


def test_three_lines_end_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    Timeline(Settings(), ["install", "-v"], is_said=True).end()
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert all(line.startswith("pipfast: ") for line in said)
