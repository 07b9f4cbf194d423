"""Source distributions are built at once, with pip's output."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.sources import archive, source
from support.wheels import sdist_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box
    from support.wheels import Archive

_VARYING = re.compile(r"size=\d+ sha256=\w+|/ephem-wheel-cache-\w+|/wheels/[\w/]+|/pip-[\w-]+")
"""What differs between two runs of pip alone."""

_SEEING = (
    "import os\nos.makedirs('src/{name}', exist_ok=True)\n"
    "with open('src/{name}/seen.txt', 'w') as stream:\n    stream.write(repr(os.environ.get('MAX_JOBS')))\n"
)

_ALONE = (
    "import os\nplace = os.environ['MEETING'] + '.d'\nos.makedirs(place, exist_ok=True)\n"
    "mark = os.path.join(place, '{name}')\nopen(mark, 'w').close()\n"
    "assert os.listdir(place) == ['{name}'], os.listdir(place)\nos.unlink(mark)\n"
)


def _meeting(mode: str) -> str:
    """Return a script that does not end before another one is at the other end of a pipe."""
    return f"import os\nopen(os.environ['MEETING'], {mode!r}).close()\n"


def _large(name: str) -> Archive:
    tree = source(name, scripts={"wheel": _ALONE.format(name=name)}) | {"compiled.cpp": b""}
    return sdist_of(name, "1.0", tree)


@pytest.fixture
def sources() -> Iterator[Index]:
    """Serve sources that can be told apart by how their wheels are built."""
    with serving() as server:
        index = server.index()
        index.add(
            archive("waits", scripts={"wheel": _meeting("w")}),
            archive("awaited", scripts={"wheel": _meeting("r")}),
            archive("broken", scripts={"wheel": "import sys\nprint('before')\nsys.exit('the end')\n"}),
            *(archive(name, scripts={"wheel": _SEEING.format(name=name)}) for name in ("one", "two", "three")),
            *(_large(name) for name in ("large", "larger")),
        )
        yield index


def test_builds_are_under_way_at_once(box: Box, sources: Index) -> None:
    """Two builds of which neither ends before the other has begun end."""
    meeting = box.work / "meeting"
    os.mkfifo(meeting)
    ended = box.pipfast(
        "install", *sources.args, "waits", "awaited", MEETING=str(meeting), PIPFAST_BUILDS="2"
    )
    assert ended.status == 0, ended.err
    assert box.leftovers() == []


@pytest.mark.parametrize("names", [
    pytest.param(("one", "two", "three"), marks=pytest.mark.once), ("one", "broken", "two"),
    pytest.param(("broken", "one"), marks=pytest.mark.once),
])
def test_output_and_wheels_are_pip_s(box: Box, sources: Index, names: tuple[str, ...]) -> None:
    """pip's lines in pip's order, its wheels and its exit code, whether all builds succeed or not."""
    results = []
    for run, folder in ((box.pip, "pips"), (box.pipfast, "ours")):
        ended = run("wheel", *sources.args, "--cache-dir", f"{folder}-cache", "-w", folder, *names,
                    PIPFAST_BUILDS="3")
        said = [_VARYING.sub("", text).replace(folder, "folder") for text in (ended.out, ended.err)]
        wheels = sorted(path.name for path in (box.work / folder).glob("*.whl"))
        results.append((ended.status, *said, wheels))
    assert results[0] == results[1]
    assert results[0][0] == ("broken" in names)
    assert box.leftovers() == []


@pytest.mark.once
@pytest.mark.parametrize("jobs", ["", "3"])
def test_number_of_jobs_is_passed_on(box: Box, sources: Index, jobs: str) -> None:
    """A build that runs beside others is told what the user has set, and nothing else."""
    ended = box.pipfast("install", *sources.args, "one", "two", MAX_JOBS=jobs, PIPFAST_BUILDS="2")
    assert ended.status == 0, ended.err
    for name in ("one", "two"):
        seen = (box.site_packages / name / "seen.txt").read_text(encoding="utf-8")
        assert seen == repr(jobs or None)


def test_hungry_sources_are_built_alone(box: Box, sources: Index) -> None:
    """What a C++ compiler is needed for is built when nothing else is."""
    ended = box.pipfast("install", *sources.args, "one", "large", "two", "larger",
                        MEETING=str(box.work / "meeting"), PIPFAST_BUILDS="4")
    assert ended.status == 0, ended.err
