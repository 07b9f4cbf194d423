"""Answers that are kept: when they are given, and each thing that keeps them from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from pipfast.memo.entry import Entry, decoded, read, refusal
from pipfast.memo.facts import look
from pipfast.memo.watch import ASKED as ASKED_BEFORE
from pipfast.store.layout import Layout
from pipfast.store.names import MEMO
from pipfast.store.notes import write_note
from pipfast_hooks.seams import SERVERS_ANSWERS
from support.index import Manners, serving
from support.pips import since
from support.program import add_shim
from support.terminal import on_terminal
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.index import Index
    from support.program import Box, Ended

pytestmark = pytest.mark.many

MARK = b"(kept)\n"

ASKED = ("install", "--no-index", "-r", "top.txt")

HOOK = """
import sys
class Mine:
    find_spec = staticmethod(lambda *_: None)
sys.meta_path.append(Mine)
"""

DIGGING = '''
import sys
from pipfast.memo import question
import os
print(question.Question(sys.argv[1:], os.environ).key)
'''
"""Prints the key of a question."""


class World:
    """An environment with a package, the question that it is there, and what is kept of the answer."""

    def __init__(self, box: Box, index: Index) -> None:
        self.box = box
        assert box.pip("install", *index.args, "app").status == 0
        self.write("top.txt", "-r middle.txt\n")
        self.write("middle.txt", "-c deep.txt\napp\n")
        self.write("deep.txt", "library<3\n")
        (box.root / "home" / ".config" / "pip").mkdir(parents=True)
        (box.root / "home" / ".pip").mkdir()
        (box.root / "xdg" / "pip").mkdir(parents=True)
        # A change of just now could be the reader's own.
        time.sleep(0.05)
        self.variables = {"PIP_CONFIG_FILE": "", "XDG_CONFIG_DIRS": str(box.root / "xdg")}

    def write(self, name: str, text: str) -> Path:
        path = self.box.work / name
        path.write_text(text, encoding="utf-8")
        return path

    def ask(self, *arguments: str, **variables: str) -> Ended:
        """Ask; twice where it was the first time, in which nothing is kept but that."""
        ended = self.ask_once(*arguments, **variables)
        return self.ask_once(*arguments, **variables) if self.paths() != self.all_paths() else ended

    def ask_once(self, *arguments: str, **variables: str) -> Ended:
        return self.box.pipfast(*(arguments or ASKED), **{**self.variables, **variables})

    def ask_pip(self, *arguments: str, **variables: str) -> Ended:
        return self.box.pip(*(arguments or ASKED), **{**self.variables, **variables})

    def ask_aside(self, *arguments: str) -> Ended:
        """Ask, and put back what was kept."""
        before = {path: path.read_bytes() for path in self.paths()}
        try:
            return self.ask(*arguments)
        finally:
            for path, content in before.items():
                path.write_bytes(content)

    def paths(self) -> list[Path]:
        """Return the files of kept answers."""
        return [path for path in self.all_paths() if not path.read_bytes().endswith(b"\n" + ASKED_BEFORE)]

    def all_paths(self) -> list[Path]:
        """Return those of questions, too, that were asked once."""
        return sorted(self.box.store.glob(f"{MEMO}/*/*"))

    def entry(self) -> Entry:
        (path,) = self.paths()
        found = read(str(self.box.store), path.name)
        assert found is not None
        return found

    def replace(self, change: Callable[[Entry], None]) -> None:
        (path,) = self.paths()
        entry = self.entry()
        change(entry)
        write_note(Layout(self.box.store), MEMO, path.name, entry.encoded())

    def mark(self) -> None:
        """Add a line to what is kept, which no pip prints."""
        self.replace(lambda entry: entry.lines.append((1, MARK)))

    @property
    def dist_info(self) -> Path:
        return next(self.box.site_packages.glob("app-*.dist-info"))


@pytest.fixture
def world(box: Box, index: Index) -> World:
    world = World(box, index)
    ended = world.ask()
    assert ended == world.ask_pip()
    assert ended.status == 0 and "already satisfied: app" in ended.out
    return world


def test_given_again(world: World) -> None:
    """Printed byte for byte, without pip: the second time it is what was kept."""
    expected = world.ask_pip()
    assert world.ask() == expected
    world.mark()
    given = world.ask()
    assert (given.status, given.out, given.err) == (0, expected.out + MARK.decode(), expected.err)
    assert not world.box.leftovers()


def test_question_that_is_asked_for_the_first_time(world: World) -> None:
    """Nobody watches it, and that it was asked is noted; it is watched when it comes again."""
    for path in world.paths():
        path.unlink()
    expected = world.ask_pip()
    assert world.ask_once() == expected
    (mark,) = world.all_paths()
    assert world.paths() == [] and mark.stat().st_size < 200 and not mark.stat().st_mode & 0o077
    assert "answer was given: it has been asked once" in world.ask_once(*ASKED, "-vv").out
    assert world.all_paths() == [mark]
    assert world.ask_once() == expected
    assert world.paths() == [mark]
    world.mark()
    assert MARK.decode() in world.ask_once().out


@pytest.mark.parametrize("variables", [
    {"PIPFAST_DISABLE": "memo"}, {"PIPFAST": "off"}, {"PIP_NO_CACHE_DIR": "1"}, {"PIPFAST_TIMINGS": "1"},
])
def test_question_that_is_not_even_noted(world: World, variables: dict[str, str]) -> None:
    """Where nothing is to be kept, that it was asked is not either; nor where it came to no good end."""
    before = world.all_paths()
    world.ask_once(**variables)
    world.ask_once("install", "--no-index", "nowhere")
    assert world.all_paths() == before


@contextmanager
def aside(path: Path) -> Iterator[None]:
    """Take a file away, and put it back."""
    moved = path.with_name(f"{path.name}.aside")
    path.rename(moved)
    try:
        yield
    finally:
        moved.replace(path)


@contextmanager
def edited(path: Path, text: str | None) -> Iterator[None]:
    """Give a file another content, or none, and put back what was there, looks and all."""
    found, before = (path.stat(), path.read_bytes()) if path.exists() else (None, b"")
    folder = path.parent.stat()
    aside = path.with_name(f"{path.name}.aside")
    if text is not None:
        path.write_text(text, encoding="utf-8")
    else:
        path.rename(aside)
    try:
        yield
    finally:
        if text is None:
            aside.rename(path)
        elif found is None:
            path.unlink()
        else:
            path.write_bytes(before)
            os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))


@contextmanager
def looking(path: Path, mode: int) -> Iterator[None]:
    before = path.stat().st_mode & 0o7777
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


@contextmanager
def moved(path: Path) -> Iterator[None]:
    """Take a folder or file away for a while."""
    folder = path.parent.stat()
    aside = path.parent.parent / f"{path.name}.aside"
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)
        os.utime(path.parent, ns=(folder.st_atime_ns, folder.st_mtime_ns))


@contextmanager
def added(folder: Path, name: str, text: str = "") -> Iterator[None]:
    """Make a folder with METADATA, as another tool installs a package."""
    looks = folder.stat()
    made = folder / name
    made.mkdir()
    (made / "METADATA").write_text(text or "Metadata-Version: 2.1\nName: other\nVersion: 1\n", encoding="utf-8")
    try:
        yield
    finally:
        shutil.rmtree(made)
        os.utime(folder, ns=(looks.st_atime_ns, looks.st_mtime_ns))


def test_each_file_that_was_read_counts(world: World) -> None:
    """Changed alone, it keeps the answer back."""
    box, entry = world.box, world.entry()
    home, site = box.root / "home", box.site_packages
    metadata, library = world.dist_info / "METADATA", next(site.glob("library-*.dist-info"))
    app_9 = "Metadata-Version: 2.1\nName: app\nVersion: 9\n"
    library_2 = "Metadata-Version: 2.1\nName: library\nVersion: 3\n"
    changes = {
        "a requirement": edited(box.work / "top.txt", "-r middle.txt\n#"),
        "a requirement of the same length": edited(box.work / "middle.txt", "-c deep.txt\napq\n"),
        "a constraint, three files deep": edited(box.work / "deep.txt", "library<1\n"),
        "a file that is gone": edited(box.work / "deep.txt", None),
        "the user's configuration": edited(home / ".config" / "pip" / "pip.conf", "[install]\nuser = true\n"),
        "the user's old configuration": edited(home / ".pip" / "pip.conf", "[global]\nquiet = 1\n"),
        "the site's configuration": edited(box.root / "venv" / "pip.conf", "[global]\nquiet = 1\n"),
        "the machine's configuration": edited(box.root / "xdg" / "pip" / "pip.conf", "[global]\nquiet = 1\n"),
        "METADATA": edited(metadata, metadata.read_text() + "Requires-Dist: nowhere\n"),
        "METADATA of what it needs": edited(library / "METADATA", library_2),
        "METADATA that is gone": edited(metadata, None),
        "the mode of METADATA": looking(metadata, 0o600),
        "a package that is gone": moved(world.dist_info),
        "a package of another tool's": added(site, "other-1.dist-info"),
        "a package's other version": added(site, "app-9.dist-info", app_9),
        "an editable install": edited(site / "__editable__.other-1.pth", "/elsewhere\n"),
        "an egg-link": edited(site / "other.egg-link", "/elsewhere\n."),
        "a module that stands in front": edited(site / "sitecustomize.py", ""),
        "the environment's own settings": edited(
            box.root / "venv" / "pyvenv.cfg", (box.root / "venv" / "pyvenv.cfg").read_text() + "x = y\n"
        ),
    }
    read_itself = [path for path, _ in entry.facts if path.endswith(("/pip/__init__.py", "/pipfast/launch.py"))]
    assert len(read_itself) == 2
    for name, change in changes.items():
        assert refusal(entry) == "", name
        with change:
            assert refusal(entry), name
        # What is put back has another time of its last change.
        entry.facts = [(path, look(path, seen.partition(" ")[0])) for path, seen in entry.facts]


def test_each_circumstance_counts(world: World) -> None:
    """Another variable, option, width or flag is another question; what shells count is not."""
    box = world.box

    def key(*arguments: str, **variables: str) -> str:
        return key_with((), *arguments, **variables)

    def key_with(flags: tuple[str, ...], *arguments: str, **variables: str) -> str:
        ended = box.run(*flags, "-c", DIGGING, *(arguments or ASKED), **variables)
        assert ended.status == 0, ended.err
        return ended.out

    first = key()
    assert key() == first == key(SHLVL="7", OLDPWD="/", _="x", WINDOWID="1")
    others = {
        "an option": key(*ASKED, "-q"),
        "an order": key("install", "-r", "top.txt", "--no-index"),
        "PYTHONPATH": key(PYTHONPATH=str(box.root)),
        "a width": key(COLUMNS="40"),
        "a language": key(LC_ALL="C"),
        "a home": key(HOME=str(box.root)),
        "a user base": key(PYTHONUSERBASE=str(box.root)),
        "a temporary folder": key(TMPDIR=str(box.root)),
        "an encoding": key(PYTHONIOENCODING="ascii"),
        "a flag": key_with(("-O",)),
        "a warning": key_with(("-W", "error::UserWarning")),
        "an extended option": key_with(("-X", "utf8")),
        "a proxy": key(HTTPS_PROXY="http://127.0.0.1:9"),
        "a netrc": key(NETRC=str(box.root / "netrc")),
        **{name: key(**{name: "1"}) for name in (
            "PIP_QUIET", "PIP_PRE", "PIP_USER", "PIP_CONSTRAINT", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL",
            "PIP_TARGET",
            "PIP_FIND_LINKS", "PIP_NO_DEPS", "PIP_REQUIRE_VIRTUALENV", "PIP_ROOT", "PIP_PREFIX", "PIP_NO_BINARY",
            "PIP_REQUIRE_HASHES", "PIP_IGNORE_INSTALLED", "PIP_UPGRADE", "PIP_DRY_RUN", "PIP_NO_COLOR", "NO_COLOR",
            "PIP_ISOLATED", "PIP_NO_INPUT", "PIPFAST_CONNECTIONS", "PIPFAST_LINK_MODE", "PIPFAST_OFFLINE",
        )},
    }
    assert first not in others.values()
    assert len(set(others.values())) == len(others)


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def link(path: Path) -> None:
    aside = path.with_name("aside")
    path.rename(aside)
    path.symlink_to(aside)


def others(path: Path) -> None:
    path.chmod(0o666)


def shared(path: Path) -> None:
    path.parent.chmod(0o777)


def another_format(path: Path) -> None:
    payload = b"0\0" + path.read_bytes().partition(b"\n")[2]
    write_note(Layout(path.parents[2]), MEMO, path.name, payload)


def test_kept_answer_that_cannot_be_believed(world: World) -> None:
    """pip answers, and what it answers takes its place."""
    expected = world.ask_pip()
    (path,) = world.paths()
    for wound in (torn, cut, folder, link, others, shared, another_format):
        world.mark()
        assert MARK.decode() in world.ask().out
        wound(path)
        assert world.ask() == expected, wound
        path.parent.chmod(0o700)
        assert world.ask() == expected, wound
        path.with_name("aside").unlink(missing_ok=True)
        assert MARK not in path.read_bytes()


def test_time_counts(world: World) -> None:
    """A clock that was set back, or pip's weekly question for a newer pip, ends an answer."""
    expected = world.ask_pip()

    def in_the_future(entry: Entry) -> None:
        entry.made = time.time_ns() + 10**12
        entry.lines.append((1, MARK))

    def over(entry: Entry) -> None:
        entry.until = time.time_ns()
        entry.lines.append((1, MARK))

    for change in (in_the_future, over):
        world.replace(change)
        assert world.ask() == expected


def test_temporary_folder_that_takes_nothing(world: World) -> None:
    """pip makes folders there in each run, and says so if it cannot."""
    shutil.rmtree(world.box.tmp)
    assert refusal(world.entry())
    world.mark()
    assert world.ask() == world.ask_pip()


def test_what_is_done_is_not_remembered(world: World, index: Index) -> None:
    """Downloads, builds, failures, loud and wide words, reports and logs: pip is asked each time."""
    for path in world.paths():
        path.unlink()
    index.add(Wheel("new").build())
    for arguments in (
        ("install", *index.args, "new"), ("install", *index.args, "--upgrade", "app"),
        ("install", "app==7", "--no-index"),
        ("install", "-v", *ASKED[1:]), ("install", *ASKED[1:], "--no-cache-dir"), ("install",),
        ("install", *ASKED[1:], "--log", "log"), ("install", *ASKED[1:], "--report", "report"),
        ("--no-input", *ASKED), ("list",),
    ):
        # It is watched from the first time on.
        world.ask_once(*arguments, PIPFAST_MEMO="verify")
        assert not world.paths(), arguments


def test_switched_off(world: World) -> None:
    """By a variable or by pip's configuration; and where the store is elsewhere, nothing is kept here."""
    expected = world.ask_pip().out
    for variables in (
        {"PIPFAST": "off"}, {"PIPFAST_DISABLE": "memo"}, {"PIPFAST_TIMELINE": "page.html"},
        {"PIP_NO_CACHE_DIR": "1"},
    ):
        for path in world.paths():
            path.unlink()
        assert world.ask(**variables).out == expected
        assert not world.paths()
    for setting in ("enabled = off", "disable = memo", f"store = {world.box.root}/elsewhere"):
        (world.box.root / "venv" / "pip.conf").write_text(f"[pipfast]\n{setting}\n", encoding="utf-8")
        time.sleep(0.05)
        assert world.ask(PIPFAST_STORE="" if "store" in setting else str(world.box.store)).out == expected
        assert not world.paths()
        assert not (world.box.root / "home" / ".cache" / "pipfast" / MEMO).exists()


@pytest.mark.parametrize("by", ["variable", "configuration"])
def test_verify(world: World, by: str) -> None:
    """pip decides; a kept answer that is another one fails the command, and goes."""
    variables = {"PIPFAST_MEMO": "verify"} if by == "variable" else {}
    if by == "configuration":
        (world.box.root / "venv" / "pip.conf").write_text("[pipfast]\nmemo = verify\n", encoding="utf-8")
        time.sleep(0.05)
    expected = world.ask_pip()
    assert world.ask(**variables) == expected
    assert world.ask(**variables) == expected
    for path in world.paths():
        content = path.read_bytes()
        entry = decoded(content[content.index(b"\n") + 1 :])
        entry.lines.append((1, MARK))
        write_note(Layout(world.box.store), MEMO, path.name, entry.encoded())
    ended = world.ask(**variables)
    assert ended.status == 1
    assert ended.out == expected.out
    assert "differs from the one that was kept" in ended.err
    assert world.ask(**variables) == expected


def test_reader_that_goes(world: World) -> None:
    """A pipe without a reader, a full device, a closed stream: as under pip."""
    world.mark()
    for redirection in (">/dev/full", ">&-", "2>&-", "| true", ">/dev/full 2>&1"):
        codes, said = set(), set()
        for module in ("pip", "pipfast"):
            ended = _sh(world, f"{world.box.python} -m {module} {' '.join(ASKED)} {redirection}")
            codes.add(ended[0])
            said.add(ended[1].replace(MARK.decode(), ""))
        assert len(codes) == 1, redirection
        if "true" not in redirection:
            assert len(said) == 1, (redirection, said)


def _sh(world: World, script: str) -> tuple[int, str]:
    ended = subprocess.run(
        ["sh", "-c", script], cwd=world.box.work, env=world.box.environ(**world.variables), check=False,
        capture_output=True, text=True, timeout=60,
    )
    return ended.returncode, ended.stdout


def test_terminal_is_another_question(world: World) -> None:
    """Its colours and width are pip's to decide; the second time they are printed as they were."""
    screens = []
    for _ in range(3):
        with on_terminal(world.box, "pipfast", *ASKED, variables=world.variables) as session:
            assert session.end() == 0
        screens.append(session.written)
    assert len(set(screens)) == 1
    assert len(world.paths()) == 2


def test_import_hook_of_somebody_else(box: Box, index: Index) -> None:
    """Its modules are nobody's files: another hook is another question."""
    world = World(box, index)
    world.ask()
    world.mark()
    add_shim(box, HOOK)
    assert world.ask() == world.ask_pip()


def test_what_others_have_among_temporary_files(box: Box, index: Index) -> None:
    """Files and whole environments may lie there; nor is all ours that lies in the store's folder."""
    world = World(box, index)
    world.ask()
    for path in world.paths():
        path.unlink()
    for folder in (box.tmp, box.store):
        (folder / "its.txt").write_text("app\n", encoding="utf-8")
    (box.tmp / "pip.conf").write_text("[global]\n", encoding="utf-8")
    time.sleep(0.05)
    variables = {"TMPDIR": str(box.root), "PIP_CONFIG_FILE": str(box.tmp / "pip.conf")}
    asked = ("install", "--no-index", "-r", f"{box.tmp}/its.txt", "-r", f"{box.store}/its.txt")
    world.ask(*asked, **variables)
    entry = world.entry()
    paths = {path for path, _ in entry.facts}
    assert {
        f"{box.tmp}/its.txt", f"{box.store}/its.txt", f"{box.tmp}/pip.conf", f"{world.dist_info}/METADATA",
    } <= paths
    world.mark()
    assert MARK.decode() in world.ask(*asked, **variables).out
    (box.tmp / "its.txt").write_text("nowhere\n", encoding="utf-8")
    assert world.ask(*asked, **variables) == world.ask_pip(*asked, **variables)
    # A log is written there in each run.
    (box.tmp / "pip.conf").write_text(f"[global]\nlog = {box.tmp}/log\n", encoding="utf-8")
    time.sleep(0.05)
    world.ask(**variables)
    assert len(world.paths()) == 1


def test_variable_of_a_shell_in_a_requirements_file(box: Box, index: Index) -> None:
    """pip puts it in; so it counts there, as no other variable of a shell does."""
    world = World(box, index)
    world.write("top.txt", "-r ${OLDPWD}/more.txt\n")
    for name, text in (("one", "app\n"), ("two", "nowhere\n")):
        (box.root / name).mkdir()
        (box.root / name / "more.txt").write_text(text, encoding="utf-8")
    time.sleep(0.05)
    assert world.ask(OLDPWD=str(box.root / "one")).status == 0
    assert not world.paths()


PRINTING = """
import sys
print("hello")
"""

SHOUTING = """
import os, sys
if "SHOUT" in os.environ.get("OLDPWD", ""):
    plain = sys.stdout.write
    sys.stdout.write = lambda text: plain(text.upper())
"""

FORBIDDING = """
import sys
def hear(event, arguments):
    if event == "sys.addaudithook":
        raise RuntimeError("no more of them")
sys.addaudithook(hear)
"""


def test_streams_that_were_used_or_replaced(world: World) -> None:
    """What was printed before comes first; a stream that somebody has changed is given no kept answer."""
    add_shim(world.box, PRINTING)
    time.sleep(0.05)
    expected = world.ask_pip()
    assert expected.out.startswith("hello\n")
    assert world.ask() == expected
    world.mark()
    assert world.ask().out == expected.out + MARK.decode()
    add_shim(world.box, SHOUTING)
    time.sleep(0.05)
    world.ask()
    world.mark()
    assert MARK.decode() in world.ask().out
    assert world.ask(OLDPWD="SHOUT").out == world.ask_pip(OLDPWD="SHOUT").out


def test_audit_hook_that_allows_no_other(box: Box, index: Index) -> None:
    """What cannot be heard is not kept."""
    world = World(box, index)
    for error in ("RuntimeError", "ValueError"):
        add_shim(box, FORBIDDING.replace("RuntimeError", error))
        assert world.ask() == world.ask_pip()
        assert not world.paths()


def test_why_it_takes_longer_this_time(world: World) -> None:
    """``-vv``, ``--log`` and doctor say of the question without them why its kept answer is not given."""
    def told(*more: str, **variables: str) -> str:
        ended = world.ask(*ASKED, *more, **variables)
        assert ended.status == 0
        (line,) = [each for each in ended.out.splitlines() if "no kept answer was given: " in each]
        return line.partition("no kept answer was given: ")[2]

    assert told("-vv") == "without -v and --log it would be"
    assert told("-vv", ANYTHING="1", MORE="2") == "it was asked with another variable ANYTHING, variable MORE"
    assert "another option of the interpreter, var" in told("-vv", PYTHONOPTIMIZE="1", PIP_VERBOSE="1")
    assert "not been asked before" in told("-vv", "library")
    log = world.box.root / "log"
    assert world.ask(*ASKED, "--log", str(log)).status == 0
    assert "answer was given: without -v and --log it would be" in log.read_text(encoding="utf-8")
    assert "this answer is not kept: it has --log" in log.read_text(encoding="utf-8")
    assert "is not kept: it is switched off" in world.ask(*ASKED, "-vv", PIPFAST_DISABLE="memo").out

    def shown(**variables: str) -> str:
        page = world.ask("doctor", "-v", **variables).out.partition("kept answers in this folder\n")[2]
        (line,) = [each for each in page.splitlines() if each.startswith("  install --no-index -r top.txt: ")]
        return line.partition(": ")[2].rpartition(" (")[0]

    assert shown() == "given again"
    assert shown(ANYTHING="1") == "pip is asked, as it was asked with another variable ANYTHING"
    path = world.write("deep.txt", "library<4\n")
    assert told("-vv") == f"{path} is not as it was"
    assert shown() == f"pip is asked, as {path} is not as it was"


def test_password_is_not_kept(world: World) -> None:
    """Neither in what is told of a question, nor as the path that pip takes an address for."""
    for number, name in enumerate(("--index-url", "--find-links"), 2):
        asked = ("install", "app", name, "http://me:hidden@127.0.0.1:9/")
        assert world.ask(*asked).status == 0
        assert len(world.paths()) == number
        assert not any(b"hidden" in path.read_bytes() for path in world.paths())
        entry = read(str(world.box.store), max(world.paths(), key=lambda path: path.stat().st_mtime_ns).name)
        assert entry is not None and refusal(entry) == ""
    path = world.box.work / "http:"
    path.mkdir()
    assert entry is not None and refusal(entry) == f"{path} is not as it was"


DRY = ("install", "--trusted-host", "127.0.0.1", "--dry-run", "top")


@contextmanager
def indexed(box: Box, index: Index, manners: Manners = Manners()) -> Iterator[tuple[World, Index]]:  # noqa: B008
    """Serve ``top``, which needs ``bottom``; nobody has asked for them."""
    world = World(box, index)
    with serving() as server:
        served = server.index(manners=manners)
        served.add(Wheel("top", requires=["bottom"]).build(), Wheel("bottom").build())
        yield world, served


@since("26.2", "it asks for each page anew")
def test_what_fresh_pages_say_is_given_again(box: Box, index: Index) -> None:
    """Until pip asks again for the first of them, and while its cache has them and the metadata files."""
    with indexed(box, index) as (world, served):
        asked = (*DRY, *served.args)
        began = time.time()
        for _ in range(3):
            ended = world.ask(*asked)
        assert ended.status == 0 and "Would install bottom-1.0 top-1.0" in ended.out
        assert ended == world.ask_pip(*asked)
        assert began + 500 < world.entry().until / 1e9 < time.time() + 600
        world.mark()
        assert world.ask(*asked).out == ended.out + MARK.decode()
        served.add(Wheel("bottom", "2.0").build())
        cached = [path for path in (box.root / "home").rglob("*") if re.search(SERVERS_ANSWERS, str(path))]
        # A page and a metadata file of each, a head and a body of both.
        assert len(cached) == 8
        for path in cached:
            with aside(path):
                assert MARK.decode() not in world.ask_aside(*asked).out, path
        world.replace(lambda entry: setattr(entry, "until", time.time_ns()))
        assert world.ask(*asked) == world.ask_pip(*asked)


@since("26.2", "it asks for each page anew")
def test_page_that_is_no_longer_fresh_is_asked_for(box: Box, index: Index) -> None:
    with indexed(box, index, Manners(cache_control="max-age=3")) as (world, served):
        asked = (*DRY, *served.args)
        while not world.paths():
            assert "bottom-1.0" in world.ask(*asked).out
        served.add(Wheel("bottom", "2.0").build())
        time.sleep(max(0.0, world.entry().until / 1e9 - time.time()))
        assert "bottom-2.0" in world.ask(*asked).out


@pytest.mark.parametrize(("manners", "variables"), [
    (Manners(cache_control="no-cache"), {}), (Manners(cache_control="max-age=0"), {}),
    (Manners(vary="User-Agent"), {}), (Manners(), {"PIPFAST_OFFLINE": "prefer"}),
    (Manners(), {"PIPFAST_DISABLE": "index"}),
], ids=["no-cache", "aged", "vary", "offline", "without judged pages"])
def test_answer_of_a_server_that_holds_for_no_known_time(
    box: Box, index: Index, manners: Manners, variables: dict[str, str]
) -> None:
    with indexed(box, index, manners) as (world, served):
        for _ in range(4):
            assert world.ask(*DRY, *served.args, **variables).status == 0
        assert world.paths() == []


@since("26.2", "it asks for each page anew")
def test_archive_of_the_store_is_no_answer_that_is_compared(box: Box, index: Index) -> None:
    """Chosen from a page or named by its address: pip asks for it, and so does a run once it is pruned."""
    with indexed(box, index, Manners(core_metadata=False)) as (world, served):
        bottom = Wheel("bottom").build()
        named = f"{served.file_url(bottom)}#sha256={bottom.sha256}"
        for asked in ((*DRY, *served.args), (*DRY[:-1], "--no-index", named)):
            for _ in range(3):
                ended = world.ask(*asked)
            assert ended.status == 0 and f"Using cached {bottom.filename}" in ended.out
            assert world.paths() == []
