"""Sources that are built beside pip: at once, with pip's words and results."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.pips import since
from support.program import printed_until
from support.sources import archive, backend, built_with
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box
    from support.wheels import Archive

pytestmark = [pytest.mark.many, since("25.2", "it fills build environments by itself")]

_VARYING = re.compile(r"size=\d+ sha256=\w+|/pip-ephem-wheel-cache-\w+|/wheels/[\w/]+")
"""What differs between two runs of pip alone."""

NOTE = """
import os
with open(os.path.join(os.environ["NOTES"], "{name}"), "a", encoding="utf-8") as stream:
    stream.write("{stage} %d %s %d\\n" % (os.getpid(), os.environ.get("MAX_JOBS"), os.getppid()))
"""
"""A hook notes that it ran, and by whom."""

MEET = """
import os, time
open(os.path.join(os.environ["NOTES"], "at-{name}"), "w").close()
end = time.monotonic() + 30
while not os.path.exists(os.path.join(os.environ["NOTES"], "at-{other}")):
    assert time.monotonic() < end, "built alone"
    time.sleep(0.01)
"""
"""A hook ends only when the other one is under way."""


def noting(name: str, version: str = "1.0", **options: object) -> Archive:
    """Return a source distribution of which all hooks note that they ran."""
    scripts = {stage: NOTE.format(name=name, stage=stage) for stage in ("requires", "metadata", "wheel")}
    return built_with("maker", name, version, scripts=scripts, **options)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    return folder


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(
            backend(),
            *(built_with("maker", name, scripts={"metadata": MEET.format(name=name, other=other)})
              for name, other in (("first", "second"), ("second", "first"))),
            *(archive(name, scripts={}) for name in ("gamma", "delta")),
            noting("alpha"), noting("beta"), noting("leaf"), noting("parent", requires=["leaf"]),
            built_with("maker", "broken", scripts={"wheel": "import sys\nprint('spoken')\nsys.exit('no way')\n"}),
            built_with("maker", "torn", scripts={"metadata": "import sys\nsys.exit('not told')\n"}),
            noting("stuck", requires=["absent"]),
            Wheel("plain").build(),
        )
        yield index


def hooks(notes: Path, name: str) -> list[str]:
    """Return the hooks of a project that ran, in their order."""
    path = notes / name
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [line.partition(" ")[0] for line in lines]


@pytest.mark.once
@pytest.mark.parametrize("command", [["install"], ["wheel", "-w", "wheels"]], ids=lambda command: command[0])
def test_metadata_is_prepared_at_once(box: Box, index: Index, notes: Path, command: list[str]) -> None:
    """Each of the two hooks waits for the other: one after the other they would fail."""
    arguments = [*command, *index.args, "first", "second"]
    ended = box.pipfast(*arguments, NOTES=str(notes), PIPFAST_BUILDS="2")
    assert (ended.status, ended.err) == (0, "")
    assert box.leftovers() == []


def test_each_hook_runs_once(box: Box, index: Index, notes: Path) -> None:
    """pip finds the results of hooks that ran ahead, MAX_JOBS is what the user set."""
    ended = box.pipfast("install", *index.args, "alpha", "beta", NOTES=str(notes), MAX_JOBS="7")
    assert (ended.status, ended.err) == (0, "")
    for name in ("alpha", "beta"):
        assert hooks(notes, name) == ["requires", "metadata", "wheel"]
        assert {line.split()[2] for line in (notes / name).read_text(encoding="utf-8").splitlines()} == {"7"}


def processes(notes: Path, name: str) -> tuple[set[str], set[str]]:
    """Return the processes of a project's hooks, and those that have started them."""
    lines = [line.split() for line in (notes / name).read_text(encoding="utf-8").splitlines()]
    return {line[1] for line in lines}, {line[3] for line in lines}


@pytest.mark.skipif(sys.platform != "linux", reason="a hook is a process of its own")
def test_hooks_of_a_source_are_forks_of_one_process(box: Box, index: Index, notes: Path) -> None:
    ended = box.pipfast("install", *index.args, "alpha", "beta", NOTES=str(notes))
    assert (ended.status, ended.err) == (0, "")
    for name in ("alpha", "beta"):
        own, parents = processes(notes, name)
        assert (len(own), len(parents)) == (3, 1)
    assert processes(notes, "alpha")[1] != processes(notes, "beta")[1]


@pytest.mark.once
@pytest.mark.parametrize("before", [
    "print('imported')\n",
    "import threading, time\nthreading.Thread(target=time.sleep, args=[9], daemon=True).start()\n",
    "kept = open(__file__)\n", "import atexit\natexit.register(print)\n", "import os\nos._exit(3)\n",
    "with open('project.json') as stream:\n    stream.read()\n", "import os\nos.listdir()\n",
], ids=["output", "thread", "file", "exit", "death", "tree", "names"])
def test_backend_that_is_no_ones_to_share(box: Box, index: Index, notes: Path, before: str) -> None:
    """What its import does belongs to one process: each hook has its own, as under pip."""
    index.add(backend("unshared", before), *(
        built_with("unshared", name, scripts={
            stage: NOTE.format(name=name, stage=stage) for stage in ("requires", "metadata", "wheel")
        }) for name in ("one", "two")
    ))
    ends = []
    for run, cache in ((box.pip, "theirs"), (box.pipfast, "ours")):
        arguments = ["install", *index.args, "--cache-dir", cache, "--target", "there", "one", "two"]
        ended = run(*arguments, NOTES=str(notes))
        ends.append((ended.status, _VARYING.sub("", ended.out).replace(cache, ""), ended.err))
        assert box.leftovers() == []
        shutil.rmtree(box.work / "there", ignore_errors=True)
    assert ends[0] == ends[1]
    if ends[0][0] == 0:
        lines = (notes / "one").read_text(encoding="utf-8").splitlines()
        # pip's three, and ours.
        assert [line.partition(" ")[0] for line in lines] == ["requires", "metadata", "wheel"] * 2
        # This command's own are the parents.
        assert len({line.split()[3] for line in lines}) == 2


@pytest.mark.once
@pytest.mark.parametrize("backend_of", ["maker", ""], ids=["installed", "in-tree"])
def test_wheel_that_fails_at_first_is_built_in_pips_tree(
    box: Box, index: Index, notes: Path, backend_of: str
) -> None:
    """What the first hooks have left in the tree is there for the build that pip starts."""
    scripts = {
        "metadata": "open('left-behind', 'w').close()\n",
        "wheel": (
            "import os\n"
            "assert os.path.exists('left-behind')\n"
            "here = os.path.join(os.environ['NOTES'], 'tried')\n"
            "assert os.path.exists(here) or open(here, 'w').close()\n"
        ),
    }
    made = built_with(backend_of, "moody", scripts=scripts) if backend_of else archive("moody", scripts=scripts)
    index.add(made)
    ended = box.pipfast("install", *index.args, "moody", "alpha", NOTES=str(notes))
    assert (ended.status, ended.err) == (0, "")
    assert (notes / "tried").exists()
    assert (box.site_packages / "moody").is_dir()
    assert box.leftovers() == []


@pytest.mark.once
def test_what_a_build_changes_in_place_is_no_other_ones(box: Box, index: Index, notes: Path) -> None:
    """Each build has files of its own, also beside another one that needs the same."""
    data = "import maker, pathlib\npath = pathlib.Path(maker.__file__).with_name('maker_data.txt')\n"
    index.add(
        built_with("maker", "vandal", scripts={"requires": (
            f"{data}with open(path, 'w') as stream:\n    stream.write('mine')\n"
            + MEET.format(name="vandal", other="victim")
        )}),
        built_with("maker", "victim", scripts={"metadata": (
            MEET.format(name="victim", other="vandal") +
            f"{data}pathlib.Path('src/victim').mkdir(exist_ok=True, parents=True)\n"
            "pathlib.Path('src/victim/seen.txt').write_text(path.read_text())\n"
        )}),
    )
    ended = box.pipfast("install", *index.args, "victim", "vandal", NOTES=str(notes), PIPFAST_BUILDS="2")
    assert ended.status == 0
    assert (box.site_packages / "victim" / "seen.txt").read_text(encoding="utf-8") == "as installed\n"


@pytest.mark.once
def test_wheels_of_as_many_sources_as_is_set_are_built_at_once(box: Box, index: Index, notes: Path) -> None:
    """Also where pip comes to each before it has had its turn."""
    names = [f"slow{number}" for number in range(6)]
    index.add(*(
        built_with("maker", name, scripts={"wheel": (
            "import os, time\n"
            "here = os.environ['NOTES']\n"
            f"open(os.path.join(here, 'now-{name}'), 'w').close()\n"
            "time.sleep(0.5)\n"
            f"with open(os.path.join(here, 'counts'), 'a') as stream:\n"
            "    stream.write('%d\\n' % sum(each.startswith('now-') for each in os.listdir(here)))\n"
            f"os.unlink(os.path.join(here, 'now-{name}'))\n"
        )}) for name in names
    ))
    ended = box.pipfast("install", *index.args, *names, NOTES=str(notes), PIPFAST_BUILDS="2")
    assert (ended.status, ended.err) == (0, "")
    counts = [int(line) for line in (notes / "counts").read_text(encoding="utf-8").split()]
    assert (len(counts), max(counts)) == (6, 2)


@pytest.mark.once
def test_a_wheel_that_was_built_changes_what_it_is_built_with(box: Box, index: Index, notes: Path) -> None:
    """Nor do builds of pip's own share them."""
    data = "import maker, pathlib\npath = pathlib.Path(maker.__file__).with_name('maker_data.txt')\n"
    index.add(
        built_with("maker", "vandal", scripts={
            "wheel": f"{data}with open(path, 'w') as stream:\n    stream.write('mine')\n",
        }),
        built_with("maker", "slow", scripts={"metadata": "import time\ntime.sleep(1)\n"}),
        built_with("maker", "victim", scripts={"wheel": (
            f"{data}import time\ntime.sleep(1.5)\n"
            "pathlib.Path('src/victim/seen.txt').write_text(path.read_text())\n"
        )}),
    )
    ended = box.pipfast("install", *index.args, "vandal", "slow", "victim", NOTES=str(notes), PIPFAST_BUILDS="4")
    assert ended.status == 0
    assert (box.site_packages / "victim" / "seen.txt").read_text(encoding="utf-8") == "as installed\n"


@pytest.mark.once
def test_nothing_of_a_build_that_was_for_nothing_goes_on(box: Box, index: Index, notes: Path) -> None:
    """The resolver decides otherwise while a wheel is being built, by a hook with children of its own."""
    index.add(
        built_with("maker", "bt", "2.0", scripts={"wheel": (
            "import os, subprocess, time\n"
            "path = os.path.join(os.environ['NOTES'], 'alive')\n"
            "loop = 'while :; do echo . >> $0; mkdir -p build/out; sleep 0.05; done'\n"
            "subprocess.Popen(['sh', '-c', loop, path])\n"
            "time.sleep(60)\n"
        )}),
        built_with("maker", "bt", "1.0", scripts={}),
        built_with("maker", "delay", requires=["nope<2"], scripts={"metadata": MEET.format(name="d", other="d") + (
            "while not os.path.exists(os.path.join(os.environ['NOTES'], 'alive')):\n    time.sleep(0.01)\n"
        )}),
        built_with("maker", "nope", "2.0", scripts={}),
        built_with("maker", "nope", "1.0", requires=["bt<2"], scripts={}),
    )
    ended = box.pipfast("install", *index.args, "bt", "delay", NOTES=str(notes), PIPFAST_BUILDS="4")
    assert (ended.status, ended.err) == (0, "")
    assert box.leftovers() == []
    size = (notes / "alive").stat().st_size
    time.sleep(0.3)
    assert (notes / "alive").stat().st_size == size


@pytest.mark.parametrize(("command", "wanted"), [
    ("install", ["alpha", "beta"]), ("install", ["broken", "alpha"]), ("install", ["alpha", "torn"]),
    *(pytest.param(*each, marks=pytest.mark.once) for each in (
        ("install", ["alpha", "stuck"]), ("install", ["parent", "plain"]), ("install", ["alpha", "absent"]),
        ("install --dry-run", ["alpha", "beta"]), ("install --dry-run", ["alpha", "torn"]),
        ("wheel -w wheels", ["parent", "plain"]), ("wheel -w wheels", ["broken", "alpha"]),
    )),
], ids=lambda value: value if isinstance(value, str) else " ".join(value))
def test_words_and_end_are_pips(
    box: Box, index: Index, notes: Path, command: str, wanted: list[str]
) -> None:
    """Whatever becomes of the builds; nothing is left of them."""
    ends = []
    for run in (box.pip, box.pipfast):
        ended = run(*command.split(), *index.args, "--no-cache-dir", *wanted, NOTES=str(notes))
        ends.append((ended.status, _VARYING.sub("", ended.out), _VARYING.sub("", ended.err)))
        assert box.leftovers() == []
        shutil.rmtree(box.work / "wheels", ignore_errors=True)
        if ended.status == 0 and command == "install":
            assert box.pip("uninstall", "-y", *wanted, "leaf").status == 0
    assert ends[0] == ends[1]


@pytest.mark.once
def test_same_words_with_the_store(box: Box, index: Index, notes: Path) -> None:
    """With caches sources are built ahead; without, above, they are not."""
    ends = []
    for run, cache in ((box.pip, "theirs"), (box.pipfast, "ours")):
        arguments = ["install", *index.args, "--cache-dir", cache, "alpha", "broken", "parent"]
        ended = run(*arguments, NOTES=str(notes))
        ends.append((ended.status, _VARYING.sub("", ended.out).replace(cache, ""), ended.err))
        assert box.leftovers() == []
    assert ends[0] == ends[1]
    assert ends[0][0] == 1


@pytest.mark.once
@pytest.mark.parametrize("setting", [
    {"PIPFAST_BUILDS": "1"}, {"PIPFAST_DISABLE": "builds"}, {"PIP_NO_BINARY": ":all:"},
], ids=str)
def test_one_after_the_other_if_that_is_wanted(
    box: Box, index: Index, notes: Path, setting: dict[str, str]
) -> None:
    log = box.root / "timings"
    arguments = ["install", *index.args, "gamma", "delta"]
    ended = box.pipfast(*arguments, NOTES=str(notes), PIPFAST_TIMINGS=str(log), **setting)
    assert (ended.status, ended.err) == (0, "")
    assert not log.exists() or '"build"' not in log.read_text(encoding="utf-8")


def built_ahead(box: Box, index: Index, notes: Path, *arguments: str) -> str:
    """Run pipfast and return what it says of what was built ahead."""
    log = box.root / "timings"
    ended = box.pipfast(*arguments, *index.args, NOTES=str(notes), PIPFAST_TIMINGS=str(log))
    assert (ended.status, ended.err) == (0, "")
    return "".join(line for line in log.read_text(encoding="utf-8").splitlines() if '"build"' in line)


@pytest.mark.once
def test_only_what_the_user_has_named(box: Box, index: Index, notes: Path) -> None:
    """What another package requires may turn out to be another version: its code is not run before pip would."""
    log = built_ahead(box, index, notes, "install", "alpha", "beta", "parent")
    assert '"beta"' in log
    assert '"leaf"' not in log
    assert hooks(notes, "leaf") == ["requires", "metadata", "wheel"]


def test_nothing_runs_that_pip_has_not_checked(box: Box, index: Index, notes: Path) -> None:
    """Under --require-hashes a hook runs when pip has compared the hash, and not at all if it is wrong."""
    (box.work / "r.txt").write_text(f"alpha==1.0 --hash=sha256:{'0' * 64}\n", encoding="utf-8")
    ended = box.pipfast("install", *index.args, "--require-hashes", "-r", "r.txt", NOTES=str(notes))
    assert ended.status == 1
    assert "THESE PACKAGES DO NOT MATCH" in ended.err
    assert hooks(notes, "alpha") == []


def test_no_wheel_is_built_that_pip_would_not_build(box: Box, index: Index, notes: Path) -> None:
    ended = box.pipfast("install", "--dry-run", *index.args, "alpha", "beta", NOTES=str(notes))
    assert (ended.status, ended.err) == (0, "")
    assert hooks(notes, "alpha") == hooks(notes, "beta") == ["requires", "metadata"]


@pytest.mark.once
def test_what_several_builds_need_is_built_for_each(box: Box, index: Index, notes: Path) -> None:
    """pip takes a source that is being built already for a circle; here it is another build that needs it, too."""
    note = (
        "import os\n"
        "with open(os.path.join(os.environ['NOTES'], 'trackers'), 'a') as stream:\n"
        "    stream.write(os.environ['PIP_BUILD_TRACKER'] + '\\n')\n"
    )
    index.add(
        archive("tool", scripts={"metadata": "import time\ntime.sleep(1)\n"}),
        *(archive(f"user{number}", build_requires=[f"tool>={number / 10}"],
                  scripts={"requires": note}) for number in range(4)),
    )
    arguments = ["--no-cache-dir"], ["--cache-dir", "cache"]
    ends = [
        run("install", *index.args, *cache, "--dry-run", "tool", *(f"user{number}" for number in range(4)),
            NOTES=str(notes), PIPFAST_BUILDS="3")
        for run, cache in zip((box.pip, box.pipfast), arguments, strict=True)
    ]
    trackers = (notes / "trackers").read_text(encoding="utf-8").splitlines()
    # pip has one for all that it builds; of ours, some may be pip's own.
    assert (len(set(trackers[:4])), len(trackers)) == (1, 8)
    assert len(set(trackers[4:])) > 1
    assert [end.err for end in ends] == ["", ""]
    assert ends[0].out == ends[1].out
    assert box.leftovers() == []


@pytest.mark.once
def test_a_circle_of_builds_is_pips_error(box: Box, index: Index, notes: Path) -> None:
    """Each of the two is needed to build the other one."""
    for name, needed in (("hen", "egg"), ("egg", "hen")):
        index.add(archive(name, build_requires=[needed], scripts={}))
    ended = box.pipfast("install", *index.args, "hen", "alpha", NOTES=str(notes))
    assert ended.status == 1
    assert "is already being built: hen" in ended.err
    assert box.leftovers() == []


def test_a_cut_off_leaves_nothing_running(box: Box, index: Index, notes: Path) -> None:
    """Ctrl-C while something is built ahead: it is over, and nothing of it is left."""
    index.add(
        built_with("maker", "early", scripts={"metadata": MEET.format(name="early", other="slow")}),
        built_with("maker", "slow", scripts={"requires": (
            "import os, time\n"
            "open(os.path.join(os.environ['NOTES'], 'pid'), 'w').write(str(os.getpid()))\n"
            "open(os.path.join(os.environ['NOTES'], 'at-slow'), 'w').close()\n"
            "time.sleep(60)\n"
        )}),
    )
    with box.started("-m", "pipfast", "install", *index.args, "early", "slow", NOTES=str(notes)) as process:
        printed_until(process, "Collecting slow")
        # Behind this line pip waits for what runs beside it. Before, it makes folders; Ctrl-C leaves one that was
        # made and is not noted yet, also under pip alone.
        printed_until(process, "  Getting requirements to build wheel")
        os.kill(process.pid, signal.SIGINT)
        process.communicate()
    assert process.returncode != 0
    assert box.leftovers() == []
    assert box.installed() == []
    number = int((notes / "pid").read_text(encoding="utf-8"))
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
