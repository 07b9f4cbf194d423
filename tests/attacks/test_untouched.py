"""The environment is touched in pip's install phase alone, and by no build."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from support.program import add_shim
from support.sources import archive, backend, built_with, source, torch
from support.watching import watching
from support.wheels import Wheel

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from support.index import Index, Server
    from support.program import Box

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")]

MARK = "install-phase"

SHIM = """
import sys
import pip._internal.commands.install as install
own = install.install_given_reqs
def begin(*arguments, **keywords):
    # Not a pip that fills a folder of a build's.
    if not {{"--prefix", "--target"}} & set(sys.argv):
        open({mark!r}, "w").close()
    return own(*arguments, **keywords)
install.install_given_reqs = begin
"""


@pytest.fixture
def index(host: Server) -> Index:
    """Serve wheels, old and new, and sources of every kind."""
    return host.index().add(
        *(Wheel("app", each, requires=["library"], console={"app": "app:f"}).build() for each in ("1.0", "2.0")),
        *(Wheel("library", each, files={f"library/m{number}.py": "x = 1\n" for number in range(20)}).build()
          for each in ("1.0", "2.0")),
        torch("1.0"), backend(), built_with("maker", "made", scripts={}), archive("own", scripts={}),
        archive("needy", scripts={"wheel": "import torch\n"}),
        archive("failing", scripts={"wheel": "raise SystemExit('no')\n"}),
        Wheel("circle", requires=["library<1"]).build(),
    )


def ready(box: Box) -> Path:
    """Have pip leave a mark in the environment as it begins to install; return that."""
    mark = box.root / "venv" / MARK
    add_shim(box, SHIM.format(mark=str(mark)))
    # The bytecode of the shim.
    assert box.run("-c", "").status == 0
    return mark


@pytest.mark.parametrize("arguments", [
    ("app",), ("-U", "app"), ("--force-reinstall", "app"), ("made", "own"), ("needy", "torch"), ("./local", "app"),
], ids=" ".join)
@pytest.mark.parametrize("warm", [False, True], ids=["cold", "warm"])
def test_nothing_before_pip_installs(box: Box, index: Index, arguments: Sequence[str], warm: bool) -> None:
    """Neither while it resolves, downloads, unpacks and builds, nor by what is linked aside meanwhile."""
    (box.work / "local").mkdir()
    for path, data in source("local", scripts={}).items():
        (box.work / "local" / path).parent.mkdir(parents=True, exist_ok=True)
        (box.work / "local" / path).write_bytes(data)
    assert box.pipfast("install", *index.args, "app<2", "library<2").status == 0
    if warm:
        assert box.pipfast("install", *index.args, *arguments).status == 0
        if "-U" not in arguments and "--force-reinstall" not in arguments:
            names = [each.partition("/")[2] or each for each in arguments if not each.startswith("-")]
            assert box.pip("uninstall", "-y", *names).status == 0
    mark = ready(box)
    with watching(box.root / "venv") as watch:
        ended = box.pipfast("install", *index.args, *arguments)
        changed = watch.changed()
    assert ended.status == 0, ended.err
    if mark in changed:
        assert changed[: changed.index(mark)] == []
    else:
        assert changed == []


@pytest.mark.parametrize("arguments", [
    ("install", "--dry-run", "app", "made"), ("download", "app", "own"), ("wheel", "made", "own"),
    ("wheel", "needy", "torch"), ("install", "failing", "app"), ("install", "circle", "app"),
    ("install", "nowhere", "app"),
], ids=" ".join)
def test_nothing_where_nothing_is_installed(box: Box, index: Index, arguments: Sequence[str]) -> None:
    """Dry runs, downloads, wheels, rescued builds among them, and what fails before."""
    mark = ready(box)
    with watching(box.root / "venv") as watch:
        box.pipfast(*arguments, *index.args)
        assert watch.changed() == []
    assert not mark.exists()


def test_watch_sees_each_kind_of_change(tmp_path: Path) -> None:
    """The tests above would see them."""
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "file"
    file.write_text("")
    for change in (
        lambda: file.write_text("x"), lambda: file.chmod(0o600), lambda: (tmp_path / "link").hardlink_to(file),
        lambda: file.rename(tmp_path / "folder" / "other"), lambda: (tmp_path / "link").unlink(),
        lambda: (tmp_path / "folder" / "new").mkdir(),
    ):
        with watching(tmp_path) as watch:
            change()
            assert watch.changed(), change
