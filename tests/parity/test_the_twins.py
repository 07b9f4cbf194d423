"""The comparison itself: every kind of difference is found, and two runs of pip have none."""

from __future__ import annotations

import importlib.util
import marshal
import os
from typing import TYPE_CHECKING

import pytest

from support import snapshot, twin
from support.environments import Kind
from support.outputs import normalized, without_notes
from support.snapshot import Entry
from support.twin import Scenario, pip, python
from support.wheels import Wheel, sdist

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.environments import Places
    from support.index import Index
    from support.twin import Twins

DEMO = Wheel(
    "demo", files={"demo/__init__.py": "x = 1\n", "demo/data.txt": "data"}, console={"demo": "demo:f"}
).build()


@pytest.fixture(autouse=True)
def _stock_for_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(twin, "OURS", "pip")


@pytest.fixture
def index(twins: Twins) -> Index:
    return twins.server.index().add(DEMO, sdist("source"))


def _package(places: Places) -> Path:
    return places.site_packages / "demo"


def _dist_info(places: Places) -> Path:
    return places.site_packages / "demo-1.0.dist-info"


def _append(path: Path, text: str = "more\n") -> None:
    path.write_text(path.read_text("utf-8") + text, "utf-8")


def _replace_bytecode(places: Places, change: Callable[[bytearray], None]) -> None:
    (path,) = (_package(places) / "__pycache__").iterdir()
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)


def _touch(places: Places) -> None:
    os.utime(_package(places) / "__init__.py", (1, 1))


SABOTAGE: dict[str, tuple[Callable[[Places], object], str]] = {
    "another-file": (lambda places: (_package(places) / "new.txt").write_text("", "utf-8"), "only with pipfast"),
    "another-folder": (lambda places: (_package(places) / "new").mkdir(), "only with pipfast"),
    "a-file-less": (lambda places: (_package(places) / "data.txt").unlink(), "only with stock"),
    "another-mode": (lambda places: (_package(places) / "data.txt").chmod(0o600), "mode of"),
    "a-folder's-mode": (lambda places: _package(places).chmod(0o700), "mode of"),
    "other-content": (lambda places: _append(_package(places) / "data.txt"), "content of"),
    "other-record": (lambda places: _append(_dist_info(places) / "RECORD", "x,,\n"), "content of"),
    "other-installer": (
        lambda places: (_dist_info(places) / "INSTALLER").write_text("else\n", "utf-8"),
        "content of",
    ),
    "script": (lambda places: _append(places.env / "bin" / "demo"), "content of"),
    "bytecode-flags": (lambda places: _replace_bytecode(places, lambda data: data.__setitem__(4, 1)), "header of"),
    "bytecode-time": (
        lambda places: _replace_bytecode(places, lambda data: data.__setitem__(9, 7)),
        "is for time",
    ),
    "source-time": (_touch, "is for time"),
    "a-file-of-pip's": (lambda places: _append(places.site_packages / "pip" / "py.typed"), "only with pipfast"),
    "a-file-of-pip's-gone": (lambda places: (places.site_packages / "pip" / "py.typed").unlink(), "gone with one"),
    "shared": (lambda places: os.link(_dist_info(places) / "RECORD", places.home / "RECORD"), "is shared"),
    "in-the-work-folder": (lambda places: (places.work / "new").mkdir(), "only with pipfast"),
    "in-the-home-folder": (lambda places: (places.home / "new").mkdir(), "only with pipfast"),
}


@pytest.mark.parametrize(("sabotage", "found"), SABOTAGE.values(), ids=SABOTAGE)
def test_damage_is_found(twins: Twins, index: Index, sabotage: Callable[[Places], object], found: str) -> None:
    """One change to one twin's environment is a difference, and named for what it is."""
    scenario = Scenario((pip("install", *index.args, "demo"),), warm=False, uninstall=False)
    assert found in "\n".join(map(str, twins.differences(scenario, sabotage)))


LEFT = {
    "temporary": ("open(__import__('os').environ['TMPDIR'] + '/left', 'w')", "left in the temporary folder"),
    "child": ("__import__('subprocess').Popen(['sleep', '5'], stdout=-3, stderr=-3)", "still running"),
    "output": ("print('more')", "stdout"),
    "error": ("__import__('sys').stderr.write('more')", "stderr"),
    "note": ("__import__('sys').stderr.write('pipfast: more\\n')", "note"),
    "exit-code": ("__import__('sys').exit(3)", "exit code"),
    "traceback": ("1/0", "traceback"),
}


@pytest.mark.parametrize(("code", "found"), LEFT.values(), ids=LEFT)
def test_misbehaviour_is_found(twins: Twins, code: str, found: str) -> None:
    """What a command leaves behind, prints or returns is a difference where stock pip does not."""

    def plant(places: Places) -> None:
        (places.site_packages / "misbehaving.py").write_text(f"print('pip', end='')\n{code}\n", "utf-8")

    scenario = Scenario((pip("hash", fails=None),), prepare=plant, warm=False, ours="misbehaving")
    assert found in {difference.kind for difference in twins.differences(scenario)}


def test_a_claim_that_does_not_hold_is_found(twins: Twins, index: Index) -> None:
    """A scenario that does not show what it says is a failure though the twins agree."""
    scenario = Scenario(
        (pip("install", *index.args, "demo", fails=True),),
        installed={"demo": "2.0"},
        says=("nonsense",),
        warm=False,
    )
    assert [each.kind for each in twins.differences(scenario)] == ["claim"] * 3


def test_surplus_requests_are_found(twins: Twins, index: Index) -> None:
    """What is asked for twice, or with HEAD, is a difference."""
    code = (
        "import urllib.request as u\n"
        f"for _ in range(2): u.urlopen('{index.url}demo/').read()\n"
        f"u.urlopen(u.Request('{index.url}demo/', method='HEAD'))\n"
    )

    def plant(places: Places) -> None:
        (places.site_packages / "asking.py").write_text(code, "utf-8")

    scenario = Scenario((python("-c", "import asking"),), prepare=plant, warm=False)
    assert not twins.differences(scenario), "both asked"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twin, "OURS", "asking")
        found = twins.differences(Scenario((pip("hash", fails=None),), prepare=plant, warm=False))
    assert len([each for each in found if each.kind == "requests"]) == 2


@pytest.mark.parametrize("kind", Kind)
def test_environments_are_brought_back(twins: Twins, index: Index, kind: Kind) -> None:
    """After a run that breaks everything, the next one begins from the template."""

    def wreck(places: Places) -> None:
        for path in (places.site_packages / "pip").rglob("*.py"):
            path.write_text("wrecked\n", "utf-8")
        (places.site_packages / "pipfast_hooks").rename(places.site_packages / "gone")
        (places.env / "bin").chmod(0o755)
        places.python.unlink()
        places.python.mkdir()

    scenario = Scenario((pip("install", *index.args, "demo", "source"),), kind=kind, uninstall=False)
    assert twins.differences(scenario, wreck)
    assert twins.differences(scenario) == []


def test_stock_pip_agrees_with_itself(twins: Twins, index: Index) -> None:
    """Two runs of the same thing have no difference, built wheels, bytecode and all."""
    twins.agree(pip("install", *index.args, "demo", "source"), pip("freeze"), inspect=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("   ━━━━━━━━━━ 1.5/1.5 MB 50.1 MB/s  0:00:00\n", "<bar 1.5/1.5 MB>\n"),
        ("     ━━━━╸━━━━━ 0.8/1.5 MB 1.1 kB/s eta 0:00:09\n", "<bar 0.8/1.5 MB>\n"),
        ("Progress 0 of 9\nProgress 4 of 9\nProgress 9 of 9\nx\n", "<progress 9 of 9>\nx\n"),
        ("in /tmp/pip-install-x8s_ub1v/demo_" + "0a" * 16, "in /tmp/pip-install-<random>/demo_<random>"),
        ("python -m pipfast install", "python -m pip install"),
        ("Downloading demo-1.0-py3-none-any.whl (1.5 MB)", "Downloading demo-1.0-py3-none-any.whl (1.5 MB)"),
    ],
)
def test_normalized(text: str, expected: str) -> None:
    """Speeds, times and random names go; sizes and names stay."""
    assert normalized(text) == expected


def test_notes() -> None:
    """A hint is ours only below a line of ours."""
    text = "hint: of pip's\npipfast: copying\nhint: of ours\nWARNING: of pip's\n"
    assert without_notes(text) == ("hint: of pip's\nWARNING: of pip's\n", ["pipfast: copying\nhint: of ours"])


def test_bytecode_compares_by_what_it_does() -> None:
    """Only the name of the file may differ between two .pyc files."""
    header = importlib.util.MAGIC_NUMBER + bytes(12)

    def compiled(source: str, name: str) -> dict[str, Entry]:
        return {"a.pyc": Entry(0o100644, header + marshal.dumps(compile(source, name, "exec")))}

    assert not snapshot.compare_trees(compiled("x = 1", "/a"), compiled("x = 1", "/b"))
    assert snapshot.compare_trees(compiled("x = 1", "/a"), compiled("x = 2", "/a"))
