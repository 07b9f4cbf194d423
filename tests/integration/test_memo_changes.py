"""Every input of a kept answer, changed alone: pip answers, or the kept one is given where nothing reads it."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from pipfast.memo.question import UNREAD
from support.changes import LEFT_TO_PIP, MARK, Asking, World
from support.failing import compiled
from support.index import serving
from support.outputs import normalized
from support.pips import IN_ORDER, PIP
from support.program import Ended
from support.snapshot import compare_trees
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipfast.memo.entry import Entry

    Change = Callable[[World], object]

ASKED_AT_MOST = 4
"""Times after which an answer is kept, if it is: bytecode of a module that is rarely needed is written first."""

IS_ROOT = os.geteuid() == 0


PLAIN = Asking()


def nothing(world: World) -> None:
    """Change nothing."""


@dataclass(frozen=True, slots=True)
class Row:
    """One input and one change of it."""

    name: str
    change: Change = nothing
    then: dict[str, Any] = field(default_factory=dict)
    """What is another in the asking."""
    asking: Asking = PLAIN
    before: Change = nothing
    """Makes the world before the answer is kept."""
    differs: bool | None = True
    """pip says or leaves something else afterwards; None where that depends on the pip."""
    given: bool = False
    """The kept answer is given all the same: nothing reads what has changed."""
    never: bool = False
    """No answer is kept at all."""


def write(name: str, text: str) -> Change:
    return lambda world: world.write(name, text)


def remove(name: str) -> Change:
    def change(world: World) -> None:
        path = world.root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return change


def link(name: str, target: str) -> Change:
    def change(world: World) -> None:
        path = world.root / name
        path.unlink(missing_ok=True)
        path.symlink_to(target)
    return change


def folder(name: str) -> Change:
    return lambda world: (world.root / name).mkdir(parents=True)


def both(*changes: Change) -> Change:
    def change(world: World) -> None:
        for each in changes:
            each(world)
    return change


def in_place(name: str, before: str, after: str) -> Change:
    """Change a file's bytes with its size, times and inode as they were."""
    def change(world: World) -> None:
        path = world.root / name
        found, text = path.stat(), path.read_text(encoding="utf-8")
        assert before in text and len(before) == len(after)
        path.write_text(text.replace(before, after), encoding="utf-8")
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    return change


def renamed_over(name: str, before: str, after: str) -> Change:
    """Put another file in a file's place, with its size and times."""
    def change(world: World) -> None:
        path = world.root / name
        found, text = path.stat(), path.read_text(encoding="utf-8")
        assert before in text and len(before) == len(after)
        aside = world.write("elsewhere/aside", text.replace(before, after))
        os.utime(aside, ns=(found.st_atime_ns, found.st_mtime_ns))
        aside.rename(path)
    return change


def appended(name: str, text: str) -> Change:
    def change(world: World) -> None:
        path = world.root / name
        content = path.read_text(encoding="utf-8")
        if path.is_symlink():
            path.unlink()
        path.write_text(content + text, encoding="utf-8")
    return change


def metadata(project: str, before: str, after: str, *, outside: bool = False) -> Change:
    """Change an installed distribution's METADATA, in a file of its own."""
    def change(world: World) -> None:
        path = world.info(project, outside=outside) / "METADATA"
        text = path.read_text(encoding="utf-8")
        assert before in text
        path.unlink()
        path.write_text(text.replace(before, after, 1), encoding="utf-8")
    return change


def in_info(project: str, name: str, text: str | None) -> Change:
    """Write a file of an installed distribution's folder, or remove it."""
    def change(world: World) -> None:
        path = world.info(project) / name
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text, encoding="utf-8")
    return change


def without_info(project: str, *, outside: bool = False) -> Change:
    return lambda world: shutil.rmtree(world.info(project, outside=outside))


def moved_info(project: str, name: str) -> Change:
    return lambda world: world.info(project).rename(world.site / name)


def added_info(folder: str, name: str, version: str, more: str = "") -> Change:
    """:param folder: of the world's, or ``site`` or ``outer``, which are environments'."""
    def change(world: World) -> None:
        world.add_info(folder_of(world, folder), name, version, more)
    return change


def folder_of(world: World, name: str) -> Path:
    return {"site": world.site, "outer": world.outer, "library": world.library}.get(name) or world.root / name


def at(folder: str, name: str, text: str) -> Change:
    """Write a file in a folder whose name depends on Python's version."""
    def change(world: World) -> None:
        path = folder_of(world, folder) / name
        if path.is_symlink():
            path.unlink()
        path.write_text(text, encoding="utf-8")
    return change


def standard(name: str, text: str) -> Change:
    """Add to a module of the standard library."""
    def change(world: World) -> None:
        path = world.library / name
        content = path.read_text(encoding="utf-8")
        path.unlink()
        path.write_text(content + text, encoding="utf-8")
    return change


def mode(name: str, bits: int) -> Change:
    return lambda world: (world.root / name).chmod(bits)


def with_outer(world: World) -> None:
    """Let the environment see the packages of the Python that it was made with."""
    text = (world.venv / "pyvenv.cfg").read_text(encoding="utf-8")
    assert "packages = false" in text
    world.write("venv/pyvenv.cfg", text.replace("packages = false", "packages = true"))


def user_site(world: World) -> Path:
    return world.home / ".local" / "lib" / world.library.name / "site-packages"


def linked_metadata(world: World) -> None:
    path = world.info("app") / "METADATA"
    path.rename(world.root / "elsewhere" / "METADATA")
    path.symlink_to(world.root / "elsewhere" / "METADATA")


def egg_info(world: World) -> None:
    egg = world.site / "library-7.0.egg-info"
    egg.mkdir()
    (world.info("library") / "METADATA").rename(egg / "PKG-INFO")
    shutil.rmtree(world.info("library"))


def linked_site(world: World) -> None:
    """Put a link to another folder in the place of site-packages."""
    other = world.root / "elsewhere" / "site"
    shutil.copytree(world.site, other, symlinks=True)
    shutil.rmtree(next(other.glob("library-*.dist-info")))
    shutil.rmtree(world.site)
    world.site.symlink_to(other)


def with_state(world: World) -> None:
    """Have pip ask for a newer pip, and note the answer."""
    assert world.run("pip", CHECKED).status == 0
    (state,) = world.home.glob(".cache/pip/selfcheck/*")
    assert "99.0" in state.read_text(encoding="utf-8")


def state_with(name: str, value: str) -> Change:
    def change(world: World) -> None:
        (state,) = world.home.glob(".cache/pip/selfcheck/*")
        told = json.loads(state.read_text(encoding="utf-8"))
        state.write_text(json.dumps({**told, name: value}), encoding="utf-8")
    return change


def with_clock(world: World) -> None:
    library = compiled("clock", world.root / "elsewhere")
    assert library.name == "clock.so"
    world.write("elsewhere/by", "0\n")


def clock(seconds: int) -> Change:
    return write("elsewhere/by", f"{seconds}\n")


def own_by(name: str, user: int) -> Change:
    return lambda world: os.chown(world.root / name, user, user, follow_symlinks=False)


def on_index(world: World, name: str, version: str) -> Path:
    """Put a wheel into the folder of links."""
    archive = Wheel(name, version, requires=["library"] if name == "app" else []).build()
    path = world.links / archive.filename
    path.write_bytes(archive.data)
    return path


def page_of(version: str) -> Change:
    name = f"app-{version}-py3-none-any.whl"
    return write("links/page.html", f'<a href="{name}">{name}</a>')


LINKED = Asking(("install", "--no-index", "--find-links", "{root}/links", "--upgrade", "app"), index=False)
HASHED = Asking(("install", "-r", "top.txt", "-c", "deep.txt"))
CHECKED = Asking(variables={"PIP_DISABLE_PIP_VERSION_CHECK": ""})
CLOCKED = {"LD_PRELOAD": "{root}/elsewhere/clock.so", "CLOCK_JUMP_FILE": "{root}/elsewhere/by"}
OUTSIDE = Asking(outside=True)
NAMED = Asking(("install", "app"))

UPGRADE = "[install]\nupgrade = true\nupgrade-strategy = eager\n"
QUIET = "[global]\nquiet = 1\n"

FILES = (
    Row("a requirement more", appended("work/top.txt", "other\n")),
    Row("a pin, two files deep", write("work/middle.txt", "-c deep.txt\napp==2.0\n")),
    Row("a constraint, three files deep", write("work/deep.txt", "library>=2\n")),
    Row("the same size and times", in_place("work/middle.txt", "app", "apq")),
    Row("the same size and times, another file", renamed_over("work/middle.txt", "app", "apq")),
    Row("a comment", appended("work/top.txt", "# more\n"), differs=False),
    Row("a file that is gone", remove("work/deep.txt")),
    Row("a file that is a folder now", both(remove("work/deep.txt"), folder("work/deep.txt"))),
    Row("a file that is a link now", both(
        write("work/other.txt", "other\n"), link("work/top.txt", "other.txt"))),
    Row("a link's target", link("work/top.txt", "two.txt"), before=both(
        write("work/one.txt", "app\n"), write("work/two.txt", "other\n"), link("work/top.txt", "one.txt"))),
    Row("what a link leads to", write("work/one.txt", "other\n"), before=both(
        write("work/one.txt", "app\n"), link("work/top.txt", "one.txt"))),
    Row("a folder's link", link("work/now", "two"), asking=Asking(("install", "-r", "now/it.txt")), before=both(
        write("work/one/it.txt", "app\n"), write("work/two/it.txt", "other\n"), link("work/now", "one"))),
    Row("a file's mode", mode("work/top.txt", 0o000), differs=not IS_ROOT),
    Row("a file's owner", own_by("work/top.txt", 12345), differs=False),
    Row("an index in a file", write("work/top.txt", "--index-url http://127.0.0.1:9/\nother\n")),
    Row("a hash in a file", appended("work/top.txt", f"app==1.0 --hash=sha256:{'0' * 64}\n"), differs=False),
    Row("a nested file that appears", write("work/top.txt", "-r middle.txt\n-r more.txt\n")),
    Row("a file below another folder", write("elsewhere/it.txt", "other\n"),
        asking=Asking(("install", "-r", "../elsewhere/it.txt")), before=write("elsewhere/it.txt", "app\n")),
    Row("a constraints file", write("work/deep.txt", "library>=2\n"), asking=HASHED),
    Row("an extra", write("work/top.txt", "app[more]\n")),
    Row("a variable in a file", then={"variables": {"WANTED": "two"}}, asking=Asking(variables={"WANTED": "one"}),
        before=both(write("work/top.txt", "-r ${WANTED}.txt\n"), write("work/one.txt", "app\n"),
                    write("work/two.txt", "other\n"))),
    Row("a shell's variable in a file", then={"variables": {"OLDPWD": "two"}}, never=True,
        asking=Asking(variables={"OLDPWD": "one"}),
        before=both(write("work/top.txt", "-r ${OLDPWD}.txt\n"), write("work/one.txt", "app\n"),
                    write("work/two.txt", "other\n"))),
    Row("a folder with the requirement's name", folder("work/app"), asking=NAMED, differs=False),
    Row("a wheel", lambda w: on_index(w, "app", "1.0").write_bytes(on_index(w, "other", "1.0").read_bytes()),
        asking=Asking(("install", "--no-index", "{root}/links/app-1.0-py3-none-any.whl"), index=False),
        before=lambda w: on_index(w, "app", "1.0")),
    Row("a folder of links", lambda w: on_index(w, "app", "2.0"), asking=LINKED,
        before=lambda w: (on_index(w, "app", "1.0"), on_index(w, "library", "1.0"))),
    Row("a page of links", page_of("2.0"), before=both(
        page_of("1.0"), lambda w: (on_index(w, "app", "1.0"), on_index(w, "app", "2.0"))),
        asking=replace(LINKED, arguments=("install", "--no-index", "-f", "{root}/links/page.html", "-U", "app"))),
    Row("a file that nobody reads", write("work/README", "other\n"), differs=False, given=True),
    Row("a new file beside", write("work/more.txt", "other\n"), differs=False, given=True),
    Row("a file of a package's", at("site", "app/__init__.py", "raise SystemExit\n"), differs=False, given=True),
    Row("a netrc file", write("home/.netrc", "machine 127.0.0.1 login a password b\n"), differs=False, given=True),
)

WITH_GROUPS = (
    Row("a dependency group", write("work/pyproject.toml", '[dependency-groups]\nthese = ["other"]\n'),
        asking=Asking(("install", "--group", "these")),
        before=write("work/pyproject.toml", '[dependency-groups]\nthese = ["app"]\n')),
)

WITH_SCRIPTS = (
    Row("a script's requirements", write("work/it.py", '# /// script\n# dependencies = ["other"]\n# ///\n'),
        asking=Asking(("install", "--requirements-from-script", "it.py")),
        before=write("work/it.py", '# /// script\n# dependencies = ["app"]\n# ///\n')),
)

CONFIGURATION = (
    Row("the user's configuration", write("home/.config/pip/pip.conf", UPGRADE)),
    Row("the user's old configuration", write("home/.pip/pip.conf", UPGRADE)),
    Row("the environment's configuration", write("venv/pip.conf", UPGRADE)),
    Row("the machine's configuration", write("xdg/pip/pip.conf", UPGRADE)),
    Row("a named configuration", write("elsewhere/pip.conf", UPGRADE), before=write("elsewhere/pip.conf", ""),
        asking=Asking(variables={"PIP_CONFIG_FILE": "{root}/elsewhere/pip.conf"})),
    Row("configuration that is gone", remove("venv/pip.conf"), before=write("venv/pip.conf", QUIET)),
    Row("configuration's value", in_place("venv/pip.conf", "quiet = 1", "quiet = 0"),
        before=write("venv/pip.conf", QUIET)),
    Row("configuration that cannot be read", write("venv/pip.conf", "[global\n")),
    Row("a constraint of the configuration's", write("elsewhere/c.txt", "library>=2\n"), before=both(
        write("elsewhere/c.txt", ""), lambda w: w.write(
            "venv/pip.conf", f"[global]\nconstraint = {w.root}/elsewhere/c.txt\n"))),
    Row("our own section", write("venv/pip.conf", "[pipfast]\ndisable = memo\n"), differs=False),
)

# Where pip gets IN_ORDER, it lists these folders.
INSTALLED = (
    Row("a requirement in METADATA", metadata("app", "Version: 1.0\n", "Version: 1.0\nRequires-Dist: other\n")),
    Row("METADATA's version", metadata("app", "Version: 1.0", "Version: 0.9"),
        asking=Asking(("install", "app>=1")), differs=None),
    Row("METADATA's requirement", metadata("app", "Requires-Dist: library", "Requires-Dist: library>=2")),
    Row("METADATA of what is needed", metadata("library", "Version: 1.0", "Version: 3.0"), differs=None),
    Row("METADATA that is gone", in_info("app", "METADATA", None)),
    Row("METADATA that is empty", in_info("app", "METADATA", "")),
    Row("METADATA that is a link", linked_metadata, differs=False),
    Row("METADATA's mode", lambda w: (w.info("app") / "METADATA").chmod(0o600), differs=False),
    Row("METADATA of setuptools", asking=Asking(("install", "setuptools")), change=metadata(
        "setuptools", "Version: 70.0\n", "Version: 70.0\nRequires-Dist: other\n")),
    Row("a distribution that is gone", without_info("app")),
    Row("a needed distribution that is gone", without_info("library")),
    Row("a distribution's other name", moved_info("library", "gone-1.0.dist-info")),
    Row("a distribution's folder renamed", lambda w: w.info("app").rename(w.site / "app-0.5.dist-info"),
        asking=Asking(("install", "app>=1")), differs=None),
    # Which of the two counts is a matter of the order in which the folder names them.
    Row("a second version", added_info("site", "app", "9.0"), differs=None),
    Row("a distribution of another tool's", added_info("site", "new", "1.0"), differs=False),
    Row("an egg-info folder", egg_info, differs=None),
    Row("what an uninstallation left", added_info("site", "~pp", "1.0")),
    Row("an editable install", both(at("site", "editable.pth", "{root}\n"), at("site", "lib.egg-link", "/x\n.\n")),
        differs=False),
    Row("a folder that a .pth file adds", both(
        added_info("elsewhere", "app", "9.0", "Requires-Dist: other\n"), without_info("app"),
        lambda w: at("site", "more.pth", f"{w.root}/elsewhere\n")(w))),
    Row("INSTALLER", in_info("app", "INSTALLER", "uv\n"), differs=False, given=not IN_ORDER),
    Row("RECORD", in_info("app", "RECORD", ""), differs=False, given=not IN_ORDER),
    Row("REQUESTED", in_info("library", "REQUESTED", ""), differs=False, given=not IN_ORDER),
    Row("site-packages is another folder", linked_site),
)

START = (
    Row("sitecustomize", at("site", "sitecustomize.py", "print('hello')\n")),
    Row("sitecustomize's text", at("site", "sitecustomize.py", "print('hellO')\n"),
        before=at("site", "sitecustomize.py", "print('hello')\n")),
    Row("a .pth file that runs something", at("site", "it.pth", "import sys; sys.stdout.write('hello')\n")),
    Row("a file that a .pth file imports", at("site", "it.py", "import sys; sys.argv.append('other')\n"),
        before=both(at("site", "it.pth", "import it\n"), at("site", "it.py", ""))),
    Row("the environment's own settings", with_outer, differs=False),
    Row("packages of the outer Python", without_info("other", outside=True), before=with_outer,
        asking=Asking(("install", "other"))),
    Row("a module in the place of pip's", at("site", "zzz.py", ""), differs=False),
    Row("a folder on PYTHONPATH", added_info("elsewhere", "app", "9.0", "Requires-Dist: other\n"),
        asking=Asking(variables={"PYTHONPATH": "{root}/elsewhere"})),
    Row("a PYTHONPATH that appears", added_info("absent", "app", "9.0", "Requires-Dist: other\n"),
        asking=Asking(variables={"PYTHONPATH": "{root}/absent"})),
    Row("a standard module", standard("optparse.py", "\nprint('hello')\n")),
    Row("a standard module that Python starts with", standard("site.py", "\nprint('hello')\n"),
        differs=None),
    Row("a module among the standard ones", at("library", "usercustomize.py", "print('hello')\n"), asking=OUTSIDE),
    Row("EXTERNALLY-MANAGED", at("library", "EXTERNALLY-MANAGED", "[externally-managed]\nError=no\n"),
        asking=OUTSIDE),
    Row("EXTERNALLY-MANAGED, in an environment", at("library", "EXTERNALLY-MANAGED", ""), differs=False),
    Row("a distribution of the outer Python's", without_info("library", outside=True), asking=OUTSIDE),
    Row("a user's site", lambda w: w.add_info(user_site(w), "library", "7.0"), asking=OUTSIDE),
    Row("a distribution in a user's site", lambda w: w.add_info(user_site(w), "library", "7.0"),
        asking=OUTSIDE, before=lambda w: user_site(w).mkdir(parents=True)),
    Row("usercustomize", lambda w: (user_site(w) / "usercustomize.py").write_text("print('hello')\n"),
        asking=OUTSIDE, before=lambda w: user_site(w).mkdir(parents=True)),
)

PROGRAMS = (
    Row("a module of pip's", appended("ours/pip/_internal/commands/install.py", "\nprint('hello')\n")),
    Row("a library of pip's", appended("ours/pip/_vendor/packaging/markers.py", "\nprint('hello')\n")),
    Row("pip's version", appended("ours/pip/__init__.py", "\nprint('hello')\n")),
    Row("pip's METADATA", lambda w: shutil.rmtree(next(w.ours.glob("pip-*.dist-info"))), asking=CHECKED,
        before=with_state),
    Row("pip's certificates", remove("ours/pip/_vendor/certifi/cacert.pem"), differs=False),
    Row("pipfast's files", lambda w: os.utime(w.ours / "pipfast" / "launch.py"), differs=False),
    Row("pipfast's hooks", lambda w: os.utime(w.ours / "pipfast_hooks" / "run.py"), differs=False),
    Row("pipfast's version", appended("ours/pipfast/__init__.py", "\n__version__ = '9'\n"), differs=False),
    Row("a library of pipfast's", appended("ours/pipfast/bundled/wrapt/__init__.py", "\n"), differs=False),
)


def variables(**more: str) -> dict[str, Any]:
    return {"variables": more}


VARIABLES = (
    *(Row(f"the variable {name}", then=variables(**{name: value}), differs=differs) for name, value, differs in (
        ("PIP_UPGRADE", "1", True), ("PIP_QUIET", "1", True), ("PIP_CONSTRAINT", "{root}/links/c.txt", True),
        ("PIP_REQUIRE_HASHES", "1", True), ("PIP_FORCE_REINSTALL", "1", True), ("PIP_IGNORE_INSTALLED", "1", True),
        ("PIP_TARGET", "{root}/target", True), ("PIP_USER", "1", True), ("PIP_NO_DEPS", "1", True),
        ("PIP_NO_COLOR", "1", False), ("PIP_PRE", "1", False), ("PIP_NO_INDEX", "1", True),
        ("PIP_EXTRA_INDEX_URL", "http://127.0.0.1:9/simple", True),
        ("PIP_FIND_LINKS", "{root}/links", True), ("PIP_CONFIG_FILE", "/dev/null", False),
        ("PIP_REPORT", "{root}/work/report", True), ("PIP_DRY_RUN", "1", False), ("PIP_NO_CACHE_DIR", "1", False),
        ("PIP_REQUIREMENT", "{root}/links/c.txt", True),
        ("PYTHONPATH", "{root}/elsewhere", False), ("PYTHONOPTIMIZE", "1", False), ("PYTHONUTF8", "1", False),
        ("PYTHONIOENCODING", "ascii", False), ("PYTHONNOUSERSITE", "1", False), ("LC_ALL", "C", False),
        ("HOME", "{root}/elsewhere", False), ("HOME", "", False), ("XDG_CONFIG_HOME", "{root}/elsewhere", False),
        ("TMPDIR", "{root}/elsewhere", False), ("COLUMNS", "40", False), ("NO_COLOR", "1", False),
        ("HTTPS_PROXY", "", False), ("NETRC", "{root}/work/README", False), ("PATH", "/bin", False),
        ("PIPFAST", "off", False), ("PIPFAST_DISABLE", "memo", False), ("PIPFAST_CONNECTIONS", "1", False),
        ("PIPFAST_STORE", "{root}/elsewhere/store", False), ("ANYTHING", "at all", False),
    )),
    Row("a language that cannot print a name", then=variables(PYTHONIOENCODING="ascii:backslashreplace"),
        before=both(write("work/top.txt", "-r \u00e9.txt\n"), write("work/\u00e9.txt", "app\n")), differs=False),
    *(Row(f"the variable {name}, which nothing reads", then=variables(**{name: "/x"}), differs=False, given=True)
      for name in sorted(UNREAD)),
)

ASKED = (
    Row("an option", then={"arguments": ("install", "-r", "top.txt", "-q")}),
    Row("an abbreviated option", then={"arguments": ("install", "-r", "top.txt", "--qui")}),
    Row("a requirement", then={"arguments": ("install", "-r", "top.txt", "other")}),
    Row("two requirements", then={"arguments": ("install", "library", "app")},
        asking=Asking(("install", "app", "library"))),
    Row("an editable one", then={"arguments": ("install", "-e", "below")}),
    Row("an option before the command", then={"arguments": ("-q", "install", "-r", "top.txt"), "index": False}),
    Row("the index", then={"index": False, "arguments": ("install", "--no-index", "-r", "top.txt")}),
    Row("the current folder", then={"folder": "work/below"}, before=write("work/below/top.txt", "other\n")),
    Row("the current folder, by another name", then={"folder": "again"}, before=link("again", "work"),
        differs=False, given=True),
    Row("the umask", then={"umask": 0o077}, differs=False),
    Row("a terminal", then={"terminal": 80}),
    Row("a terminal's width", then={"terminal": 60}, asking=Asking(terminal=80), differs=False),
    Row("a terminal's width, where it matters", then={"terminal": 40}, asking=replace(CHECKED, terminal=80),
        before=with_state, differs=False),
    Row("no standard input", then={"closed_input": True}, differs=False),
    *([Row("the groups", then={"groups": (12345,)}, differs=False)] if IS_ROOT else []),
    *(Row(f"the interpreter's {flag}", then={"flags": (flag,)}, differs=False)
      for flag in ("-O", "-I", "-s", "-u", "-Xutf8", "-Wignore")),
    Row("the interpreter", then={"outside": True}),
    Row("the interpreter's link", lambda w: link("venv/bin/python", str(w.python))(w), differs=False),
)

ELSEWHERE = (
    Row("a folder for temporary files that is gone", remove("tmp"), differs=False),
    *([Row("pip's cache of somebody else", own_by("home/.cache/pip", 12345))] if IS_ROOT else []),
    *([Row("the home of somebody else", own_by("home", 12345), differs=False)] if IS_ROOT else []),
    Row("pip's cache that nobody may write to", mode("home/.cache/pip", 0o500), differs=not IS_ROOT),
    Row("pip's cache that is gone", remove("home/.cache/pip"), differs=False),
    Row("what pip knows of newer ones", state_with("pypi_version", "98.0"), asking=CHECKED, before=with_state),
    Row("the week of pip's self check, by its file", state_with("last_check", "2020-01-01T00:00:00Z"),
        asking=CHECKED, before=with_state, differs=False),
    Row("an answer of a server's", lambda w: w.server.file("it.txt", "other\n"), never=True,
        asking=Asking(("install", "-r", "{url}/it.txt")), before=lambda w: w.server.file("it.txt", "app\n")),
    Row("a page of an index", never=True, asking=Asking(("install", "-U", "setuptools"))),
    Row("the store", remove("store"), differs=False),
    Row("a file in the store's folder", write("store/its.txt", "other\n"), before=write("store/its.txt", "app\n"),
        asking=Asking(("install", "-r", "{root}/store/its.txt"))),
)

TIME = (
    Row("the clock set back", clock(-7200), asking=Asking(variables=CLOCKED), before=with_clock, differs=False),
    Row("the clock set forward", clock(7200), asking=Asking(variables=CLOCKED), before=with_clock, differs=False,
        given=True),
    Row("the week of pip's self check", clock(8 * 86_400), before=both(with_clock, with_state), differs=False,
        asking=replace(CHECKED, variables={**CLOCKED, **CHECKED.variables})),
)

ROWS = (
    *FILES, *(WITH_GROUPS if PIP.release >= (25, 1) else ()), *(WITH_SCRIPTS if PIP.release >= (26, 0) else ()),
    *CONFIGURATION, *INSTALLED, *START,
    # Whether pip minds these depends on where they are run.
    *(replace(each, differs=None) for each in (*PROGRAMS, *VARIABLES, *ASKED, *ELSEWHERE)),
    *(TIME if shutil.which("cc") else ()),
)

SAMPLE = random.Random(os.environ.get("PIPFAST_PARITY_SAMPLE", "")).sample(ROWS, 3)
"""Those that are tried each time."""


def _identifier(row: Row) -> str:
    return row.name.replace(" ", "-")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("world").resolve()
    with serving() as server:
        yield World(root / "it", server)


@pytest.fixture(scope="module")
def answers() -> dict[object, tuple[Ended, str, Entry]]:
    """Return the answers that were kept, by what was asked in which world."""
    return {}


Answers = dict[object, tuple["Ended", str, "Entry"]]


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=_identifier)
def test_who_answers(world: World, answers: Answers, row: Row) -> None:
    """The kept answer is given again before the change, and after it only where nothing reads what has changed."""
    world.put_back()
    then, kept = _given(world, answers, row)
    row.change(world)
    ended = world.run("deciding", then)
    assert ended == (replace(kept, out=kept.out + _mark(then)) if row.given else Ended(LEFT_TO_PIP, "", ""))


@pytest.mark.parametrize("row", [
    pytest.param(each, marks=[] if each in SAMPLE else [pytest.mark.slow], id=_identifier(each)) for each in ROWS
])
def test_one_change(world: World, answers: Answers, row: Row) -> None:
    """After it, what is said and what is there is as pip alone makes it."""
    world.put_back()
    then, kept = _given(world, answers, row)
    row.change(world)
    ours, left_by_ours = world.run("pipfast", then), world.picture()
    world.put_back()
    row.before(world)
    row.change(world)
    unchanged = world.picture()
    stock, left_by_stock = world.run("pip", then), world.picture()
    mark = _mark(then)
    assert (mark in ours.out) == row.given, ours
    ours = replace(ours, out=ours.out.replace(mark, ""))
    assert _plain(ours) == _plain(stock)
    assert compare_trees(left_by_stock, left_by_ours) == []
    if not row.never and row.differs is not None:
        is_other = _plain(stock) != _plain(kept) or bool(compare_trees(unchanged, left_by_stock))
        assert is_other == row.differs, stock


def _given(world: World, answers: Answers, row: Row) -> tuple[Asking, Ended]:
    """Have the answer kept, and see it given; return what is asked after the change, and the answer."""
    row.before(world)
    asking = _complete(row.asking, world)
    key = str(asking), row.before
    if key not in answers:
        ended = _asked(world, asking)
        assert bool(world.kept()) != row.never, "it is kept" if row.never else "it is not kept"
        answers[key] = ended, *(("", None) if row.never else world.take())
    ended, name, entry = answers[key]
    world.forget()
    if not row.never:
        world.keep(name, entry)
        assert world.run("deciding", asking) == replace(ended, out=ended.out + _mark(asking))
    then = {**row.then, "variables": {**row.asking.variables, **row.then.get("variables", {})}}
    return _complete(replace(row.asking, **then), world), ended


def _complete(asking: Asking, world: World) -> Asking:
    return replace(asking, arguments=tuple(each.replace("{url}", world.server.url) for each in asking.arguments))


def _asked(world: World, asking: Asking) -> Ended:
    """Ask until it is kept; return the answer."""
    world.forget()
    for _ in range(ASKED_AT_MOST):
        world.settle()
        ended = world.run("pipfast", asking)
        assert ended.status == 0, ended
        if world.kept():
            break
    return ended


def _mark(asking: Asking) -> str:
    return MARK.replace("\n", "\r\n") if asking.terminal else MARK


def _plain(ended: Ended) -> tuple[int, str, str]:
    return ended.status, normalized(ended.out), normalized(ended.err)
