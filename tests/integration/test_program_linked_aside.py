"""Stored wheels, linked aside while pip resolves and moved into the environment."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from support.index import serving
from support.program import add_shim
from support.snapshot import picture
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.index import Index
    from support.program import Box

pytestmark = pytest.mark.many

FIRST = Wheel(
    "first", requires=["second"], console={"first": "space.first:main"},
    files={"space/first.py": "main = print\n", "space/both/a.py": "x = 1\n"},
    data={"data/share/both/first.txt": "1\n", "scripts/tool": "#!python\nprint()\n", "headers/first.h": "\n"},
)
SECOND = Wheel(
    "second", files={"space/both/b.py": "y = 1\n"}, data={"data/share/both/second.txt": "2\n"}
)

WAIT_FOR_WORKERS = """
import wrapt
@wrapt.when_imported("pipfast.prepare.aside")
def patch(module):
    module.Arrangement._is_ours = lambda self: False
"""
"""Otherwise pip's own thread is done with two small wheels before a worker has started."""

REFUSING = """
import wrapt
@wrapt.when_imported("pipfast.install.aside")
def patch(module):
    stock = module.os.rename
    class OS:
        def __getattr__(self, name):
            return getattr(os, name)
        def rename(self, source, target):
            if "both" in str(target):
                raise OSError(18, "Invalid cross-device link", target)
            stock(source, target)
    import os
    module.os = OS()
"""


@pytest.fixture
def spaces() -> Iterator[Index]:
    with serving() as server:
        index = server.index()
        index.add(FIRST.build())
        index.add(SECOND.build())
        yield index


def install_again(box: Box, spaces: Index, **variables: str) -> list[bool]:
    """Install from the filled store; tell of each wheel whether it was moved."""
    timings = box.root / "timings"
    timings.unlink(missing_ok=True)
    ended = box.pipfast("install", *spaces.args, "first", PIPFAST_TIMINGS=str(timings), **variables)
    assert (ended.status, ended.err) == (0, "")
    lines = [json.loads(line) for line in timings.read_text(encoding="utf-8").splitlines()]
    return [line["moved"] for line in lines if line["phase"] == "place"]


def looks(box: Box) -> dict[str, tuple[int, object]]:
    """Return what an environment looks like: modes, and contents where times are not in them."""
    return {path: (entry.mode, path.endswith(".pyc") or entry.content)
            for path, entry in picture(box.root / "venv").items()}


def test_moved_wheels_are_as_pip_installs_them(box: Box, spaces: Index) -> None:
    """Two of one namespace; the tree is stock pip's, and nothing is left aside or after uninstalling."""
    add_shim(box, WAIT_FOR_WORKERS)
    assert box.pip("install", *spaces.args, "first").status == 0
    expected = looks(box)
    assert box.pip("uninstall", "-y", "first", "second").status == 0
    emptied = looks(box)
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert install_again(box, spaces) == [True, True]
    assert looks(box) == expected
    assert box.leftovers() == []
    assert box.pip("uninstall", "-y", "first", "second").status == 0
    assert looks(box) == emptied


def test_what_cannot_be_moved_is_placed(box: Box, spaces: Index) -> None:
    """Half of a wheel is moved when the environment turns out to be on another filesystem."""
    assert box.pipfast("install", *spaces.args, "first").status == 0
    expected = picture(box.site_packages)
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    add_shim(box, WAIT_FOR_WORKERS + REFUSING)
    assert install_again(box, spaces) == [False, False]
    found = picture(box.site_packages)
    assert {path: found[path].content for path in expected} == {
        path: entry.content for path, entry in expected.items()}
    assert box.leftovers() == []


def test_nothing_is_left_where_the_resolver_finds_no_solution(box: Box, spaces: Index) -> None:
    """What was linked aside for an installation that fails goes away with it."""
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert box.pipfast("install", *spaces.args, "first", "missing").status == 1
    assert box.leftovers() == []
    assert not list(box.site_packages.glob("*.dist-info"))


NOTING = """
import wrapt
@wrapt.when_imported("pipfast.prepare.preparer")
def patch(module):
    stock = module.Preparer.expect
    def expect(self, digests):
        with open({log!r}, "a", encoding="utf-8") as file:
            print(len(digests), file=file)
        stock(self, digests)
    module.Preparer.expect = expect
"""


def expecting(box: Box) -> list[int]:
    """Return how many wheels each command expected since this was asked the last time."""
    log = box.root / "expected"
    found = [int(line) for line in log.read_text(encoding="utf-8").split()] if log.exists() else []
    log.unlink(missing_ok=True)
    return found


def note_expectations(box: Box) -> None:
    add_shim(box, NOTING.format(log=str(box.root / "expected")))


def test_what_a_command_line_installed_is_linked_from_the_start_the_next_time(box: Box, spaces: Index) -> None:
    """Only what the environment has not, and only for the same command line."""
    add_shim(box, WAIT_FOR_WORKERS)
    note_expectations(box)
    assert box.pipfast("install", *spaces.args, "first").status == 0
    expected = looks(box)
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert expecting(box) == []
    assert box.pipfast("uninstall", "-y", "second").status == 0
    assert install_again(box, spaces) == [True]
    assert expecting(box) == [1]
    assert looks(box) == expected
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert box.pipfast("install", *spaces.args, "--no-deps", "first").status == 0
    assert expecting(box) == []
    assert box.pipfast("uninstall", "-y", "first").status == 0
    assert install_again(box, spaces) == [True, True]
    assert expecting(box) == [2]
    assert looks(box) == expected
    assert box.leftovers() == []


def test_what_is_expected_and_not_installed_leaves_nothing(box: Box, spaces: Index) -> None:
    """The index has a newer one by now; that is what comes, and is expected from then on."""
    note_expectations(box)
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    spaces.add(Wheel("second", "2.0", files={"space/both/new.py": "z = 1\n"}).build())
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert (box.site_packages / "space/both/new.py").exists()
    assert not (box.site_packages / "space/both/b.py").exists()
    assert box.leftovers() == []
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert expecting(box) == [2, 2]
    assert (box.site_packages / "space/both/new.py").exists()
    assert box.leftovers() == []


@pytest.mark.parametrize("settings", [{"PIPFAST_DISABLE": "install"}, {"PIPFAST_LINK_MODE": "copy"},
                                      {"PIPFAST_WORKERS": "1"}], ids=str)
def test_nothing_is_expected_where_nothing_can_be_linked(
    box: Box, spaces: Index, settings: dict[str, str]
) -> None:
    note_expectations(box)
    for _ in range(2):
        assert box.pipfast("install", *spaces.args, "first", **settings).status == 0
        assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert expecting(box) == []


# pip sets what an option would store to what the file says, so that `no-compile` is asked for by `false`.
@pytest.mark.parametrize(
    ("option", "value"), [("no-compile", "false"), ("no-cache-dir", "true"), ("dry-run", "true")]
)
def test_options_from_a_file_win_over_what_was_expected(
    box: Box, spaces: Index, option: str, value: str
) -> None:
    """The same words, but pip now reads elsewhere that nothing is to be compiled, kept or installed."""
    configuration = box.root / "pip.conf"
    configuration.write_text("", encoding="utf-8")
    box = replace(box, variables={"PIP_CONFIG_FILE": str(configuration)})
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    note_expectations(box)
    configuration.write_text(f"[install]\n{option} = {value}\n", encoding="utf-8")
    ended = box.pipfast("install", *spaces.args, "first")
    assert (ended.status, ended.err, expecting(box)) == (0, "", [2])
    assert (box.site_packages / "space/first.py").exists() == (option != "dry-run")
    assert bool(list(box.site_packages.glob("space/__pycache__"))) == (option == "no-cache-dir")
    assert box.leftovers() == []


REFUSED = """
import wrapt
@wrapt.when_imported("pipfast_hooks.install.wheel")
def patch(module):
    module.{function} = lambda *arguments, **options: None
"""


@pytest.mark.parametrize("function", ["get_ready", "place_wheel"])
def test_pip_can_take_over_when_installing_has_begun(box: Box, spaces: Index, function: str) -> None:
    """Then pip opens wheels that nobody has opened in this run, and from 26.3 on can import nothing for that."""
    assert box.pip("install", *spaces.args, "first").status == 0
    expected = looks(box)
    assert box.pip("uninstall", "-y", "first", "second").status == 0
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    add_shim(box, REFUSED.format(function=function))
    ended = box.pipfast("install", *spaces.args, "first")
    assert (ended.status, ended.err) == (0, "")
    found = looks(box)
    assert {path: found.get(path) for path in expected} == expected
    assert box.leftovers() == []


BROKEN = """
import wrapt
@wrapt.when_imported("pipfast_hooks.attach")
def patch(module):
    def apply(self):
        raise {error}("no")
    module.Hooks.apply = apply
"""


@pytest.mark.parametrize(("error", "status"), [("RuntimeError", 0), ("KeyboardInterrupt", -2)])
def test_what_was_expected_goes_where_we_cannot_attach(box: Box, spaces: Index, error: str, status: int) -> None:
    """pip runs alone then, or the command is over."""
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    add_shim(box, BROKEN.format(error=error))
    ended = box.pipfast("install", *spaces.args, "first")
    assert (ended.status == status) or (status < 0 and ended.status != 0)
    assert (box.site_packages / "space/first.py").exists() == (status == 0)
    assert box.leftovers() == []


def test_a_store_that_loses_its_folders_is_no_error(box: Box, spaces: Index) -> None:
    """Somebody removes them while pip finds out that nothing is to be kept."""
    configuration = box.root / "pip.conf"
    configuration.write_text("", encoding="utf-8")
    box = replace(box, variables={"PIP_CONFIG_FILE": str(configuration)})
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    configuration.write_text("[install]\nno-cache-dir = true\n", encoding="utf-8")
    add_shim(box, (
        "import shutil, wrapt\n"
        "@wrapt.when_imported('pipfast_hooks.storage')\n"
        "def patch(module):\n"
        "    stock = module.Store.settle\n"
        "    def settle(self):\n"
        f"        shutil.rmtree({str(box.store / 'tmp')!r}, ignore_errors=True)\n"
        "        stock(self)\n"
        "    module.Store.settle = settle\n"
    ))
    ended = box.pipfast("install", *spaces.args, "first")
    assert (ended.status, ended.err) == (0, "")
    assert (box.site_packages / "space/first.py").exists()


@pytest.mark.once
def test_sources_of_ones_own_are_copied_aside(box: Box, spaces: Index) -> None:
    """What is edited in place stays in its environment, and everything is made aside and moved all the same."""
    add_shim(box, WAIT_FOR_WORKERS)
    assert box.pipfast("install", *spaces.args, "first").status == 0
    assert box.pipfast("uninstall", "-y", "first", "second").status == 0
    assert install_again(box, spaces, PIPFAST_LINK_MODE="own-sources") == [True, True]
    source, (bytecode,) = box.site_packages / "space/first.py", (box.site_packages / "space").rglob("first.*.pyc")
    assert source.stat().st_nlink == 1 and bytecode.stat().st_nlink > 1
    source.write_text("edited\n", encoding="utf-8")
    assert {path.read_text(encoding="utf-8") for path in box.store.rglob("space/first.py")} == {"main = print\n"}
